"""What the user asks of pruning, and what comes out of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from compiler.numerics.masks import TileMask


class Mode(Enum):
    """Which kinds of pruning are done; the value is that of `--prune`."""

    NONE = "none"
    STATIC = "static"
    DYNAMIC = "dynamic"
    ALL = "all"

    @property
    def static(self) -> bool:
        return self in (Mode.STATIC, Mode.ALL)

    @property
    def dynamic(self) -> bool:
        return self in (Mode.DYNAMIC, Mode.ALL)


@dataclass(frozen=True, slots=True)
class PruneOptions:
    """`assume_finite` lets the compiler take tensors to be finite where it helps; what it relies upon is checked at run
    time. `zeros` are the tiles of inputs and weights, by name, that are known to be zero (over the tensor's
    `TileGrid.dims`); the host checks them too."""

    mode: Mode = Mode.ALL
    assume_finite: bool = False
    zeros: Mapping[str, TileMask] = field(default_factory=dict)
