"""A help that says what to write, written, is the end of the error."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from compiler.diagnostics import Diagnostic, DiagnosticError, Span
from compiler.frontend import load, lower
from runtime.imports import FileFinder

DIRECTORY = Path(__file__).parent / "errors"
PAGES = Path(__file__).parents[2] / "grammar" / "errors.md"
TEXTS = {path.stem: path.read_text() for path in sorted(DIRECTORY.glob("E0*.mesh"))} | {
    f"page {number}": text
    for number, text in enumerate(re.findall(r"^```mesh wrong\n(.*?)^```", PAGES.read_text(), re.M | re.S))
}


def problems(text: str) -> tuple[Diagnostic, ...]:
    programs = re.findall(r"^# program: (\w+)$", text, re.M)
    try:
        module = load(text, "t.mesh", FileFinder([DIRECTORY / "parts"]))
        for program in programs or [program.name.text for program in module.programs]:
            lower(module, program, {})
    except DiagnosticError as error:
        return error.diagnostics
    return ()


def replaced(text: str, span: Span, new: Callable[[str], str]) -> str:
    """The text with `new` of what stands at `span`, which ends on its line."""
    lines = text.split("\n")
    line = lines[span.line - 1]
    old = line[span.column - 1 : span.end_column - 1]
    lines[span.line - 1] = line[: span.column - 1] + new(old) + line[span.end_column - 1 :]
    return "\n".join(lines)


def applied(text: str, diagnostic: Diagnostic, help: str) -> str | None:
    """The text after the help is obeyed; None where it does not say exactly what to write."""
    place = diagnostic.labels[0].span if diagnostic.labels else None
    if place is None or place.source != "t.mesh" or place.end_line != place.line:
        return None
    word = (re.findall(r"`([^`]*)`", help) or [""])[0]
    if help == "remove it":
        return replaced(text, place, lambda old: "")
    if re.fullmatch(r"did you mean `.*`\?|write `[^`]*`( for a product)?", help) or help.startswith("`==` compares;"):
        return replaced(text, place, lambda old: word)
    if help.startswith("choose another name, for example"):
        return re.sub(rf"\b{word[:-1]}\b", word, text)
    if help.startswith(("cast it", "cast the second")):
        return replaced(text, place, lambda old: word.replace("...", old))
    if help.startswith("cast the first"):
        return replaced(text, diagnostic.labels[1].span, lambda old: word.replace("...", old))
    return None


def obeyed(text: str) -> tuple[str, Diagnostic] | None:
    """The text after the first help that says what to write, and the error that it is about."""
    for diagnostic in problems(text):
        for help in diagnostic.helps:
            if (after := applied(text, diagnostic, help)) is not None:
                return after, diagnostic
    return None


HELPED = [name for name, text in TEXTS.items() if obeyed(text) is not None]


@pytest.mark.parametrize("name", HELPED)
def test_a_help_that_is_obeyed_ends_its_error(name: str) -> None:
    text = TEXTS[name]
    for _ in range(6):
        step = obeyed(text)
        if step is None:
            return
        text, diagnostic = step
        assert (diagnostic.code, diagnostic.message) not in [(other.code, other.message) for other in problems(text)]
    pytest.fail("one help leads to another for ever")


def test_helps_that_are_obeyed_make_most_programs_right() -> None:
    right = []
    for name in HELPED:
        text = TEXTS[name]
        while (step := obeyed(text)) is not None:
            text = step[0]
        right += [name] * (not problems(text))
    assert len(right) >= 20, sorted(set(HELPED) - set(right))
