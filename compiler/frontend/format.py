"""Lay out a program: blanks, indentation and empty lines, never the tokens.

Line breaks stay where the user put them, except around braces. What comes out depends on nothing but the tokens, the
comments and the line breaks that stay, so formatting twice changes nothing more.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from compiler.diagnostics import Source
from compiler.frontend.parse import parse
from compiler.frontend.syntax import BEGINS_NO_STATEMENT, CONTINUES, scan
from compiler.frontend.tokens import OPERATORS, RESERVED

INDENT = 4
_COMMENT = re.compile(r"#[^\n]*|\n")
_CLOSING = {"RPAREN", "RBRACKET"}
_BEFORE_PARENTHESIS = OPERATORS | RESERVED | {"MINUS", "COMMA", "ARROW", "LBRACE", "RPAREN"}
_ENDS_OPERAND = {"NAME", "INTEGER", "DECIMAL", "TRUE", "FALSE", "ELLIPSIS", *_CLOSING}


def format_text(source: Source) -> str:
    """Return the text of `source` in the one layout; raises `DiagnosticError` for a text that does not parse."""
    parse(source)
    pieces = list(_pieces(source.text))
    _settle_braces(pieces)
    return _Writer(pieces).text()


@dataclass(slots=True, eq=False)
class _Piece:
    """A token or a comment, and how many line breaks stand before it (at most 2 matter)."""

    kind: str
    text: str
    breaks: int

    @property
    def is_comment(self) -> bool:
        return self.kind == "COMMENT"


def _pieces(text: str) -> Iterator[_Piece]:
    breaks = 0
    for kind, part in scan(text):
        if kind not in ("_NEWLINE", "BLANK", "COMMENT"):
            yield _Piece(kind, part, breaks)
            breaks = 0
            continue
        for found in _COMMENT.findall(part):
            if found == "\n":
                breaks += 1
            else:
                yield _Piece("COMMENT", found.rstrip(), breaks)
                breaks = 0


def _settle_braces(pieces: Sequence[_Piece]) -> None:
    """A block of several lines begins and ends with a line break; an opening brace and `else` stay on their line."""
    opened: list[int] = []
    for number, piece in enumerate(pieces):
        previous = pieces[number - 1] if number else None
        joins = piece.kind == "LBRACE" or (piece.kind == "_ELSE" and previous is not None and previous.kind == "RBRACE")
        if joins and previous is not None and not previous.is_comment:
            piece.breaks = 0
        if piece.kind == "LBRACE":
            opened.append(number)
        elif piece.kind == "RBRACE":
            first = opened.pop() + 1
            if any(inside.breaks for inside in pieces[first : number + 1]):
                _open_up(pieces[first], piece)


def _open_up(first: _Piece, closing: _Piece) -> None:
    if not first.is_comment or first.breaks:
        first.breaks = 1
    closing.breaks = 1


@dataclass(slots=True)
class _Bracket:
    """An open bracket: where lines inside begin, and where one begins that closes it."""

    kind: str
    inside: int
    outside: int
    seen_colon: bool = False


@dataclass(slots=True)
class _Writer:
    """Writes pieces; `lines` are those that are done, each with its comment apart."""

    pieces: Sequence[_Piece]
    lines: list[tuple[str, str]] = field(default_factory=list)
    line: str = ""
    indent: int = 0
    brackets: list[_Bracket] = field(default_factory=list)
    depth: int = 0
    opener: str = ""
    """The kind of the first token of the statement at hand."""
    sign: bool = False
    """Whether the latest `-` has no left operand."""
    last: str = ""
    """The kind of the latest token."""

    def text(self) -> str:
        previous: _Piece | None = None
        for number, piece in enumerate(self.pieces):
            following = self.pieces[number + 1] if number + 1 < len(self.pieces) else None
            if piece.is_comment:
                self.comment(piece, previous)
            else:
                self.token(piece, previous, following)
            previous = piece
        self.end_line()
        return "".join(f"{line}\n" for line in _aligned(self.lines))

    def comment(self, piece: _Piece, previous: _Piece | None) -> None:
        if previous is None or piece.breaks:
            self.begin_line(piece, previous, self.column(piece, previous))
            self.line += piece.text
        else:
            self.lines.append((self.line, piece.text))
            self.line = ""

    def token(self, piece: _Piece, previous: _Piece | None, following: _Piece | None) -> None:
        if piece.kind == "RBRACE":
            self.depth -= 1
        if previous is None or piece.breaks or previous.is_comment:
            self.begin_line(piece, previous, self.column(piece, previous))
        elif self.line and self.spaced(previous, piece):
            self.line += " "
        if self.begins_statement(piece, previous):
            self.opener = piece.kind
        if piece.kind == "MINUS":
            self.sign = self.last not in _ENDS_OPERAND
        self.last = piece.kind
        self.line += piece.text
        self.track(piece, following)

    def begins_statement(self, piece: _Piece, previous: _Piece | None) -> bool:
        if self.brackets or piece.kind in BEGINS_NO_STATEMENT:
            return False
        if previous is None or previous.kind in ("LBRACE", "RBRACE"):
            return True
        return (piece.breaks > 0 or previous.is_comment) and previous.kind not in CONTINUES

    def track(self, piece: _Piece, following: _Piece | None) -> None:
        if piece.kind in ("LPAREN", "LBRACKET"):
            ends_line = following is not None and (following.breaks > 0 or following.is_comment)
            inside = self.indent + INDENT if ends_line else len(self.line)
            self.brackets.append(_Bracket(piece.kind, inside, self.indent if ends_line else len(self.line)))
        elif piece.kind in _CLOSING:
            self.brackets.pop()
        elif piece.kind == "LBRACE":
            self.depth += 1
        elif self.brackets and piece.kind in ("COLON", "COMMA"):
            self.brackets[-1].seen_colon = piece.kind == "COLON"

    def column(self, piece: _Piece, previous: _Piece | None) -> int:
        """Where a line that begins with `piece` begins."""
        if self.brackets:
            bracket = self.brackets[-1]
            return bracket.outside if piece.kind in _CLOSING else bracket.inside
        continues = piece.kind in BEGINS_NO_STATEMENT and piece.kind not in ("LBRACE", "_ELSE")
        if previous is not None and previous.kind in CONTINUES and previous.kind != "LBRACE":
            continues = True
        return INDENT * (self.depth + continues * (2 if self.opener in ("_FN", "_PROGRAM") and not self.depth else 1))

    def begin_line(self, piece: _Piece, previous: _Piece | None, column: int) -> None:
        self.end_line()
        opens = previous is None or previous.kind == "LBRACE"
        if piece.breaks > 1 and not opens and piece.kind != "RBRACE":
            self.lines.append(("", ""))
        self.indent = column
        self.line = " " * column

    def end_line(self) -> None:
        if self.line:
            self.lines.append((self.line, ""))
        self.line = ""

    def spaced(self, left: _Piece, right: _Piece) -> bool:
        """True when a blank stands between two tokens of a line."""
        a, b = left.kind, right.kind
        if a in ("LPAREN", "LBRACKET", "DOT") or b in (*_CLOSING, "COMMA", "DOT"):
            return False
        if "COLON" in (a, b):
            return a == "COMMA" or (a == "COLON" and not self.tight_colon())
        if "ASSIGN" in (a, b):
            return not (self.brackets and not self.brackets[-1].seen_colon)
        if b == "LPAREN":
            return a in _BEFORE_PARENTHESIS and not self.in_type_variables(left)
        if b == "LBRACKET":
            return a not in _ENDS_OPERAND
        if a == "MINUS" and self.sign:
            return False
        return not (self.in_type_variables(left) or self.in_type_variables(right))

    def tight_colon(self) -> bool:
        return self.brackets[-1].kind == "LBRACKET" if self.brackets else self.opener == "_FOR"

    def in_type_variables(self, piece: _Piece) -> bool:
        """True for `<` and `>` in the head of a function, where nothing is compared yet."""
        return piece.kind in ("LESS", "GREATER") and self.opener == "_FN" and not self.brackets and "{" not in self.line


def _aligned(lines: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Put the comments of adjacent lines below each other."""
    start = 0
    while start < len(lines):
        end = start
        while end < len(lines) and lines[end][1]:
            end += 1
        width = max((len(code) for code, _ in lines[start:end]), default=0)
        yield from (f"{code.ljust(width)}  {comment}" for code, comment in lines[start:end])
        if end < len(lines):
            yield lines[end][0]
        start = end + 1
