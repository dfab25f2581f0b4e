"""What the partitioner is asked to map: operations as loop nests over tiles, and the memory they share.

An operation contributes its index maps (`Access`) and its tile kernel (`Body`); everything about cores, blocks and
transfers is decided later and derived from these.
"""

from dataclasses import dataclass
from typing import TypeAlias

from compiler.diagnostics import Source, Span
from compiler.ir.hints import Hint
from compiler.numerics import DType, Expr, TileGrid
from compiler.numerics.fidelity import Fidelity
from compiler.numerics.masks import TileMask
from compiler.program.image import IndexMap, Role, Spread
from compiler.program.instructions import Combine, ReduceAxis


@dataclass(frozen=True, slots=True)
class Storage:
    """A tensor in memory. `producer` is the nest that writes it, -1 for inputs, weights and constants, and for a result
    of which nothing is live.

    Views that only rename pages (a reshape that keeps the tiles) share their storage.

    Pages outside `live` (over `TileGrid(shape).dims`; None: all are live) read as zeros: either they are zero, or no
    live iteration of any nest uses them. `finite`: no element is NaN or infinite; `promised` if that is assumed rather
    than proved, and relied upon, so that it has to be checked at run time. `flagged`: where it goes through DRAM, the
    flags of its pages are kept there, since much of it may be switched off.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    role: Role
    producer: int
    data: bytes = b""
    live: TileMask | None = None
    finite: bool = False
    promised: bool = False
    flagged: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """Iteration `t` (one tile coordinate per axis of the space) uses page `offset + sum(strides[d] * t[d])` of
    `storage`."""

    storage: int
    strides: tuple[int, ...]
    spread: Spread = Spread.NONE
    offset: int = 0


@dataclass(frozen=True, slots=True)
class MapBody:
    """`ARG k` of `expr` is operand `k`."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class ReduceBody:
    """`body` over operands `[0, body_operands)` is combined along the reduced axes; `epilogue` as in `ir.Reduce`.

    `axis` is what happens inside a tile. `rows` and `columns` are the extents of the domain in elements; `row_axis` and
    `column_axis` are the axes of the space that count its tile rows and columns.
    """

    combine: Combine
    axis: ReduceAxis
    body: Expr
    epilogue: Expr
    body_operands: int
    rows: int
    row_axis: int
    columns: int
    column_axis: int


@dataclass(frozen=True, slots=True)
class ContractBody:
    """Operands 0 and 1 are multiplied tile by tile; `epilogue` and `annihilates` as in `ir.Contract`. The last reduced
    axis is the inner one."""

    dtype: DType
    transpose_a: bool
    transpose_b: bool
    epilogue: Expr
    fidelity: Fidelity
    annihilates: bool = False


@dataclass(frozen=True, slots=True)
class GatherBody:
    """Elements of operand 0's storage, picked by `index_map`: for moves that do not respect tiles."""

    index_map: IndexMap


@dataclass(frozen=True, slots=True)
class TakeBody:
    """Row `t` of a page of the result is row `i` of the matrix that operand 1 names, zero if `i` is outside of
    `0 ..< extent`; `i` is element `t` of the first row (with `across`) or column of the page that operand 0 names.

    Operand 1's strides walk over leading axes and tile columns; a tile row further down is `step` pages further on.
    """

    extent: int
    step: int
    across: bool


Body: TypeAlias = MapBody | ReduceBody | ContractBody | GatherBody | TakeBody


@dataclass(frozen=True, slots=True)
class Nest:
    """One operation: for every tile of the result, combine over the reduced axes.

    The space has the axes of the result's `TileGrid` (the last two are tile rows and columns), then the `reduced` ones
    (extents in tiles). Strides of operands that only the epilogue uses are 0 along reduced axes. `finish_span` is where
    the epilogue was asked for; it equals `span` unless another line of the source was fused in. `hint` is what the
    source asks of the mapping, all statements that the nest belongs to taken together.

    `live` (over the space; None: all) holds the iterations that may contribute to a live page of the result. Every
    page outside the result's `live` has no live iteration; a live page may have none, and is then what the epilogue
    makes of the neutral element.

    Where the page of operand `guard` (-1: none) is flagged zero at run time, the iterations of a tile of the result
    need not be done. A nest with `dead` belongs to a region that its results leave only for such places: it answers a
    dead operand, or a zero guard, with a dead page; its guard, if it has one, is the last operand and serves for
    nothing else. Without `dead` the tile is finished as usual, from accumulators to which nothing was added.
    """

    name: str
    span: Span | None
    finish_span: Span | None
    out: int
    shape: tuple[int, ...]
    reduced: tuple[int, ...]
    operands: tuple[Access, ...]
    body: Body
    hint: Hint | None = None
    live: TileMask | None = None
    guard: int = -1
    dead: bool = False

    @property
    def kernel_operands(self) -> int:
        """Operands `[0, n)` are what the body and the epilogue use."""
        return len(self.operands) - (self.dead and self.guard >= 0)

    @property
    def buffered_operands(self) -> int:
        """Operands `[0, n)` come through circular buffers; elements of the others are picked where these lie, which
        is in DRAM."""
        match self.body:
            case GatherBody():
                return 0
            case TakeBody():
                return 1
            case _:
                return len(self.operands)

    @property
    def out_dims(self) -> tuple[int, ...]:
        return TileGrid(self.shape).dims

    @property
    def space(self) -> tuple[int, ...]:
        return self.out_dims + self.reduced

    @property
    def looped_operands(self) -> int:
        """Operands `[0, n)` are used in every iteration, the others once per tile of the result."""
        match self.body:
            case ContractBody():
                return 2
            case ReduceBody(body_operands=count):
                return count
            case _:
                return len(self.operands)


@dataclass(frozen=True, slots=True)
class Workload:
    """Nests in topological order: a nest reads only storages without producer or of earlier nests.

    With `dynamic`, what is zero at run time is left out where flags of pages tell.
    """

    name: str
    storages: tuple[Storage, ...]
    nests: tuple[Nest, ...]
    sources: tuple[Source, ...]
    dynamic: bool = False
