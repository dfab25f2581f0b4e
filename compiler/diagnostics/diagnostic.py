"""What we tell a user about a program, and the errors that carry it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from compiler.diagnostics.span import Source, Span


class Severity(Enum):
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Label:
    """A place in the source and what to say about it; the first label of a diagnostic is the primary one."""

    span: Span
    text: str = ""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a permanent code such as `E0301`, a sentence, the places it concerns, notes and remedies."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    severity: Severity = Severity.ERROR


@dataclass
class DiagnosticError(Exception):
    """Raised with every diagnostic collected so far; `sources` (by name) let a renderer show the places."""

    diagnostics: tuple[Diagnostic, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)

    def __str__(self) -> str:
        return "; ".join(f"{d.code}: {d.message}" for d in self.diagnostics)


class InternalError(Exception):
    """A bug of ours: the message names the stage and what was violated."""
