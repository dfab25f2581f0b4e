"""Compute with numbers that are known at compile time, in double precision."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TypeAlias

import numpy as np

from compiler.diagnostics import Label, Span
from compiler.frontend.context import Context
from compiler.frontend.values import Number
from compiler.numerics import ScalarOp

_Scalar: TypeAlias = int | float | bool
_LIMIT = 2**53

LOGICAL = frozenset({ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT})
_COMPARED = frozenset({ScalarOp.EQ, ScalarOp.NE})


@cache
def operator_name(op: ScalarOp) -> str:
    """How messages show `op`."""
    return f"`{_SYMBOLS.get(op, op.value)}`"


_SYMBOLS = {
    ScalarOp.ADD: "+",
    ScalarOp.SUB: "-",
    ScalarOp.MUL: "*",
    ScalarOp.DIV: "/",
    ScalarOp.MOD: "%",
    ScalarOp.LT: "<",
    ScalarOp.LE: "<=",
    ScalarOp.GT: ">",
    ScalarOp.GE: ">=",
    ScalarOp.EQ: "==",
    ScalarOp.NE: "!=",
    ScalarOp.NEG: "-",
}


def fold(ctx: Context, op: ScalarOp, numbers: Sequence[_Scalar], span: Span) -> Number:
    """Apply `op`; integers stay integers where the result is one. Raises E0311 and E0312."""
    if op in (ScalarOp.DIV, ScalarOp.MOD) and numbers[1] == 0:
        raise ctx.error("E0312", "division of a number by 0", Label(span))
    if (op in LOGICAL) is not all(isinstance(number, bool) for number in numbers) and op not in _COMPARED:
        wanted = "true or false" if op in LOGICAL else "numbers"
        raise ctx.error("E0311", f"{operator_name(op)} takes {wanted}", Label(span))
    with np.errstate(all="ignore"):
        annihilated = ctx.annihilates and op is ScalarOp.MUL and 0 in numbers
        result = 0 if annihilated else _FOLDS[op](*numbers)
    value: _Scalar = result.item() if isinstance(result, np.generic) else result
    if isinstance(value, int) and abs(value) > _LIMIT:
        raise ctx.error("E0312", "an integer known at compile time exceeds 2^53", Label(span))
    return Number(value)


def _divide(a: _Scalar, b: _Scalar) -> _Scalar:
    exact = isinstance(a, int) and isinstance(b, int) and a % b == 0
    return a // b if exact else a / b


def _whole(function: Callable[[float], float]) -> Callable[[_Scalar], _Scalar]:
    """Round to an integer, which can be an extent; what is not finite stays as it is."""

    def rounded(value: _Scalar) -> _Scalar:
        return int(function(value)) if math.isfinite(value) else value

    return rounded


def _power(a: _Scalar, b: _Scalar) -> _Scalar:
    result = float(np.float64(a) ** np.float64(b))
    integral = isinstance(a, int) and isinstance(b, int) and b >= 0 and abs(result) <= _LIMIT
    return int(result) if integral else result


def _erf(value: _Scalar) -> float:
    return math.erf(value)


_FOLDS: Mapping[ScalarOp, Callable[..., _Scalar | np.generic]] = {
    ScalarOp.ADD: operator.add,
    ScalarOp.SUB: operator.sub,
    ScalarOp.MUL: operator.mul,
    ScalarOp.DIV: _divide,
    ScalarOp.MOD: operator.mod,
    ScalarOp.POW: _power,
    ScalarOp.MIN: min,
    ScalarOp.MAX: max,
    ScalarOp.NEG: operator.neg,
    ScalarOp.ABS: abs,
    ScalarOp.EXP: np.exp,
    ScalarOp.LOG: np.log,
    ScalarOp.SQRT: np.sqrt,
    ScalarOp.TANH: np.tanh,
    ScalarOp.SIN: np.sin,
    ScalarOp.COS: np.cos,
    ScalarOp.ERF: _erf,
    ScalarOp.RSQRT: lambda value: 1 / np.sqrt(np.float64(value)),
    ScalarOp.FLOOR: _whole(np.floor),
    ScalarOp.CEIL: _whole(np.ceil),
    ScalarOp.ROUND: _whole(np.round),
    ScalarOp.SIGN: np.sign,
    ScalarOp.LT: operator.lt,
    ScalarOp.LE: operator.le,
    ScalarOp.GT: operator.gt,
    ScalarOp.GE: operator.ge,
    ScalarOp.EQ: operator.eq,
    ScalarOp.NE: operator.ne,
    ScalarOp.NOT: operator.not_,
    ScalarOp.AND: lambda a, b: a and b,
    ScalarOp.OR: lambda a, b: a or b,
}
