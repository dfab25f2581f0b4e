"""A run in figures: how long, how far from the bound, what held it up, and which line of the source that was."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stall:
    """Cycles that threads of one kind were blocked for one reason: the mean over the cores with a program."""

    thread: str
    reason: str
    cycles: int
    share: float
    """Of the makespan."""


@dataclass(frozen=True, slots=True)
class Line:
    """Cycles of all threads of all cores spent on what one line of the source asked for."""

    place: str
    text: str
    busy: int
    stalled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """Everything is summed over epochs. Shares are of the makespan, in 0 .. 1."""

    makespan: int
    """Cycles."""
    microseconds: float
    """At the machine's clock."""
    bound: int
    """Cycles below which no schedule on this machine can come; `bound_resource` is the resource that sets it."""
    bound_resource: str
    ratio: float
    """Makespan over bound."""
    bottleneck: str
    bottleneck_share: float
    resources: tuple[tuple[str, float], ...]
    """Busy share of the busiest resource of each kind, greatest first."""
    utilization: float
    """Busy share of the math units, mean over all cores of the machine."""
    cores: int
    stalls: tuple[Stall, ...]
    """Greatest first."""
    lines: tuple[Line, ...]
    """Greatest first."""
    dram_read_bytes: int
    dram_written_bytes: int
    noc_bytes: int
    """Bytes times links crossed."""
    events: int
