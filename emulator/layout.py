"""From an image to the tables of the engine: memories, routes and the machine.

DRAM channels lie behind one another in one array, each as long as the fullest one; the L1 of all cores likewise.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.numerics.layout import TileGrid, from_pages, page_bytes, to_pages
from compiler.program import image as im
from compiler.program import instructions as ins
from compiler.program.pages import channel_bytes, flag_stride, flag_words
from compiler.target.machine import Coord, Machine
from emulator.encode import Code, table
from emulator.engine import columns as c
from emulator.engine.state import Bytes, Table


def tensor_page_bytes(tensor: im.Tensor) -> int:
    return page_bytes(tensor.dtype)


def position_number(machine: Machine, coord: Coord) -> int:
    """Positions are numbered row by row."""
    return coord.y * machine.columns + coord.x


ZEROS = page_bytes(DType.F32)
"""Bytes of zeros behind the L1 of the last core: the largest page."""


def zeros_at(machine: Machine) -> int:
    """Byte offset in `l1` of the zeros that stand for pages that are not stored."""
    return len(machine.cores) * machine.l1_bytes


def dram_stride(image: im.Image) -> int:
    """Bytes of each channel that the image uses, in whole granules."""
    end = 0
    for tensor in image.tensors:
        if isinstance(tensor.place, im.DramPlace):
            pages = TileGrid(tensor.shape).pages
            end = max(end, tensor.place.base + channel_bytes(image.machine, tensor.dtype, pages, tensor.flagged))
    return -(-end // c.GRANULE) * c.GRANULE


@dataclass(frozen=True, slots=True)
class Dram:
    """The bytes of all channels and which granules have been written."""

    stride: int
    channels: int
    memory: Bytes
    written: Bytes

    @classmethod
    def for_image(cls, image: im.Image) -> "Dram":
        stride, channels = dram_stride(image), len(image.machine.dram.channels)
        size = max(1, stride * channels)
        return cls(stride, channels, np.zeros(size, np.uint8), np.zeros(size // c.GRANULE + 1, np.uint8))

    def _offsets(self, tensor: im.Tensor) -> NDArray[np.int64]:
        assert isinstance(tensor.place, im.DramPlace)
        pages = np.arange(TileGrid(tensor.shape).pages)
        rows = pages // self.channels
        return pages % self.channels * self.stride + tensor.place.base + rows * tensor_page_bytes(tensor)

    def store(self, tensor: im.Tensor, array: NDArray[np.generic]) -> None:
        """Put the pages of an array that live in place, as the host does before the first epoch."""
        size = tensor_page_bytes(tensor)
        offsets, pages = self._offsets(tensor), to_pages(array, tensor.dtype)
        for page in _stored(tensor):
            start = int(offsets[page])
            self.memory[start : start + size] = pages[page]
            self.written[start // c.GRANULE : -(-(start + size) // c.GRANULE)] = 1

    def fetch(self, tensor: im.Tensor) -> NDArray[np.generic]:
        """Return a tensor as the host reads it after the last epoch; pages that do not live are zero."""
        size, offsets = tensor_page_bytes(tensor), self._offsets(tensor)
        pages = np.zeros((len(offsets), size), np.uint8)
        for page in _stored(tensor):
            start = int(offsets[page])
            pages[page] = self.memory[start : start + size]
        return from_pages(pages, tensor.shape, tensor.dtype)

    def unwritten(self, tensor: im.Tensor) -> int:
        """The first page of a tensor that lives and is not completely written, or -1."""
        size, offsets = tensor_page_bytes(tensor), self._offsets(tensor)
        for page in _stored(tensor):
            start = int(offsets[page])
            if not self.written[start // c.GRANULE : -(-(start + size) // c.GRANULE)].all():
                return page
        return -1


def _stored(tensor: im.Tensor) -> list[int]:
    """The pages that a tensor stores."""
    if tensor.live is None:
        return [*range(TileGrid(tensor.shape).pages)]
    stored: list[int] = np.flatnonzero(tensor.live.array.ravel()).tolist()
    return stored


@dataclass(slots=True)
class Lists:
    """Integer lists, one after the other: each is its length, then its items."""

    items: list[int] = field(default_factory=list)

    def add(self, values: Iterable[int]) -> int:
        """Append a list; return where it begins."""
        begin, listed = len(self.items), list(values)
        self.items += [len(listed), *listed]
        return begin

    def add_map(self, index_map: im.IndexMap) -> int:
        """Append an index map: where its matrix shape, digits, base, steps and extents begin."""
        parts = (
            self.add(TileGrid(index_map.shape).matrix_shape),
            self.add(index_map.digits),
            self.add(index_map.base),
            self.add(step for steps in index_map.steps for step in steps),
            self.add(index_map.extents),
        )
        begin = len(self.items)
        self.items += parts
        return begin


def shard_owner(tensor: im.Tensor, place: im.ShardPlace, page: int) -> tuple[int, int]:
    """Which owner (an index of `owners`) holds a page, and under which number."""
    dims = TileGrid(tensor.shape).dims
    coordinates = np.unravel_index(page, dims)
    block = [-(-dim // ways) for dim, ways in zip(dims, place.ways, strict=True)]
    owner, local = 0, 0
    for coordinate, dim, ways, length in zip(map(int, coordinates), dims, place.ways, block, strict=True):
        index = coordinate // length
        owner = owner * ways + index
        local = local * min(length, dim - index * length) + coordinate % length
    return owner, local


def tensor_tables(image: im.Image, epoch: int, dram: Dram, lists: Lists) -> tuple[Table, Table]:
    """The tables `tensors` and `pages`."""
    rows: list[tuple[int, ...]] = []
    pages: list[NDArray[np.int64]] = []
    first = 0
    for tensor in image.tensors:
        grid = TileGrid(tensor.shape)
        size = tensor_page_bytes(tensor)
        rows.append((first, grid.pages, size, tensor.dtype.itemsize, lists.add(grid.matrix_shape), int(tensor.flagged)))
        homes = (
            _dram_pages(image, tensor, dram)
            if isinstance(tensor.place, im.DramPlace)
            else _shard_pages(image, epoch, tensor, tensor.place)
        )
        if tensor.live is not None:
            zeros = zeros_at(image.machine)
            homes[~tensor.live.array.ravel()] = (c.NOT_STORED, zeros, -1, -1, -1, -1, zeros if tensor.flagged else -1)
        pages.append(homes)
        first += grid.pages
    return table(rows, c.TENSOR_COLUMNS), np.concatenate(pages) if pages else table([], c.PAGE_COLUMNS)


def _dram_pages(image: im.Image, tensor: im.Tensor, dram: Dram) -> Table:
    nodes = np.array([position_number(image.machine, coord) for coord in image.machine.dram.channels])
    assert isinstance(tensor.place, im.DramPlace)
    offsets = dram._offsets(tensor)
    rows = np.full((len(offsets), c.PAGE_COLUMNS), -1, np.int64)
    rows[:, c.CHANNEL] = np.arange(len(offsets)) % dram.channels
    rows[:, c.NODE] = nodes[rows[:, c.CHANNEL]]
    rows[:, c.MEMORY] = offsets
    if tensor.flagged:
        words = tensor.place.base + flag_words(image.machine, tensor.dtype, len(offsets))
        rows[:, c.FLAG_MEMORY] = rows[:, c.CHANNEL] * dram.stride + words
        rows[:, c.FLAG_MEMORY] += np.arange(len(offsets)) // dram.channels * flag_stride(image.machine)
    return rows


def _shard_pages(image: im.Image, epoch: int, tensor: im.Tensor, place: im.ShardPlace) -> Table:
    machine = image.machine
    count = TileGrid(tensor.shape).pages
    rows = np.full((count, c.PAGE_COLUMNS), -1, np.int64)
    if place.epoch != epoch:
        return rows
    address = {program.core: program.buffers for program in image.epochs[epoch].programs}
    for page, owner, local in _shares(tensor, place):
        core = place.owners[owner]
        start = core * machine.l1_bytes + address[core][place.cb].address + local * tensor_page_bytes(tensor)
        node = position_number(machine, machine.cores[core])
        rows[page] = (node, start, -1, core, place.ready + owner, local + 1, -1)
    return rows


def _shares(tensor: im.Tensor, place: im.ShardPlace) -> Iterator[tuple[int, int, int]]:
    """Each page that a core holds, which owner that is, and under which number."""
    if not place.pages:
        yield from ((page, *shard_owner(tensor, place, page)) for page in range(TileGrid(tensor.shape).pages))
    for owner, pages in enumerate(place.pages):
        yield from ((page, owner, local) for local, page in enumerate(pages))


def buffer_tables(machine: Machine, epoch: im.Epoch) -> tuple[Table, Table]:
    """The tables `buffers` and `first_buffer`."""
    first = np.zeros(len(machine.cores) + 1, np.int64)
    rows: list[tuple[int, ...]] = []
    for program in epoch.programs:
        first[program.core + 1] = len(program.buffers)
        for buffer in program.buffers:
            start = program.core * machine.l1_bytes + buffer.address
            shard = int(buffer.kind is im.CbKind.SHARD)
            rows.append((start, buffer.capacity, page_bytes(buffer.dtype), 0, 0, 0, 0, 0, shard, program.core, -1))
    return table(rows, c.BUFFER_COLUMNS), np.cumsum(first)


def set_tables(epoch: im.Epoch) -> tuple[Table, Table]:
    """The tables `sets` and `members`."""
    members: list[int] = []
    rows: list[tuple[int, ...]] = []
    for core_set in epoch.core_sets:
        rows.append((len(members), len(core_set.cores), int(core_set.multicast)))
        members += core_set.cores
    return table(rows, c.SET_COLUMNS), np.array(members or [0], np.int64)


@dataclass(frozen=True, slots=True)
class Network:
    """The tables that hold routes, and which link each of the first rows of `resources` is."""

    unicast: Table
    multicast: Table
    trees: Table
    links: tuple[tuple[int, Coord, Coord], ...]
    """Noc, source, destination."""
    ports: int
    """Rows of `resources` that follow the links: three per noc and position."""


def network_tables(machine: Machine, epoch: im.Epoch) -> Network:
    """Lay out all routes of an epoch."""
    positions, cores, sets = machine.rows * machine.columns, len(machine.cores), max(1, len(epoch.core_sets))
    links = _Links()
    unicast = np.full((2, positions, positions), c.NO_ROUTE, np.int64)
    unicast[:, range(positions), range(positions)] = c.NO_CROSSING
    multicast = np.full((2, sets, cores, c.MULTICAST_COLUMNS), c.NO_ROUTE, np.int64)
    rows: list[tuple[int, ...]] = []
    for route in epoch.routes:
        if isinstance(route, im.UnicastRoute):
            src, dst = position_number(machine, route.src), position_number(machine, route.dst)
            unicast[route.noc, src, dst] = len(rows) if route.hops else c.NO_CROSSING
            rows += _chain(route, links, len(rows))
        else:
            core = machine.core_number[route.src]
            members = {machine.cores[m]: m for m in epoch.core_sets[route.targets].cores if m != core}
            tree, depth = _tree(route, links, members, len(rows))
            root = len(rows) if tree else c.NO_CROSSING
            multicast[route.noc, route.targets, core] = (root, len(members), depth)
            rows += tree
    trees = table(rows, c.TREE_COLUMNS)
    ordered, row_of = links.in_order()
    trees[: len(rows), 0] = row_of[trees[: len(rows), 0]]
    return Network(
        unicast=unicast.reshape(-1),
        multicast=multicast.reshape(-1, c.MULTICAST_COLUMNS),
        trees=trees,
        links=ordered,
        ports=6 * positions,
    )


class _Links:
    """Numbers the links that routes cross, each looked up once per crossing: hashing them is what takes the time."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[int, Coord, Coord], int] = {}

    def number(self, noc: int, hop: im.Hop) -> int:
        """The link's number in the order of first use."""
        return self._numbers.setdefault((noc, hop.src, hop.dst), len(self._numbers))

    def in_order(self) -> tuple[tuple[tuple[int, Coord, Coord], ...], Table]:
        """The links sorted, and the row of each number among them."""
        ordered = tuple(sorted(self._numbers))
        rows = np.zeros(max(1, len(ordered)), np.int64)
        for row, link in enumerate(ordered):
            rows[self._numbers[link]] = row
        return ordered, rows


def _chain(route: im.UnicastRoute, links: _Links, first: int) -> list[tuple[int, ...]]:
    last = len(route.hops) - 1
    return [
        (links.number(route.noc, hop), -1 if i == last else first + i + 1, -1, -1) for i, hop in enumerate(route.hops)
    ]


def _tree(
    route: im.MulticastRoute, links: _Links, members: dict[Coord, int], first: int
) -> tuple[list[tuple[int, ...]], int]:
    """Rows of a tree and its depth up to the farthest member."""
    child: dict[Coord, int] = {}
    sibling = [-1] * len(route.hops)
    depth = {route.src: 0}
    for i in range(len(route.hops) - 1, -1, -1):
        hop = route.hops[i]
        sibling[i] = child.get(hop.src, -1)
        child[hop.src] = first + i
    for hop in route.hops:
        depth[hop.dst] = depth[hop.src] + 1
    rows: list[tuple[int, ...]] = [
        (links.number(route.noc, hop), child.get(hop.dst, -1), sibling[i], members.get(hop.dst, -1))
        for i, hop in enumerate(route.hops)
    ]
    return rows, max((depth[coord] for coord in members if coord in depth), default=0)


def constants(machine: Machine, stride: int, links: int, slack: int, sets: int, flags: bool, senses: bool) -> Table:
    """The row `constants`."""
    positions = machine.rows * machine.columns
    noc = machine.noc
    values = np.zeros(c.CONSTANT_COLUMNS, np.int64)
    values[c.CORES] = len(machine.cores)
    values[c.L1_BYTES] = machine.l1_bytes
    values[c.POSITIONS] = positions
    values[c.FLIT_BYTES] = noc.flit_bytes
    values[c.PACKET_BYTES] = noc.flit_bytes * noc.max_packet_flits
    values[c.PAYLOAD_FLITS] = noc.max_packet_flits
    values[c.HOP] = noc.hop
    values[c.NIU] = noc.niu
    values[c.READ_ISSUE] = noc.read_issue
    values[c.WRITE_ISSUE] = noc.write_issue
    values[c.ATOMIC_ISSUE] = noc.atomic_issue
    values[c.READ_OVERHEAD] = noc.read_overhead
    values[c.WRITE_OVERHEAD] = noc.write_overhead
    values[c.PACKET_GAP] = noc.packet_gap
    values[c.READ_PACKET_GAP] = noc.read_packet_gap
    values[c.RESERVE_PER_HOP] = noc.multicast_reserve_per_hop
    values[c.RESERVE_BASE] = noc.multicast_reserve_base
    values[c.DRAM_ACCESS] = machine.dram.access
    values[c.DRAM_SPACING] = machine.dram.request_spacing
    values[c.CHANNEL_MILLIBYTES] = round(1000 * machine.dram.bytes_per_cycle)
    values[c.DRAM_STRIDE] = max(1, stride)
    values[c.SEMAPHORE_POLL] = machine.core.semaphore_poll
    values[c.TABLE_LOAD] = machine.core.table_load
    values[c.LOOP_COST] = machine.core.loop
    values[c.COPY_WORD] = machine.core.copy_word
    values[c.CB_OP] = machine.core.cb_op
    values[c.INSTRUCTION] = machine.compute.instruction
    values[c.UNPACK_BYTES] = machine.compute.unpack_bytes
    values[c.FLAGS] = int(flags)
    values[c.SENSES] = int(senses)
    values[c.FLAG_CHECK] = machine.core.flag_check
    values[c.DST_TILES] = machine.compute.dst_tiles
    values[c.SLACK] = slack
    values[c.SETS] = max(1, sets)
    values[c.SEMAPHORES] = machine.semaphores
    values[c.FIRST_INJECT] = links
    values[c.FIRST_EJECT] = links + 2 * positions
    values[c.FIRST_RESERVE] = links + 4 * positions
    return values


def most_packets(machine: Machine, epoch: im.Epoch, code: Code) -> int:
    """Packets that one instruction may issue at most, with room to spare for what an event schedules besides."""
    limit = machine.noc.flit_bytes * machine.noc.max_packet_flits
    largest = max((page_bytes(b.dtype) for p in epoch.programs for b in p.buffers), default=0)
    members = max((len(s.cores) for s in epoch.core_sets), default=0)
    threads = {id(thread): thread for p in epoch.programs for thread in (p.read, p.write)}
    pages = max((_most_sent(thread) for thread in threads.values()), default=1)
    return 64 + (2 + 2 * pages + -(-pages * largest // limit)) * (members + 1)


def _most_sent(thread: im.Code) -> int:
    """Pages of the largest multicast of a thread, at least 1."""
    most = 1
    for instruction in thread.instructions:
        if isinstance(instruction, ins.Multicast) and isinstance(instruction.pages, int):
            most = max(most, instruction.pages)
        elif isinstance(instruction, ins.Multicast) and isinstance(instruction.pages, ins.Variable):
            number = instruction.pages.index
            fetched = (i.table for i in thread.instructions if isinstance(i, ins.Fetch) and i.variable == number)
            most = max((most, *(value for table in fetched for value in thread.tables[table])))
    return most
