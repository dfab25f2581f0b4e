"""What a router is asked and what it answers."""

from dataclasses import dataclass
from enum import Enum

from compiler.program.image import CoreSet, Route
from compiler.target import Coord, Machine


class TransferKind(Enum):
    READ = "read"
    """`core` asks `far` for bytes: a short request one way, the data back."""
    WRITE = "write"
    """`core` sends bytes to `far`, which acknowledges; semaphore increments are short writes."""
    MULTICAST = "multicast"
    """`core` sends bytes to all of core set `far_set`, each of which acknowledges."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """All traffic of one kind between one core and one far end (a position, or a core set of the epoch)."""

    kind: TransferKind
    core: Coord
    far: Coord
    """The far position; for a multicast, `core` again."""
    far_set: int
    """Index into `RouteProblem.core_sets`; -1 unless a multicast."""
    nbytes: int


@dataclass(frozen=True, slots=True)
class Stream:
    """Transfers that one instruction (or one group of alike instructions) issues: they must share a NoC.

    `default_noc` is the one of its thread; the router may choose the other to balance load.
    """

    name: str
    transfers: tuple[Transfer, ...]
    default_noc: int


@dataclass(frozen=True, slots=True)
class RouteProblem:
    """The traffic of one epoch."""

    machine: Machine
    streams: tuple[Stream, ...]
    core_sets: tuple[CoreSet, ...]


@dataclass(frozen=True, slots=True)
class RouteSolution:
    """A NoC per stream, and the routes of all transfers, answers and acknowledgements: sorted, distinct.

    `max_link_load` is the load in bytes of the busiest link.
    """

    nocs: tuple[int, ...]
    routes: tuple[Route, ...]
    max_link_load: int
