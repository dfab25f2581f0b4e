"""Build a tensor graph one operation at a time; every operation is checked when it is added."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from compiler.diagnostics import InternalError, Source, Span
from compiler.ir.graph import (
    Constant,
    Contract,
    Input,
    Iota,
    Kind,
    Map,
    Operation,
    Reduce,
    ReduceKind,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    TensorType,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.hints import Hint
from compiler.ir.rules import accumulator, broadcast, letter_problems, reduced
from compiler.ir.verify import name_problems, verify_operation
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import round_to
from compiler.numerics.fidelity import Fidelity


class GraphBuilder:
    """Collects operations in schedule order.

    Every method that adds an operation returns its id, infers the type of the result and raises `InternalError` when
    the operation breaks a rule of its kind.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._ops: list[Operation] = []
        self._types: list[TensorType] = []
        self._outputs: list[tuple[str, int]] = []

    def add(self, kind: Kind, inputs: Sequence[int], type: TensorType, span: Span | None = None) -> int:
        """Append any operation with the given result type."""
        op = Operation(len(self._ops), kind, tuple(inputs), type, span)
        verify_operation(op, self._types)
        self._ops.append(op)
        self._types.append(type)
        return op.id

    def type(self, value: int) -> TensorType:
        return self._types[value]

    def kind(self, value: int) -> Kind:
        return self._ops[value].kind

    def input(self, name: str, type: TensorType, span: Span | None = None, *, finite: bool = False) -> int:
        return self.add(Input(name, finite), (), type, span)

    def weight(self, name: str, type: TensorType, span: Span | None = None, *, finite: bool = False) -> int:
        return self.add(Weight(name, finite), (), type, span)

    def state(self, name: str, type: TensorType, span: Span | None = None, *, finite: bool = False) -> int:
        """What the device keeps; `output` with the same name gives its next value."""
        return self.add(State(name, finite), (), type, span)

    def constant(self, array: NDArray[np.generic], dtype: DType, span: Span | None = None) -> int:
        """Add the values of `array`, rounded to `dtype`; equal elements are stored once."""
        values = np.ascontiguousarray(round_to(np.asarray(array), dtype))
        data = values.tobytes()
        first = data[: dtype.itemsize]
        type = TensorType(np.shape(array), dtype)
        return self.add(Constant(first if first * type.size == data else data), (), type, span)

    def iota(self, shape: Sequence[int], axis: int, span: Span | None = None) -> int:
        return self.add(Iota(axis), (), TensorType(tuple(shape), DType.I32), span)

    def map(
        self, expr: Expr, inputs: Sequence[int], span: Span | None = None, *, shape: Sequence[int] | None = None
    ) -> int:
        """Apply `expr` elementwise; the result has `shape`, by default the shape that the inputs broadcast to."""
        target = broadcast([self._types[i].shape for i in inputs]) if shape is None else tuple(shape)
        if target is None:
            raise InternalError(f"map: {', '.join(str(self._types[i]) for i in inputs)} do not broadcast")
        return self.add(Map(expr), inputs, TensorType(target, expr.dtype), span)

    def reduce(self, kind: ReduceKind, axes: Sequence[int], x: int, span: Span | None = None) -> int:
        """Combine along `axes`, kept with extent 1, accumulating in f32 or i32; the element type stays that of `x`."""
        source = self._types[x]
        wide = accumulator(source.dtype)
        ordered = tuple(sorted(axes))
        reduce = Reduce(kind, ordered, cast_expr(source.dtype, wide), cast_expr(wide, source.dtype))
        return self.add(reduce, (x,), TensorType(reduced(source.shape, ordered), source.dtype), span)

    def contract(
        self,
        a: str,
        b: str,
        out: str,
        x: int,
        y: int,
        span: Span | None = None,
        *,
        fidelity: Fidelity = Fidelity.HIFI4,
        annihilates: bool = False,
    ) -> int:
        """Sum of products of `x` (axes `a`) and `y` (axes `b`), rounded once to their common element type."""
        for problem in letter_problems(a, b, out):
            raise InternalError(f"contract {a},{b}->{out}: {problem}")
        left, right = self._types[x], self._types[y]
        extents = dict(zip(a + b, left.shape + right.shape, strict=False))
        result = TensorType(tuple(extents.get(letter, 0) for letter in out), left.dtype)
        epilogue = cast_expr(accumulator(left.dtype), left.dtype)
        return self.add(Contract(a, b, out, epilogue, fidelity, annihilates=annihilates), (x, y), result, span)

    def reshape(self, x: int, shape: Sequence[int], span: Span | None = None) -> int:
        return self.add(Reshape(), (x,), TensorType(tuple(shape), self._types[x].dtype), span)

    def transpose(self, x: int, perm: Sequence[int], span: Span | None = None) -> int:
        """Permute axes: axis `d` of the result is axis `perm[d]` of `x`."""
        source = self._types[x]
        if sorted(perm) != list(range(len(source.shape))):
            raise InternalError(f"transpose: {list(perm)} is not a permutation of the axes of {source}")
        return self.add(
            Transpose(tuple(perm)), (x,), TensorType(tuple(source.shape[p] for p in perm), source.dtype), span
        )

    def slice(
        self,
        x: int,
        starts: Sequence[int],
        stops: Sequence[int],
        steps: Sequence[int] | None = None,
        span: Span | None = None,
    ) -> int:
        """Take elements `starts, starts + steps, ...` below `stops` along each axis."""
        strides = tuple(steps) if steps is not None else (1,) * len(starts)
        if any(step < 1 for step in strides):
            raise InternalError(f"slice: steps {list(strides)} are not positive")
        bounds = zip(starts, stops, strides, strict=True)
        shape = tuple(max(0, -(-(stop - start) // step)) for start, stop, step in bounds)
        return self.add(Slice(tuple(starts), strides), (x,), TensorType(shape, self._types[x].dtype), span)

    def window(
        self,
        x: int,
        shape: Sequence[int],
        base: Sequence[int],
        steps: Sequence[Sequence[int]],
        span: Span | None = None,
    ) -> int:
        """Pick elements by affine coordinates of the indices of the result, which has `shape`; zero outside of `x`."""
        kind = Window(tuple(shape), tuple(base), tuple(tuple(row) for row in steps))
        return self.add(kind, (x,), TensorType(tuple(shape), self._types[x].dtype), span)

    def take(self, x: int, index: int, rows: int, span: Span | None = None) -> int:
        """Pick `rows` rows of `x` by the numbers in `index`, which is `[..., rows, 1]` or `[..., 1, rows]`."""
        source, numbers = self._types[x], self._types[index]
        lead = broadcast([source.shape[:-2], numbers.shape[:-2]])
        if lead is None:
            raise InternalError(f"take: the leading axes of {source} and {numbers} do not broadcast")
        return self.add(Take(), (x, index), TensorType((*lead, rows, *source.shape[-1:]), source.dtype), span)

    def cast(self, x: int, dtype: DType, span: Span | None = None) -> int:
        """Convert elementwise; `x` itself when it already has the type."""
        source = self._types[x].dtype
        return x if source is dtype else self.map(cast_expr(source, dtype), (x,), span)

    def output(self, name: str, value: int) -> None:
        self._outputs.append((name, value))

    def build(self, sources: Sequence[Source] = (), hints: Sequence[Hint] = ()) -> TensorGraph:
        """Return the graph; its operations were checked when they were added."""
        graph = TensorGraph(self.name, tuple(self._ops), tuple(self._outputs), tuple(sources), tuple(hints))
        for problem in name_problems(graph):
            raise InternalError(f"build: graph `{graph.name}`: {problem}")
        return graph


def cast_expr(source: DType, target: DType) -> Expr:
    """The expression that converts operand 0; the identity when the types are equal."""
    expr = ExprBuilder()
    operand = expr.arg(0, source)
    return expr.build(operand if source is target else expr.op(ScalarOp.CAST, target, operand))
