"""One small program per rule of pruning, and the rules broken on purpose, each caught by values."""

from typing import Any

import numpy as np

from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.evaluate import Array
from compiler.numerics.masks import TileMask
from compiler.partition.nest import Nest, ReduceBody, Storage, Workload
from compiler.partition.tiling import tile
from compiler.prune import Mode, PruneOptions, prune
from compiler.prune.check import check
from compiler.prune.solve import forward
from runtime.testing.sparse import call

SIDE = 128
F32 = TensorType((SIDE, SIDE), DType.F32)
LOWER = np.tril(np.ones((4, 4), np.bool_))


class _Program:
    """A matrix `x`, a mask of its lower triangle, and what a test makes of them."""

    def __init__(self, *, finite: bool = False) -> None:
        self.builder = GraphBuilder("rule")
        self.x = self.builder.input("x", F32, finite=finite)
        i, j = self.builder.iota((SIDE, 1), 0), self.builder.iota((1, SIDE), 1)
        self.mask = self.builder.map(call(ScalarOp.GE, DType.BOOL, DType.I32, DType.I32), (i, j))

    def where(self, value: int, other: float) -> int:
        expr = ExprBuilder()
        operands = expr.arg(0, DType.BOOL), expr.arg(1, DType.F32), expr.const(other, DType.F32)
        return self.builder.map(expr.build(expr.op(ScalarOp.WHERE, DType.F32, *operands)), (self.mask, value))

    def gate(self) -> int:
        return self.builder.cast(self.mask, DType.F32)

    def op(self, op: ScalarOp, *values: int) -> int:
        return self.builder.map(call(op, DType.F32, *(DType.F32 for _ in values)), values)

    def done(self, value: int) -> TensorGraph:
        self.builder.output("y", value)
        return self.builder.build()


def _pruned(graph: TensorGraph, **options: Any) -> Workload:
    workload, chosen = tile(graph), PruneOptions(**options)
    pruned = prune(None, workload, chosen)
    check(workload, chosen, pruned)
    return pruned.workload


def _last(workload: Workload) -> Nest:
    return workload.nests[-1]


def _live(nest: Nest) -> Array:
    return np.ones(nest.space, np.bool_) if nest.live is None else nest.live.array


def _storage(workload: Workload, name: str) -> Storage:
    return next(storage for storage in workload.storages if storage.name == name)


def test_where_picks_whatever_the_other_side_is() -> None:
    program = _Program()
    out = _last(_pruned(program.done(program.where(program.op(ScalarOp.EXP, program.x), 0.0))))
    assert (_live(out) == LOWER).all()


def test_zero_times_what_may_be_infinite_is_computed() -> None:
    program = _Program()
    assert _last(_pruned(program.done(program.op(ScalarOp.MUL, program.gate(), program.x)))).live is None


def test_zero_times_finite_is_zero_and_the_promise_is_kept_in_mind() -> None:
    program = _Program(finite=True)
    workload = _pruned(program.done(program.op(ScalarOp.MUL, program.gate(), program.x)))
    assert (_live(_last(workload)) == LOWER).all()
    assert _storage(workload, "x").promised


def test_zero_annihilates_where_the_program_says_so() -> None:
    program = _Program()
    workload = _pruned(program.done(program.op(ScalarOp.MULZ, program.gate(), program.x)))
    assert (_live(_last(workload)) == LOWER).all()
    assert not _storage(workload, "x").promised


def test_a_promise_that_nothing_relies_upon_is_not_asked_for() -> None:
    program = _Program()
    workload = _pruned(program.done(program.where(program.x, 0.0)), assume_finite=True)
    assert not any(storage.promised for storage in workload.storages)


def test_a_sum_leaves_out_zeros() -> None:
    program = _Program()
    summed = program.builder.reduce(ReduceKind.SUM, (1,), program.where(program.x, 0.0))
    assert (_live(_last(_pruned(program.done(summed)))) == LOWER.reshape(4, 1, 4)).all()


def test_a_maximum_leaves_out_minus_infinity_only() -> None:
    for other, left_out in ((-np.inf, True), (0.0, False)):
        program = _Program()
        largest = program.builder.reduce(ReduceKind.MAX, (1,), program.where(program.x, other))
        assert (_last(_pruned(program.done(largest))).live is not None) == left_out


def test_a_product_of_all_leaves_out_ones() -> None:
    program = _Program()
    product = program.builder.reduce(ReduceKind.PROD, (1,), program.where(program.x, 1.0))
    assert (_live(_last(_pruned(program.done(product)))) == LOWER.reshape(4, 1, 4)).all()


def test_a_contraction_leaves_out_zero_tiles_if_the_others_are_finite() -> None:
    for finite in (False, True):
        program = _Program()
        other = program.builder.input("v", F32, finite=finite)
        out = program.builder.contract("mk", "kn", "mn", program.where(program.x, 0.0), other)
        last = _last(_pruned(program.done(out)))
        assert (last.live is not None) == finite
        if finite:
            assert (_live(last) == np.broadcast_to(LOWER[:, None, :], (4, 4, 4))).all()


def test_scores_above_the_diagonal_are_not_computed() -> None:
    program = _Program()
    scores = program.builder.contract("mk", "nk", "mn", program.x, program.x)
    workload = _pruned(program.done(program.where(scores, 0.0)))
    assert [nest.live is not None for nest in workload.nests] == [True] * len(workload.nests)
    assert (_live(workload.nests[-1]).reshape(4, 4, -1)[..., 0] == LOWER).all()


def test_softmax_of_masked_scores_needs_a_finite_maximum() -> None:
    program = _Program()
    hidden = program.where(program.x, -np.inf)
    largest = program.builder.reduce(ReduceKind.MAX, (1,), hidden)
    shares = program.op(ScalarOp.EXP, program.op(ScalarOp.SUB, hidden, largest))
    graph = program.done(shares)
    assert _last(_pruned(graph)).live is None
    workload = _pruned(graph, assume_finite=True)
    assert (_live(_last(workload)) == LOWER).all()
    largest_nest = next(nest for nest in workload.nests if isinstance(nest.body, ReduceBody))
    assert [n for n, s in enumerate(workload.storages) if s.promised] == [largest_nest.out]


def test_minus_zero_stays_where_it_can_be_told() -> None:
    program = _Program()
    one = program.builder.constant(np.ones((1, 1)), DType.F32)
    graph = program.done(program.op(ScalarOp.DIV, one, program.where(program.x, -0.0)))
    assert _pruned(graph).nests[-2].live is None


def test_zero_weights_are_neither_read_nor_multiplied() -> None:
    builder = GraphBuilder("weights")
    x, w = builder.input("x", F32, finite=True), builder.weight("w", F32)
    builder.output("y", builder.contract("mk", "kn", "mn", x, w))
    zero = np.zeros((4, 4), np.bool_)
    zero[:, 0] = zero[2] = True
    workload = _pruned(builder.build(), zeros={"w": TileMask.of(zero)})
    assert (_live(_last(workload)) == np.broadcast_to(~zero.T[None], (4, 4, 4))).all()
    live = _storage(workload, "w").live
    assert live is not None
    assert (live.array == ~zero).all()
    out = _storage(workload, "y").live
    assert out is not None
    assert (out.array == (np.arange(4) > 0)).all()


def test_shifted_zeros_stay_zeros() -> None:
    program = _Program()
    moved = program.builder.window(program.where(program.x, 0.0), (SIDE, SIDE), (-33, 0), ((1, 0), (0, 1)))
    assert not _live(_last(_pruned(program.done(moved))))[0].any()


def test_nothing_is_done_for_a_few_iterations() -> None:
    builder = GraphBuilder("few")
    x = builder.input("x", TensorType((32 * 16, 32), DType.F32))
    builder.output("y", builder.window(x, (32 * 17, 32), (0, 0), ((1, 0), (0, 1))))
    assert prune(None, tile(builder.build())).certificates == ()


def test_without_pruning_nothing_changes() -> None:
    program = _Program()
    workload = tile(program.done(program.where(program.x, 0.0)))
    assert prune(None, workload, PruneOptions(Mode.NONE)).workload is workload


def test_a_result_that_nobody_needs_disappears() -> None:
    builder = GraphBuilder("gone")
    x = builder.input("x", F32)
    zero = builder.constant(np.zeros((SIDE, SIDE)), DType.F32)
    dead = builder.map(
        call(ScalarOp.MULZ, DType.F32, DType.F32, DType.F32), (builder.contract("mk", "nk", "mn", x, x), zero)
    )
    builder.output("y", dead)
    builder.output("z", builder.map(call(ScalarOp.NEG, DType.F32, DType.F32), (x,)))
    workload = _pruned(builder.build())
    assert len(workload.nests) == 1
    out = _storage(workload, "y")
    assert out.producer == -1
    assert out.live is not None
    assert out.live.count == 0


def test_analysis_takes_milliseconds() -> None:
    """Facts that do not vary along an axis are kept once."""
    program = _Program()
    builder = program.builder
    shape = (8, 4096, 4096)
    i, j = builder.iota((1, 4096, 1), 1), builder.iota((1, 1, 4096), 2)
    mask = builder.map(call(ScalarOp.GE, DType.BOOL, DType.I32, DType.I32), (i, j))
    expr = ExprBuilder()
    operands = expr.arg(0, DType.BOOL), expr.arg(1, DType.F32), expr.const(0.0, DType.F32)
    picked = expr.build(expr.op(ScalarOp.WHERE, DType.F32, *operands))
    builder.output("y", builder.map(picked, (mask, builder.input("s", TensorType(shape, DType.F32)))))
    known = forward(tile(builder.build()), PruneOptions())
    assert max(part.size for part in (known.best[-1].low, known.best[-1].high)) == 128 * 128
