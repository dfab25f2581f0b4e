"""Which nests a gate guards, and which it must not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.frontend import load, lower
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.dependence import needed
from compiler.numerics.evaluate import evaluate_expr
from compiler.partition.nest import Nest, Workload
from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.prune.gates import guard

_HEAD = "dim M = 128, D = 64, E = 4, F = 96\n"
_SIGNATURE = "x: input f32[M, D], s: input f32[E, M, 1], w1: weight f32[E, D, F], w2: weight f32[E, F, D]"
_EXPERTS = """
    h[e, m, f] = sum(d) x[m, d] * w1[e, d, f]
    y[e, m, d] = sum(f) silu(h[e, m, f]) * w2[e, f, d]
"""


def _guarded(body: str, result: str = "f32[E, M, D]") -> Workload:
    text = f"{_HEAD}program p({_SIGNATURE}) -> {result} {{{_EXPERTS}{body}\n}}\n"
    module = load(text, "gates.mesh")
    return guard(tile(run_pipeline(lower(module, "p", {}))))


def _by_inputs(workload: Workload, name: str) -> Nest:
    """The nest that reads the weight `name`."""
    number = next(n for n, storage in enumerate(workload.storages) if storage.name == name)
    return next(nest for nest in workload.nests if any(access.storage == number for access in nest.operands))


@pytest.mark.parametrize(
    "exit",
    [
        "return where(g != 0.0, g * y, 0.0)",
        "return where(g != 0.0, y / g, 0.0)",
        "return where(g > 0.0, exp(y), 1.0)",
        "return where(g != 1.0, y, 0.0)",  # the comparison is the gate
    ],
)
def test_what_a_gate_makes_unnecessary_is_guarded(exit: str) -> None:
    workload = _guarded(f"g = relu(s)\n    {exit}")
    entry = _by_inputs(workload, "w1")
    assert entry.dead
    assert entry.guard == len(entry.operands) - 1 == entry.kernel_operands
    gate = entry.operands[entry.guard]
    assert gate.strides == (4, 1, 0, 0), "page (e, m) of the gate guards tiles (e, m, any f)"
    maker = workload.storages[gate.storage].producer
    assert 0 <= maker < workload.nests.index(entry), "the gate is known before what it guards"
    assert not _by_inputs(workload, "w2").dead, "the exit answers with values"


@pytest.mark.parametrize(
    "exit",
    [
        "return g * y",  # 0 * inf is NaN
        "return where(g != 0.0, y, -y)",
        "return where(g == 1.0, 0.0, y)",
        "return g + y",
    ],
)
def test_nothing_is_guarded_whose_value_matters(exit: str) -> None:
    workload = _guarded(f"g = relu(s)\n    {exit}")
    assert all(nest.guard < 0 and not nest.dead for nest in workload.nests)


def test_products_that_zero_annihilates_need_no_where() -> None:
    text = f"semantics zero_annihilates\n{_HEAD}program p({_SIGNATURE}) -> f32[E, M, D] {{{_EXPERTS}\n"
    module = load(text + "    g = relu(s)\n    return g * y\n}\n", "gates.mesh")
    workload = guard(tile(run_pipeline(lower(module, "p", {}))))
    assert _by_inputs(workload, "w1").dead


def test_what_somebody_else_reads_is_not_in_the_region() -> None:
    workload = _guarded("g = relu(s)\n    return where(g != 0.0, y, 0.0), y", "(f32[E, M, D], f32[E, M, D])")
    assert not any(nest.dead for nest in workload.nests)
    workload = _guarded("g = relu(s)\n    return where(g != 0.0, y, 0.0), sum(h)", "(f32[E, M, D], f32)")
    assert not _by_inputs(workload, "w1").dead


def test_a_gate_that_depends_on_the_region_guards_nothing() -> None:
    workload = _guarded("g = relu(mean(h, axis=2, keepdims=true))\n    return where(g != 0.0, y, 0.0)")
    assert not _by_inputs(workload, "w1").dead


def test_a_page_that_meets_several_gates_is_not_guarded() -> None:
    text = """
program p(x: input f32[64, 64], w: weight f32[64, 64], s: input f32[64, 1], v: weight f32[64, 64]) -> f32[64, 64] {
    a = x @ w
    g = relu(s)
    b = v @ a
    return where(g != 0.0, b, 0.0)
}
"""
    workload = guard(tile(run_pipeline(lower(load(text, "gates.mesh"), "p", {}))))
    assert not _by_inputs(workload, "w").dead, "every row of `b` needs all of `a`"
    assert _by_inputs(workload, "v").guard >= 0
    assert not _by_inputs(workload, "v").dead


_OPS = (ScalarOp.ADD, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.MAX, ScalarOp.DIV)


@st.composite
def _expressions(draw: st.DrawFn) -> Expr:
    builder = ExprBuilder()
    values = [builder.arg(k, DType.F32) for k in range(3)] + [builder.const(0.0, DType.F32)]
    for _ in range(draw(st.integers(1, 5))):
        a, b = draw(st.sampled_from(values)), draw(st.sampled_from(values))
        if draw(st.booleans()):
            values.append(builder.op(draw(st.sampled_from(_OPS)), DType.F32, a, b))
        else:
            compared = draw(st.sampled_from((ScalarOp.NE, ScalarOp.EQ, ScalarOp.GT)))
            condition = builder.op(compared, DType.BOOL, draw(st.sampled_from(values)), values[3])
            values.append(builder.op(ScalarOp.WHERE, DType.F32, condition, a, b))
    return builder.build(values[-1])


_ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 1.0, -2.5], np.float32)


@given(_expressions(), st.sampled_from([0.0, -0.0]), st.integers(0, 2**16))
def test_what_is_not_needed_changes_nothing_but_the_sign_of_zero(expr: Expr, zero: float, seed: int) -> None:
    used = needed(expr, frozenset({0}))
    generator = np.random.default_rng(seed)
    fixed = [np.full(64, zero, np.float32), *generator.choice(_ODD, (2, 64))]
    changed = [x if k == 0 or k in used else generator.choice(_ODD, 64) for k, x in enumerate(fixed)]
    before, after = evaluate_expr(expr, fixed), evaluate_expr(expr, changed)
    np.testing.assert_array_equal(before, after)
