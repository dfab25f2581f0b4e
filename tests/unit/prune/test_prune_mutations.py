"""Every rule of the analysis, broken on purpose, is caught: a claim fails on values, or an output changes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.numerics import TILE, DType, ScalarOp, TileGrid
from compiler.numerics.evaluate import Array
from compiler.numerics.expr import COMPARISONS
from compiler.partition.nest import Workload
from compiler.partition.tiling import tile
from compiler.program.image import Role
from compiler.program.instructions import Combine
from compiler.prune import PruneOptions, demand, forward, intervals, prune, signs
from compiler.prune.facts import Facts
from compiler.prune.solve import forward as analyze
from runtime.testing.nests import inside, run
from runtime.testing.sparse import call

SIDE = 2 * TILE
F32 = TensorType((SIDE, SIDE), DType.F32)
SPREAD = np.linspace(0.5, 2.0, SIDE * SIDE).reshape(SIDE, SIDE)
ONES = np.ones((SIDE, SIDE), np.float32)


def _sound(graph: TensorGraph, tensors: dict[str, Array]) -> bool:
    """Whether all that is claimed holds of the values, and pruning changes no output."""
    workload = tile(graph)
    known, pages = analyze(workload, PruneOptions()).proven, run(workload, tensors)
    found = zip(known, pages, workload.storages, strict=True)
    claims = all(_claim(facts, values, storage.shape) for facts, values, storage in found)
    pruned = prune(None, workload).workload
    return claims and _outputs(workload, pages, _outputs(pruned, run(pruned, tensors), None)) is not None


def _claim(facts: Facts, values: Array, shape: tuple[int, ...]) -> bool:
    tiles = values.astype(np.float64).reshape(*TileGrid(shape).dims, TILE, TILE)
    low, high, nan = (part[..., None, None] for part in (facts.low, facts.high, facts.nan))
    held = np.where(np.isnan(tiles), nan, (tiles >= low) & (tiles <= high))
    return bool((held | ~inside(shape).reshape(tiles.shape)).all())


def _outputs(workload: Workload, pages: Sequence[Array], same: dict[str, Array] | None) -> dict[str, Array] | None:
    """The outputs; None if they differ from `same`."""
    found = {s.name: values for s, values in zip(workload.storages, pages, strict=True) if s.role is Role.OUTPUT}
    if same is not None and not all(np.array_equal(found[name], same[name], equal_nan=True) for name in found):
        return None
    return found


def _scalar(op: ScalarOp) -> TensorGraph:
    """The operation on numbers of both sides of 1, or on truths."""
    builder = GraphBuilder("scalar")
    if op in (ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT):
        source = result = DType.BOOL
        leaves = [builder.constant(np.arange(SIDE * SIDE).reshape(SIDE, SIDE) % k == 0, DType.BOOL) for k in (2, 3)]
    else:
        other = np.where(np.eye(SIDE, dtype=np.bool_), SPREAD, SPREAD[::-1] + 0.25)
        source, result = DType.F32, DType.BOOL if op in COMPARISONS else DType.F32
        leaves = [builder.constant(values, DType.F32) for values in (SPREAD, other)]
    operands = leaves[: op.arity]
    if op is ScalarOp.WHERE:
        operands = [builder.constant(np.eye(SIDE, dtype=np.bool_), DType.BOOL), *leaves]
    if op is ScalarOp.CAST:
        result = DType.I32
    types = [DType.BOOL, source, source] if op is ScalarOp.WHERE else [source] * op.arity
    builder.output("y", builder.map(call(op, result, *types), operands))
    return builder.build()


def _far(args: Sequence[Facts], dtype: DType) -> intervals.Range:
    """Bounds that values do not keep."""
    far = np.full(args[-1].low.shape, -1000.0 if dtype.is_float else 0.0)
    return far, far, np.zeros(far.shape, np.bool_)


@pytest.mark.parametrize("op", list(intervals.RULES), ids=lambda op: op.value)
def test_broken_bounds_are_caught(op: ScalarOp, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _sound(_scalar(op), {})
    monkeypatch.setitem(intervals.RULES, op, _far)
    assert not _sound(_scalar(op), {})


class _Case:
    """A matrix of numbers below zero and NaN, and a mask that is false in the upper right tile."""

    def __init__(self) -> None:
        self.builder = GraphBuilder("case")
        self.x = self.builder.input("x", F32)
        lower = np.kron(np.tril(np.ones((2, 2))), np.ones((TILE, TILE)))
        self.mask = self.builder.constant(lower, DType.BOOL)

    def where(self, value: int, other: float) -> int:
        constant = self.builder.constant(np.full((1, 1), other), DType.F32)
        return self.builder.map(_WHERE, (self.mask, value, constant))

    def op(self, op: ScalarOp, *values: int) -> int:
        return self.builder.map(call(op, DType.F32, *(DType.F32 for _ in values)), values)

    def done(self, value: int) -> TensorGraph:
        self.builder.output("y", value)
        return self.builder.build()


_WHERE = call(ScalarOp.WHERE, DType.F32, DType.BOOL, DType.F32, DType.F32)
_SPECIAL = np.where(SPREAD > 1.9, np.nan, -SPREAD)
_SPECIAL[3, SIDE - 1], _SPECIAL[7, SIDE - 2] = np.inf, np.nan
_VALUES = {"x": _SPECIAL.astype(np.float32)}


def _products() -> TensorGraph:
    case = _Case()
    return case.done(case.builder.contract("mk", "kn", "mn", case.where(case.x, 0.0), case.x))


def _largest() -> TensorGraph:
    case = _Case()
    return case.done(case.builder.reduce(ReduceKind.MAX, (1,), case.where(case.op(ScalarOp.ABS, case.x), 1000.0)))


def _gated() -> TensorGraph:
    """`gate * -x`: where the gate is zero, x may be infinite all the same."""
    case = _Case()
    return case.done(case.op(ScalarOp.MUL, case.op(ScalarOp.NEG, case.x), case.builder.cast(case.mask, DType.F32)))


def _infinite() -> TensorGraph:
    """`gate * infinity`."""
    case = _Case()
    far = case.builder.constant(np.where(SPREAD > 0.5, np.inf, 1.0), DType.F32)
    return case.done(case.op(ScalarOp.MUL, far, case.builder.cast(case.mask, DType.F32)))


def _total() -> TensorGraph:
    case = _Case()
    return case.done(case.builder.reduce(ReduceKind.SUM, (1,), case.where(case.x, 1.0)))


def _picked() -> TensorGraph:
    case = _Case()
    return case.done(case.where(case.op(ScalarOp.EXP, case.x), 0.0))


def _reciprocal() -> TensorGraph:
    case = _Case()
    one = case.builder.constant(np.ones((1, 1)), DType.F32)
    return case.done(case.op(ScalarOp.DIV, one, case.where(case.x, -0.0)))


def _moved() -> TensorGraph:
    case = _Case()
    return case.done(case.builder.window(case.where(case.x, 0.0), (SIDE, SIDE), (-33, 0), ((1, 0), (0, 1))))


def _moved_part() -> TensorGraph:
    case = _Case()
    moved = case.builder.window(case.op(ScalarOp.NEG, case.x), (SIDE, SIDE), (-1, 0), ((1, 0), (0, 1)))
    return case.done(case.where(moved, 0.0))


def _nobody(*args: Any) -> Any:
    return np.zeros((1, 1), np.bool_)


Broken = tuple[Callable[[], TensorGraph], Callable[[pytest.MonkeyPatch], None]]

BROKEN: dict[str, Broken] = {
    "a zero factor needs a finite one": (
        _products,
        lambda patch: patch.setattr(forward, "skipped_products", lambda a, b, annihilates: a.zero | b.zero),
    ),
    "a zero times anything may be NaN": (
        _infinite,
        lambda patch: patch.setitem(intervals.RULES, ScalarOp.MUL, intervals.RULES[ScalarOp.MULZ]),
    ),
    "NaN is handed on": (_gated, lambda patch: patch.setattr(intervals, "QUIET", frozenset(ScalarOp))),
    "what a maximum starts from": (
        _largest,
        lambda patch: patch.setitem(forward.NEUTRAL, (Combine.MAX, True), 1000.0),
    ),
    "what a sum starts from": (
        _total,
        lambda patch: patch.setitem(forward.NEUTRAL, (Combine.SUM, True), 1.0),
    ),
    "a maximum is no minimum": (
        _largest,
        lambda patch: patch.setitem(
            forward.COMBINED,
            Combine.MAX,
            lambda nest, body, term, skip: Facts.within(0.0, 1.0, len(nest.out_dims)),
        ),
    ),
    "the side that is picked is needed": (
        _picked,
        lambda patch: patch.setitem(
            demand.IDLE, ScalarOp.WHERE, lambda args, sign: (np.asarray(False), args[0].low == 1, args[0].high == 0)
        ),
    ),
    "-0 has another reciprocal": (_reciprocal, lambda patch: patch.setattr(signs, "TELLS", {})),
    "elements of a gather come from where it says": (
        _moved,
        lambda patch: patch.setattr(forward, "relation", lambda index_map, shape: (np.array([3]), np.array([3]))),
    ),
    "a gather needs its source": (_moved_part, lambda patch: patch.setattr(demand, "gathered", _nobody)),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules_are_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program, break_it = BROKEN[name]
    assert _sound(program(), _VALUES)
    break_it(monkeypatch)
    assert not _sound(program(), _VALUES)
