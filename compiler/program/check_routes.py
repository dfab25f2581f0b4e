"""Rules of the routes of an epoch: they follow links of the machine, and every transfer has its own.

A virtual channel is twice the class of the packet, plus one behind a dateline. Unicast requests are of class 0 or 1,
multicasts of class 2, answers (data read, acknowledgements) of class 3, so that answers never wait for requests
(tt-isa-documentation, WormholeB0/NoC).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from compiler.numerics import TILE
from compiler.program.image import (
    CoreProgram,
    DramPlace,
    Epoch,
    Hop,
    Image,
    MulticastRoute,
    Route,
    UnicastRoute,
)
from compiler.program.instructions import Affine, Gather, Instruction, Multicast, Read, SemInc, Sense, Take, Write
from compiler.program.pages import Scope, gathered_pages, owner_numbers, residues_of, scopes, stored_pages, values_of
from compiler.target import Coord, Machine, Topology

_REQUEST, _MULTICAST, _ANSWER = frozenset({0, 1}), frozenset({2}), frozenset({3})


def check_routes(image: Image, epoch: Epoch) -> Iterator[str]:
    """Sentences about the routes of an epoch whose programs are sound.

    - a hop crosses a link of its NoC, on a virtual channel that there is;
    - a unicast route is a chain from its source to its far end; a multicast tree grows from its source, reaches no
      router twice, and covers its set; no two routes are for the same packets;
    - each read, write, multicast and increment of each program has routes for its requests and for its answers; a read
      of a page that is not stored needs none.
    """
    for route in epoch.routes:
        yield from (f"{_name(route)}: {text}" for text in _route(image.machine, epoch, route))
    known = Counter(key for route in epoch.routes for key in _served(route))
    for key, count in known.items():
        if count > 1:
            yield f"{count} routes for {key}"
    needed = _Needed(image, epoch)
    for program in epoch.programs:
        needed.program(program)
    missing = [key for key in needed.keys if key not in known]
    yield from (f"there is no route for {key}" for key in missing)


@dataclass(frozen=True, slots=True)
class _Packets:
    """Packets that take one route: a class from `src` to a position, or to a core set."""

    noc: int
    src: Coord
    far: Coord | int
    kind: str

    def __str__(self) -> str:
        far = f"core set {self.far}" if isinstance(self.far, int) else str(self.far)
        return f"{self.kind}s on NoC {self.noc} from {self.src} to {far}"


def _served(route: Route) -> Iterator[_Packets]:
    if isinstance(route, MulticastRoute):
        yield _Packets(route.noc, route.src, route.targets, "multicast")
        return
    classes = {hop.vc // 2 for hop in route.hops}
    if classes <= _REQUEST:
        yield _Packets(route.noc, route.src, route.dst, "request")
    if classes <= _ANSWER:
        yield _Packets(route.noc, route.src, route.dst, "answer")


def _name(route: Route) -> str:
    far = f"core set {route.targets}" if isinstance(route, MulticastRoute) else str(route.dst)
    return f"route on NoC {route.noc} from {route.src} to {far}"


def _route(machine: Machine, epoch: Epoch, route: Route) -> Iterator[str]:
    if route.noc not in (0, 1):
        yield f"there is no NoC {route.noc}"
        return
    for hop in route.hops:
        yield from _hop(machine, route.noc, hop)
    if not _in_grid(machine, route.src):
        yield "its source is outside the floor plan"
    elif isinstance(route, UnicastRoute):
        yield from _chain(route)
    elif 0 <= route.targets < len(epoch.core_sets):
        yield from _tree(machine, epoch, route)
    else:
        yield f"there is no core set {route.targets}"


def _in_grid(machine: Machine, coord: Coord) -> bool:
    return 0 <= coord.x < machine.columns and 0 <= coord.y < machine.rows


def _hop(machine: Machine, noc: int, hop: Hop) -> Iterator[str]:
    if not (_in_grid(machine, hop.src) and _in_grid(machine, hop.dst) and _linked(machine, noc, hop)):
        yield f"there is no link from {hop.src} to {hop.dst}"
    if not 0 <= hop.vc < machine.noc.virtual_channels:
        yield f"there is no virtual channel {hop.vc}"


def _linked(machine: Machine, noc: int, hop: Hop) -> bool:
    network = machine.nocs[noc]
    right, down = hop.dst.x - hop.src.x, hop.dst.y - hop.src.y
    if network.topology is Topology.MESH:
        return abs(right) + abs(down) == 1
    along_x = down == 0 and (right - network.x_step) % machine.columns == 0
    along_y = right == 0 and (down - network.y_step) % machine.rows == 0
    return along_x or along_y


def _chain(route: UnicastRoute) -> Iterator[str]:
    at = route.src
    for hop in route.hops:
        if hop.src != at:
            yield f"it jumps from {at} to {hop.src}"
        at = hop.dst
    if at != route.dst:
        yield f"it ends at {at}"
    if len({hop.src for hop in route.hops}) < len(route.hops):
        yield "it passes a router twice"
    classes = {hop.vc // 2 for hop in route.hops}
    if not (classes <= _REQUEST or classes <= _ANSWER):
        yield f"its hops are of classes {sorted(classes)}; a unicast is a request (0, 1) or an answer (3)"


def _tree(machine: Machine, epoch: Epoch, route: MulticastRoute) -> Iterator[str]:
    reached = {route.src}
    for hop in route.hops:
        if hop.src not in reached:
            yield f"the hop from {hop.src} does not continue the tree"
        if hop.dst in reached:
            yield f"it reaches {hop.dst} twice"
        reached.add(hop.dst)
    missed = [c for c in epoch.core_sets[route.targets].cores if machine.cores[c] not in reached]
    if missed:
        yield f"it misses cores {missed}"
    if not {hop.vc // 2 for hop in route.hops} <= _MULTICAST:
        yield "its hops are not all of class 2"


@dataclass(slots=True)
class _Needed:
    """Collects the packets that programs send, in order of first use."""

    image: Image
    epoch: Epoch
    keys: dict[_Packets, None] = field(default_factory=dict)
    gathers: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    homes: dict[tuple[object, ...], tuple[Coord, ...]] = field(default_factory=dict)
    """Where the pages are that an instruction touches; programs of many cores are alike."""

    def program(self, program: CoreProgram) -> None:
        core = self.image.machine.cores[program.core]
        for code in (program.read, program.write):
            for _, instruction, scope in scopes(code):
                self.instruction(core, instruction, scope)

    def instruction(self, core: Coord, at: Instruction, scope: Scope) -> None:
        if isinstance(at, Read | Sense | Write):
            self.there_and_back(at.noc, core, self.pages(at.tensor, at.page, scope))
        elif isinstance(at, Gather):
            self.there_and_back(at.noc, core, self.sources(at, scope))
        elif isinstance(at, Take):
            self.there_and_back(at.noc, core, self.rows(at, scope))
        elif isinstance(at, Multicast | SemInc):
            self.to_set(at.noc, core, at.targets)

    def there_and_back(self, noc: int, core: Coord, far: Sequence[Coord]) -> None:
        for coord in far:
            self.keys[_Packets(noc, core, coord, "request")] = None
            self.keys[_Packets(noc, coord, core, "answer")] = None

    def to_set(self, noc: int, core: Coord, targets: int) -> None:
        core_set = self.epoch.core_sets[targets]
        members = [self.image.machine.cores[member] for member in core_set.cores]
        if not core_set.multicast:
            self.there_and_back(noc, core, members)
            return
        self.keys[_Packets(noc, core, targets, "multicast")] = None
        for member in members:
            if member != core:
                self.keys[_Packets(noc, member, core, "answer")] = None

    def pages(self, tensor: int, page: Affine, scope: Scope) -> tuple[Coord, ...]:
        key = (tensor, *_values_key(page, scope))
        if key not in self.homes:
            self.homes[key] = self.find_pages(tensor, page, scope)
        return self.homes[key]

    def find_pages(self, tensor: int, page: Affine, scope: Scope) -> tuple[Coord, ...]:
        found = self.image.tensors[tensor]
        if isinstance(found.place, DramPlace) and found.live is None:
            channels = self.image.machine.dram.channels
            residues = residues_of(page, scope, len(channels))
            return tuple(channels[c] for c in sorted(residues))
        return self.home_of(tensor, values_of(page, scope))

    def sources(self, at: Gather, scope: Scope) -> tuple[Coord, ...]:
        key = (at.tensor, at.index_map, *_values_key(at.page, scope))
        if key not in self.homes:
            pair = (at.tensor, at.index_map)
            if pair not in self.gathers:
                index_map = self.image.index_maps[at.index_map]
                self.gathers[pair] = gathered_pages(index_map, self.image.tensors[at.tensor])
            results, pages = self.gathers[pair]
            self.homes[key] = self.home_of(at.tensor, pages[np.isin(results, values_of(at.page, scope))])
        return self.homes[key]

    def rows(self, at: Take, scope: Scope) -> tuple[Coord, ...]:
        """Where any of the rows may be that are picked from."""
        key = (at.tensor, at.step, at.extent, *_values_key(at.page, scope))
        if key not in self.homes:
            pages = np.add.outer(values_of(at.page, scope), at.step * np.arange(-(-at.extent // TILE)))
            self.homes[key] = self.home_of(at.tensor, np.unique(pages))
        return self.homes[key]

    def home_of(self, tensor: int, pages: np.ndarray) -> tuple[Coord, ...]:
        """The positions where the pages are, each once; pages that are not stored have none."""
        machine, place = self.image.machine, self.image.tensors[tensor].place
        pages = stored_pages(self.image.tensors[tensor], pages)
        if isinstance(place, DramPlace):
            channels = machine.dram.channels
            return tuple(channels[c] for c in np.unique(pages % len(channels)).tolist())
        owners = np.unique(owner_numbers(self.image.tensors[tensor], place, pages)[0]).tolist()
        return tuple(machine.cores[place.owners[owner]] for owner in owners)


def _values_key(page: Affine, scope: Scope) -> tuple[object, ...]:
    """What the values of `page` depend on."""
    if page in scope.taken:
        return (scope.taken[page].tobytes(),)
    held = scope.variables[page.variable].tobytes() if page.variable >= 0 else b""
    return (page, scope.counts[: len(page.coefficients)], held)
