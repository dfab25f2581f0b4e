"""Which hints concern a nest, and what to say when one cannot be obeyed."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace

from compiler.diagnostics import Diagnostic, Label, Severity, Span
from compiler.ir.hints import Hint, print_hint


def nest_hint(hints: Iterable[Hint], *spans: Span | None) -> Hint | None:
    """Return the hints of all statements that the spans lie in as one, the first statement's clauses first.

    Where two statements that were fused ask for different things, the hint of the earlier one counts.
    """
    found: Hint | None = None
    for hint in hints:
        if any(hint.covers(span) for span in spans):
            found = hint if found is None else _joined(found, hint)
    return found


def _joined(first: Hint, second: Hint) -> Hint:
    clauses = {name: getattr(second, name) for name in _CLAUSES if getattr(first, name) is None}
    return replace(first, soft=first.soft and second.soft, **clauses)


_CLAUSES = tuple(field.name for field in fields(Hint) if field.name not in ("span", "soft"))


@dataclass
class Disobeyed(Exception):
    """A hint cannot be obeyed: why, and what could be done instead."""

    hint: Hint
    reason: str
    remedy: str

    def diagnostic(self) -> Diagnostic:
        """E0413, an error; for a soft hint a note."""
        severity = Severity.NOTE if self.hint.soft else Severity.ERROR
        message = f"`{print_hint(self.hint)}` cannot be obeyed: {self.reason}"
        return Diagnostic("E0413", message, (Label(self.hint.span, "asked for here"),), (), (self.remedy,), severity)
