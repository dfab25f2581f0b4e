"""The cost table: what each action takes, in whole cycles, for the compiler's estimates and for the emulator alike.

Approximations, one sentence each. The vector unit serves one operation at a time, so a fused map costs the sum of its
operations; conversions ride on the load and the store. Of a matrix product's two operands the one with fewer tiles is
kept in its source register while the other streams past, as in tt-llk's `llk_unpack_AB_matmul`. Unpack, math and pack
overlap, so the slowest of the three sets the pace of a run of instructions (`ComputeCost`).
"""

from dataclasses import dataclass
from math import ceil

from compiler.diagnostics import InternalError
from compiler.numerics import DType, Expr
from compiler.numerics.fidelity import Fidelity, product_dtype
from compiler.numerics.layout import page_bytes
from compiler.target.check import LIKE, UNTIMED
from compiler.target.machine import Coord, Machine, Topology

FLAG_WORD = 32
"""Bytes that the flags of a page take in DRAM: what a NoC moves at least, and the alignment of DRAM addresses that it
reads from (tenstorrent/tt-metal: tt_metal/hw/inc/wormhole/noc/noc_parameters.h)."""


@dataclass(frozen=True, slots=True)
class ComputeCost:
    """Cycles that one compute instruction keeps each of the three parts of the data path busy."""

    unpack: int = 0
    math: int = 0
    pack: int = 0

    def __add__(self, other: "ComputeCost") -> "ComputeCost":
        return ComputeCost(self.unpack + other.unpack, self.math + other.math, self.pack + other.pack)

    def times(self, count: int) -> "ComputeCost":
        return ComputeCost(self.unpack * count, self.math * count, self.pack * count)

    @property
    def pace(self) -> int:
        """The slowest part: the interval between such instructions when many follow one another."""
        return max(self.unpack, self.math, self.pack)


def packets(machine: Machine, nbytes: int) -> int:
    """Packets that carry `nbytes`; a transfer of nothing is still one packet, its header."""
    return max(1, -(-nbytes // (machine.noc.flit_bytes * machine.noc.max_packet_flits)))


def flits(machine: Machine, nbytes: int) -> int:
    """Flits that carry `nbytes`: the payload and one header per packet."""
    return -(-nbytes // machine.noc.flit_bytes) + packets(machine, nbytes)


def matmul_cost(
    machine: Machine, left: DType, right: DType, rows: int, columns: int, inner: int, phases: int | None = None
) -> ComputeCost:
    """`Matmul` of a `rows x inner` by an `inner x columns` block of tiles of these types; `phases` (default: all that
    they need) count in products that are multiplied as bf16."""
    products = rows * columns * inner
    resident = rows <= columns
    kept, streamed = (page_bytes(left), page_bytes(right)) if resident else (page_bytes(right), page_bytes(left))
    return ComputeCost(
        unpack=_transfer((min(rows, columns) * kept + rows * columns * streamed) * inner, machine.compute.unpack_bytes),
        math=max(products * product_cycles(machine, left, right, phases), machine.compute.instruction),
    )


def flag_cost(machine: Machine, looks: int) -> ComputeCost:
    """Looks at the flags of `looks` pages or registers: the unpacker has them, for it runs ahead of math."""
    return ComputeCost(unpack=looks * machine.core.flag_check)


def flags_looked_at(skip_left: bool, skip_right: bool, finite_left: bool, finite_right: bool) -> tuple[bool, bool]:
    """Whether `Matmul` looks at the flags of its left tiles, and of its right ones, given what it may skip and of which
    sides it is known without a flag that they are finite. It looks at each tile of its blocks once."""
    return skip_left or (skip_right and not finite_left), skip_right or (skip_left and not finite_right)


@dataclass(frozen=True, slots=True)
class LiveProducts:
    """What is left of a `Matmul`: `products` tile products after `looks` at flags. `kept` tiles stay in a source
    register while others stream past, of the left operand if it has no more rows than the right one has columns."""

    products: int
    kept: int
    looks: int
    left_kept: bool


def live_matmul_cost(
    machine: Machine, left: DType, right: DType, live: LiveProducts, phases: int | None = None
) -> ComputeCost:
    """`Matmul` of tiles of these types of which only some products are left."""
    kept, streamed = (left, right) if live.left_kept else (right, left)
    nbytes = live.kept * page_bytes(kept) + live.products * page_bytes(streamed)
    cycles = max(live.products * product_cycles(machine, left, right, phases), machine.compute.instruction)
    unpacked = ComputeCost(unpack=_transfer(nbytes, machine.compute.unpack_bytes), math=cycles if live.products else 0)
    return unpacked + flag_cost(machine, live.looks)


def product_cycles(machine: Machine, left: DType, right: DType, phases: int | None = None) -> int:
    """Cycles of the product of two tiles."""
    dtype = product_dtype(left, right)
    if dtype is None:
        raise InternalError(f"costs: {left.value} is not multiplied by {right.value}")
    whole = machine.compute.matmul[dtype]
    if dtype is not DType.BF16:
        return whole
    done = Fidelity.HIFI4.phases(left, right) if phases is None else phases
    return whole - (Fidelity.HIFI4.phases(dtype, dtype) - done) * machine.compute.fidelity_phase


def map_cost(machine: Machine, expr: Expr, from_cb: tuple[DType, ...]) -> ComputeCost:
    """`Map` of kernel expression `expr`; `from_cb` are the types of the operands that come from cbs (those in
    registers cost no unpacking)."""
    return ComputeCost(
        unpack=_transfer(sum(page_bytes(dtype) for dtype in from_cb), machine.compute.unpack_bytes),
        math=max(vector_cycles(machine, expr), machine.compute.instruction),
    )


def vector_cycles(machine: Machine, expr: Expr) -> int:
    """Cycles of the vector unit for one tile of `expr`; a plain copy needs no pass."""
    timed = [node.op for node in expr.nodes if node.op not in UNTIMED]
    if not timed:
        return 0
    return machine.compute.vector_load_store + sum(machine.compute.vector[LIKE.get(op, op)] for op in timed)


def reduce_cost(machine: Machine) -> ComputeCost:
    """`Reduce` of one register into another."""
    return ComputeCost(math=max(machine.compute.reduce, machine.compute.instruction))


def fill_cost(machine: Machine) -> ComputeCost:
    """`Fill` of one register: half of a load and store."""
    return ComputeCost(math=max(machine.compute.vector_load_store // 2, machine.compute.instruction))


def pack_cost(machine: Machine, dtype: DType, accumulate: bool) -> ComputeCost:
    """`Pack` of one register to a page of `dtype`."""
    rate = machine.compute.pack_accumulate_bytes if accumulate else machine.compute.pack_bytes
    return ComputeCost(pack=max(_transfer(page_bytes(dtype), rate), machine.compute.instruction))


def dram_service(machine: Machine, nbytes: int) -> int:
    """Cycles that a request of `nbytes` keeps a DRAM channel busy (its latency, `dram.access`, comes on top)."""
    return max(ceil(nbytes / machine.dram.bytes_per_cycle), machine.dram.request_spacing)


def sense_cycles(machine: Machine, hops: int) -> int:
    """Cycles from the start of a `Sense` until its flags are there, on an idle machine: a word of DRAM over `hops`
    links in all, there and back."""
    noc, answer = machine.noc, flits(machine, FLAG_WORD)
    waiting = noc.read_overhead + machine.dram.access + max(0, dram_service(machine, FLAG_WORD) - answer)
    return noc.read_issue + 4 * noc.niu + hops * noc.hop + waiting + answer - 1


def sensed_load_cost(machine: Machine, nbytes: int, live: bool) -> int:
    """Cycles of the thread that senses a page of `nbytes`, and reads it if it is live; it waits for the flags besides
    (`sense_cycles`), though for those of many pages at once."""
    return machine.noc.read_issue * (1 + live * packets(machine, nbytes)) + machine.core.flag_check


def flagged_store_cost(machine: Machine, nbytes: int, live: bool) -> int:
    """Cycles of the thread that writes a page of `nbytes`, if it is live, and its flags."""
    return machine.noc.write_issue * (1 + live * packets(machine, nbytes)) + machine.core.flag_check


def flagged_service(machine: Machine, nbytes: int, live: bool) -> int:
    """Cycles that a page of `nbytes` with its flags keeps a DRAM channel busy, one way."""
    return dram_service(machine, FLAG_WORD) + live * dram_service(machine, nbytes)


def gather_cost(machine: Machine, dtype: DType, runs: int) -> int:
    """Cycles of the core's own work in one `Gather` of a page that is put together from `runs` runs of elements: the
    issue of a read per run, and the copying of the whole page word by word."""
    return max(1, runs) * machine.noc.read_issue + page_bytes(dtype) // 4 * machine.core.copy_word


def take_cost(machine: Machine, dtype: DType, rows: int) -> int:
    """Cycles of the core's own work in one `Take` of a page of which `rows` rows are found: for every row that belongs
    to the result (these, at a guess) a load of its number and the issue of a read, which lands in place."""
    return rows * (machine.core.table_load + machine.noc.read_issue)


def multicast_reserve(machine: Machine, hops: int) -> int:
    """Cycles to reserve a multicast tree whose farthest member is `hops` links away, before its first packet."""
    return machine.noc.multicast_reserve_base + hops * machine.noc.multicast_reserve_per_hop


def acknowledgements(machine: Machine, count: int) -> int:
    """Cycles in which a sender takes in `count` acknowledgements."""
    return -(-count // machine.noc.ack_per_cycle)


def hop_count(machine: Machine, noc: int, src: Coord, dst: Coord) -> int:
    """Links that a packet crosses from `src` to `dst`: rings one way round on a torus, Manhattan on a mesh."""
    network = machine.nocs[noc]
    if network.topology is Topology.MESH:
        return abs(dst.x - src.x) + abs(dst.y - src.y)
    horizontal = network.x_step * (dst.x - src.x) % machine.columns
    vertical = network.y_step * (dst.y - src.y) % machine.rows
    return horizontal + vertical


def _transfer(nbytes: int, rate: int) -> int:
    return -(-nbytes // rate)
