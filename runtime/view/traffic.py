"""Who sends what where: every packet that the programs of an image send, counted without running them.

A stream gathers what the cores of a stage move by one thread, for one tensor or buffer. The counts are exact for
programs whose multicasts do not wrap around their ring; where one does, as pieces of large loads may, a header is not
counted. The emulator's own counts are the oracle of the test. Which rows a `Take` reads depends on data: they are
spread evenly over the pages where they may be, as if none were missing. Pages that flags in DRAM stand for count as
if they were moved.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from enum import Enum
from functools import cache

import numpy as np

from compiler.numerics import TILE, TileGrid
from compiler.numerics.layout import page_bytes
from compiler.program.image import CoreProgram, DramPlace, Epoch, Image, IndexMap, ShardPlace, Tensor
from compiler.program.instructions import (
    FLAG_WORD,
    Affine,
    Gather,
    Instruction,
    Multicast,
    Read,
    SemInc,
    Sense,
    Take,
    Thread,
    Write,
)
from compiler.program.pages import owner_numbers, stored_pages
from compiler.target import Coord
from compiler.target.costs import flits, packets
from runtime.view.routes import Ints, LinkTable, RouteTable, route_table
from runtime.view.turns import Turns, multicasts, repeated_values, with_turns

SIGNAL_BYTES = 4
TILE_ELEMENTS = TILE * TILE


class StreamKind(Enum):
    LOAD = "load"
    """Pages read from DRAM or from the L1 of other cores."""
    GATHER = "gather"
    """Runs of elements read from anywhere."""
    STORE = "store"
    """Pages written to DRAM."""
    SHARE = "share"
    """Pages multicast to the cores that need them as well."""
    SIGNAL = "signal"
    """Increments of semaphores."""


@dataclass(frozen=True, slots=True)
class StreamName:
    """What tells one stream of an epoch from another. `stage` is a number of `Image.origins`; `tensor` is -1 when the
    packets belong to none, and `what` then says what they carry."""

    stage: int
    kind: StreamKind
    thread: Thread
    noc: int
    tensor: int
    what: str


@dataclass(frozen=True, slots=True)
class Stream:
    """Route `routes[i]` of the epoch carries `packets[i]` packets of `flits[i]` flits in all, headers included, with
    `nbytes[i]` bytes of payload; requests and acknowledgements carry none. `read[i]` says that the bytes come to the
    core that asked."""

    epoch: int
    name: StreamName
    routes: Ints
    packets: Ints
    flits: Ints
    nbytes: Ints

    @property
    def payload(self) -> int:
        return int(self.nbytes.sum())


@dataclass(frozen=True, slots=True)
class EpochTraffic:
    """All streams of an epoch, and the flits per link that they add up to."""

    table: RouteTable
    streams: tuple[Stream, ...]
    link_flits: Ints


@dataclass(frozen=True, slots=True)
class LineTraffic:
    """Payload bytes that the instructions of one origin move from and to DRAM and between cores."""

    dram_read: int = 0
    dram_written: int = 0
    between_cores: int = 0


def traffic(image: Image, links: LinkTable) -> tuple[EpochTraffic, ...]:
    """Count the traffic of every epoch."""
    homes = _Homes(image)
    return tuple(_epoch(image, index, links, homes) for index in range(len(image.epochs)))


@dataclass(frozen=True, slots=True)
class _Share:
    """Part of what an instruction reads or writes: `packets` packets of `nbytes` in all, at `node`."""

    node: int
    """A position, `y * columns + x`."""
    packets: int
    flits: int
    nbytes: int


@dataclass(slots=True)
class _Homes:
    """Where the pages are that instructions touch; programs of many cores are alike, so answers are kept."""

    image: Image
    shares: dict[tuple[object, ...], tuple[_Share, ...]] = field(default_factory=dict)
    histograms: dict[tuple[object, ...], Ints] = field(default_factory=dict)

    def of_pages(self, tensor: int, page: Affine, turns: Turns) -> tuple[_Share, ...]:
        return self.of_each(tensor, page_bytes(self.image.tensors[tensor].dtype), page, turns)

    def of_each(self, tensor: int, size: int, page: Affine, turns: Turns) -> tuple[_Share, ...]:
        """The shares of so many bytes of every page."""
        key = (tensor, size, page, turns)
        if key not in self.shares:
            self.shares[key] = self.whole_pages(self.image.tensors[tensor], size, page, turns)
        return self.shares[key]

    def whole_pages(self, tensor: Tensor, size: int, page: Affine, turns: Turns) -> tuple[_Share, ...]:
        machine = self.image.machine
        used = self.nodes(tensor, page, turns)
        each, flits_each = packets(machine, size), flits(machine, size)
        return tuple(_Share(node, int(n) * each, int(n) * flits_each, int(n) * size) for node, n in used)

    def position(self, coord: Coord) -> int:
        return coord.y * self.image.machine.columns + coord.x

    def nodes(self, tensor: Tensor, page: Affine, turns: Turns) -> list[tuple[int, int]]:
        """How often pages of each position are touched; pages that are not stored are at none."""
        machine, place = self.image.machine, tensor.place
        if isinstance(place, DramPlace):
            channels = machine.dram.channels
            if tensor.live is None and turns.pages is None:
                times = np.roll(self.residues(page.coefficients, turns), page.constant % len(channels))
            else:
                touched = stored_pages(tensor, repeated_values(page, turns)) % len(channels)
                times = np.bincount(touched, minlength=len(channels))
            return [(self.position(channels[c]), int(times[c])) for c in np.flatnonzero(times).tolist()]
        owners = owner_numbers(tensor, place, stored_pages(tensor, repeated_values(page, turns)))[0]
        times = np.bincount(owners, minlength=len(place.owners))
        return [(self.position(machine.cores[place.owners[o]]), int(times[o])) for o in np.flatnonzero(times).tolist()]

    def residues(self, coefficients: tuple[int, ...], turns: Turns) -> Ints:
        """How often each residue modulo the number of channels occurs, without the constant."""
        modulus = len(self.image.machine.dram.channels)
        key = (coefficients, turns.counts)
        if key not in self.histograms:
            values = repeated_values(Affine(0, coefficients), turns)
            self.histograms[key] = np.bincount(values % modulus, minlength=modulus)
        return self.histograms[key]

    def of_gather(self, at: Gather, turns: Turns) -> tuple[_Share, ...]:
        key = (at.tensor, at.index_map, at.page, turns)
        if key not in self.shares:
            times = np.bincount(repeated_values(at.page, turns))
            self.shares[key] = self.gathered(at.tensor, at.index_map, times)
        return self.shares[key]

    def of_take(self, at: Take, turns: Turns) -> tuple[_Share, ...]:
        """Rows read from each position, if each is as likely as any other."""
        key = (at.tensor, at.step, at.extent, at.rows, at.page, at.row_tile, turns)
        if key not in self.shares:
            tensor = self.image.tensors[at.tensor]
            first = np.unique(repeated_values(at.page, turns))
            pages = np.add.outer(first, at.step * np.arange(-(-at.extent // TILE))).ravel()
            self.shares[key] = self.spread(tensor, pages, turns.times * min(TILE, at.rows))
        return self.shares[key]

    def spread(self, tensor: Tensor, pages: Ints, rows: int) -> tuple[_Share, ...]:
        """`rows` reads of one row, dealt evenly over those of `pages` that are stored."""
        machine, place = self.image.machine, tensor.place
        nodes, homes = machine.dram.channels, stored_pages(tensor, pages)
        if isinstance(place, ShardPlace):
            nodes = tuple(machine.cores[owner] for owner in place.owners)
            homes = owner_numbers(tensor, place, homes)[0]
        used = np.unique(homes % len(nodes))
        size = TILE * tensor.dtype.itemsize
        counts = [rows * (k + 1) // len(used) - rows * k // len(used) for k in range(len(used))]
        return tuple(
            _Share(self.position(nodes[node]), count, count * flits(machine, size), count * size)
            for node, count in zip(used.tolist(), counts, strict=True)
            if count
        )

    def gathered(self, number: int, index_map: int, times: Ints) -> tuple[_Share, ...]:
        machine, tensor = self.image.machine, self.image.tensors[number]
        results, sources, lengths = gather_runs(self.image.index_maps[index_map], tensor.shape)
        wanted = results < len(times)
        if tensor.live is not None:
            wanted &= tensor.live.array.ravel()[sources]
        results, sources, lengths = results[wanted], sources[wanted], lengths[wanted]
        weight = times[results]
        nbytes = lengths * tensor.dtype.itemsize
        per_run = 1 + -(-nbytes // machine.noc.flit_bytes)
        nodes, place = machine.dram.channels, tensor.place
        homes = sources % len(nodes)
        if isinstance(place, ShardPlace):
            nodes = tuple(machine.cores[owner] for owner in place.owners)
            homes = owner_numbers(tensor, place, sources)[0]
        sums = [np.bincount(homes, values, len(nodes)) for values in (weight, weight * per_run, weight * nbytes)]
        return tuple(
            _Share(self.position(node), int(runs), int(flit_count), int(size))
            for node, runs, flit_count, size in zip(nodes, *sums, strict=True)
            if runs
        )


@cache
def gather_runs(index_map: IndexMap, source: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """The runs of elements that `Gather` reads, over all pages of the result: result page, source page, elements.

    A run lies in one row of a tile of the result and side by side in one row of a tile of the source.
    """
    numbers, results, inside = _elements_by_page(index_map.shape)
    digits = np.unravel_index(np.maximum(numbers, 0), index_map.digits) if index_map.digits else ()
    element = np.zeros_like(numbers)
    valid = numbers >= 0
    for base, steps, extent in zip(index_map.base, index_map.steps, index_map.extents, strict=True):
        coordinate = np.full_like(numbers, base)
        for step, digit in zip(steps, digits, strict=True):
            coordinate = coordinate + step * digit
        valid &= (coordinate >= 0) & (coordinate < extent)
        element = element * extent + coordinate
    places = np.where(valid, _places(source, np.where(valid, element, 0)), -2)
    breaks = (np.diff(places) != 1) | (inside[1:] % TILE == 0) | (places[1:] % TILE == 0)
    starts = np.concatenate([[0], np.flatnonzero(breaks) + 1])
    lengths = np.diff(np.append(starts, len(places)))
    kept = places[starts] >= 0
    return results[starts][kept], places[starts][kept] // TILE_ELEMENTS, lengths[kept]


def _elements_by_page(shape: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """For every element of every page in order: its row-major number (-1 outside the tensor), page and place inside."""
    grid = TileGrid(shape)
    rows, columns = grid.matrix_shape[-2:]
    slots = np.arange(grid.pages * TILE_ELEMENTS, dtype=np.int64)
    pages, inside = slots // TILE_ELEMENTS, slots % TILE_ELEMENTS
    *lead, tile_row, tile_column = np.unravel_index(pages, grid.dims)
    row, column = tile_row * TILE + inside // TILE, tile_column * TILE + inside % TILE
    matrix = np.ravel_multi_index(tuple(lead), grid.dims[:-2]) if lead else np.zeros_like(row)
    numbers = np.where((row < rows) & (column < columns), (matrix * rows + row) * columns + column, -1)
    return numbers, pages, inside


def _places(shape: tuple[int, ...], elements: Ints) -> Ints:
    """`page * 1024 + place inside` of elements by their row-major number."""
    grid = TileGrid(shape)
    *lead, row, column = np.unravel_index(elements, grid.matrix_shape)
    pages = np.ravel_multi_index((*lead, row // TILE, column // TILE), grid.dims)
    places: Ints = pages * TILE_ELEMENTS + row % TILE * TILE + column % TILE
    return places


_Tally = defaultdict[int, list[int]]


@dataclass(slots=True)
class _Counter:
    """Adds up what the programs of one epoch send, by stream and route."""

    image: Image
    epoch: Epoch
    table: RouteTable
    homes: _Homes
    streams: dict[StreamName, _Tally] = field(default_factory=dict)

    def program(self, program: CoreProgram) -> None:
        for thread, code in ((Thread.READ, program.read), (Thread.WRITE, program.write)):
            for instruction, origin, turns in with_turns(code):
                self.instruction(program, thread, instruction, origin, turns)

    def instruction(self, program: CoreProgram, thread: Thread, at: Instruction, origin: int, turns: Turns) -> None:
        core = self.homes.position(self.image.machine.cores[program.core])
        match at:
            case Read():
                name = self.name(origin, StreamKind.LOAD, thread, at)
                self.loads(self.tally(name), core, at.noc, self.homes.of_pages(at.tensor, at.page, turns))
            case Sense():
                name = self.name(origin, StreamKind.LOAD, thread, at)
                self.loads(self.tally(name), core, at.noc, self.homes.of_each(at.tensor, FLAG_WORD, at.page, turns))
            case Gather():
                name = self.name(origin, StreamKind.GATHER, thread, at)
                self.loads(self.tally(name), core, at.noc, self.homes.of_gather(at, turns))
            case Take():
                name = self.name(origin, StreamKind.GATHER, thread, at)
                self.loads(self.tally(name), core, at.noc, self.homes.of_take(at, turns))
            case Write():
                name = self.name(origin, StreamKind.STORE, thread, at)
                self.stores(self.tally(name), core, at.noc, self.homes.of_pages(at.tensor, at.page, turns))
                if self.image.tensors[at.tensor].flagged:
                    words = self.homes.of_each(at.tensor, FLAG_WORD, at.page, turns)
                    self.stores(self.tally(name), core, at.noc, words)
            case Multicast():
                buffer = program.buffers[at.cb]
                stream = StreamName(origin, StreamKind.SHARE, thread, at.noc, -1, buffer.name)
                for pages, times in multicasts(at, turns):
                    size = pages * page_bytes(buffer.dtype)
                    self.to_set(self.tally(stream), core, at.noc, at.targets, size, times)
            case SemInc():
                stream = StreamName(origin, StreamKind.SIGNAL, thread, at.noc, -1, "semaphores")
                self.to_set(self.tally(stream), core, at.noc, at.targets, SIGNAL_BYTES, turns.times)
            case _:
                pass

    def name(
        self, origin: int, kind: StreamKind, thread: Thread, at: Read | Sense | Gather | Take | Write
    ) -> StreamName:
        return StreamName(origin, kind, thread, at.noc, at.tensor, self.image.tensors[at.tensor].name)

    def tally(self, name: StreamName) -> _Tally:
        return self.streams.setdefault(name, defaultdict(lambda: [0, 0, 0]))

    def loads(self, tally: _Tally, core: int, noc: int, shares: tuple[_Share, ...]) -> None:
        for share in shares:
            self.unicast(tally, noc, core, share.node, False, (share.packets, share.packets, 0))
            self.unicast(tally, noc, share.node, core, True, (share.packets, share.flits, share.nbytes))

    def stores(self, tally: _Tally, core: int, noc: int, shares: tuple[_Share, ...]) -> None:
        for share in shares:
            self.unicast(tally, noc, core, share.node, False, (share.packets, share.flits, share.nbytes))
            self.unicast(tally, noc, share.node, core, True, (share.packets, share.packets, 0))

    def to_set(self, tally: _Tally, core: int, noc: int, targets: int, size: int, times: int) -> None:
        core_set, machine = self.epoch.core_sets[targets], self.image.machine
        count, flit_count = times * packets(machine, size), times * flits(machine, size)
        members = [self.homes.position(machine.cores[member]) for member in core_set.cores]
        if core_set.multicast:
            members = [member for member in members if member != core]
            self.add(tally, self.table.multicast[noc, core, targets], (count, flit_count, times * size))
        else:
            for member in members:
                self.unicast(tally, noc, core, member, False, (count, flit_count, times * size))
        for member in members:
            self.unicast(tally, noc, member, core, True, (count, count, 0))

    def unicast(self, tally: _Tally, noc: int, src: int, dst: int, answer: bool, amounts: tuple[int, int, int]) -> None:
        self.add(tally, self.table.route(noc, src, dst, answer), amounts)

    @staticmethod
    def add(tally: _Tally, route: int, amounts: tuple[int, int, int]) -> None:
        entry = tally[route]
        entry[0] += amounts[0]
        entry[1] += amounts[1]
        entry[2] += amounts[2]


def _epoch(image: Image, index: int, links: LinkTable, homes: _Homes) -> EpochTraffic:
    epoch = image.epochs[index]
    table = route_table(epoch, links.crossed[index], len(links.links), image.machine.columns)
    counter = _Counter(image, epoch, table, homes)
    for program in epoch.programs:
        counter.program(program)
    streams = tuple(_stream(index, name, tally) for name, tally in counter.streams.items())
    totals = np.zeros(len(links.links), np.int64)
    for stream in streams:
        totals += table.link_totals(stream.routes, stream.flits)
    return EpochTraffic(table, streams, totals)


def _stream(epoch: int, name: StreamName, tally: _Tally) -> Stream:
    routes = np.array(sorted(tally), np.int64)
    amounts = np.array([tally[route] for route in sorted(tally)], np.int64).reshape(-1, 3)
    return Stream(epoch, name, routes, amounts[:, 0], amounts[:, 1], amounts[:, 2])
