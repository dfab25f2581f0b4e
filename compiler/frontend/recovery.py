"""What is wrong with a text that does not parse: lark finds the places, one for each definition or more."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from lark import Lark, Token, UnexpectedInput

import grammar
from compiler.diagnostics import Diagnostic, InternalError, Source
from compiler.frontend.syntax import LineBreaks
from compiler.frontend.syntax_errors import diagnose

_MAX_ERRORS = 8
_STRUCTURAL = ("E0103", "E0104")
_DEFINITION = re.compile(r"^(?=(?:import|semantics|dim|fn|program)\b)", re.MULTILINE)
_STATEMENT = re.compile(r"\s*(?:(?:return|assert)\b|[A-Za-z_]\w*\s*[=\[,])")


@cache
def parser() -> Lark:
    return Lark(
        grammar.syntax(),
        parser="lalr",
        lexer="contextual",
        maybe_placeholders=True,
        postlex=LineBreaks(),
    )


def terminals() -> frozenset[str]:
    """The names of all terminals of the grammar."""
    return frozenset(terminal.name for terminal in parser().terminals)


def syntax_errors(source: Source) -> tuple[Diagnostic, ...]:
    """Return what is wrong in each definition of `source`, which does not parse."""
    try:
        parser().parse(source.text)
    except UnexpectedInput as error:
        first = diagnose(error, source)
    else:
        raise InternalError(f"parse: `{source.name}` fits the grammar, but was refused")
    found = [diagnostic for piece in _pieces(source) for diagnostic in _problems(piece)]
    return tuple(found[:_MAX_ERRORS]) or (first,)


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
            parser().parse("\n".join(lines))
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
    at_end = isinstance(token, Token) and token.type == "$END"
    return end if at_end or error.line is None or error.line < 1 else int(error.line) - 1
