"""The tensor graph: what a program computes, before any thought of a machine."""

from dataclasses import dataclass, field
from enum import Enum
from math import prod
from typing import TypeAlias

from compiler.diagnostics import Source, Span
from compiler.ir.hints import Hint
from compiler.numerics import DType, Expr
from compiler.numerics.fidelity import Fidelity


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape and element type; every extent is positive, `()` is a scalar."""

    shape: tuple[int, ...]
    dtype: DType

    @property
    def size(self) -> int:
        return prod(self.shape)

    def __str__(self) -> str:
        return f"{self.dtype.value}[{', '.join(map(str, self.shape))}]"


class ReduceKind(Enum):
    """How a reduction combines; floats accumulate in f32, i32 wraps."""

    SUM = "sum"
    PROD = "prod"
    MAX = "max"
    MIN = "min"


@dataclass(frozen=True, slots=True)
class Input:
    """A tensor that the caller feeds. With `finite` the caller promises that no element is NaN or infinite."""

    name: str
    finite: bool = False


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is fixed before the program runs; `finite` as in `Input`."""

    name: str
    finite: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """A tensor that lives on the device from call to call: its value before this call.

    The output of the same name, if there is one, is its value after the call; without one it stays as it is. With
    `finite` all of its values are promised to be finite.
    """

    name: str
    finite: bool = False


@dataclass(frozen=True, slots=True)
class Constant:
    """A tensor whose bytes are known: row-major, unpadded, of the operation's type. One element means a splat."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Iota:
    """Each element is its index along `axis`, from 0; the type is i32."""

    axis: int


@dataclass(frozen=True, slots=True)
class Map:
    """Elementwise: element `x` of the result is `expr` of element `x` of each input.

    Every input has the rank of the result; an extent of 1 is repeated along that axis. `expr.dtype` is the result's.
    """

    expr: Expr


@dataclass(frozen=True, slots=True)
class Reduce:
    """Combine along `axes` (sorted, kept with extent 1) and finish with `epilogue`.

    Inputs `[0, body_inputs)` are broadcast against each other to the *domain* and combined by `body`, whose type is
    f32 or i32 (`ARG k` is input k). The result has the domain's shape with ones at `axes`. `epilogue` maps `ARG 0`,
    the combined value, and `ARG 1 + k`, input `body_inputs + k` (broadcast to the result), to the result's type.
    An unfused `sum` of bf16 is body `cast(f32, arg0)`, epilogue `cast(bf16, arg0)`.
    """

    kind: ReduceKind
    axes: tuple[int, ...]
    body: Expr
    epilogue: Expr
    body_inputs: int = 1
    epilogue_span: Span | None = field(default=None, compare=False, repr=False)
    """Where the epilogue was asked for, if not where the reduction was: nothing but provenance."""


@dataclass(frozen=True, slots=True)
class Contract:
    """Sum of products over shared indices, then `epilogue`.

    `a`, `b` and `out` name the axes of input 0, input 1 and the result, one lower-case letter per axis, no letter twice
    in one string. The last two axes of `out` are `m` and `n` (tile rows and columns of the result); the last two of
    `a` are `m` and the innermost summed index `k`, in either order; the last two of `b` are `k` and `n`, in either
    order. Any other letter of `out` stands in `a` or `b` or both; any other letter not in `out` is summed and stands
    in both. Inputs 0 and 1 are multiplied as `numerics.fidelity.product_dtype` says: they have the same
    element type, or both are floats that bf16 holds. The sum accumulates in f32 (floats) or i32. Of a product in bf16
    `fidelity` says how much is multiplied; other types know only the highest. With `annihilates` (for
    floats only) a product with a factor 0 is 0, whatever the other factor is.
    `epilogue` maps `ARG 0`, the accumulated f32 or i32 value, and `ARG 1 + k`, input `2 + k` (of the result's rank,
    broadcast to the result), to the result's type.
    Matrix multiplication is `a="mk", b="kn", out="mn"`; scores of attention heads `a="hmk", b="hnk", out="hmn"`.
    """

    a: str
    b: str
    out: str
    epilogue: Expr
    fidelity: Fidelity = Fidelity.HIFI4
    epilogue_span: Span | None = field(default=None, compare=False, repr=False)
    """As in `Reduce`."""
    annihilates: bool = False


@dataclass(frozen=True, slots=True)
class Reshape:
    """Same elements in row-major order, another shape."""


@dataclass(frozen=True, slots=True)
class Transpose:
    """Axis `d` of the result is axis `perm[d]` of the input."""

    perm: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """Element `x` of the result is element `starts + steps * x` of the input; steps are positive."""

    starts: tuple[int, ...]
    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Window:
    """Elements picked by affine coordinates, zero (false) where these lie outside of the input.

    The row-major number of an element of the result is split into digits of the radices `digits`, whose product is
    the size of the result. Coordinate `j` in the input is `base[j] + sum(steps[j][d] * digit[d])`, of any sign.
    """

    digits: tuple[int, ...]
    base: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class Take:
    """Rows picked by numbers that are known only when the program runs.

    Input 0 is `[..., E, D]`, the result `[..., T, D]`, of the same element type. Input 1, of type i32, is `[..., T, 1]`
    or `[..., 1, T]`. All three have the same rank; leading extents of the inputs are those of the result or 1, and then
    repeated. Row `t` of the result is row `i` of input 0, where `i` is number `t` of input 1; it is zero (false) where
    `i` is outside of `0 ..< E`.
    """


Kind: TypeAlias = (
    Input | Weight | State | Constant | Iota | Map | Reduce | Contract | Reshape | Transpose | Slice | Window | Take
)

Fed: TypeAlias = Input | Weight | State
"""What has a name and a value before the program runs."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One value of the graph: what it is, from which values, of which type, and where the source asked for it."""

    id: int
    kind: Kind
    inputs: tuple[int, ...]
    type: TensorType
    span: Span | None = None


@dataclass(frozen=True, slots=True)
class TensorGraph:
    """Operations in topological order.

    Invariants (checked by `verify`):

    - `ops[i].id == i`: an id is an index, so no id map is ever needed;
    - every input id is smaller than the id of its user: the order is a schedule;
    - every extent is positive: a zero-sized tensor never reaches the graph;
    - inputs, weights and states have distinct names;
    - an output with the name of a state has its type;
    - each kind obeys its docstring (arity, shapes, types of expressions);
    - there is at least one output, and output names are distinct;
    - numbers of hints are at least 1 where they count something, at least 0 where they name a place.
    """

    name: str
    ops: tuple[Operation, ...]
    outputs: tuple[tuple[str, int], ...]
    sources: tuple[Source, ...] = ()
    hints: tuple[Hint, ...] = ()
