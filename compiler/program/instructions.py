"""The instruction set of a core.

A core runs three threads (`Thread`). They meet in circular buffers (cbs) and semaphores, and touch memory only through
the instructions below. Offsets and page numbers are affine in the counters of the enclosing loops, so a program's size
grows with the number of stages, not with the number of tiles.

Circular buffers. A cb is a ring of `capacity` pages of `page_bytes` in L1. `Reserve` and `Push` are for its one
producer thread, `Wait` and `Pop` for its one consumer thread (the same thread may be both). A page operand of a
producer is counted from the write pointer, of a consumer from the read pointer, modulo the ring: pages of one block
need not be contiguous.

Semaphores. Counters at fixed L1 words of a core, zero at the start of an epoch. `SemInc` adds to a semaphore of other
cores (or of this one) through the NoC; `SemWait` blocks until the counter is at least `amount`, then subtracts it. Only
one thread of a core waits for a given semaphore. `Await` blocks, without subtracting, until the owner of a page
of an L1 tensor has announced it (see `ShardPlace.ready`).

NoC. `Read`, `Sense`, `Gather`, `Take`, `Write`, `Multicast` and `SemInc` are asynchronous; `Barrier` blocks until all
that this thread issued has completed: bytes of reads in this core's L1, writes and multicasts and increments
acknowledged. Two packets of one thread on the same NoC to the same core arrive in the order of issue.

Variables and tables. A thread has `VARIABLES` integer variables, 0 at the start of an epoch, and tables of integers
that are part of its program (`Code.tables`). `Fetch` sets a variable to the next value of a table: this is how a
program walks over an irregular set of pages without an instruction for each. Tables are read once, from front to end.

Flags. Every page in a cb carries flags: `zero` (every element is +0 or -0), `finite` (no element is NaN or infinite)
and `dead` (nobody will look at it; it reads as zero). `Pack` sees every element it writes and sets them; pages that
come from DRAM carry none unless they were sensed, pages that a tensor does not store are flagged zero and finite. Flags
travel with pages between cores. A page that is dead, or zero without a -0 (which a division tells from +0), travels as
one header flit. The counts of pages never depend on flags. An image none of whose instructions looks at a flag keeps
none.

Flags in DRAM. A flagged tensor (`Tensor.flagged`) keeps a word of flags per page beside its pages. `Write` writes it;
of a page that could travel as a header it writes nothing else. `Sense` reads it, and lets the next `Read` to the same
page of the cb leave out what would be zeros. Who has not sensed reads in full, and faults where there is nothing.

Registers are flagged zero or dead too. A dead register reads as zero; packing it costs `flag_check` and makes the page
dead, or, with `accumulate`, leaves the page as it is.

Compute. Destination registers (`dst`) hold 32-bit tiles: f32, or i32 (bools as 0 and 1). `Matmul`, `Map`, `Reduce` and
`Fill` write registers; only `Pack` writes L1.
"""

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from compiler.numerics import DType
from compiler.numerics.fidelity import Part
from compiler.target import costs


class Thread(Enum):
    READ = "read"
    WRITE = "write"
    COMPUTE = "compute"


@dataclass(frozen=True, slots=True)
class Affine:
    """`constant + sum(coefficients[d] * counter[d])`, where `counter[0]` belongs to the outermost enclosing loop, plus
    the value of variable `variable` unless that is -1.

    Invariant: no more coefficients than enclosing loops; the last coefficient is not zero.
    """

    constant: int = 0
    coefficients: tuple[int, ...] = ()
    variable: int = -1


ZERO = Affine()

VARIABLES = 16

FLAG_WORD = costs.FLAG_WORD


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a variable of this thread, where a number of pages or iterations is wanted."""

    index: int


Amount: TypeAlias = int | Variable
"""Pages of a cb or iterations of a loop. What a variable holds may be 0; a number is at least 1."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """Set variable `variable` to the next value of table `table`."""

    variable: int
    table: int


@dataclass(frozen=True, slots=True)
class Probe:
    """Set variable `variable` to 0 if page `offset` of `cb` (from the read pointer; waited for) is flagged zero or
    dead, else to 1."""

    variable: int
    cb: int
    offset: Affine


@dataclass(frozen=True, slots=True)
class Reserve:
    """Block until `pages` of the ring are free."""

    cb: int
    pages: Amount


@dataclass(frozen=True, slots=True)
class Push:
    """Hand `pages` to the consumer; they were reserved."""

    cb: int
    pages: Amount


@dataclass(frozen=True, slots=True)
class Wait:
    """Block until `pages` are there (counted from the read pointer)."""

    cb: int
    pages: Amount


@dataclass(frozen=True, slots=True)
class Pop:
    """Free `pages`; they were waited for."""

    cb: int
    pages: Amount


@dataclass(frozen=True, slots=True)
class Read:
    """Read page `page` of `tensor` from where it lives (a DRAM channel or the L1 of its owner) to page `offset` of
    `cb`.

    Reading a page that this core owns goes through its own NIU. So does a page that the tensor does not store
    (`Tensor.live`): it arrives as zeros from this core's own L1. With a `guard`, the number of a variable, nothing is
    read while that variable is 0, and the page is flagged dead.

    If the page of the cb was sensed (see `Sense`), a look at its flags costs `flag_check`; where they say dead, or zero
    without a -0, nothing is read, and the page holds zeros. It keeps the flags that were sensed.
    """

    cb: int
    offset: Affine
    tensor: int
    page: Affine
    noc: int
    guard: int = -1


@dataclass(frozen=True, slots=True)
class Sense:
    """Read the flags of page `page` of a flagged tensor (`Tensor.flagged`) to page `offset` of `cb`, reserved as for
    `Read`.

    One packet of `FLAG_WORD` bytes. They hold for one `Read`, of the same page of the tensor, once a `Barrier` has seen
    them arrive, and until the page of the cb is pushed. Of a page that the tensor does not store, the flags are those
    that a `Read` would give. The page was written, in this call.
    """

    cb: int
    offset: Affine
    tensor: int
    page: Affine
    noc: int


@dataclass(frozen=True, slots=True)
class Gather:
    """Assemble page `page` of the tensor that `index_map` describes, from elements of `tensor`, at page `offset` of
    `cb`.

    Each run of elements that is contiguous in both places is read over the NoC; the core's own loads and stores put it
    at its place. Elements without a source, and elements outside the result, are zero.
    """

    cb: int
    offset: Affine
    tensor: int
    index_map: int
    page: Affine
    noc: int


@dataclass(frozen=True, slots=True)
class Take:
    """Assemble a page at page `offset` of `cb` from rows of `tensor` that are picked by number.

    Row `r` is row `i % 32` of page `page + i // 32 * step`, where `i` is element `r` of the first column (with
    `across`, of the first row) of page `where` of cb `indices`, which holds i32 and was waited for. Rows for which `i`
    is not in `0 ..< extent`, and rows from `rows - 32 * row_tile` on, are zero. Each row is read over the NoC on its
    own and lands in place; the core loads the number of each row of the result, and clears those that are zero.
    """

    cb: int
    offset: Affine
    tensor: int
    page: Affine
    step: int
    extent: int
    indices: int
    where: Affine
    across: bool
    rows: int
    row_tile: Affine
    noc: int


@dataclass(frozen=True, slots=True)
class Write:
    """Write page `offset` of `cb` (from the read pointer) to page `page` of `tensor`, which lives in DRAM.

    If the tensor is flagged, a look at the flags of the page costs `flag_check`, and they are written as a packet of
    `FLAG_WORD` bytes behind the page; where they say dead, or zero without a -0, instead of the page.
    """

    cb: int
    offset: Affine
    tensor: int
    page: Affine
    noc: int


@dataclass(frozen=True, slots=True)
class Multicast:
    """Write `pages` pages of `cb`, from page `offset` after the write pointer, to the same L1 addresses of every
    core of core set `targets` except this one. The pages were reserved and are not yet pushed."""

    cb: int
    offset: Affine
    pages: Amount
    targets: int
    noc: int


@dataclass(frozen=True, slots=True)
class Barrier:
    """Block until everything this thread issued to the NoCs has completed."""


@dataclass(frozen=True, slots=True)
class SemInc:
    """Add `amount` to semaphore `semaphore` of every core of core set `targets`.

    As with `Multicast`, a multicast set leaves this core out; a listed set is served as it is listed.
    """

    semaphore: Affine
    targets: int
    amount: int
    noc: int


@dataclass(frozen=True, slots=True)
class SemWait:
    """Block until this core's `semaphore` is at least `amount`, then subtract it."""

    semaphore: Affine
    amount: int


@dataclass(frozen=True, slots=True)
class Await:
    """Block until page `page` of `tensor`, which lives in L1, has been announced to this core by its owner."""

    tensor: int
    page: Affine


@dataclass(frozen=True, slots=True)
class Fill:
    """Set every element of register `dst` to `value`; `dtype` is f32 or i32."""

    dst: int
    dtype: DType
    value: float | int


@dataclass(frozen=True, slots=True)
class Matmul:
    """Multiply a block of `rows x inner` tiles by one of `inner x columns` tiles, adding to (or, with `clear`,
    replacing) registers `dst ..< dst + rows * columns`, row-major.

    Tile `(i, k)` of the left block is page `a_offset + i * a_row + k * a_inner` of cb `a`; tile `(k, j)` of the right
    block is page `b_offset + k * b_inner + j * b_column` of cb `b`. With `transpose_a`, `transpose_b` each tile is
    transposed as it is unpacked. `dtype` is what the types of both cbs are multiplied as (see
    `compiler.numerics.fidelity`); floats accumulate in f32, in the order of `k` from tile to tile and of the elements
    inside a tile, integers in i32, which wraps. Where it is bf16, only `part_a` of the left and `part_b` of the right
    operand are multiplied.

    Tiles flagged dead contribute nothing; a register to which only dead tiles were added since its `Fill` is dead.
    With `skip_a`, the products of a left tile flagged zero are left out where the right tile is finite, by its flag or
    because its cb is (`CircularBuffer.finite`); likewise `skip_b`. It looks at each tile of a block once, if at all
    (`costs.flags_looked_at`), and each look costs `flag_check`; a dead tile that nobody asks about costs one too. What
    is left costs `costs.live_matmul_cost`.
    With `annihilates` a product of elements of which one is 0 is 0, whatever the other is: no flag `finite` is needed.
    With a `guard`, the number of a variable, all tiles count as dead while that variable is 0, at no cost.
    """

    dst: int
    a: int
    a_offset: Affine
    a_row: int
    a_inner: int
    b: int
    b_offset: Affine
    b_inner: int
    b_column: int
    rows: int
    columns: int
    inner: int
    dtype: DType
    transpose_a: bool
    transpose_b: bool
    clear: bool
    part_a: Part = Part.WHOLE
    part_b: Part = Part.WHOLE
    skip_a: bool = False
    skip_b: bool = False
    annihilates: bool = False
    guard: int = -1


@dataclass(frozen=True, slots=True)
class CbTile:
    """Page `offset` of `cb`, counted from the read pointer."""

    cb: int
    offset: Affine


@dataclass(frozen=True, slots=True)
class DstTile:
    """A destination register."""

    index: int


@dataclass(frozen=True, slots=True)
class Map:
    """Evaluate kernel `kernel` on `operands`, element by element, into register `dst` (which may be an operand).

    Where an operand listed in `zeros` is flagged zero, the result is zero (the compiler has proved it) and is not
    evaluated. With `dead` a dead operand makes the result dead, otherwise it reads as zero. A look at the flags of an
    operand, of those in `zeros` or with `dead` of all, costs `flag_check`. With a `guard`, the number of a variable,
    the result is dead while that variable is 0.
    """

    kernel: int
    dst: int
    operands: tuple[CbTile | DstTile, ...]
    zeros: tuple[int, ...] = ()
    dead: bool = False
    guard: int = -1


@dataclass(frozen=True, slots=True)
class Mask:
    """How much of a tile lies inside a tensor: rows `< rows - 32 * row_tile` and columns `< columns - 32 *
    column_tile`."""

    rows: int
    row_tile: Affine
    columns: int
    column_tile: Affine


class ReduceAxis(Enum):
    ROWS = "rows"
    """Combine the rows of the tile: the result is in row 0."""
    COLUMNS = "columns"
    """Combine the columns of the tile: the result is in column 0."""
    BOTH = "both"
    """The result is in element (0, 0)."""
    NONE = "none"
    """Combine tile with tile, element by element."""


class Combine(Enum):
    SUM = "sum"
    PROD = "prod"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Reduce:
    """Combine register `source`, reduced along `axis`, into register `dst`; elements outside `mask` do not take part.

    `dtype` (f32 or i32) is that of both registers. Elements of `dst` that the axis leaves out are unspecified. A dead
    source, and for a sum a source flagged zero, is left out at the cost of `flag_check`.
    """

    combine: Combine
    axis: ReduceAxis
    dtype: DType
    dst: int
    source: int
    mask: Mask


@dataclass(frozen=True, slots=True)
class Pack:
    """Write register `dst` to page `offset` of `cb` in the cb's element type; elements outside `mask` become zero.

    With `accumulate` the register is added to what the page holds (f32 or i32 cbs only). Without a mask the whole tile
    is written. The register holds values that the cb's type can represent.
    """

    dst: int
    cb: int
    offset: Affine
    accumulate: bool
    mask: Mask | None


@dataclass(frozen=True, slots=True)
class Loop:
    """Repeat up to the matching `End`, `count` times; the counter starts at 0. A variable is read once, at the start,
    and may be 0."""

    count: Amount


@dataclass(frozen=True, slots=True)
class End:
    """Close the innermost loop."""


Instruction: TypeAlias = (
    Fetch
    | Probe
    | Reserve
    | Push
    | Wait
    | Pop
    | Read
    | Sense
    | Gather
    | Take
    | Write
    | Multicast
    | Barrier
    | SemInc
    | SemWait
    | Await
    | Fill
    | Matmul
    | Map
    | Reduce
    | Pack
    | Loop
    | End
)

MAX_LOOP_DEPTH = 8
