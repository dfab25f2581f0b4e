"""Each faulty program gives exactly the diagnostics that its first lines state; codes and programs are in bijection."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.diagnostics.render import render
from compiler.frontend import load, lower
from runtime.imports import FileFinder

DIRECTORY = Path(__file__).parent / "errors"
TABLE = Path(__file__).parents[2] / "grammar" / "errors.md"
PROGRAMS = sorted(path for path in DIRECTORY.glob("E0[123]*.mesh"))


@dataclass(frozen=True, slots=True)
class Expectation:
    """The header of a program: what is expected, and with which options it is compiled."""

    errors: list[str]
    sizes: dict[str, int]
    program: str | None

    @classmethod
    def of(cls, text: str) -> "Expectation":
        errors = [
            f"{code}{place}" for code, place in re.findall(r"^# expect-error\[(E\d{4})\]( @\d+:\d+)?$", text, re.M)
        ]
        sizes = {name: int(size) for name, size in re.findall(r"^# set: ([\w.]+)=(\d+)$", text, re.M)}
        programs = re.findall(r"^# program: (\w+)$", text, re.M)
        return cls(errors, sizes, programs[0] if programs else None)


def headline(diagnostic: Diagnostic) -> str:
    labels = diagnostic.labels
    return diagnostic.code + (f" @{labels[0].span.line}:{labels[0].span.column}" if labels else "")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_gives_the_diagnostics_it_states(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expectation = Expectation.of(text)
    with pytest.raises(DiagnosticError) as error:
        lower(load(text, path.name, FileFinder([DIRECTORY / "parts"])), expectation.program, expectation.sizes)
    assert [headline(diagnostic) for diagnostic in error.value.diagnostics] == expectation.errors
    for diagnostic in error.value.diagnostics:
        assert render(diagnostic, error.value.sources).startswith(f"error[{diagnostic.code}]: ")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_program_is_named_after_a_code_it_provokes(path: Path) -> None:
    assert path.stem[:5] in {error[:5] for error in Expectation.of(path.read_text(encoding="utf-8")).errors}


def test_codes_and_programs_are_in_bijection() -> None:
    documented = re.findall(r"^\| (E0[123]\d\d) \|", TABLE.read_text(encoding="utf-8"), re.M)
    assert documented == sorted(set(documented))
    assert {path.stem[:5] for path in PROGRAMS} == set(documented)


def test_every_code_in_the_front_end_is_documented() -> None:
    sources = (Path(__file__).parents[2] / "compiler" / "frontend").glob("*.py")
    used = {code for path in sources for code in re.findall(r'"(E0\d{3})"', path.read_text(encoding="utf-8"))}
    assert used == set(re.findall(r"^\| (E0[123]\d\d) \|", TABLE.read_text(encoding="utf-8"), re.M))
