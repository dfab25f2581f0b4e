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
    """The routes of one epoch. `hops[starts[r] : starts[r + 1]]` are the links, by number, that route `r` crosses.

    Positions are numbers, `y * columns + x`.
    """

    routes: tuple[Route, ...]
    starts: Ints
    hops: Ints
    links: int
    unicast: dict[tuple[int, int, int, bool], int]
    """Route by NoC, source, destination and whether it is for answers (an empty route is for both)."""
    multicast: dict[tuple[int, int, int], int]
    """Route by NoC, source and core set."""

    def route(self, noc: int, src: int, dst: int, answer: bool) -> int:
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
    known: dict[int, Link] = {}
    keys = [_hop_keys(epoch, known) for epoch in image.epochs]
    links = tuple(sorted(set(known.values())))
    number = {link: index for index, link in enumerate(links)}
    ordered = np.array(sorted(known), np.int64)
    numbers = np.array([number[known[key]] for key in ordered.tolist()], np.int64)
    return LinkTable(links, tuple(numbers[np.searchsorted(ordered, each)] for each in keys))


def _hop_keys(epoch: Epoch, known: dict[int, Link]) -> Ints:
    """A key per hop of all routes, one after the other, from its identity and its NoC; note the link of each."""
    hops = [hop for route in epoch.routes for hop in route.hops]
    nocs = np.repeat([route.noc for route in epoch.routes], [len(route.hops) for route in epoch.routes]).astype(
        np.int64
    )
    keys: Ints = 2 * np.fromiter(map(id, hops), np.int64, len(hops)) + nocs
    for key, index in zip(*(part.tolist() for part in np.unique(keys, return_index=True)), strict=True):
        known[key] = Link(int(nocs[index]), hops[index].src, hops[index].dst)
    return keys


def route_table(epoch: Epoch, crossed: Ints, links: int, columns: int) -> RouteTable:
    """Lay out the routes of `epoch`, which cross the links `crossed`, one route after the other."""
    unicast: dict[tuple[int, int, int, bool], int] = {}
    multicast: dict[tuple[int, int, int], int] = {}
    for index, route in enumerate(epoch.routes):
        src = route.src.y * columns + route.src.x
        if isinstance(route, MulticastRoute):
            multicast[route.noc, src, route.targets] = index
            continue
        answer = bool(route.hops) and route.hops[0].vc // 2 == ANSWER
        unicast[route.noc, src, route.dst.y * columns + route.dst.x, answer] = index
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
