"""What deploys us is held against the schemas of those who read it, and against the names it uses."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prefect.settings import Settings as PrefectSettings
from prefect.settings import get_current_settings
from prefect_redis.cleanup_queue import RedisWorkerCleanupQueueSettings
from prefect_redis.client import RedisMessagingSettings

from arrears.settings import ROOT, Settings

BASE = ROOT / "deploy" / "kubernetes" / "base"
COMPOSE = ROOT / "deploy" / "compose" / "compose.yaml"
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
BIN = Path(sys.executable).parent
OURS = {
    str(field.validation_alias) if field.validation_alias else f"ARREARS_{name.upper()}"
    for name, field in Settings.model_fields.items()
}
REDIS = {
    f"{kind.model_config.get('env_prefix', '')}url".upper()
    for kind in (RedisMessagingSettings, RedisWorkerCleanupQueueSettings)
}
PREFECTS = {*get_current_settings().to_environment_variables(include_aliases=True), *REDIS, "PREFECT_API_URL"}


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(BASE.glob("*.yaml")):
        if path.name != "kustomization.yaml":
            for document in yaml.safe_load_all(path.read_text()):
                yield path.name, document


MANIFESTS = list(documents())


def of_kind(*kinds: str) -> dict[str, dict[str, Any]]:
    return {each["metadata"]["name"]: each for _, each in MANIFESTS if each["kind"] in kinds}


PODS = {name: each["spec"]["template"] for name, each in of_kind("Deployment", "Job").items()}


@pytest.mark.parametrize("version", ["1.31", kubernetes_validate.latest_version()])
def test_every_manifest_is_one_that_kubernetes_takes(version: str) -> None:
    kinds = set[str]()
    for name, document in MANIFESTS:
        kubernetes_validate.validate(document, version, strict=True)
        kinds.add(document["kind"])
        broken = document | {"speck": {}}
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(broken, version, strict=True)
        assert document["kind"] != "Secret", f"{name} holds a secret"
    assert kinds >= {"Deployment", "Job", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}


def test_the_manifests_name_what_there_is() -> None:
    kustomization = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    assert set(kustomization["resources"]) == {name for name, _ in MANIFESTS}
    configs, deployments = of_kind("ConfigMap"), of_kind("Deployment")
    for name, deployment in deployments.items():
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items(), name
    for name, pod in PODS.items():
        container = pod["spec"]["containers"][0]
        assert {
            each["configMapRef"]["name"] for each in container["envFrom"] if "configMapRef" in each
        } <= configs.keys()
        ports = {each["name"] for each in container.get("ports", ())}
        probes = [container.get(f"{kind}Probe") for kind in ("startup", "readiness", "liveness")]
        assert {probe["httpGet"]["port"] for probe in probes if probe} <= ports, name
        volumes = {each["name"] for each in pod["spec"]["volumes"]}
        assert {each["name"] for each in container["volumeMounts"]} == volumes, name
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        words = container.get("args", [])
        assert container.get("command") == ["sh", "-ec"] or words[0] in ("arrears", "prefect"), name
    for name, service in of_kind("Service").items():
        exposed = {port["name"] for port in PODS[name]["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= exposed
    for kind, path in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        for each in of_kind(kind).values():
            wanted = each["spec"][path].get("matchLabels", {}).get("app.kubernetes.io/name")
            assert wanted is None or wanted in PODS
    assert of_kind("HorizontalPodAutoscaler")["serve"]["spec"]["scaleTargetRef"]["name"] == "serve"
    assert "replicas" not in deployments["serve"]["spec"], "the autoscaler and the manifest would fight over it"
    drained = Settings.model_fields.get("worker_drain_seconds")
    assert deployments["worker"]["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > (
        drained.default if drained else 60
    )


def compose() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE.read_text())


def test_the_compose_file_is_one_by_its_specification(tmp_path: Path) -> None:
    check = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec"]
    broken = tmp_path / "compose.yaml"
    broken.write_text(COMPOSE.read_text().replace("stop_grace_period", "stop_grace_periods"))
    assert subprocess.run([*check, COMPOSE], capture_output=True).returncode == 0
    assert subprocess.run([*check, broken], capture_output=True).returncode == 1
    whole = compose()
    services = whole["services"]
    for name, service in services.items():
        assert service.get("depends_on", {}).keys() <= services.keys(), name
        assert set(service.get("networks", ())) <= whole["networks"].keys(), name
        named = {mount.split(":")[0] for mount in service.get("volumes", ()) if not mount.startswith(".")}
        assert named <= whole["volumes"].keys(), name
    asked = set(re.findall(r"\$\{([A-Z_]+)", COMPOSE.read_text())) - {"ARREARS_IMAGE"}
    offered = set(re.findall(r"^([A-Z_]+)=", (COMPOSE.parent / "example.env").read_text(), re.MULTILINE))
    assert asked == offered


def test_every_setting_that_is_set_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    names = {name for config in of_kind("ConfigMap").values() for name in config["data"]}
    for service in compose()["services"].values():
        names |= service.get("environment", {}).keys()
    unknown = {
        name for name in names if name not in OURS and name not in PREFECTS and not name.startswith(("POSTGRES_",))
    }
    assert unknown == set()
    server = of_kind("ConfigMap")["prefect"]["data"]
    for name, value in (server | of_kind("ConfigMap")["arrears"]["data"]).items():
        monkeypatch.setenv(name, value)
    assert PrefectSettings().server.events.retention_period == timedelta(days=1)
    assert Settings().metrics_port == 9464
    both = {name: value for name, value in server.items() if value.startswith("prefect_redis.")}
    assert both.items() <= compose()["x-prefect-server"].items()
    for module in both.values():
        importlib.import_module(module)


def test_the_image_is_built_of_files_that_reach_the_builder() -> None:
    copied = [
        source
        for line in DOCKERFILE.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_in
    assert [source for source in copied if not (ROOT / source).exists()] == []
    lint = shutil.which("hadolint", path=str(BIN))
    if lint is None:
        pytest.skip("hadolint comes for Linux on x86-64")
    done = subprocess.run([lint, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_example_of_an_overlay_fits_the_base() -> None:
    example = BASE.parent / "example"
    overlay = yaml.safe_load((example / "kustomization.yaml").read_text())
    assert [(example / each).resolve() for each in overlay["resources"]] == [BASE]
    base = yaml.safe_load((BASE / "kustomization.yaml").read_text())
    assert [each["name"] for each in overlay["images"]] == [each["newName"] for each in base["images"]]
    assert {each["name"] for each in overlay["replicas"]} <= of_kind("Deployment").keys()
    [patch] = (yaml.safe_load(each["patch"]) for each in overlay["patches"])
    given = of_kind(patch["kind"])[patch["metadata"]["name"]]["data"]
    assert patch["data"].keys() <= given.keys()
    assert {name for name, value in given.items() if not value} <= patch["data"].keys()
