"""What `meshc explain` says about a code is true, and it has something to say about each."""

import re
from pathlib import Path

import pytest

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.frontend import load, lower
from compiler.frontend.lint import lint
from runtime.cli.codes import pages
from runtime.cli.parser import WARNINGS

ROOT = Path(__file__).parents[2]
PAGES = pages()
BLOCK = re.compile(r"^```mesh( wrong)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
EXAMPLES = [
    pytest.param(code, bool(wrong), text, id=f"{code} {'wrong' if wrong else 'right'}")
    for code, page in PAGES.items()
    for wrong, text in BLOCK.findall(page.text)
]


def found(text: str) -> list[Diagnostic]:
    """What there is to say about a program, warnings included."""
    try:
        module = load(text, "example.mesh")
        warnings = lint(module)
        lower(module, None, {}, warnings.append)
    except DiagnosticError as error:
        return list(error.diagnostics)
    return warnings


@pytest.mark.parametrize(("code", "wrong", "text"), EXAMPLES)
def test_an_example_does_what_its_page_says(code: str, wrong: bool, text: str) -> None:
    assert {diagnostic.code for diagnostic in found(text)} == ({code} if wrong else set())


def test_every_code_of_a_program_has_a_page() -> None:
    assert [code for code, page in PAGES.items() if re.match("E0[123]|W", code) and not page.text] == []


def test_pages_belong_to_codes() -> None:
    sections = re.findall(r"^### (\S+)", (ROOT / "grammar" / "errors.md").read_text(), re.M)
    assert len(set(sections)) == len(sections)
    assert set(sections) <= set(PAGES)


def test_every_code_in_the_sources_is_known_and_every_known_code_is_used() -> None:
    used = set()
    for package in ("compiler", "emulator", "runtime"):
        for path in (ROOT / package).rglob("*.py"):
            used |= set(re.findall(r'"([EW]0\d{3})"', path.read_text()))
    assert used == set(PAGES)


def test_the_warnings_are_those_that_can_be_denied() -> None:
    assert tuple(code for code in PAGES if code.startswith("W")) == WARNINGS
