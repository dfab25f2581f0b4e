"""From text to lark's tree: the cached parser, the filter of line breaks, and recovery after a syntax error."""

import gc
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from lark import Lark, UnexpectedInput
from lark import Token as LarkToken
from lark.lark import PostLex

import grammar
from compiler.diagnostics import Diagnostic, DiagnosticError, InternalError, Source
from compiler.frontend.lalr import Refused, Tables, Token, Tree, tables
from compiler.frontend.syntax_errors import diagnose
from compiler.frontend.tokens import OPERATORS

AnyToken = TypeVar("AnyToken", LarkToken, Token)
_MAX_ERRORS = 8
_STRUCTURAL = ("E0103", "E0104")
_DEFINITION = re.compile(r"^(?=(?:import|dim|fn|program)\b)", re.MULTILINE)
_STATEMENT = re.compile(r"\s*(?:(?:return|assert)\b|[A-Za-z_]\w*\s*[=\[,])")


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


class LineBreaks(PostLex):
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


@cache
def _parser() -> Lark:
    return Lark(
        grammar.syntax(),
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=True,
        postlex=LineBreaks(),
    )


def terminals() -> frozenset[str]:
    """The names of all terminals of the grammar."""
    return frozenset(terminal.name for terminal in _parser().terminals)


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
    return tables(_parser())


def scan(text: str) -> Iterator[tuple[str, str]]:
    """The terminals of `text`, which the grammar accepts, with blanks and comments: names and texts without a gap."""
    return ((found.lastgroup or "", found.group()) for found in _tables().pattern.finditer(text))


def parse_tree(source: Source) -> Tree:
    """Parse `source`; raises `DiagnosticError` with what is wrong in each of its definitions."""
    with suppress(Refused), without_collection():
        return _tables().parse(source.text, LineBreaks().process)
    try:
        _parser().parse(source.text)
    except UnexpectedInput as error:
        first = diagnose(error, source)
    else:
        raise InternalError(f"parse: `{source.name}` fits the grammar, but was refused")
    found = [diagnostic for piece in _pieces(source) for diagnostic in _problems(piece)]
    raise DiagnosticError(tuple(found[:_MAX_ERRORS]) or (first,), {source.name: source})


@dataclass(frozen=True, slots=True)
class Piece:
    """The lines of `source` from `offset` (counted from 0) that hold one definition."""

    source: Source
    text: str
    offset: int


def _pieces(source: Source) -> Iterator[Piece]:
    """Cut the text before each line that opens a definition, so that each is judged by itself."""
    line = 0
    for text in _DEFINITION.split(source.text):
        yield Piece(source, text, line)
        line += text.count("\n")


def _problems(piece: Piece) -> Iterator[Diagnostic]:
    """Yield what is wrong in one definition; a faulty statement of one line is left out to look for further errors."""
    lines = piece.text.split("\n")
    last = -1
    for _ in range(_MAX_ERRORS):
        try:
            _parser().parse("\n".join(lines))
            return
        except UnexpectedInput as error:
            line = _line(error, len(lines))
            if line <= last:
                return
            diagnostic = diagnose(error, Source(piece.source.name, "\n".join(lines)), piece.offset)
            yield diagnostic
            first_of_line = line < len(lines) and not lines[line][: (error.column or 1) - 1].strip()
        if diagnostic.code in _STRUCTURAL or first_of_line or not _stands_alone(lines, line):
            return
        lines[line] = ""
        last = line


def _stands_alone(lines: Sequence[str], number: int) -> bool:
    """True when line `number` looks like a whole statement of a body, so that the lines around parse without it."""
    if number >= len(lines) or not any("{" in line for line in lines[:number]):
        return False
    code = lines[number].partition("#")[0]
    balanced = all(code.count(opening) == code.count(closing) for opening, closing in ("()", "[]"))
    return _STATEMENT.match(code) is not None and balanced and "{" not in code and "}" not in code


def _line(error: UnexpectedInput, end: int) -> int:
    """The line of the error, from 0; `end` when the text is over."""
    token = getattr(error, "token", None)
    at_end = isinstance(token, LarkToken) and token.type == "$END"
    return end if at_end or error.line is None or error.line < 1 else int(error.line) - 1
