"""Interpret scalar expressions over arrays, with the machine's rounding of every step.

Transcendental functions are computed in float64 and rounded to float32: correct to half a unit in the last place, but
for the rarest double rounding. A device may be a few units off; everything else it must match bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from math import erf
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from compiler.numerics.dtypes import DType, round_to
from compiler.numerics.expr import Expr, ScalarNode, ScalarOp

Array: TypeAlias = NDArray[Any]

_erf = np.frompyfunc(erf, 1, 1)


def _erf_array(x: Array) -> Array:
    return np.asarray(_erf(x), dtype=np.float64)


def multiply_annihilating(x: Array, y: Array) -> Array:
    """`x * y`, and 0 where one is 0 and the other is not finite."""
    product = np.multiply(x, y)
    return np.where(np.isnan(product) & ((x == 0) | (y == 0)), np.zeros((), product.dtype), product)


TRANSCENDENTAL: Mapping[ScalarOp, Callable[..., Array]] = {
    ScalarOp.EXP: np.exp,
    ScalarOp.LOG: np.log,
    ScalarOp.RSQRT: lambda x: 1.0 / np.sqrt(x),
    ScalarOp.TANH: np.tanh,
    ScalarOp.ERF: _erf_array,
    ScalarOp.SIN: np.sin,
    ScalarOp.COS: np.cos,
    ScalarOp.POW: np.power,
}
"""The operations that a device computes by approximation, on float64."""

_EXACT: Mapping[ScalarOp, Callable[..., Array]] = {
    ScalarOp.ADD: np.add,
    ScalarOp.SUB: np.subtract,
    ScalarOp.MUL: np.multiply,
    ScalarOp.MULZ: multiply_annihilating,
    ScalarOp.DIV: np.divide,
    ScalarOp.MOD: np.mod,
    ScalarOp.MIN: np.minimum,
    ScalarOp.MAX: np.maximum,
    ScalarOp.NEG: np.negative,
    ScalarOp.ABS: np.abs,
    ScalarOp.SQRT: np.sqrt,
    ScalarOp.FLOOR: np.floor,
    ScalarOp.CEIL: np.ceil,
    ScalarOp.ROUND: np.rint,
    ScalarOp.SIGN: np.sign,
    ScalarOp.LT: np.less,
    ScalarOp.LE: np.less_equal,
    ScalarOp.EQ: np.equal,
    ScalarOp.NE: np.not_equal,
    ScalarOp.GT: np.greater,
    ScalarOp.GE: np.greater_equal,
    ScalarOp.AND: np.logical_and,
    ScalarOp.OR: np.logical_or,
    ScalarOp.NOT: np.logical_not,
    ScalarOp.WHERE: np.where,
}


def evaluate_expr(expr: Expr, operands: Sequence[Array]) -> Array:
    """Return `expr` of `operands`: broadcastable arrays of the NumPy types of the operands' element types."""
    values: list[Array] = []
    for node in expr.nodes:
        if node.op is ScalarOp.ARG:
            values.append(operands[int(node.value)])
        elif node.op is ScalarOp.CONST:
            values.append(constant(node))
        else:
            values.append(apply(node.op, node.dtype, [values[arg] for arg in node.args]))
    return values[-1]


def constant(node: ScalarNode) -> Array:
    """The value of a `CONST` node, of shape `()`."""
    return np.asarray(np.asarray(node.value, np.float64).astype(node.dtype.numpy))


def apply(op: ScalarOp, dtype: DType, args: Sequence[Array]) -> Array:
    """Return one step on arrays of the operands' types; the result has type `dtype`."""
    if op is ScalarOp.CAST:
        return cast(args[0], dtype)
    with np.errstate(all="ignore"):
        wide = [widen(arg) for arg in args]
        if op in TRANSCENDENTAL:
            exact = TRANSCENDENTAL[op](*(arg.astype(np.float64) for arg in wide))
            return cast(np.asarray(exact, np.float32), dtype)
        if op is ScalarOp.DIV and dtype.is_integer:
            return cast(np.asarray(np.floor_divide(*wide)), dtype)
        return cast(np.asarray(_EXACT[op](*wide)), dtype)


def cast(values: Array, dtype: DType) -> Array:
    """Convert as the machine does: `round_to`, integers going to floats through f32."""
    if dtype.is_float and values.dtype.kind in "iu":
        values = values.astype(np.float32)
    kept = values.dtype == dtype.numpy and not dtype.is_block
    return values if kept else np.asarray(round_to(values, dtype))


def widen(values: Array) -> Array:
    """Narrow floats as f32, narrow integers as i32, anything else as it is."""
    wide = _WIDE.get(values.dtype)
    return values if wide is None else values.astype(wide)


_WIDE = {dtype.numpy: dtype.wide.numpy for dtype in DType if dtype.numpy != dtype.wide.numpy}
