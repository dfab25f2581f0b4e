"""Programs with something to leave out: masks from positions, gates, paddings, zero weights, attention.

Tensors have several tiles per axis, so that some are wholly masked; inputs hold NaN, infinities, zeros of either
sign and denormals.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from hypothesis import strategies as st

from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.ir.graph import Input, State, Weight
from compiler.numerics import TILE, DType, Expr, ExprBuilder, ScalarOp, TileGrid
from compiler.numerics.dtypes import round_to
from compiler.numerics.evaluate import Array
from compiler.numerics.masks import TileMask
from compiler.partition.nest import Workload
from runtime.testing.strategies import Draw

EXTENTS = (96, 64, 40, 128, 33)
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40, 3e38, -3e38)

T = TypeVar("T")


@st.composite
def sparse_graphs(draw: Draw, *, max_steps: int = 6) -> TensorGraph:
    """Programs on square matrices, some with heads in front, whose steps mask, combine and move them."""
    author = _Author(draw)
    for _ in range(draw(st.integers(2, max_steps))):
        author.values.append(author.step())
    for value in sorted({author.values[-1], author.pick(author.values)}):
        author.builder.output(f"out{value}", value)
    return author.builder.build()


def special_tensors(graph: TensorGraph, seed: int, *, share: float) -> dict[str, Array]:
    """Normal deviates, of which about `share` of the tiles get some special values."""
    generator = np.random.default_rng(seed)
    found = {}
    for op in graph.ops:
        if isinstance(op.kind, Input | Weight | State):
            values = generator.standard_normal(op.type.shape)
            if op.type.dtype.is_float:
                spots = generator.random(op.type.shape) < share * generator.random()
                values = np.where(spots, generator.choice(SPECIAL, op.type.shape), values)
            found[op.kind.name] = np.asarray(round_to(values.astype(np.float32), op.type.dtype))
    return found


def zero_tiles(graph: TensorGraph, tensors: dict[str, Array], seed: int) -> dict[str, TileMask]:
    """Set about half of the tiles of the weights to zero, of either sign; return which."""
    generator = np.random.default_rng(seed)
    found = {}
    for op in graph.ops:
        if isinstance(op.kind, Weight):
            chosen = generator.random(TileGrid(op.type.shape).dims) < 0.5
            wide = np.repeat(np.repeat(chosen, TILE, axis=-2), TILE, axis=-1)
            rows, columns = TileGrid(op.type.shape).matrix_shape[-2:]
            zeros = generator.choice((0.0, -0.0), op.type.shape).astype(op.type.dtype.numpy)
            inside = wide[..., :rows, :columns].reshape(op.type.shape)
            tensors[op.kind.name] = np.where(inside, zeros, tensors[op.kind.name])
            found[op.kind.name] = TileMask.of(chosen)
    return found


_BINARY = (ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.DIV, ScalarOp.MAX, ScalarOp.MIN)
_UNARY = (ScalarOp.EXP, ScalarOp.ABS, ScalarOp.NEG, ScalarOp.SQRT, ScalarOp.RSQRT, ScalarOp.TANH, ScalarOp.SIGN)
_COMPARISONS = (ScalarOp.LE, ScalarOp.LT, ScalarOp.GT, ScalarOp.GE, ScalarOp.EQ, ScalarOp.NE)


def make_finite(workload: Workload, tensors: dict[str, Array]) -> None:
    """Keep the promises of the source: replace what is not finite in inputs that are declared to be."""
    for storage in workload.storages:
        if storage.finite and storage.name in tensors:
            values = tensors[storage.name]
            finite = np.isfinite(values.astype(np.float64))
            tensors[storage.name] = np.where(finite, values, np.ones((), values.dtype))


class _Author:
    """Writes one program; `values` all have one shape and element type."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.builder = GraphBuilder("sparse")
        self.dtype = self.pick((DType.F32, DType.BF16))
        side = self.pick(EXTENTS)
        self.shape: tuple[int, ...] = (*self.pick(((), (), (2,))), side, side)
        self.leaves = 0
        self.values = [self.leaf()]

    def pick(self, choices: Sequence[T]) -> T:
        chosen: T = self.draw(st.sampled_from(choices))
        return chosen

    def leaf(self) -> int:
        self.leaves += 1
        type = TensorType(self.shape, self.dtype)
        if self.pick((True, False)):
            return self.builder.weight(f"v{self.leaves}", type)
        return self.builder.input(f"v{self.leaves}", type, finite=self.pick((False, False, True)))

    def step(self) -> int:
        x = self.pick((self.values[-1], self.pick(self.values)))
        moves = (
            *(self.masked, self.masked, self.gated, self.weighed, self.combined, self.changed, self.product),
            *(self.product, self.normalized, self.reduced, self.turned, self.shifted, self.attention),
        )
        return self.pick(moves)(x)

    def partner(self) -> int:
        return self.pick(self.values) if self.pick((True, False)) else self.leaf()

    def positions(self) -> tuple[int, int]:
        """Row and column numbers, broadcast to a matrix."""
        rank, side = len(self.shape), self.shape[-1]
        lead = (1,) * (rank - 2)
        return self.builder.iota((*lead, side, 1), rank - 2), self.builder.iota((*lead, 1, side), rank - 1)

    def mask(self) -> int:
        """A comparison of shifted, divided or wrapped positions, or two of them."""
        i, j = self.positions()
        expr = ExprBuilder()
        row, column = expr.arg(0, DType.I32), expr.arg(1, DType.I32)
        found = self.compared(expr, row, column)
        if self.pick((True, False)):
            both = self.pick((ScalarOp.AND, ScalarOp.OR))
            found = expr.op(both, DType.BOOL, found, self.compared(expr, row, column))
        if self.pick((False, False, True)):
            found = expr.op(ScalarOp.NOT, DType.BOOL, found)
        return self.builder.map(expr.build(found), (i, j))

    def compared(self, expr: ExprBuilder, row: int, column: int) -> int:
        number = expr.const(self.pick((0, 1, 32, -32, 40, 64)), DType.I32)
        left = expr.op(self.pick((ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MAX, ScalarOp.MIN)), DType.I32, row, number)
        step = expr.const(self.pick((32, 64, 1)), DType.I32)
        if self.pick((False, True)):
            cut = self.pick((ScalarOp.DIV, ScalarOp.MOD))
            left, column = expr.op(cut, DType.I32, left, step), expr.op(cut, DType.I32, column, step)
        elif self.pick((False, False, True)):
            column = number
        return expr.op(self.pick(_COMPARISONS), DType.BOOL, left, column)

    def masked(self, x: int) -> int:
        """`where(mask, f(x), constant)`, either way around."""
        expr = ExprBuilder()
        condition, value = expr.arg(0, DType.BOOL), expr.arg(1, self.dtype)
        if self.pick((True, False)):
            value = expr.op(self.pick(_UNARY), self.dtype, value)
        other = expr.const(self.pick((0.0, 0.0, -np.inf, -0.0, 1.0)), self.dtype)
        sides = (value, other) if self.pick((True, False)) else (other, value)
        return self.builder.map(expr.build(expr.op(ScalarOp.WHERE, self.dtype, condition, *sides)), (self.mask(), x))

    def gated(self, x: int) -> int:
        """Choose between two values by a mask."""
        expr = ExprBuilder()
        condition, a, b = expr.arg(0, DType.BOOL), expr.arg(1, self.dtype), expr.arg(2, self.dtype)
        chosen = expr.build(expr.op(ScalarOp.WHERE, self.dtype, condition, a, b))
        return self.builder.map(chosen, (self.mask(), x, self.partner()))

    def weighed(self, x: int) -> int:
        """Multiply by a mask, perhaps adding something."""
        expr = ExprBuilder()
        gate = expr.op(ScalarOp.CAST, self.dtype, expr.arg(0, DType.BOOL))
        times = self.pick((ScalarOp.MUL, ScalarOp.MUL, ScalarOp.MULZ))
        product = expr.op(times, self.dtype, gate, expr.arg(1, self.dtype))
        if self.pick((True, False)):
            return self.builder.map(expr.build(product), (self.mask(), x))
        total = expr.op(ScalarOp.ADD, self.dtype, product, expr.arg(2, self.dtype))
        return self.builder.map(expr.build(total), (self.mask(), x, self.partner()))

    def combined(self, x: int) -> int:
        op = self.pick(_BINARY)
        return self.builder.map(call(op, self.dtype, self.dtype, self.dtype), (x, self.partner()))

    def changed(self, x: int) -> int:
        return self.builder.map(call(self.pick(_UNARY), self.dtype, self.dtype), (x,))

    def product(self, x: int) -> int:
        head = "h" * (len(self.shape) - 2)
        right = head + self.pick(("kn", "nk"))
        annihilates = self.pick((False, False, True))
        return self.builder.contract(f"{head}mk", right, f"{head}mn", x, self.partner(), annihilates=annihilates)

    def normalized(self, x: int) -> int:
        """Combine with a reduction of itself or of another value."""
        total = self.total(self.pick((x, self.partner())), self.pick(list(ReduceKind)))
        op = self.pick((ScalarOp.SUB, ScalarOp.DIV, ScalarOp.MUL, ScalarOp.MAX))
        return self.builder.map(call(op, self.dtype, self.dtype, self.dtype), (x, total))

    def total(self, x: int, kind: ReduceKind) -> int:
        rank = len(self.shape)
        return self.builder.reduce(kind, self.pick(((rank - 1,), (rank - 2,), (rank - 2, rank - 1), (0,))), x)

    def reduced(self, x: int) -> int:
        """A reduction of something masked, repeated."""
        total = self.total(self.masked(x), self.pick(list(ReduceKind)))
        return self.builder.map(call(ScalarOp.ADD, self.dtype, self.dtype, self.dtype), (total, self.partner()))

    def turned(self, x: int) -> int:
        rank = len(self.shape)
        return self.builder.transpose(x, (*range(rank - 2), rank - 1, rank - 2))

    def shifted(self, x: int) -> int:
        """Move the matrix inside a frame of zeros, or mirror it: tiles come from several others, or none."""
        rank = len(self.shape)
        steps = [[int(axis == d) for d in range(rank)] for axis in range(rank)]
        base = [0] * (rank - 2) + [self.pick((0, -32, -64, 32, 40, -7)) for _ in range(2)]
        if self.pick((False, True)):
            base[-1], steps[-1][-1] = self.shape[-1] - 1, -1
        return self.builder.window(x, self.shape, base, steps)

    def attention(self, x: int) -> int:
        """Scores, a mask, a softmax written in one of several ways, and a product with values."""
        rank, head = len(self.shape), "h" * (len(self.shape) - 2)
        scores = self.builder.contract(f"{head}mk", f"{head}nk", f"{head}mn", x, self.partner())
        mask = self.mask()
        hidden = self.builder.map(_where_else(self.dtype, -np.inf), (mask, scores))
        largest = self.builder.reduce(ReduceKind.MAX, (rank - 1,), hidden)
        shares = self.builder.map(call(ScalarOp.SUB, self.dtype, self.dtype, self.dtype), (hidden, largest))
        shares = self.builder.map(call(ScalarOp.EXP, self.dtype, self.dtype), (shares,))
        if self.pick((True, False)):
            shares = self.builder.map(_where_else(self.dtype, 0.0), (mask, shares))
        total = self.builder.reduce(ReduceKind.SUM, (rank - 1,), shares)
        if self.pick((True, False)):
            shares = self.builder.map(call(ScalarOp.DIV, self.dtype, self.dtype, self.dtype), (shares, total))
        return self.builder.contract(f"{head}mk", f"{head}kn", f"{head}mn", shares, self.partner())


def call(op: ScalarOp, result: DType, *operands: DType) -> Expr:
    """One operation applied to operands of these types."""
    expr = ExprBuilder()
    return expr.build(expr.op(op, result, *(expr.arg(k, dtype) for k, dtype in enumerate(operands))))


def _where_else(dtype: DType, value: float) -> Expr:
    expr = ExprBuilder()
    operands = expr.arg(0, DType.BOOL), expr.arg(1, dtype), expr.const(value, dtype)
    return expr.build(expr.op(ScalarOp.WHERE, dtype, *operands))
