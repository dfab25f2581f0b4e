"""What the source asks of the mapping of a statement."""

from dataclasses import dataclass
from enum import Enum

from compiler.diagnostics import Span


class Loading(Enum):
    """How operands come to a core: `RESIDENT` whole and once, `STREAM` block by block, as small as possible."""

    RESIDENT = "resident"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Hint:
    """Asked for by the statement at `span`, for all operations whose span lies inside it; None where it says nothing.

    `cores` is the rows and columns of the core grid, `corner` the position (x, y) of its first core, `epoch` the
    number of the epoch, `buffers` the blocks that the cb of a streamed operand holds. A hint that cannot be obeyed
    is an error, or, if it is `soft`, is dropped.
    """

    span: Span
    cores: tuple[int, int] | None = None
    corner: tuple[int, int] | None = None
    epoch: int | None = None
    buffers: int | None = None
    loading: Loading | None = None
    soft: bool = False

    def covers(self, span: Span | None) -> bool:
        """Whether an operation at `span` belongs to the statement."""
        if span is None or span.source != self.span.source:
            return False
        start, end = (self.span.line, self.span.column), (self.span.end_line, self.span.end_column)
        return start <= (span.line, span.column) and (span.end_line, span.end_column) <= end


def print_hint(hint: Hint) -> str:
    """The clauses of a hint, as they stand in the source."""
    clauses = ["prefer"] * hint.soft
    if hint.cores is not None:
        clauses.append(f"on cores({hint.cores[0]}, {hint.cores[1]})")
    if hint.corner is not None:
        clauses.append(f"at core({hint.corner[0]}, {hint.corner[1]})")
    if hint.epoch is not None:
        clauses.append(f"epoch({hint.epoch})")
    if hint.buffers is not None:
        clauses.append(f"buffers({hint.buffers})")
    if hint.loading is not None:
        clauses.append(hint.loading.value)
    return " ".join(clauses)
