"""`meshc machines` shows every constant once, with its source."""

import json

import pytest

from compiler.target.load import load_machine, preset_names
from runtime.cli import main
from runtime.cli.machines import constants_of


@pytest.mark.parametrize("name", preset_names())
def test_every_sourced_constant_is_shown(name: str) -> None:
    machine = load_machine(name)
    shown = [constant for constant, _ in constants_of(machine)]
    assert len(shown) == len(set(shown))
    assert set(machine.facts) - set(shown) <= {"floor_plan", "name", "description"}


def test_lists_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name}  " in out for name in preset_names())


def test_guesses_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    machine = load_machine("wormhole_n150")
    assert main(["machines", machine.name]) == 0
    lines = capsys.readouterr().out.splitlines()
    for name, fact in machine.facts.items():
        (line,) = (line for line in lines if line.startswith(f"  {name}  ")) if name != "floor_plan" else ("",)
        assert not line or ("to confirm" in line) == (not fact.confirmed)


def test_json_has_the_same_constants(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["machines", "mesh_4x4", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["cores"] == 16
    assert {entry["name"] for entry in document["constants"]} == {
        name for name, _ in constants_of(load_machine("mesh_4x4"))
    }
