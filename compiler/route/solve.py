"""Route one epoch: a NoC per stream, dimension-order routes on it.

Routes are fixed by the NoC, as on the hardware, so the choice of NoC is the only freedom. Every stream starts on its
default; then, the heaviest first, each moves to the other NoC if that lowers the load of the busiest link or, at equal
maximum, the sum of squared loads. A few sweeps reach a local optimum.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.program.image import MulticastRoute, Route, UnicastRoute
from compiler.route.geometry import Network, network
from compiler.route.loads import Floats, LinkLoads
from compiler.route.problem import RouteProblem, RouteSolution, Stream, TrafficClass, TransferKind
from compiler.target import Coord, Machine

Ints: TypeAlias = NDArray[np.int64]

SWEEPS = 4
LOAD_LEVELS = 1 << 20
"""Loads are rounded to this many levels before squaring, which keeps the sums exact in 64 bits."""


def solve(problem: RouteProblem) -> RouteSolution:
    """Choose the NoCs and return all routes. Deterministic; always succeeds."""
    machine = problem.machine
    networks = [network(noc, machine.columns, machine.rows) for noc in machine.nocs]
    members = [tuple(machine.cores[number] for number in core_set.cores) for core_set in problem.core_sets]
    traffic = [_gather_traffic(machine, stream, members) for stream in problem.streams]
    counters = [LinkLoads(net) for net in networks]
    loads = [[_stream_loads(machine, one, counter, members) for counter in counters] for one in traffic]
    nocs, busiest = _choose_nocs(loads, [stream.default_noc for stream in problem.streams])
    routes = _unicasts(machine, networks, traffic, nocs) + _multicasts(networks, traffic, nocs, members)
    return RouteSolution(tuple(nocs), routes, busiest)


@dataclass(frozen=True, slots=True)
class _Traffic:
    """A stream's packets.

    `unicasts` has a row `(src, dst, class, nbytes)` per direction of each transfer, positions as `x * rows + y`;
    `trees` a `(source, core set, nbytes)` per multicast.
    """

    unicasts: Ints
    trees: tuple[tuple[Coord, int, int], ...]


def _gather_traffic(machine: Machine, stream: Stream, members: Sequence[tuple[Coord, ...]]) -> _Traffic:
    rows = machine.rows
    ends = [
        (t.core.x * rows + t.core.y, t.far.x * rows + t.far.y, t.nbytes if t.kind is TransferKind.READ else 0, t.nbytes)
        for t in stream.transfers
        if t.kind is not TransferKind.MULTICAST
    ]
    core, far, answered, nbytes = np.array(ends, dtype=np.int64).reshape(-1, 4).T
    trees = [t for t in stream.transfers if t.kind is TransferKind.MULTICAST]
    acks = [
        (member.x * rows + member.y, t.core.x * rows + t.core.y, int(TrafficClass.RESPONSE), 0)
        for t in trees
        for member in members[t.far_set]
        if member != t.core
    ]
    # Packets that never enter the network have one empty route, whatever their class.
    response = np.where(core == far, int(TrafficClass.REQUEST), int(TrafficClass.RESPONSE))
    requests = np.stack([core, far, np.full_like(core, TrafficClass.REQUEST), nbytes - answered], axis=1)
    responses = np.stack([far, core, response, answered], axis=1)
    both = np.concatenate([requests, responses, np.array(acks, dtype=np.int64).reshape(-1, 4)])
    return _Traffic(both, tuple((t.core, t.far_set, t.nbytes) for t in trees))


def _stream_loads(
    machine: Machine, traffic: _Traffic, counter: LinkLoads, members: Sequence[tuple[Coord, ...]]
) -> Floats:
    """Return the bytes that the stream would put on each link of one NoC."""
    sized = traffic.unicasts[traffic.unicasts[:, 3] > 0]
    loads = counter.unicasts(*np.divmod(sized[:, 0], machine.rows), *np.divmod(sized[:, 1], machine.rows), sized[:, 3])
    for source, targets, nbytes in traffic.trees:
        loads[counter.tree(source, members[targets])] += nbytes
    return loads


def _choose_nocs(loads: list[list[Floats]], defaults: list[int]) -> tuple[list[int], int]:
    """Return the NoC of each stream and the load of the busiest link."""
    nocs = list(defaults)
    if not loads:
        return nocs, 0
    totals = [np.zeros_like(loads[0][noc]) for noc in (0, 1)]
    for stream, noc in enumerate(nocs):
        totals[noc] += loads[stream][noc]
    order = sorted(range(len(nocs)), key=lambda s: (-max(float(load.max()) for load in loads[s]), s))
    unit = max(1.0, max(float(total.max()) for total in totals) / LOAD_LEVELS)
    cost = _cost(totals, unit)
    for _ in range(SWEEPS):
        before = cost
        for stream in order:
            here = nocs[stream]
            moved = list(totals)
            moved[here] = totals[here] - loads[stream][here]
            moved[1 - here] = totals[1 - here] + loads[stream][1 - here]
            trial = _cost(moved, unit)
            if trial < cost:
                nocs[stream], totals, cost = 1 - here, moved, trial
        if cost == before:
            break
    return nocs, int(cost[0])


def _cost(totals: list[Floats], unit: float) -> tuple[float, int]:
    levels = [np.floor(total / unit).astype(np.int64) for total in totals]
    return max(float(total.max()) for total in totals), sum(int((level * level).sum()) for level in levels)


def _unicasts(machine: Machine, networks: list[Network], traffic: list[_Traffic], nocs: list[int]) -> tuple[Route, ...]:
    """Return the distinct unicast routes, in the order of `route_key`, which is that of their codes."""
    sites = [Coord(x, y) for x in range(machine.columns) for y in range(machine.rows)]
    classes = {int(traffic_class): traffic_class for traffic_class in TrafficClass}
    radices = (len(machine.nocs), len(sites), len(sites), 4)
    codes = [
        np.ravel_multi_index((np.full_like(u[:, 0], noc), u[:, 0], u[:, 1], u[:, 2]), radices)
        for u, noc in zip((one.unicasts for one in traffic), nocs, strict=True)
    ]
    distinct = np.unique(np.concatenate(codes)) if codes else np.zeros(0, dtype=np.int64)
    return tuple(
        UnicastRoute(noc, sites[src], sites[dst], networks[noc].unicast(sites[src], sites[dst], classes[kind]))
        for noc, src, dst, kind in zip(*(digit.tolist() for digit in np.unravel_index(distinct, radices)), strict=True)
    )


def _multicasts(
    networks: list[Network], traffic: list[_Traffic], nocs: list[int], members: Sequence[tuple[Coord, ...]]
) -> tuple[Route, ...]:
    """Return the distinct trees, in the order of `route_key`."""
    distinct = {
        (noc, source, targets) for one, noc in zip(traffic, nocs, strict=True) for source, targets, _ in one.trees
    }
    return tuple(
        MulticastRoute(noc, source, targets, networks[noc].multicast(source, members[targets]))
        for noc, source, targets in sorted(distinct)
    )
