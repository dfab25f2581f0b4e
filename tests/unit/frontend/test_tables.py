"""The stored tables are those of the grammar, and what they parse is what lark parses."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import Token as LarkToken
from lark import Tree as LarkTree
from lark import UnexpectedInput

import grammar
from compiler.frontend.lalr import Part, Refused, Tree, read_tables, write_tables
from compiler.frontend.recovery import parser
from compiler.frontend.syntax import LineBreaks
from compiler.frontend.tables import build_tables

TABLES = build_tables()
WORDS = [
    *(
        "dim N = 4\n",
        "fn f<T>(",
        "program p(",
        "x: input f32[N]",
        "import a.b\n",
        ") -> (a: f32, f32)",
        ") -> f32 {",
        "}",
    ),
    *(
        "y[i, ...] =",
        "f(x, axis=(0, 1))",
        "x[i, 0:N, ...]",
        "max(i, j)",
        "sum(k)",
        "# c\n",
        "for i in",
        "1:N:2 {",
        "else {",
    ),
    *(
        "if x > 0 {",
        '"text"',
        "\n",
        "\n",
        *re.findall(r"\S+", "input weight return assert not and x + - * @ == = ( ) [ ] , : .T ... 1 .5 true"),
    ),
]
BODIES = [
    "y[i, j] = sum(k) x[i, k] * w[k, j]\n",
    "a, b = f(x, axis=1)\n",
    "y = -x[0:2, ...].T + (not z or (a @ b) * 2.5)\n",
    "for i in 0:N:2 { y = y + x[i] }\n",
    'if N > 2 { y = x } else if N == 2 { y = (x) } else { y = -(x, y)[0] }\nassert N % 2 == 0, "even"\n',
    "input = weight\n",
]


def parsed(text: str) -> Tree | None:
    try:
        return TABLES.parse(text, LineBreaks().process)
    except Refused:
        return None


def by_lark(text: str) -> LarkTree[LarkToken] | None:
    try:
        return parser().parse(text)
    except UnexpectedInput:
        return None


def shape(part: Part) -> object:
    if isinstance(part, Tree):
        return part.data, tuple(map(shape, part.children))
    return part if part is None else (part.type, str(part), part.line, part.column)


def lark_shape(part: LarkTree[LarkToken] | LarkToken | None) -> object:
    if isinstance(part, LarkTree):
        return str(part.data), tuple(map(lark_shape, part.children))
    return part if part is None else (part.type, str(part), part.line, part.column)


def agree(text: str) -> None:
    ours, theirs = parsed(text), by_lark(text)
    assert (ours is None) == (theirs is None)
    if ours is not None:
        assert shape(ours) == lark_shape(theirs)


def test_the_stored_tables_are_those_of_the_grammar() -> None:
    """If this fails, run `python -m compiler.frontend.tables`."""
    assert grammar.tables() == write_tables(TABLES, grammar.syntax())


def test_tables_are_read_as_they_were_written() -> None:
    assert read_tables(write_tables(TABLES, "a"), "a") == TABLES


def test_tables_of_another_grammar_are_not_used() -> None:
    assert read_tables(write_tables(TABLES, "a"), "b") is None


def test_what_we_wrote() -> None:
    agree(grammar.standard_library())


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_any_words(words: list[str]) -> None:
    agree(" ".join(words))


@given(st.lists(st.sampled_from(BODIES), max_size=6), st.lists(st.sampled_from(WORDS), max_size=4))
def test_any_body(statements: list[str], words: list[str]) -> None:
    agree(f"program p(x: input f32) -> f32 {{\n{''.join(statements)}y = {' '.join(words)}\nreturn x\n}}\n")


@given(st.text())
def test_any_text(text: str) -> None:
    agree(text)


@pytest.mark.parametrize("text", ["", "\n", "# only a comment", "# only a comment\n", "\ufeffdim N = 4"])
def test_almost_nothing(text: str) -> None:
    agree(text)
