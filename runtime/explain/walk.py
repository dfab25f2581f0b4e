"""Who waits for whom: the critical path of the longest epoch, stage by stage, to the one that waits for nobody."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from runtime.explain.critical import Piece, Segment
from runtime.view.stages import StageView

SHOWN = 8
"""Steps of the walk that are told."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a stage contributes to a critical path, in cycles. `waits` are ways of packets by (piece, tensor)."""

    stage: int
    work: int
    waits: tuple[tuple[Piece, int, int], ...]
    """Piece, tensor, cycles; most first."""

    @property
    def cycles(self) -> int:
        return self.work + sum(cycles for _, _, cycles in self.waits)


@dataclass(slots=True)
class _Sum:
    work: int = 0
    waits: defaultdict[tuple[Piece, int], int] = field(default_factory=lambda: defaultdict(int))


def shares(path: Iterable[Segment], stages: Sequence[StageView]) -> tuple[Share, ...]:
    """Return what each stage contributes, in the order in which the path meets them from its end."""
    stage_of = {(stage.epoch, core): stage.number for stage in stages for core in stage.cores}
    sums: dict[int, _Sum] = {}
    for segment in reversed(tuple(path)):
        each = sums.setdefault(stage_of[segment.epoch, segment.thread // 3], _Sum())
        if segment.piece is Piece.WORK:
            each.work += segment.cycles
        else:
            each.waits[segment.piece, segment.tensor] += segment.cycles
    return tuple(
        Share(stage, each.work, tuple((*key, cycles) for key, cycles in sorted(each.waits.items(), key=_most)))
        for stage, each in sums.items()
    )


def _most(item: tuple[tuple[Piece, int], int]) -> tuple[int, str, int]:
    (piece, tensor), cycles = item
    return -cycles, piece.value, tensor


def longest_epoch(path: Iterable[Segment]) -> int:
    """The epoch that takes most of the path."""
    cycles: defaultdict[int, int] = defaultdict(int)
    for segment in path:
        cycles[segment.epoch] += segment.cycles
    return max(cycles, key=lambda epoch: (cycles[epoch], -epoch), default=0)
