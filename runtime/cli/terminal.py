"""What `meshc` writes: results on standard output, everything else on standard error."""

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from compiler.diagnostics import Diagnostic, DiagnosticError, Source


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a title. Columns listed in `numeric` are aligned to the right."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[int, ...] = ()


@dataclass(slots=True)
class Terminal:
    """Where results go and how they look.

    With `json` a command gives one document to `document`, and `text` and `table` do nothing.
    """

    json: bool
    out_color: bool
    error_color: bool
    out: TextIO = field(default_factory=lambda: sys.stdout)
    error: TextIO = field(default_factory=lambda: sys.stderr)
    warned: list[Diagnostic] = field(default_factory=list)

    @classmethod
    def detect(cls, color: str, *, json: bool) -> "Terminal":
        """Color `auto` means: on a terminal, unless the variable NO_COLOR is set to anything."""
        if color != "auto":
            return cls(json, color == "always", color == "always")
        allowed = not os.environ.get("NO_COLOR")
        return cls(json, allowed and sys.stdout.isatty(), allowed and sys.stderr.isatty())

    def text(self, line: str = "") -> None:
        if not self.json:
            self.out.write(line if line.endswith("\n") else f"{line}\n")

    def document(self, value: dict[str, Any]) -> None:
        """Print the JSON document of the command, if JSON was asked for."""
        if self.warned:
            value = value | {"warnings": [_diagnostic_json(warning) for warning in self.warned]}
        if self.json:
            self.out.write(f"{json.dumps(value, indent=2)}\n")

    def table(self, table: Table) -> None:
        if self.json or not table.rows:
            return
        if self.out.isatty() or self.out_color:
            self._rich_table(table)
        else:
            self._plain_table(table)

    def _plain_table(self, table: Table) -> None:
        lines = [table.columns, *table.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        self.text(f"\n{table.title}")
        for line in lines if any(table.columns) else table.rows:
            cells = (
                cell.rjust(width) if column in table.numeric else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            self.text(f"  {'  '.join(cells)}".rstrip())

    def _rich_table(self, table: Table) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        rich_table = RichTable(
            title=table.title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_header=any(table.columns)
        )
        for number, column in enumerate(table.columns):
            rich_table.add_column(column, justify="right" if number in table.numeric else "left")
        for row in table.rows:
            rich_table.add_row(*(Text(cell) for cell in row))
        console = Console(
            file=self.out, no_color=not self.out_color, force_terminal=self.out_color or None, highlight=False
        )
        console.print(rich_table)

    def note(self, line: str) -> None:
        """Say something about the work, not its result."""
        self.error.write(f"{line}\n")

    def diagnostics(self, error: DiagnosticError) -> None:
        from compiler.diagnostics.render import render

        for diagnostic in error.diagnostics:
            self.note(render(diagnostic, error.sources, self.error_color))
        self.document({"ok": False, "diagnostics": [_diagnostic_json(d) for d in error.diagnostics]})

    def warnings(self, warnings: Sequence[Diagnostic], sources: Mapping[str, Source]) -> None:
        """Show warnings; they become part of the document too."""
        from compiler.diagnostics.render import render

        for warning in warnings:
            self.note(render(warning, sources, self.error_color))
        self.warned += warnings

    def fault(self, category: str, message: str) -> None:
        """Report that the emulated machine stopped."""
        self.note(f"machine fault: {message}")
        self.document({"ok": False, "fault": {"category": category, "message": message}})

    def internal_error(self, kind: str, message: str, place: str) -> None:
        self.note(f"internal error: {kind}: {message}\n  at {place}")
        self.note("This is a bug of meshc; `--traceback` shows more. Please report it with the program.")
        self.document({"ok": False, "internal_error": {"kind": kind, "message": message, "place": place}})

    def flush(self) -> None:
        self.out.flush()

    def abandon(self) -> None:
        """Stop writing: the reader of standard output is gone, and the interpreter must not flush to it at exit."""
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _diagnostic_json(diagnostic: Diagnostic) -> dict[str, Any]:
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "message": diagnostic.message,
        "labels": [
            {
                "source": label.span.source,
                "line": label.span.line,
                "column": label.span.column,
                "end_line": label.span.end_line,
                "end_column": label.span.end_column,
                "text": label.text,
            }
            for label in diagnostic.labels
        ],
        "notes": list(diagnostic.notes),
        "helps": list(diagnostic.helps),
    }


def number(value: int) -> str:
    """Write a count with thin grouping: 1 234 567."""
    return f"{value:,}".replace(",", " ")
