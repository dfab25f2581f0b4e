"""Whatever a scalar operation gives for operands in their intervals lies in the interval of its result."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import integer_range, round_to
from compiler.numerics.evaluate import Array, apply
from compiler.numerics.expr_check import accepted, result_dtype
from runtime.reference.enclosure import Enclosure, enclose_expr

OPS = [op for op in ScalarOp if op.arity > 0 and op is not ScalarOp.CAST]
SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, -2.5, 1e-40, 1e30, -1e30, np.inf, -np.inf)
COUNT = 64
LIMIT = {DType.FP8_E4M3: 400.0}
"""Where a type has no infinities, operands stay away from its end."""


def operand(generator: np.random.Generator, dtype: DType) -> tuple[Enclosure, Array]:
    """Random intervals, and an array of elements that lie in them."""
    if dtype is DType.BOOL:
        ends = np.sort(generator.integers(0, 2, (2, COUNT)), axis=0).astype(np.float64)
    elif dtype.is_integer:
        size = generator.choice([1, integer_range(dtype)[1] // 9])
        least = -9 if dtype.reach.signed else 0
        ends = np.sort(generator.integers(least, 9, (2, COUNT)) * size, axis=0).astype(np.float64)
    else:
        middle = np.where(
            generator.random(COUNT) < 0.5, generator.choice(SPECIAL, COUNT), generator.normal(0, 3, COUNT)
        )
        width = generator.choice([0.0, 1e-6, 0.3, 4.0], (2, COUNT)) * generator.random((2, COUNT))
        middle = np.clip(middle, -LIMIT[dtype], LIMIT[dtype]) if dtype in LIMIT else middle
        near = np.stack([middle - width[0], middle + width[1]]).astype(np.float32)
        ends = (near if dtype.is_block else round_to(near, dtype)).astype(np.float64)
    share = generator.choice([0.0, 1.0, generator.random()], (2, COUNT))
    with np.errstate(invalid="ignore"):
        points = np.where(ends[0] == ends[1], ends[0], ends[0] + share * (ends[1] - ends[0]))
    cast = [inside(point, ends, dtype) for point in points]
    return Enclosure(cast[0], ends[0], ends[1]), cast[1]


def inside(points: Array, ends: Array, dtype: DType) -> Array:
    whole = np.floor(points) if not dtype.is_float else points
    return np.clip(whole.astype(np.float32).astype(np.float64), *ends).astype(dtype.numpy)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.value)
@given(seed=st.integers(0, 10**6), data=st.data())
@settings(max_examples=25, deadline=None)
def test_results_lie_in_the_enclosure(op: ScalarOp, seed: int, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(sorted(accepted(op), key=lambda d: d.value)))
    types = [DType.BOOL, dtype, dtype] if op is ScalarOp.WHERE else [dtype] * op.arity
    check(op, result_dtype(op, dtype), types, np.random.default_rng(seed))


@given(seed=st.integers(0, 10**6), source=st.sampled_from(DType), target=st.sampled_from(DType))
@settings(max_examples=60, deadline=None)
def test_casts_lie_in_the_enclosure(seed: int, source: DType, target: DType) -> None:
    check(ScalarOp.CAST, target, [source], np.random.default_rng(seed))


def check(op: ScalarOp, result: DType, types: list[DType], generator: np.random.Generator) -> None:
    builder = ExprBuilder()
    expr = builder.build(builder.op(op, result, *(builder.arg(k, dtype) for k, dtype in enumerate(types))))
    drawn = [operand(generator, dtype) for dtype in types]
    found = enclose_expr(expr, [enclosure for enclosure, _ in drawn])
    for points in ([enclosure.value for enclosure, _ in drawn], [point for _, point in drawn]):
        value = apply(op, result, points).astype(np.float64)
        unknown = np.isneginf(found.low) & np.isposinf(found.high)
        both_nan = np.isnan(value) & np.isnan(found.low)
        wrong = ~(unknown | both_nan | ((found.low <= value) & (value <= found.high)))
        assert not wrong.any(), [[float(p[wrong][0]) for p in points], value[wrong][0], found.low[wrong][0]]
