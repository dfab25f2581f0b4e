"""The highlighting for editors sees in every program the tokens that the compiler sees.

A few lines stand in for an editor: at each place the earliest match wins, and of those the first pattern.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import grammar
from compiler.frontend.catalog import CONSTANTS, DTYPES
from compiler.frontend.recovery import terminals
from compiler.frontend.syntax import scan
from compiler.frontend.tokens import RESERVED

ROOT = Path(__file__).parents[3]
EDITOR = json.loads((ROOT / "grammar" / "mesh.tmLanguage.json").read_text())
TEXTS = {
    "std.mesh": grammar.standard_library(),
    **{path.name: path.read_text() for path in sorted((ROOT / "examples").glob("*.mesh"))},
    **{f"language {n}": t for n, t in enumerate(re.findall(r"^```mesh\n(.*?)^```", grammar.reference(), re.M | re.S))},
    "tokens": "".join(
        (
            "dim A = 1.5e3 + .5 + 2. + 1e-3\n",
            'assert a <= b or false, "text # no comment"  # comment\n',
            "x[0...1] -> % @ != >= < > / * not or\n",
        )
    ),
}
SCOPES = {
    "COMMENT": "comment.",
    "STRING": "string.",
    "INTEGER": "constant.numeric.",
    "DECIMAL": "constant.numeric.",
    "TRUE": "constant.language.",
    "FALSE": "constant.language.",
    **dict.fromkeys(
        ["LPAREN", "RPAREN", "LBRACKET", "RBRACKET", "LBRACE", "RBRACE", "COMMA", "COLON", "DOT"], "punctuation."
    ),
    **dict.fromkeys(RESERVED - {"TRUE", "FALSE"}, "keyword."),
}


def patterns(rules: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for rule in rules:
        if "include" in rule:
            yield from patterns([EDITOR["repository"][rule["include"].removeprefix("#")]])
        elif "patterns" in rule:
            yield from patterns(rule["patterns"])
        else:
            yield rule


RULES = [(re.compile(rule["match"]), rule) for rule in patterns(EDITOR["patterns"])]


def scopes(line: str) -> list[str]:
    """The scope of every character of a line, empty where there is none."""
    found = [""] * len(line)
    position = 0
    while position < len(line):
        matches = [
            (match.start(), number) for number, (p, _) in enumerate(RULES) if (match := p.search(line, position))
        ]
        if not matches:
            break
        _, number = min(matches)
        pattern, rule = RULES[number]
        match = pattern.search(line, position)
        assert match is not None
        assert match.end() > position
        captures = rule.get("captures", {"0": {"name": rule.get("name")}})
        for group, capture in captures.items():
            start, end = match.span(int(group))
            found[start:end] = [capture["name"]] * (end - start)
        position = match.end()
    return found


def tokens(text: str) -> Iterator[tuple[str, str]]:
    """The compiler's tokens and comments, without line breaks and blanks."""
    for kind, part in scan(text):
        if kind not in ("BLANK", "_NEWLINE"):
            yield kind, part
        elif kind == "_NEWLINE":
            yield from (("COMMENT", comment) for comment in re.findall(r"#[^\n]*", part))


@pytest.mark.parametrize("name", TEXTS)
def test_editors_see_the_tokens_of_the_compiler(name: str) -> None:
    text = TEXTS[name]
    marks = [scope for line in text.split("\n") for scope in [*scopes(line), ""]]
    position = 0
    for kind, part in tokens(text):
        position = text.index(part, position)
        seen = set(marks[position : position + len(part)])
        assert len(seen) == 1, f"{part!r} is colored in parts: {seen}"
        (scope,) = seen
        assert scope.startswith(SCOPES.get(kind, "")), f"{part!r} ({kind}) is {scope!r}"
        assert scope
        position += len(part)


def test_every_kind_of_token_occurs_in_the_texts() -> None:
    seen = {kind for text in TEXTS.values() for kind, _ in tokens(text)}
    soft = {"MODE"} | {kind for kind in terminals() if not kind.strip("_").isupper()}
    missing = terminals() - seen - soft - {"BLANK", "_NEWLINE"}
    assert {kind for kind in missing if kind in SCOPES} == set()


@pytest.mark.parametrize(
    ("words", "scope"), [(DTYPES, "storage.type."), (CONSTANTS, "constant.language."), (("true", "false"), "constant.")]
)
def test_every_word_of_the_language_has_its_scope(words: list[str], scope: str) -> None:
    for word in words:
        assert scopes(f"x = {word}")[4].startswith(scope), word


@pytest.mark.parametrize("word", ["input", "weight"])
def test_a_modifier_is_one_only_before_a_type(word: str) -> None:
    assert scopes(f"program p(x: {word} f32)")[13].startswith("storage.modifier.")
    assert scopes(f"{word} = 2 * {word}")[0].startswith("variable.")
