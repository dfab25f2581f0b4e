"""What a router is asked and what it answers."""

from dataclasses import dataclass
from enum import Enum, IntEnum

from compiler.program.image import CoreSet, MulticastRoute, Route
from compiler.target import Coord, Machine


class TrafficClass(IntEnum):
    """What a packet is to the routers. Classes have buffers of their own, so that answers always drain.

    The numbers are the two class bits of tt-isa-documentation, NoC: of the two unicast classes only one is used.
    """

    REQUEST = 0
    """Unicast: a read request, a write or an increment."""
    MULTICAST = 2
    RESPONSE = 3
    """The bytes that answer a read; an acknowledgement."""


def virtual_channel(traffic: TrafficClass, dateline: bool) -> int:
    """Return the `vc` of a hop: the class, and whether the packet has crossed the wrap of the ring it is in.

    The hop that crosses the wrap counts as having crossed it; a turn into the other axis starts afresh. A mesh has no
    wrap.
    """
    return 2 * traffic + dateline


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
    """A NoC per stream, and the routes of all transfers, answers and acknowledgements: sorted by `route_key`, distinct.

    Two positions that both ask and answer each other have two routes, which differ in the class of their hops.
    `max_link_load` is the load of the busiest link of both NoCs in bytes of payload; headers, read requests and
    acknowledgements, a flit each, are not counted.
    """

    nocs: tuple[int, ...]
    routes: tuple[Route, ...]
    max_link_load: int


def route_key(route: Route) -> tuple[int, ...]:
    """Return what routes are sorted by: unicasts first; then NoC, source, far end, virtual channel of the first hop."""
    start = (route.noc, route.src.x, route.src.y)
    vc = route.hops[0].vc if route.hops else 0
    if isinstance(route, MulticastRoute):
        return (1, *start, route.targets, vc)
    return (0, *start, route.dst.x, route.dst.y, vc)
