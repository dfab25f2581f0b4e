"""Typed tensor programs drawn at random, and data to feed them.

Programs are built forward, each step applicable to a value that exists, so every draw is a well-formed graph; a flag
per step says whether to go on, values are chosen from the oldest and extents from the smallest, so that a failure
shrinks to a short program on small tensors.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from hypothesis import strategies as st

from compiler.ir import Fed, GraphBuilder, ReduceKind, State, TensorGraph, TensorType, cast_expr
from compiler.ir.rules import Shape
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import round_to
from compiler.numerics.evaluate import TRANSCENDENTAL, Array
from compiler.numerics.expr_check import accepted, result_dtype
from compiler.numerics.fidelity import product_dtype

T = TypeVar("T")
Draw = Callable[[st.SearchStrategy[Any]], Any]

EXTENTS = (1, 2, 3, 4, 7, 31, 32, 33, 64)
RANKS = (2, 1, 3, 2, 0)
DTYPES = (DType.BF16, DType.F32, DType.I32, DType.F32, DType.BF16, DType.BOOL, *DType)
MAX_ELEMENTS = 1 << 13
MAX_STEPS = 12

_UNARY = (ScalarOp.NEG, ScalarOp.ABS, ScalarOp.SQRT, ScalarOp.FLOOR, ScalarOp.CEIL, ScalarOp.ROUND, ScalarOp.SIGN)
_BINARY = (
    *(ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.MIN, ScalarOp.MAX, ScalarOp.DIV, ScalarOp.MOD),
    *(ScalarOp.LT, ScalarOp.LE, ScalarOp.EQ, ScalarOp.NE, ScalarOp.AND, ScalarOp.OR),
)


@st.composite
def graphs(draw: Draw, *, approximate: bool = True, max_steps: int = MAX_STEPS) -> TensorGraph:
    """Well-formed graphs of every kind of operation; `approximate` admits transcendental functions."""
    author = _Author(draw, approximate)
    author.leaf()
    steps = 0
    while steps < max_steps and draw(st.integers(0, 9)) > 0:
        author.step()
        steps += 1
    author.outputs()
    return author.builder.build()


def tensors_for(graph: TensorGraph, seed: int, *, whole: bool) -> dict[str, Array]:
    """A value for every input and weight: whole numbers of at most 3, or normal deviates; integers are small, bools
    fair."""
    generator = np.random.default_rng(seed)
    leaves = [op for op in graph.ops if isinstance(op.kind, Fed)]
    return {op.kind.name: random_tensor(generator, op.type, whole=whole) for op in leaves}  # type: ignore[union-attr]


def random_tensor(generator: np.random.Generator, type: TensorType, *, whole: bool) -> Array:
    if type.dtype is DType.BOOL:
        return generator.integers(0, 2, type.shape).astype(np.bool_)
    if whole or type.dtype.is_integer:
        least = -3 if type.dtype.reach.signed else 0
        return np.asarray(round_to(generator.integers(least, 4, type.shape), type.dtype))
    return np.asarray(round_to(generator.standard_normal(type.shape), type.dtype))


@dataclass
class _Author:
    """Writes one program."""

    draw: Draw
    approximate: bool
    builder: GraphBuilder = field(default_factory=lambda: GraphBuilder("drawn"))
    values: list[int] = field(default_factory=list)

    def pick(self, choices: Sequence[T]) -> T:
        chosen: T = self.draw(st.sampled_from(choices))
        return chosen

    def add(self, value: int) -> int:
        self.values.append(value)
        return value

    def leaf(self, type: TensorType | None = None) -> int:
        """A new input or weight, of any type unless one is given."""
        name = f"v{len(self.values)}"
        chosen = type or TensorType(self.shape(), self.pick(DTYPES))
        make = self.pick((self.builder.input, self.builder.weight, self.builder.state))
        return self.add(make(name, chosen, finite=self.pick((False, True))))

    def shape(self) -> Shape:
        rank = self.pick(RANKS)
        shape: tuple[int, ...] = tuple(self.pick(EXTENTS) for _ in range(rank))
        while int(np.prod(shape)) > MAX_ELEMENTS:
            shape = shape[:-1]
        return shape

    def partner(self, x: int, *, broadcast: bool = True) -> int:
        """A value of the element type of `x` that broadcasts to its shape; a new leaf if there is no other."""
        type = self.builder.type(x)
        known = [v for v in self.values if self.builder.type(v) == type]
        if self.pick((True, False)):
            return self.pick(known)
        shape = tuple(extent if not broadcast or self.pick((True, False)) else 1 for extent in type.shape)
        return self.leaf(TensorType(shape, type.dtype))

    def step(self) -> None:
        x = self.pick((self.values[-1], self.pick(self.values)))
        self.add(self.pick(self.applicable(x))(x))

    def applicable(self, x: int) -> list[Callable[[int], int]]:
        type = self.builder.type(x)
        if type.dtype.is_block:
            return [self.cast, *([self.contract] if len(type.shape) >= 2 else [])]
        moves: list[Callable[[int], int]] = [
            self.unary,
            self.binary,
            self.cast,
            self.where,
            self.reshape,
            self.constant,
        ]
        if type.shape:
            moves += [self.transpose, self.slice, self.iota, self.window]
        if type.shape and type.dtype is not DType.BOOL:
            moves += [self.reduce, self.reduce]
        if len(type.shape) >= 2:
            moves += [self.take]
        if len(type.shape) >= 2 and type.dtype is not DType.BOOL:
            moves += [self.contract, self.contract]
        return moves

    def operations(self, candidates: Sequence[ScalarOp], dtype: DType) -> list[ScalarOp]:
        inexact = [op for op in TRANSCENDENTAL if op.arity == candidates[0].arity] if self.approximate else []
        return [op for op in (*candidates, *inexact) if dtype in accepted(op)]

    def unary(self, x: int) -> int:
        dtype = self.builder.type(x).dtype
        ops = self.operations(_UNARY, dtype) or [ScalarOp.NOT]
        return self.builder.map(_call(self.pick(ops), dtype, dtype), [x])

    def binary(self, x: int) -> int:
        dtype = self.builder.type(x).dtype
        op = self.pick(self.operations(_BINARY, dtype))
        return self.builder.map(_call(op, result_dtype(op, dtype), dtype, dtype), [x, self.partner(x)])

    def cast(self, x: int) -> int:
        return self.builder.map(cast_expr(self.builder.type(x).dtype, self.pick(list(DType))), [x])

    def where(self, x: int) -> int:
        type = self.builder.type(x)
        equal = _call(ScalarOp.EQ, DType.BOOL, type.dtype, type.dtype)
        condition = self.partner(self.add(self.builder.map(equal, [x, self.partner(x)])))
        return self.builder.map(
            _call(ScalarOp.WHERE, type.dtype, DType.BOOL, type.dtype, type.dtype), [condition, x, self.partner(x)]
        )

    def constant(self, x: int) -> int:
        """Combine `x` with a constant, splat or not."""
        type = self.builder.type(x)
        shape = self.pick((type.shape, tuple(1 for _ in type.shape)))
        low = self.pick((0, 1, -2))
        values = np.resize(np.arange(low, low + self.pick((1, 3))), shape)
        value = self.builder.constant(values, type.dtype)
        op = self.pick([op for op in _BINARY if type.dtype in accepted(op)])
        return self.builder.map(_call(op, result_dtype(op, type.dtype), type.dtype, type.dtype), [x, value])

    def iota(self, x: int) -> int:
        shape = self.builder.type(x).shape
        return self.builder.iota(shape, self.pick(range(len(shape))))

    def reduce(self, x: int) -> int:
        rank = len(self.builder.type(x).shape)
        axes = sorted(self.draw(st.sets(st.integers(0, rank - 1), min_size=1)))
        kinds = (ReduceKind.SUM, ReduceKind.MAX, ReduceKind.MIN, ReduceKind.PROD)
        return self.builder.reduce(self.pick(kinds), axes, x)

    def contract(self, x: int) -> int:
        """Multiply by a new leaf; leading axes of `x` are batch axes, missing from the other, or summed."""
        type = self.builder.type(x)
        rank = len(type.shape)
        lead = "abc"[: rank - 2]
        roles = {letter: self.pick(("batch", "left", "summed")) for letter in lead}
        a = lead + self.pick(("mk", "km"))
        extent = dict(zip(a, type.shape, strict=True)) | {"n": self.pick(EXTENTS[:7])}
        b = "".join(c for c in lead if roles[c] != "left") + self.pick(("kn", "nk"))
        out = "".join(c for c in lead if roles[c] != "summed") + "mn"
        types = [dtype for dtype in DType if product_dtype(type.dtype, dtype) is not None]
        other = self.leaf(TensorType(tuple(extent[c] for c in b), self.pick((type.dtype, self.pick(types)))))
        annihilates = type.dtype.is_float and self.pick((False, True))
        return self.builder.contract(a, b, out, x, other, annihilates=annihilates)

    def reshape(self, x: int) -> int:
        shape = self.builder.type(x).shape
        choices = [(int(np.prod(shape)),), (1, *shape)[:4] if len(shape) < 4 else shape, (*shape, 1)[:4]]
        choices += [tuple(extent for extent in shape if extent != 1)]
        return self.builder.reshape(x, self.pick([c for c in choices if np.prod(c) == np.prod(shape)]))

    def transpose(self, x: int) -> int:
        return self.builder.transpose(x, self.draw(st.permutations(range(len(self.builder.type(x).shape)))))

    def slice(self, x: int) -> int:
        starts, stops, steps = [], [], []
        for extent in self.builder.type(x).shape:
            starts.append(self.draw(st.integers(0, extent - 1)))
            stops.append(self.draw(st.integers(starts[-1] + 1, extent)))
            steps.append(self.draw(st.integers(1, 3)))
        return self.builder.slice(x, starts, stops, steps)

    def window(self, x: int) -> int:
        """Affine coordinates of any sign, with overlaps, jumps, diagonals and places outside."""
        rank = len(self.builder.type(x).shape)
        shape = self.shape()
        base = [self.draw(st.integers(-2, extent)) for extent in self.builder.type(x).shape]
        steps = [[self.pick((0, 1, -1, 2)) for _ in shape] for _ in range(rank)]
        return self.builder.window(x, shape, base, steps)

    def take(self, x: int) -> int:
        """Rows by numbers in a row or a column, some of them of no row, for some or all of the matrices."""
        *lead, _, columns = self.builder.type(x).shape
        rows = self.pick([extent for extent in EXTENTS if extent * columns * int(np.prod(lead)) <= MAX_ELEMENTS])
        repeats = tuple(self.pick((extent, 1, 2)[: 3 if extent == 1 else 2]) for extent in lead)
        numbers = (*repeats, *self.pick(((rows, 1), (1, rows))))
        known = [v for v in self.values if self.builder.type(v) == TensorType(numbers, DType.I32)]
        index = self.pick(known) if known else self.leaf(TensorType(numbers, DType.I32))
        return self.builder.take(x, index, rows)

    def outputs(self) -> None:
        """The last value, perhaps some others, and new values of some states."""
        chosen = {self.values[-1], *self.draw(st.sets(st.sampled_from(self.values), max_size=2))}
        for value in sorted(chosen):
            self.builder.output(f"out{value}", value)
        for value in self.values:
            kind, type = self.builder.kind(value), self.builder.type(value)
            if isinstance(kind, State) and self.pick((True, False)):
                self.builder.output(kind.name, self.pick([v for v in self.values if self.builder.type(v) == type]))


def _call(op: ScalarOp, result: DType, *operands: DType) -> Expr:
    builder = ExprBuilder()
    return builder.build(builder.op(op, result, *(builder.arg(k, dtype) for k, dtype in enumerate(operands))))
