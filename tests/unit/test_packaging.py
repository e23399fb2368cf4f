"""`flows` and `models` are names that unrelated projects on PyPI have too: ours must win, wherever we stand."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from arrears.settings import ROOT


@pytest.mark.parametrize("package", ["arrears", "flows", "models"])
def test_our_packages_come_from_the_checkout(package: str, tmp_path: Path) -> None:
    """Also from another folder, without PYTHONPATH: the way the command and a worker import them."""
    assert Path(_say(f"import {package}; print({package}.__file__)", tmp_path)) == ROOT / package / "__init__.py"


def test_the_wheel_would_hold_our_packages_and_no_tests() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["packages"] == ["arrears", "flows", "models"]


@pytest.mark.parametrize(
    ("group", "value"),
    [("console_scripts", "arrears.cli.app:main"), ("prefect.collections", "arrears.orchestration.worker")],
)
def test_the_command_and_the_worker_type_are_registered(group: str, value: str, tmp_path: Path) -> None:
    code = f"from importlib.metadata import entry_points; print(entry_points(group='{group}')['arrears'].value)"
    assert _say(code, tmp_path) == value


def test_the_policies_templates_and_migrations_lie_where_they_are_looked_for() -> None:
    for folder in ("policies/ladders", "policies/contact-rules", "templates/sms/en-US", "migrations/versions"):
        assert any((ROOT / folder).iterdir())


def _say(code: str, folder: Path) -> str:
    """What Python prints when it runs in `folder`."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return ran.stdout.strip()
