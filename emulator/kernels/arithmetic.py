"""Scalar operations on lanes, with the rounding and the corner cases that `compiler.numerics.expr` fixes."""

from collections.abc import Callable, Mapping
from math import nan

from compiler.numerics import DType, ScalarNode, ScalarOp
from compiler.numerics.dtypes import fits, integer_range
from emulator.kernels import functions
from emulator.kernels.formats import narrow
from emulator.kernels.lanes import F32, F64, I1, I32, Lanes, Value, f32, f64, i32, splat, vector

INT_MIN = -(2**31)
INT_MAX = 2**31 - 1

_COMPARE = {
    ScalarOp.LT: "<",
    ScalarOp.LE: "<=",
    ScalarOp.GT: ">",
    ScalarOp.GE: ">=",
    ScalarOp.EQ: "==",
    ScalarOp.NE: "!=",
}

NEVER_ROUNDED = frozenset(
    {
        *(ScalarOp.ARG, ScalarOp.CONST, ScalarOp.NEG, ScalarOp.ABS, ScalarOp.MIN, ScalarOp.MAX, ScalarOp.SIGN),
        *(ScalarOp.FLOOR, ScalarOp.CEIL, ScalarOp.ROUND, ScalarOp.WHERE),
    }
)
"""Operations whose result a float type represents whenever it represents the operands."""


def apply(v: Lanes, node: ScalarNode, args: list[Value], types: list[DType]) -> Value:
    """Emit one step; `types` are the element types of `args`."""
    if node.op is ScalarOp.CAST:
        return cast(v, args[0], types[0], node.dtype)
    if node.op in _COMPARE:
        return _compare(v, node.op, args, types[0])
    if node.op in functions.UNARY:
        result = functions.UNARY[node.op](v, args[0])
    elif types[-1].is_integer:
        result = _INTEGER[node.op](v, *args)
    elif types[-1] is DType.BOOL:
        result = _LOGIC[node.op](v, *args)
    else:
        result = _FLOAT[node.op](v, *args)
    return result if node.dtype.is_float and node.op in NEVER_ROUNDED else narrow(v, result, node.dtype)


def _compare(v: Lanes, op: ScalarOp, args: list[Value], dtype: DType) -> Value:
    if dtype.is_float:
        emit = v.b.fcmp_unordered if op is ScalarOp.NE else v.b.fcmp_ordered
        return emit(_COMPARE[op], *args)
    return v.b.icmp_signed(_COMPARE[op], *args)


def cast(v: Lanes, x: Value, source: DType, target: DType) -> Value:
    """Convert between element types as `round_to` does, integers going to floats through f32.

    A cast to a block type, always the last step, is left to the packing of the result.
    """
    b = v.b
    if target is DType.BOOL:
        return _truth(v, x, source)
    if target.is_integer:
        x = _to_integer(v, x, source, target)
    elif source.is_integer:
        x = b.sitofp(x, vector(F32))
    elif source is DType.BOOL:
        x = b.uitofp(x, vector(F32))
    return x if fits(source, target) else narrow(v, x, target)


def _truth(v: Lanes, x: Value, source: DType) -> Value:
    if source is DType.BOOL:
        return x
    if source.is_integer:
        return v.b.icmp_signed("!=", x, i32(0))
    return v.b.fcmp_unordered("!=", x, f32(0.0))


def _to_integer(v: Lanes, x: Value, source: DType, target: DType) -> Value:
    """i32 lanes; floats saturate at the ends of the range of `target`."""
    b = v.b
    if source.is_integer:
        return x
    if source is DType.BOOL:
        return b.zext(x, vector(I32))
    wide = b.fpext(b.select(v.is_nan(x), f32(0.0), x), vector(F64))
    least, greatest = (f64(float(end)) for end in integer_range(target))
    wide = b.select(b.fcmp_ordered("<", wide, least), least, wide)
    wide = b.select(b.fcmp_ordered(">", wide, greatest), greatest, wide)
    return b.fptosi(wide, vector(I32))


def least(v: Lanes, x: Value, y: Value) -> Value:
    """The smaller float, NaN if either is."""
    first = v.b.or_(v.b.fcmp_ordered("<", x, y), v.is_nan(x))
    return v.b.select(first, x, y)


def greatest(v: Lanes, x: Value, y: Value) -> Value:
    """The larger float, NaN if either is."""
    first = v.b.or_(v.b.fcmp_ordered(">", x, y), v.is_nan(x))
    return v.b.select(first, x, y)


def _float_mod(v: Lanes, x: Value, y: Value) -> Value:
    b = v.b
    rest = b.frem(x, y)
    zero = b.fcmp_ordered("==", rest, f32(0.0))
    differs = b.xor(b.fcmp_ordered("<", rest, f32(0.0)), b.fcmp_ordered("<", y, f32(0.0)))
    moved = b.select(differs, b.fadd(rest, y), rest)
    return b.select(zero, v.intrinsic("llvm.copysign", f32(0.0), y), moved)


def _float_sign(v: Lanes, x: Value) -> Value:
    b = v.b
    result = b.select(b.fcmp_ordered(">", x, f32(0.0)), f32(1.0), f32(0.0))
    result = b.select(b.fcmp_ordered("<", x, f32(0.0)), f32(-1.0), result)
    return b.select(v.is_nan(x), f32(nan), result)


def _floor_divide(v: Lanes, x: Value, y: Value) -> tuple[Value, Value]:
    """Quotient and remainder toward minus infinity; both 0 where `y` is 0."""
    b = v.b
    zero = b.icmp_signed("==", y, i32(0))
    wraps = b.and_(b.icmp_signed("==", x, i32(INT_MIN)), b.icmp_signed("==", y, i32(-1)))
    divisor = b.select(b.or_(zero, wraps), i32(1), y)
    quotient = b.sdiv(x, divisor)
    rest = b.sub(x, b.mul(quotient, divisor))
    below = b.and_(b.icmp_signed("!=", rest, i32(0)), b.icmp_signed("<", b.xor(rest, divisor), i32(0)))
    quotient = b.select(below, b.sub(quotient, i32(1)), quotient)
    rest = b.select(below, b.add(rest, divisor), rest)
    return b.select(zero, i32(0), quotient), b.select(zero, i32(0), rest)


def _integer_sign(v: Lanes, x: Value) -> Value:
    positive = v.b.zext(v.b.icmp_signed(">", x, i32(0)), vector(I32))
    return v.b.or_(v.b.ashr(x, i32(31)), positive)


def _where(v: Lanes, condition: Value, x: Value, y: Value) -> Value:
    return v.b.select(condition, x, y)


def _float_multiply_annihilating(v: Lanes, x: Value, y: Value) -> Value:
    product = v.b.fmul(x, y)
    zero = v.b.or_(v.b.fcmp_ordered("==", x, f32(0.0)), v.b.fcmp_ordered("==", y, f32(0.0)))
    return v.b.select(v.b.and_(zero, v.is_nan(product)), f32(0.0), product)


_FLOAT: Mapping[ScalarOp, Callable[..., Value]] = {
    ScalarOp.ADD: lambda v, x, y: v.b.fadd(x, y),
    ScalarOp.SUB: lambda v, x, y: v.b.fsub(x, y),
    ScalarOp.MUL: lambda v, x, y: v.b.fmul(x, y),
    ScalarOp.MULZ: _float_multiply_annihilating,
    ScalarOp.DIV: lambda v, x, y: v.b.fdiv(x, y),
    ScalarOp.MOD: _float_mod,
    ScalarOp.MIN: least,
    ScalarOp.MAX: greatest,
    ScalarOp.POW: functions.pow_,
    ScalarOp.NEG: lambda v, x: v.b.fneg(x),
    ScalarOp.ABS: lambda v, x: v.intrinsic("llvm.fabs", x),
    ScalarOp.SQRT: lambda v, x: v.intrinsic("llvm.sqrt", x),
    ScalarOp.FLOOR: lambda v, x: v.intrinsic("llvm.floor", x),
    ScalarOp.CEIL: lambda v, x: v.intrinsic("llvm.ceil", x),
    ScalarOp.ROUND: lambda v, x: v.intrinsic("llvm.roundeven", x),
    ScalarOp.SIGN: _float_sign,
    ScalarOp.WHERE: _where,
}

_INTEGER: Mapping[ScalarOp, Callable[..., Value]] = {
    ScalarOp.ADD: lambda v, x, y: v.b.add(x, y),
    ScalarOp.SUB: lambda v, x, y: v.b.sub(x, y),
    ScalarOp.MUL: lambda v, x, y: v.b.mul(x, y),
    ScalarOp.MULZ: lambda v, x, y: v.b.mul(x, y),
    ScalarOp.DIV: lambda v, x, y: _floor_divide(v, x, y)[0],
    ScalarOp.MOD: lambda v, x, y: _floor_divide(v, x, y)[1],
    ScalarOp.MIN: lambda v, x, y: v.b.select(v.b.icmp_signed("<", x, y), x, y),
    ScalarOp.MAX: lambda v, x, y: v.b.select(v.b.icmp_signed(">", x, y), x, y),
    ScalarOp.NEG: lambda v, x: v.b.sub(i32(0), x),
    ScalarOp.ABS: lambda v, x: v.b.select(v.b.icmp_signed("<", x, i32(0)), v.b.sub(i32(0), x), x),
    ScalarOp.SIGN: _integer_sign,
    ScalarOp.WHERE: _where,
}

_LOGIC: Mapping[ScalarOp, Callable[..., Value]] = {
    ScalarOp.AND: lambda v, x, y: v.b.and_(x, y),
    ScalarOp.OR: lambda v, x, y: v.b.or_(x, y),
    ScalarOp.NOT: lambda v, x: v.b.xor(x, splat(I1, 1)),
    ScalarOp.WHERE: _where,
}


def constant(node: ScalarNode) -> Value:
    """The lanes of a `CONST` node."""
    if node.dtype is DType.BOOL:
        return splat(I1, int(bool(node.value)))
    if node.dtype.is_integer:
        return i32(int(node.value))
    return f32(float(node.value))
