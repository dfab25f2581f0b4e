"""The machine as data: every constant that a compiler or an emulator may ask for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

from compiler.numerics import DType, ScalarOp


@dataclass(frozen=True, slots=True, order=True)
class Coord:
    """A position of the grid: column `x` from the left, row `y` from the top (the orientation of NoC 0)."""

    x: int
    y: int

    def __str__(self) -> str:
        return f"({self.x}, {self.y})"


class SiteKind(Enum):
    """What stands at a position; the value is its letter in a floor plan. Every position has a router."""

    CORE = "T"
    HARVESTED = "x"
    DRAM = "D"
    ETHERNET = "E"
    ROUTER = "."


class Topology(Enum):
    TORUS = "torus"
    """Unidirectional rings in both axes."""
    MESH = "mesh"
    """Links both ways between neighbors, no wrap."""


@dataclass(frozen=True, slots=True)
class Noc:
    """One network. `order` is the axis order of unicast routes, `"xy"` or `"yx"`.

    On a torus `x_step` and `y_step` (+1 or -1) are the only directions packets move in; on a mesh they are 0.
    """

    topology: Topology
    order: str
    x_step: int
    y_step: int


@dataclass(frozen=True, slots=True)
class NocTiming:
    """Costs that both networks share, in cycles unless the name says bytes or flits."""

    flit_bytes: int
    max_packet_flits: int
    """Payload flits of the largest packet; one header flit comes on top."""
    hop: int
    niu: int
    """Between an NIU and its router, each way."""
    read_issue: int
    write_issue: int
    atomic_issue: int
    read_overhead: int
    """Fixed part of a read round trip beyond hops, NIU crossings and issue (L1 access, poll of the barrier)."""
    write_overhead: int
    packet_gap: int
    """Idle cycles of a source NIU between two packets."""
    read_packet_gap: int
    """The same for packets that answer a read."""
    multicast_reserve_per_hop: int
    multicast_reserve_base: int
    ack_per_cycle: int
    virtual_channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ComputeTiming:
    """The data path of a core, in cycles per 32 x 32 tile unless said otherwise.

    `matmul[dtype]` is one tile product, of bf16 with all four phases; `fidelity_phase` is what one phase takes of
    it; `vector[op]` one pass of the vector unit for a scalar operation; `vector_load_store` the load and store
    around a fused expression; `reduce` one tile reduced into a register. `unpack_bytes` and `pack_bytes` are bytes
    per cycle between L1 and registers; `instruction` is the least time between two compute instructions. `dst_tiles`
    32-bit tiles of destination registers can be held at one time.
    """

    matmul: Mapping[DType, int]
    fidelity_phase: int
    vector: Mapping[ScalarOp, int]
    vector_load_store: int
    reduce: int
    unpack_bytes: int
    pack_bytes: int
    pack_accumulate_bytes: int
    instruction: int
    dst_tiles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dram:
    """Off-mesh memory: `channels[c]` is the position of the NIU through which channel `c` is reached."""

    channels: tuple[Coord, ...]
    channel_bytes: int
    bytes_per_cycle: float
    """Sustained, per channel."""
    access: int
    """Cycles from request to first byte at the channel."""
    request_spacing: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CoreTiming:
    """Costs of a core thread's own work, in cycles."""

    cb_op: int
    """Reserve, push, wait or pop."""
    semaphore_poll: int
    loop: int
    """One iteration's overhead."""
    table_load: int
    """Setting a variable to the next value of a table: a load from L1."""
    flag_check: int
    """Looking at the flag of a page."""
    copy_word: int
    """Copying 4 bytes inside L1 by the core's own loads and stores (`gather`)."""
    launch: int
    """From the end of one epoch to the start of the next."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Where a constant comes from; `confirmed` is false where it is a guess."""

    source: str
    confirmed: bool


@dataclass(frozen=True, kw_only=True)
class Machine:
    """A mesh of cores. The text form is TOML; `check_machine` lists what must hold.

    `floor_plan[y][x]` is the site at `Coord(x, y)`. `facts` maps a dotted constant name (`noc.hop`) to its source.
    """

    name: str
    description: str
    clock_ghz: float
    floor_plan: tuple[tuple[SiteKind, ...], ...]
    nocs: tuple[Noc, Noc]
    noc: NocTiming
    compute: ComputeTiming
    dram: Dram
    core: CoreTiming
    l1_bytes: int
    l1_reserved_bytes: int
    """At the bottom of L1: firmware, mailboxes; not available to programs."""
    l1_alignment: int
    dram_alignment: int
    circular_buffers: int
    """Per core."""
    semaphores: int
    """Per core, one L1 word each, aligned to `l1_alignment`."""
    program_instructions: int
    """Budget per core and epoch, the three threads and their tables together: 8 values of a table, of 4 bytes each,
    take the room of one instruction, of 32 bytes."""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    @cached_property
    def columns(self) -> int:
        return len(self.floor_plan[0])

    @cached_property
    def rows(self) -> int:
        return len(self.floor_plan)

    @cached_property
    def cores(self) -> tuple[Coord, ...]:
        """Live cores, row by row; a core's number is its index here."""
        return tuple(
            Coord(x, y) for y, row in enumerate(self.floor_plan) for x, site in enumerate(row) if site is SiteKind.CORE
        )

    @cached_property
    def core_number(self) -> Mapping[Coord, int]:
        return {coord: number for number, coord in enumerate(self.cores)}

    @cached_property
    def core_columns(self) -> tuple[int, ...]:
        """The `x` of columns with at least one live core: the columns that a core grid may use."""
        return tuple(sorted({coord.x for coord in self.cores}))

    @cached_property
    def core_rows(self) -> tuple[int, ...]:
        return tuple(sorted({coord.y for coord in self.cores}))

    @property
    def l1_available(self) -> int:
        """Bytes of L1 that a program can allocate: what is left above firmware and semaphores."""
        return self.l1_bytes - self.l1_base

    @property
    def l1_base(self) -> int:
        """First L1 address that a program can allocate."""
        end = self.l1_reserved_bytes + self.semaphores * self.l1_alignment
        return -(-end // self.l1_alignment) * self.l1_alignment
