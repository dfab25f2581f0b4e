"""From text to trees.

lark is loaded only when it is needed, because that takes longer than all else: for a text with errors, and for a
grammar that is newer than its tables.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Protocol, TypeVar

import grammar
from compiler.diagnostics import DiagnosticError, Source
from compiler.frontend.lalr import Refused, Tables, Tree, read_tables
from compiler.frontend.tokens import OPERATORS


class Typed(Protocol):
    """A token of lark's or of ours."""

    type: str


AnyToken = TypeVar("AnyToken", bound=Typed)


CONTINUES = frozenset({*OPERATORS, "MINUS", "NOT", "ASSIGN", "COMMA", "ARROW", "COLON", "LBRACE"})
"""Tokens after which a line goes on."""
BEGINS_NO_STATEMENT = frozenset(
    {
        *OPERATORS,
        "MINUS",
        "ASSIGN",
        "ARROW",
        "DOT",
        "ELLIPSIS",
        "COMMA",
        "COLON",
        "RPAREN",
        "RBRACKET",
        "LBRACE",
        "_ELSE",
    }
)
"""Tokens that continue the line before; the terminal `_NEWLINE` of the grammar refuses to stand before them."""


class LineBreaks:
    """Keep only the line breaks that end a statement or a definition.

    Dropped are those inside `( )` and `[ ]`, after an operator, a comma or an opening brace, and at the beginning.
    (Those before a line that begins with an operator are no `_NEWLINE` in the first place, see the grammar.)
    """

    always_accept = ("_NEWLINE",)

    def process(self, stream: Iterator[AnyToken]) -> Iterator[AnyToken]:
        depth = 0
        previous = "LBRACE"
        for token in stream:
            kind = token.type
            if kind == "_NEWLINE":
                if depth > 0 or previous in CONTINUES:
                    continue
            elif kind in ("LPAREN", "LBRACKET"):
                depth += 1
            elif kind in ("RPAREN", "RBRACKET"):
                depth -= 1
            elif kind in ("LBRACE", "RBRACE"):
                depth = 0
            previous = kind
            yield token


@contextmanager
def without_collection() -> Iterator[None]:
    """Keep Python from looking for reference cycles: trees have none, and it would look again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def _tables() -> Tables:
    stored = read_tables(grammar.tables(), grammar.syntax())
    if stored is not None:
        return stored
    from compiler.frontend.tables import build_tables

    return build_tables()


def scan(text: str) -> Iterator[tuple[str, str]]:
    """The terminals of `text`, which the grammar accepts, with blanks and comments: names and texts without a gap.

    Words that can be names count as such, wherever they stand.
    """
    tables = _tables()
    for found in tables.pattern.finditer(text):
        yield "NAME" if tables.name.fullmatch(found.group()) else found.lastgroup or "", found.group()


def parse_tree(source: Source) -> Tree:
    """Parse `source`; raises `DiagnosticError` with what is wrong in each of its definitions."""
    with suppress(Refused), without_collection():
        return _tables().parse(source.text, LineBreaks().process)
    from compiler.frontend.recovery import syntax_errors

    raise DiagnosticError(syntax_errors(source), {source.name: source})
