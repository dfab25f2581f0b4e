"""Show a diagnostic as text, with the source lines it concerns and carets under the places."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from unicodedata import combining, east_asian_width

from compiler.diagnostics.diagnostic import Diagnostic, Label, Severity
from compiler.diagnostics.span import Source, Span

TAB_WIDTH = 4
MAX_LINE = 160
"""Characters of a source line that are shown; of a longer line, those around the place."""
_BEFORE = 40
_ELLIPSIS = "..."
_RESET, _BOLD, _BLUE = "\x1b[0m", "\x1b[1m", "\x1b[1;34m"
_SEVERITY_COLOR = {Severity.ERROR: "\x1b[1;31m", Severity.WARNING: "\x1b[1;33m", Severity.NOTE: "\x1b[1;36m"}


def render(diagnostic: Diagnostic, sources: Mapping[str, Source], color: bool = False) -> str:
    """Return the diagnostic as lines of text, without a line break at the end.

    Labels are shown in the order of the source, those of the primary label's file first; a label whose source is not
    in `sources`, or whose line the source does not have, is shown by its position alone.
    """
    return "\n".join(_Renderer(diagnostic, sources, color).lines())


class _Renderer:
    """Paints one diagnostic; `width` is the room for line numbers."""

    def __init__(self, diagnostic: Diagnostic, sources: Mapping[str, Source], color: bool) -> None:
        self.diagnostic = diagnostic
        self.color = color
        names = {label.span.source for label in diagnostic.labels}
        self.texts = {name: sources[name].text.split("\n") for name in names if name in sources}
        self.width = max((len(str(label.span.line)) for label in diagnostic.labels), default=1)

    def lines(self) -> Iterator[str]:
        severity = self.diagnostic.severity
        header = self.paint(f"{severity.value}[{self.diagnostic.code}]", _SEVERITY_COLOR[severity])
        yield header + self.paint(f": {self.diagnostic.message}", _BOLD)
        for position, labels in enumerate(self.files()):
            yield from self.snippet(labels, "-->" if position == 0 else ":::")
        gutter = " " * (self.width + 1)
        for role, texts in (("note", self.diagnostic.notes), ("help", self.diagnostic.helps)):
            for text in texts:
                lead = f"{gutter}{self.paint('=', _BLUE)} {self.paint(role, _BOLD)}: "
                yield lead + text.replace("\n", "\n" + " " * (self.width + len(role) + 5))

    def files(self) -> list[list[Label]]:
        """Labels by file, in order of appearance."""
        grouped: dict[str, list[Label]] = {}
        for label in self.diagnostic.labels:
            grouped.setdefault(label.span.source, []).append(label)
        return list(grouped.values())

    def snippet(self, labels: Sequence[Label], arrow: str) -> Iterator[str]:
        yield f"{' ' * self.width}{self.paint(arrow, _BLUE)} {labels[0].span}"
        previous = 0
        for line, group in groupby(sorted(labels, key=lambda label: label.span.line), lambda label: label.span.line):
            text = self.line(labels[0].span.source, line)
            if text is None:
                continue
            if previous and line > previous + 1:
                yield self.paint("...", _BLUE)
            previous = line
            for shown in [list(group)] if len(text) <= MAX_LINE else [[label] for label in group]:
                yield from self.excerpt(line, text, shown)

    def excerpt(self, line: int, text: str, labels: Sequence[Label]) -> Iterator[str]:
        """One source line and a line for each label under it."""
        first = 0 if len(text) <= MAX_LINE else max(0, labels[0].span.column - 1 - _BEFORE)
        part = text[first : first + MAX_LINE]
        shown = f"{_ELLIPSIS if first else ''}{_visible(part)}{_ELLIPSIS if first + len(part) < len(text) else ''}"
        yield f"{self.paint(f'{line:>{self.width}} |', _BLUE)} {shown}".rstrip()
        for label in labels:
            margin = self.paint(" " * self.width + " |", _BLUE) + " " * (len(_ELLIPSIS) if first else 0)
            yield f"{margin} {self.underline(label, part, first)}"

    def underline(self, label: Label, text: str, first: int) -> str:
        """Carets under the primary place, dashes under the others, each with what its label says.

        `text` is the shown part of the line, which begins `first` characters into it.
        """
        primary = label is self.diagnostic.labels[0]
        start, stop = _columns(label.span, text, first)
        mark = self.paint(
            ("^" if primary else "-") * (stop - start),
            _SEVERITY_COLOR[self.diagnostic.severity] if primary else _BLUE,
        )
        return f"{' ' * start}{mark} {label.text}".rstrip()

    def line(self, source: str, number: int) -> str | None:
        lines = self.texts.get(source, [])
        return lines[number - 1] if 1 <= number <= len(lines) else None

    def paint(self, text: str, code: str) -> str:
        return f"{code}{text}{_RESET}" if self.color else text


def _columns(span: Span, text: str, first: int) -> tuple[int, int]:
    """First and one-past-last screen column (from 0) of the part of `span` on its first line; at least one wide."""
    begin = span.column - 1 - first
    end = len(text) if span.end_line > span.line else span.end_column - 1 - first
    start = _screen_width(text[:begin])
    stop = _screen_width(text[:end])
    return start, max(stop, start + 1)


def _visible(text: str) -> str:
    """`text` as it is printed: tabs as blanks, control characters replaced, so that nothing moves the cursor."""
    return "".join(" " * TAB_WIDTH if c == "\t" else c if c.isprintable() else "�" for c in text.rstrip("\r"))


def _screen_width(text: str) -> int:
    return sum(_character_width(character) for character in text)


def _character_width(character: str) -> int:
    if character == "\t":
        return TAB_WIDTH
    if not character.isprintable():
        return 1
    if combining(character):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
