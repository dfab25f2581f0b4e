"""Dimension-order routes and multicast trees.

Unicast: along the first axis of the NoC's order, one turn, along the second axis; on a torus in the only direction its
rings have, with a dateline virtual channel from the wrap on (Dally and Seitz, "Deadlock-Free Message Routing in
Multiprocessor Interconnection Networks", 1987); on a mesh the short way. Multicast: a trunk along the first axis
through the source, and from it a branch along the second axis wherever there are members. See tt-isa-documentation,
NoC/RoutingPaths.
"""

from collections.abc import Sequence
from functools import cache

from compiler.program.image import Hop
from compiler.route.problem import TrafficClass, virtual_channel
from compiler.target import Coord, Machine, Noc, Topology

X_AXIS, Y_AXIS = 0, 1


class Network:
    """The routes of one NoC on a grid of `columns` x `rows` routers.

    Hops and lines (straight runs of hops) are built once and shared by all routes.
    """

    def __init__(self, noc: Noc, columns: int, rows: int) -> None:
        self.sizes = (columns, rows)
        self.steps = (noc.x_step, noc.y_step)
        self.torus = noc.topology is Topology.TORUS
        self.first_axis = X_AXIS if noc.order == "xy" else Y_AXIS
        self._hops: dict[tuple[int, int, int, int, int], Hop] = {}
        self._lines: dict[tuple[int, int, int, int, TrafficClass], tuple[Hop, ...]] = {}

    def unicast(self, src: Coord, dst: Coord, traffic: TrafficClass) -> tuple[Hop, ...]:
        """Return the hops from `src` to `dst`; none if they are the same."""
        if self.first_axis == X_AXIS:
            across = self.line(X_AXIS, src.y, src.x, dst.x, traffic)
            return across + self.line(Y_AXIS, dst.x, src.y, dst.y, traffic)
        down = self.line(Y_AXIS, src.x, src.y, dst.y, traffic)
        return down + self.line(X_AXIS, dst.y, src.x, dst.x, traffic)

    def multicast(self, src: Coord, targets: Sequence[Coord]) -> tuple[Hop, ...]:
        """Return the hops of the tree from `src` that passes `targets`: the trunk, then branch by branch."""
        trunk_axis, branch_axis = self.first_axis, 1 - self.first_axis
        members: dict[int, list[int]] = {}
        for target in targets:
            members.setdefault(_along(trunk_axis, target), []).append(_along(branch_axis, target))
        start, line = _along(trunk_axis, src), _along(branch_axis, src)
        hops = self._cover(trunk_axis, line, start, members)
        for place in sorted(members):
            hops += self._cover(branch_axis, place, line, members[place])
        return hops

    def line(self, axis: int, line: int, start: int, end: int, traffic: TrafficClass) -> tuple[Hop, ...]:
        """Return the hops along `axis` from `start` to `end`; `line` is the other coordinate of all of them."""
        key = (axis, line, start, end, traffic)
        known = self._lines.get(key)
        if known is None:
            known = self._lines[key] = self._build_line(axis, line, start, end, traffic)
        return known

    def distance(self, axis: int, start: int, end: int) -> int:
        """Return the number of hops along `axis` from `start` to `end`."""
        return (end - start) * self.steps[axis] % self.sizes[axis] if self.torus else abs(end - start)

    def _cover(self, axis: int, line: int, start: int, ends: Sequence[int] | dict[int, list[int]]) -> tuple[Hop, ...]:
        """Return the hops along `axis` from `start` that pass all `ends`: one way on a torus, both ways on a mesh."""
        if self.torus:
            farthest = [max(ends, key=lambda end: self.distance(axis, start, end), default=start)]
        else:
            farthest = [max(start, *ends), min(start, *ends)] if ends else []
        runs = (self.line(axis, line, start, end, TrafficClass.MULTICAST) for end in farthest)
        return tuple(hop for run in runs for hop in run)

    def _build_line(self, axis: int, line: int, start: int, end: int, traffic: TrafficClass) -> tuple[Hop, ...]:
        step = self.steps[axis] if self.torus else (1 if end > start else -1)
        position, crossed = start, False
        hops = []
        while position != end:
            following = (position + step) % self.sizes[axis]
            crossed = crossed or following != position + step
            hops.append(self._hop(axis, line, position, following, virtual_channel(traffic, crossed)))
            position = following
        return tuple(hops)

    def _hop(self, axis: int, line: int, start: int, end: int, vc: int) -> Hop:
        key = (axis, line, start, end, vc)
        if key not in self._hops:
            self._hops[key] = Hop(_coord(axis, line, start), _coord(axis, line, end), vc)
        return self._hops[key]


@cache
def network(noc: Noc, columns: int, rows: int) -> Network:
    """Return the one `Network` of these arguments."""
    return Network(noc, columns, rows)


def unicast(
    machine: Machine, noc: int, src: Coord, dst: Coord, traffic: TrafficClass = TrafficClass.REQUEST
) -> tuple[Hop, ...]:
    """Return the hops from `src` to `dst` on NoC number `noc`; none if they are the same position."""
    return _network(machine, noc).unicast(src, dst, traffic)


def multicast(machine: Machine, noc: int, src: Coord, targets: Sequence[Coord]) -> tuple[Hop, ...]:
    """Return the hops of the tree on NoC number `noc` from `src` that passes every position of `targets`.

    Whether `targets` contains `src` makes no difference.
    """
    return _network(machine, noc).multicast(src, targets)


def hop_count(machine: Machine, noc: int, src: Coord, dst: Coord) -> int:
    """Return the number of hops from `src` to `dst` on NoC number `noc`."""
    net = _network(machine, noc)
    return net.distance(X_AXIS, src.x, dst.x) + net.distance(Y_AXIS, src.y, dst.y)


def _network(machine: Machine, noc: int) -> Network:
    return network(machine.nocs[noc], machine.columns, machine.rows)


def _along(axis: int, coord: Coord) -> int:
    return coord.x if axis == X_AXIS else coord.y


def _coord(axis: int, line: int, position: int) -> Coord:
    return Coord(position, line) if axis == X_AXIS else Coord(line, position)
