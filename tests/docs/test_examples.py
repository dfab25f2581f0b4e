"""Every example opens with what it shows, and does what its opening comment says."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from examples import digits
from runtime.cli import main

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted(path.name for path in (ROOT / "examples").glob("*.mesh"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", PROGRAMS)
def test_program(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("examples", name).read_text()
    assert text.startswith("# Shows: ")
    commands = re.findall(r"^#   meshc (.*)$", text, re.MULTILINE)
    assert commands
    for command in commands:
        assert main(shlex.split(command)) == 0, capsys.readouterr().out


def test_digits_are_recognized(capsys: pytest.CaptureFixture[str]) -> None:
    digits.main()
    out = capsys.readouterr().out
    emulated, reference = map(float, re.findall(r"accuracy +emulated ([\d.]+)% +NumPy ([\d.]+)%", out)[0])
    assert emulated >= 95
    assert abs(emulated - reference) < 0.5
