"""Cut the printed form of a graph into tokens, and say where reading it failed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span

_TOKEN = re.compile(
    r"""(?P<space>\s+)
      | (?P<span>@(?:"(?:[^"\\\n]|\\.)*"|[^\s":]+):\d{1,9}:\d{1,9}-\d{1,9}:\d{1,9})
      | (?P<target>%\d{1,9}(?=\s*:))
      | (?P<value>%\d{1,9})
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<number>-?(?:\d{1,400}(?:\.\d{1,400})?(?:e[+-]?\d{1,4})?|inf\b|nan\b))
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>->|[][(){},:;=])
    """,
    re.VERBOSE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of text, its group in the token pattern (`end` after the last) and its offset."""

    group: str
    text: str
    offset: int


class Lexer:
    """Tokens of `text`, read one by one; every failure is one `DiagnosticError` (E0490) with its place."""

    def __init__(self, text: str, name: str) -> None:
        self._source = Source(name, text)
        self._tokens = list(self._scan(text))
        self._next = 0

    def _scan(self, text: str) -> Iterator[Token]:
        offset = 0
        while offset < len(text):
            match = _TOKEN.match(text, offset)
            if match is None:
                raise self.error(f"unexpected character {text[offset]!r}", Token("error", text[offset], offset))
            if match.lastgroup != "space":
                yield Token(match.lastgroup or "", match.group(), offset)
            offset = match.end()
        yield Token("end", "", offset)

    @property
    def peek(self) -> Token:
        return self._tokens[self._next]

    def take(self) -> Token:
        """The next token; the end is never passed."""
        token = self.peek
        self._next += token.group != "end"
        return token

    def accept(self, text: str) -> bool:
        """Skip the next token if it reads `text`."""
        found = self.peek.text == text and self.peek.group in ("word", "sign")
        self._next += found
        return found

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected `{text}`, found {self._found()}")

    def group(self, group: str, what: str) -> Token:
        """The next token, which must be of `group`."""
        if self.peek.group != group:
            raise self.error(f"expected {what}, found {self._found()}")
        return self.take()

    def _found(self) -> str:
        return f"`{self.peek.text}`" if self.peek.group != "end" else "the end of the text"

    def error(self, message: str, token: Token | None = None) -> DiagnosticError:
        """The diagnostic for `token`, by default the next one."""
        at = token or self.peek
        before = self._source.text[: at.offset]
        line, column = before.count("\n") + 1, at.offset - before.rfind("\n")
        span = Span(self._source.name, line, column, line, column + max(1, len(at.text)))
        return DiagnosticError((Diagnostic("E0490", message, (Label(span),)),), {self._source.name: self._source})
