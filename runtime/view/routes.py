"""The routes of an epoch by what travels on them, and the links they cross."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.program.image import Epoch, Hop, Image, MulticastRoute, Route
from compiler.target import Coord

Ints: TypeAlias = NDArray[np.int64]

ANSWER = 3
"""The class of packets (virtual channel divided by two) that answer others: data read, acknowledgements."""


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """The channel of NoC `noc` from the router at `src` to the one at `dst`."""

    noc: int
    src: Coord
    dst: Coord


@dataclass(frozen=True, slots=True)
class RouteTable:
    """The routes of one epoch. `hops[starts[r] : starts[r + 1]]` are the links, by number, that route `r` crosses."""

    routes: tuple[Route, ...]
    starts: Ints
    hops: Ints
    links: int
    unicast: dict[tuple[int, Coord, Coord, bool], int]
    """Route by NoC, source, destination and whether it is for answers (an empty route is for both)."""
    multicast: dict[tuple[int, Coord, int], int]
    """Route by NoC, source and core set."""

    def route(self, noc: int, src: Coord, dst: Coord, answer: bool) -> int:
        """The route of a unicast; where there is only one, requests and answers share it."""
        found = self.unicast.get((noc, src, dst, answer))
        return self.unicast[noc, src, dst, not answer] if found is None else found

    def link_totals(self, routes: Ints, amounts: Ints) -> Ints:
        """Add up `amounts[i]` over the links of route `routes[i]`, per link."""
        lengths = self.starts[routes + 1] - self.starts[routes]
        firsts = np.repeat(self.starts[routes] - np.cumsum(lengths) + lengths, lengths)
        crossed = self.hops[firsts + np.arange(int(lengths.sum()))]
        return np.bincount(crossed, np.repeat(amounts, lengths), self.links).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LinkTable:
    """Every link that some route of an image crosses, sorted; and, per epoch, the numbers of those that its routes
    cross, one route after the other."""

    links: tuple[Link, ...]
    crossed: tuple[Ints, ...]


def link_table(image: Image) -> LinkTable:
    """Number the links of `image`. Routes share their `Hop` values, so each value is looked at once per NoC."""
    known: dict[tuple[int, int], int] = {}
    links: dict[Link, int] = {}
    crossed: list[list[int]] = []
    for epoch in image.epochs:
        numbers: list[int] = []
        for route in epoch.routes:
            noc = route.noc
            for hop in route.hops:
                number = known.get((noc, id(hop)))
                if number is None:
                    number = known[noc, id(hop)] = links.setdefault(Link(noc, hop.src, hop.dst), len(links))
                numbers.append(number)
        crossed.append(numbers)
    ordered = sorted(links)
    rank = np.zeros(len(links), np.int64)
    rank[[links[link] for link in ordered]] = np.arange(len(links))
    return LinkTable(tuple(ordered), tuple(rank[np.array(numbers, np.int64)] for numbers in crossed))


def route_table(epoch: Epoch, crossed: Ints, links: int) -> RouteTable:
    """Lay out the routes of `epoch`, which cross the links `crossed`, one route after the other."""
    unicast: dict[tuple[int, Coord, Coord, bool], int] = {}
    multicast: dict[tuple[int, Coord, int], int] = {}
    for index, route in enumerate(epoch.routes):
        if isinstance(route, MulticastRoute):
            multicast[route.noc, route.src, route.targets] = index
            continue
        answer = bool(route.hops) and route.hops[0].vc // 2 == ANSWER
        unicast[route.noc, route.src, route.dst, answer] = index
    lengths = np.array([0, *(len(route.hops) for route in epoch.routes)], np.int64)
    return RouteTable(epoch.routes, np.cumsum(lengths), crossed, links, unicast, multicast)


@dataclass(frozen=True, slots=True)
class Run:
    """A straight stretch of a route on one virtual channel."""

    src: Coord
    dst: Coord
    vc: int


def runs(hops: Iterable[Hop]) -> tuple[Run, ...]:
    """Cut a route or a tree into straight stretches, each on one virtual channel; a wrap begins a new one."""
    found: list[Run] = []
    direction = (0, 0)
    for hop in hops:
        step = (hop.dst.x - hop.src.x, hop.dst.y - hop.src.y)
        short = abs(step[0]) + abs(step[1]) == 1
        if found and short and direction == step and found[-1].dst == hop.src and found[-1].vc == hop.vc:
            found[-1] = Run(found[-1].src, hop.dst, hop.vc)
        else:
            found.append(Run(hop.src, hop.dst, hop.vc))
        direction = step if short else (0, 0)
    return tuple(found)
