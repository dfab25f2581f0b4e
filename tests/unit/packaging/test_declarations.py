"""pyproject.toml against the tree and against the other files that say the same things."""

import re
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
CONTRACT = {"diagnostics", "numerics", "program", "target"}
"""What the emulator may reach; diagnostics only because programs carry spans."""


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=]", requirement)[0].lower().replace("_", "-") for requirement in requirements}


def _pinned() -> set[str]:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    return _names([line for line in lines if line and not line.startswith("#")])


def test_every_requirement_is_pinned() -> None:
    project = _pyproject()["project"]
    required = _names(project["dependencies"]) | _names(project["optional-dependencies"]["dev"])
    assert required <= _pinned()


def test_every_pin_is_exact() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert [line for line in lines if not re.fullmatch(r"#.*|[\w-]+==[\w.]+", line)] == []


def test_every_dependency_is_argued() -> None:
    project = _pyproject()["project"]
    required = _names(project["dependencies"]).union(*map(_names, project["optional-dependencies"].values()))
    argued = (ROOT / "docs/decisions/0001-dependencies.md").read_text().replace("ml_dtypes", "ml-dtypes")
    assert {name for name in required if f"| {name} |" not in argued} == set()


def test_the_import_law_of_the_emulator_names_every_other_package() -> None:
    contracts = _pyproject()["tool"]["importlinter"]["contracts"]
    (law,) = (contract for contract in contracts if contract.get("source_modules") == ["emulator"])
    modules = {path.stem for path in (ROOT / "compiler").glob("*.py")} - {"__init__"}
    packages = {path.parent.name for path in (ROOT / "compiler").glob("*/__init__.py")}
    assert set(law["forbidden_modules"]) == {f"compiler.{name}" for name in (modules | packages) - CONTRACT}


def test_the_version_is_in_the_change_log() -> None:
    assert f"## {_pyproject()['project']['version']}" in (ROOT / "CHANGELOG.md").read_text()
