"""Judge routes and prove that they cannot deadlock. Shares no code with the router.

The proof is that of Dally and Seitz (1987): packets wait for buffers, a buffer per link and virtual channel, only
along their routes; if the graph of these waits has no cycle, some packet can always advance. Assumed: every endpoint
drains its answers, and a multicast has reserved its whole tree before its data leaves, as on the hardware, so that
sibling branches do not wait for one another.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import TypeAlias

from compiler.diagnostics import InternalError
from compiler.program.image import Hop, MulticastRoute, Route, UnicastRoute
from compiler.route.problem import RouteProblem, RouteSolution, TrafficClass, Transfer, TransferKind, route_key
from compiler.target import Coord, Machine, Topology


def check(problem: RouteProblem, solution: RouteSolution) -> None:
    """Raise `InternalError` unless the routes are those that the transfers need and the hardware takes.

    - each stream has a NoC; routes are sorted by `route_key` and distinct;
    - each route is contiguous over links of its NoC, in its axis order, with the virtual channels of its class;
    - each unicast ends at its destination; each tree enters no router twice, passes all members of its core set and
      ends at members;
    - each transfer has its request, its answer or acknowledgements, and no route is without a transfer;
    - the load of the busiest link is as stated.
    """
    if len(solution.nocs) != len(problem.streams) or not set(solution.nocs) <= {0, 1}:
        raise InternalError("route: not one NoC per stream")
    keys = [route_key(route) for route in solution.routes]
    if any(a >= b for a, b in pairwise(keys)):
        raise InternalError("route: routes are not sorted or not distinct")
    links = [_Links(problem.machine, noc) for noc in range(len(problem.machine.nocs))]
    for route in solution.routes:
        _check_ends(problem, route)
        _check_hops(links[route.noc], route)
    _check_traffic(problem, solution)


def prove_deadlock_free(machine: Machine, routes: Sequence[Route]) -> None:
    """Raise `InternalError`, naming the cycle, unless the channel dependency graph of `routes` is acyclic.

    A node is a link with a virtual channel, or the interface of a position, where arriving requests wait until
    answers can leave. Every answer is taken to be able to follow every request.
    """
    for noc in range(len(machine.nocs)):
        _prove_noc(machine, noc, [route for route in routes if route.noc == noc])


def _prove_noc(machine: Machine, noc: int, routes: Sequence[Route]) -> None:
    nodes = _Nodes()
    waits: dict[int, set[int]] = defaultdict(set)
    for route in routes:
        for hop, following in _successions(route):
            waits[nodes.number(hop)].add(nodes.number(following))
        if route.hops and _class_of(route.hops[0]) == TrafficClass.RESPONSE:
            waits[nodes.number(route.src)].add(nodes.number(route.hops[0]))
            continue
        for hop in _deliveries(route):
            waits[nodes.number(hop)].add(nodes.number(hop.dst))
    links = _Links(machine, noc)
    for node in nodes.values:
        if isinstance(node, Hop):
            links.look_up(node)
    try:
        TopologicalSorter(waits).prepare()
    except CycleError as error:
        cycle = ", which waits for ".join(_node_name(nodes.values[number]) for number in reversed(error.args[1]))
        raise InternalError(f"route: the routes on NoC {noc} can deadlock: {cycle}") from error


_Node: TypeAlias = Hop | Coord
"""A channel, or the interface at a position."""


class _Nodes:
    """Dense numbers for the nodes of a graph. Routes share their hops, so an object is hashed by value only once."""

    def __init__(self) -> None:
        self.values: list[_Node] = []
        self._by_value: dict[_Node, int] = {}
        self._by_object: dict[int, int] = {}

    def number(self, node: _Node) -> int:
        """Return the number of `node`, which must outlive this table."""
        known = self._by_object.get(id(node))
        if known is None:
            known = self._by_object[id(node)] = self._by_value.setdefault(node, len(self.values))
            if known == len(self.values):
                self.values.append(node)
        return known


def _successions(route: Route) -> Iterator[tuple[Hop, Hop]]:
    """Yield each hop with each hop that a packet takes next."""
    if isinstance(route, UnicastRoute):
        yield from pairwise(route.hops)
        return
    arrivals = {hop.dst: hop for hop in route.hops}
    yield from ((arrivals[hop.src], hop) for hop in route.hops if hop.src in arrivals)


def _deliveries(route: Route) -> tuple[Hop, ...]:
    """Return the hops after which the interface may take a packet: anywhere in a tree."""
    return route.hops[-1:] if isinstance(route, UnicastRoute) else route.hops


def _node_name(node: _Node) -> str:
    if isinstance(node, Coord):
        return f"the interface at {node}"
    return f"the link {node.src} -> {node.dst} on vc {node.vc}"


def _class_of(hop: Hop) -> int:
    return hop.vc >> 1


class _Links:
    """What one NoC's links are. Routes share hops, so an object is looked at only once; hops must outlive this."""

    def __init__(self, machine: Machine, noc: int) -> None:
        self.machine = machine
        self.noc = noc
        self._known: dict[int, tuple[int, bool]] = {}

    def look_up(self, hop: Hop) -> tuple[int, bool]:
        """Return the rank of the hop's axis in the NoC's order, and whether the hop crosses the wrap of its ring.

        Raises `InternalError` if there is no such link.
        """
        known = self._known.get(id(hop))
        if known is None:
            known = self._known[id(hop)] = self._examine(hop)
        return known

    def _examine(self, hop: Hop) -> tuple[int, bool]:
        noc, columns, rows = self.machine.nocs[self.noc], self.machine.columns, self.machine.rows
        x, y = hop.src.x, hop.src.y
        if noc.topology is Topology.TORUS:
            ends = [((x + noc.x_step) % columns, y), (x, (y + noc.y_step) % rows)]
        else:
            ends = [(x - 1, y), (x + 1, y), (x, y - 1), (x, y + 1)]
        inside = all(0 <= c.x < columns and 0 <= c.y < rows for c in (hop.src, hop.dst))
        if not inside or hop.src == hop.dst or (hop.dst.x, hop.dst.y) not in ends:
            raise InternalError(f"route: NoC {self.noc} has no link {hop.src} -> {hop.dst}")
        steps = (hop.dst.x - x, hop.dst.y - y)
        wraps = noc.topology is Topology.TORUS and steps not in ((noc.x_step, 0), (0, noc.y_step))
        return noc.order.index("x" if steps[1] == 0 else "y"), wraps


def _check_ends(problem: RouteProblem, route: Route) -> None:
    """Check that the route starts and ends where it should, and the class of its packets."""
    if isinstance(route, MulticastRoute):
        allowed = {TrafficClass.MULTICAST}
        members = {problem.machine.cores[number] for number in problem.core_sets[route.targets].cores}
        forks = {hop.src for hop in route.hops}
        ends = {hop.dst for hop in route.hops if hop.dst not in forks}
        passed = {route.src, *(hop.dst for hop in route.hops)}
        arrives = members <= passed and ends <= members
    else:
        allowed = {TrafficClass.REQUEST, TrafficClass.RESPONSE}
        stops = [route.src, *(hop.dst for hop in route.hops)]
        arrives = stops[-1] == route.dst and stops[:-1] == [hop.src for hop in route.hops]
    if not arrives:
        raise InternalError(f"route: {_route_name(route)} does not end where it should")
    if route.hops and _class_of(route.hops[0]) not in allowed:
        raise InternalError(f"route: {_route_name(route)} is on vc {route.hops[0].vc}, of another class")


def _check_hops(links: _Links, route: Route) -> None:
    """Check links, continuity, axis order and virtual channels."""
    # Of the packet at each router: the rank of the axis it moves along, and whether it has crossed the wrap.
    states: dict[Coord, tuple[int, bool]] = {route.src: (-1, False)}
    for hop in route.hops:
        rank, wraps = links.look_up(hop)
        state = states.get(hop.src)
        if state is None or hop.dst in states:
            raise InternalError(f"route: {_route_name(route)} is broken or comes back at {hop.src} -> {hop.dst}")
        if rank < state[0]:
            raise InternalError(f"route: {_route_name(route)} turns at {hop.src} against the order of its NoC")
        crossed = wraps or (state[1] and rank == state[0])
        if hop.vc != 2 * _class_of(route.hops[0]) + crossed:
            raise InternalError(f"route: {_route_name(route)} has vc {hop.vc} at {hop.src} -> {hop.dst}")
        states[hop.dst] = rank, crossed


def _route_name(route: Route) -> str:
    far = f"core set {route.targets}" if isinstance(route, MulticastRoute) else str(route.dst)
    return f"the route on NoC {route.noc} from {route.src} to {far}"


def _loads_by_route(problem: RouteProblem, solution: RouteSolution) -> Counter[tuple[int, ...]]:
    """Return the payload of each route that the transfers need, by what identifies it."""
    loads: Counter[tuple[int, ...]] = Counter()
    for stream, noc in zip(problem.streams, solution.nocs, strict=True):
        for transfer in stream.transfers:
            for identity, nbytes in _needs(problem, noc, transfer):
                loads[identity] += nbytes
    return loads


def _needs(problem: RouteProblem, noc: int, transfer: Transfer) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the identity of each route of a transfer, with the payload it carries."""
    core, far = transfer.core, transfer.far
    if transfer.kind is TransferKind.MULTICAST:
        yield (noc, core.x, core.y, transfer.far_set), transfer.nbytes
        for number in problem.core_sets[transfer.far_set].cores:
            member = problem.machine.cores[number]
            if member != core:
                yield (noc, member.x, member.y, core.x, core.y, TrafficClass.RESPONSE), 0
        return
    answer = 0 if core == far else TrafficClass.RESPONSE
    sent, answered = (0, transfer.nbytes) if transfer.kind is TransferKind.READ else (transfer.nbytes, 0)
    yield (noc, core.x, core.y, far.x, far.y, 0), sent
    yield (noc, far.x, far.y, core.x, core.y, answer), answered


def _identity(route: Route) -> tuple[int, ...]:
    start = (route.noc, route.src.x, route.src.y)
    if isinstance(route, MulticastRoute):
        return (*start, route.targets)
    return (*start, route.dst.x, route.dst.y, _class_of(route.hops[0]) if route.hops else 0)


def _check_traffic(problem: RouteProblem, solution: RouteSolution) -> None:
    """Check that the routes are those that the transfers need, and what they load the busiest link with."""
    needed = _loads_by_route(problem, solution)
    routes = {_identity(route): route for route in solution.routes}
    if needed.keys() != routes.keys():
        missing, spare = sorted(needed.keys() - routes.keys()), sorted(routes.keys() - needed.keys())
        raise InternalError(f"route: {len(missing)} routes are missing {missing[:3]}, {len(spare)} spare {spare[:3]}")
    by_hop: Counter[tuple[int, int]] = Counter()
    hops: dict[tuple[int, int], Hop] = {}
    for identity, nbytes in needed.items():
        for hop in routes[identity].hops if nbytes else ():
            # Routes share their hops; an object is hashed by value only once.
            by_hop[identity[0], id(hop)] += nbytes
            hops[identity[0], id(hop)] = hop
    links: Counter[tuple[int, Coord, Coord]] = Counter()
    for (noc, number), nbytes in by_hop.items():
        hop = hops[noc, number]
        links[noc, hop.src, hop.dst] += nbytes
    busiest = max(links.values(), default=0)
    if busiest != solution.max_link_load:
        raise InternalError(f"route: stated load {solution.max_link_load} of the busiest link, recomputed {busiest}")
