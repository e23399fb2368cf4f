"""Cut what we call out of Twilio's OpenAPI description.

    npm pack @twilio/cli-core && tar xzf twilio-cli-core-*.tgz
    python -m tests.contract.cut_description package/src/services/twilio-api/twilio_api_v2010.json

writes `twilio_messages.openapi.json` next to this script: six operations, the schemas and the security
scheme they refer to, word for word but without their examples. Where it came from, its version, license
and digest are written into it as `x-cut-from`, and the package's license goes next to it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

OPERATIONS = {
    "/2010-04-01/Accounts/{AccountSid}/Messages.json": ("get", "post"),
    "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json": ("get",),
    "/2010-04-01/Accounts/{AccountSid}/Calls.json": ("get", "post"),
    "/2010-04-01/Accounts/{AccountSid}/Calls/{Sid}.json": ("get",),
}
CUT = Path(__file__).with_name("twilio_messages.openapi.json")


def cut(description: dict[str, Any]) -> dict[str, Any]:
    """The description of `OPERATIONS` alone, complete in itself."""
    paths = {
        path: {"servers": description["paths"][path]["servers"]}
        | {method: _without_examples(description["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    schemas: dict[str, Any] = {}
    wanted = _schemas_named_in(paths)
    while wanted:
        name = wanted.pop()
        schemas[name] = _without_examples(description["components"]["schemas"][name])
        wanted |= _schemas_named_in(schemas[name]) - schemas.keys()
    return {
        "openapi": description["openapi"],
        "info": description["info"],
        "servers": description["servers"],
        "security": description["security"],
        "paths": paths,
        "components": {
            "securitySchemes": description["components"]["securitySchemes"],
            "schemas": dict(sorted(schemas.items())),
        },
    }


def provenance(source: Path) -> dict[str, str]:
    """Package, version, licenses and digest, read beside `source` in the unpacked package."""
    package = json.loads((source.parents[3] / "package.json").read_text(encoding="utf-8"))
    return {
        "package": f"npm:{package['name']}",
        "version": package["version"],
        "license": f"{package['license']} (the package), Apache-2.0 (the description, see info.license)",
        "file": source.relative_to(source.parents[3]).as_posix(),
        "sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "by": "tests/contract/cut_description.py",
    }


def _without_examples(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_examples(value) for key, value in node.items() if key not in ("example", "examples")}
    return [_without_examples(item) for item in node] if isinstance(node, list) else node


def _schemas_named_in(node: Any) -> set[str]:
    if isinstance(node, dict):
        named = {node["$ref"].removeprefix("#/components/schemas/")} if "$ref" in node else set[str]()
        return named.union(*(_schemas_named_in(value) for value in node.values()))
    return set[str]().union(*(_schemas_named_in(item) for item in node)) if isinstance(node, list) else set()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Cut what we call out of Twilio's OpenAPI description.")
    arguments.add_argument("source", type=Path, help="twilio_api_v2010.json in the unpacked @twilio/cli-core")
    source = arguments.parse_args().source.resolve()
    document = {"x-cut-from": provenance(source)} | cut(json.loads(source.read_text(encoding="utf-8")))
    CUT.with_name("twilio_messages.LICENSE").write_bytes((source.parents[3] / "LICENSE").read_bytes())
    CUT.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(CUT)
