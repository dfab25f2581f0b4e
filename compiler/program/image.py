"""The image: all programs of a compiled module and everything that they rely on, as one value."""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from compiler.diagnostics import Source, Span
from compiler.numerics import DType, Expr
from compiler.numerics.masks import TileMask
from compiler.program.instructions import Instruction
from compiler.target import Coord, Machine


class Role(Enum):
    """Who writes and who reads a tensor's memory."""

    INPUT = "input"
    WEIGHT = "weight"
    STATE = "state"
    """Kept from call to call. The output of the same name is its next value: between two calls, the two change places
    (or the bytes are copied); without one it stays as it is. Nothing else may use its memory."""
    CONSTANT = "constant"
    """Its bytes are in the image and are in place before the first epoch."""
    OUTPUT = "output"
    TEMPORARY = "temporary"


@dataclass(frozen=True, slots=True)
class DramPlace:
    """Pages dealt to the channels in turn: page `p` is on channel `p % channels` at `base + p // channels *
    page_bytes`."""

    base: int


@dataclass(frozen=True, slots=True)
class ShardPlace:
    """Pages held by cores, in a cb of each, for the length of one epoch.

    Page coordinates (over the tensor's `TileGrid.dims`) are cut into blocks: `ways[d]` of them along axis `d`, each
    `ceil(dims[d] / ways[d])` long but the last, which may be shorter (never empty). Block coordinates, row-major,
    number the owners: `owners[i]` is the core. Inside an owner, pages are numbered row-major over its block; page
    number `j` is page `j` of cb `cb` of that core (the ring starts at offset 0 and never wraps). Owners push pages
    in that order.

    `ready` is the first of `len(owners)` semaphores on every reading core: owner `i` adds to semaphore `ready + i` the
    number of pages it has pushed.

    With `pages` the tensor is dealt page by page instead: `ways` is empty, and owner `i` holds the pages `pages[i]`, in
    that order. Pages that no owner holds are not stored (`Tensor.live`).
    """

    epoch: int
    ways: tuple[int, ...]
    owners: tuple[int, ...]
    cb: int
    ready: int
    pages: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Tensor:
    """A tensor in device memory. `data` holds the unpadded row-major bytes of a constant, else it is empty.

    Pages outside `live` (None: there are none) are zero, by proof or by promise: nobody stores, writes or moves them,
    and who reads one gets zeros. The host checks them in what it is fed, and sees zeros there in outputs. With
    `finite` every element is promised to be finite: the host checks what it is fed.

    A `flagged` tensor, a temporary in DRAM, keeps the flags of its pages: page `p` has a word of `FLAG_WORD` bytes on
    its own channel, behind all pages of the tensor there (`pages.flag_words`). The bytes of a page whose word says
    dead, or zero without a -0, are not stored.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    role: Role
    place: DramPlace | ShardPlace
    data: bytes = b""
    live: TileMask | None = None
    finite: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class IndexMap:
    """For `Gather`: where each element of the result comes from.

    The row-major number of an element of the result is split into digits of the radices `digits`. Source coordinate
    `j` is `base[j] + sum(steps[j][d] * digit[d])`. Where `0 <= coordinate < extents[j]` holds for all `j`, the element
    is the one whose row-major number over `extents` is given by the coordinates; elsewhere it is zero. The product of
    `extents` is the element count of the source tensor, the product of `digits` that of the result of shape `shape`.
    """

    shape: tuple[int, ...]
    digits: tuple[int, ...]
    base: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    extents: tuple[int, ...]


class Spread(Enum):
    """How the elements of an operand tile reach the lanes."""

    NONE = "none"
    ROW = "row"
    """Row 0 is repeated over all rows."""
    COLUMN = "column"
    """Column 0 is repeated over all columns."""
    SCALAR = "scalar"
    """Element (0, 0) is repeated everywhere."""
    TRANSPOSE = "transpose"


@dataclass(frozen=True, slots=True)
class Operand:
    dtype: DType
    spread: Spread = Spread.NONE


@dataclass(frozen=True, slots=True)
class Kernel:
    """A fused tile expression: `ARG k` of `expr` is the element of operand `k`.

    A register operand has dtype f32 or i32 in `operands`; a bool from a register is 0 or 1 and is declared `bool`.
    """

    expr: Expr
    operands: tuple[Operand, ...]


class CbKind(Enum):
    STREAM = "stream"
    """The ring is reused: a page's bytes are gone once its room is reserved again."""
    SHARD = "shard"
    """Exactly `capacity` pages pass through in the epoch, so the ring never wraps: page `j` stays where it was
    pushed to the end of the epoch, although the core's own consumer thread pops it. Other cores may read it."""


@dataclass(frozen=True, slots=True)
class CircularBuffer:
    """A ring of `capacity` pages (one tile each) at L1 `address`; its number is its index in `CoreProgram.buffers`.

    `finite` says that every element of every page is finite, by proof or by promise. With `checked` it is a promise
    that the packer must see kept: a page that is not finite stops the run.
    """

    address: int
    capacity: int
    dtype: DType
    kind: CbKind = CbKind.STREAM
    name: str = ""
    finite: bool = False
    checked: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """A thread's instructions; `origins[i]` is the index in `Image.origins` of the reason for instruction `i`.

    `tables` are the integers that `Fetch` takes, one after the other; they lie in L1 with the program.
    """

    instructions: tuple[Instruction, ...] = ()
    origins: tuple[int, ...] = ()
    tables: tuple[tuple[int, ...], ...] = ()


INSTRUCTION_BYTES = 32
"""Program memory that an instruction is reckoned to take; a budget of instructions is one of so many bytes each."""
VALUE_BYTES = 4
"""Of a table."""


@dataclass(frozen=True, slots=True)
class CoreProgram:
    """All that core number `core` runs in one epoch."""

    core: int
    buffers: tuple[CircularBuffer, ...]
    read: Code
    compute: Code
    write: Code

    @property
    def room(self) -> int:
        """What the program takes of `Machine.program_instructions`: its instructions, and the bytes of its tables."""
        codes = (self.read, self.compute, self.write)
        values = sum(len(table) for code in codes for table in code.tables)
        return sum(len(code.instructions) for code in codes) - (-values * VALUE_BYTES // INSTRUCTION_BYTES)


@dataclass(frozen=True, slots=True)
class Hop:
    """One crossing of the link that leaves the router at `src` toward `dst`, on virtual-channel class `vc`."""

    src: Coord
    dst: Coord
    vc: int


@dataclass(frozen=True, slots=True)
class UnicastRoute:
    """The links, in order, from the NIU at `src` to the NIU at `dst` on `noc`; empty when they are the same
    position."""

    noc: int
    src: Coord
    dst: Coord
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class MulticastRoute:
    """The tree on `noc` from `src` that covers core set `targets`; each hop's `src` is the source or an earlier
    `dst`."""

    noc: int
    src: Coord
    targets: int
    hops: tuple[Hop, ...]


Route: TypeAlias = UnicastRoute | MulticastRoute


@dataclass(frozen=True, slots=True)
class CoreSet:
    """Cores that an instruction addresses together.

    With `multicast` the set is every live core of the rectangle spanned by its members and is reached by one tree;
    otherwise by one packet per core, in the order given.
    """

    cores: tuple[int, ...]
    multicast: bool


@dataclass(frozen=True, slots=True)
class Epoch:
    """Programs that run at the same time. All cbs are empty and all semaphores zero when it starts.

    Invariants: core numbers ascend; every transfer of every program has its route in `routes` (requests, answers and
    acknowledgements included), which are sorted and distinct.
    """

    programs: tuple[CoreProgram, ...]
    core_sets: tuple[CoreSet, ...]
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class Origin:
    """Why an instruction exists: the stage, and the place in the source."""

    stage: str
    span: Span | None


@dataclass(frozen=True, slots=True)
class Image:
    """What runs. One deterministic file; see `serialize`.

    The machine is part of the image: a device needs nothing else but the bytes of inputs and weights.
    `check_image` lists what a device relies on.
    """

    name: str
    machine: Machine
    tensors: tuple[Tensor, ...]
    index_maps: tuple[IndexMap, ...]
    kernels: tuple[Kernel, ...]
    epochs: tuple[Epoch, ...]
    origins: tuple[Origin, ...]
    sources: tuple[Source, ...] = ()
    bound: tuple[tuple[str, int], ...] = ()
    """Lower bound on the makespan per resource, in cycles (`compute`, `dram`, ...)."""
