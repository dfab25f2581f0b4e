"""Transcendental functions of f32 lanes, without branches or library calls.

All of them work in f64 and round once to f32, so results are within 0.5001 units in the last place (pow: 0.51), with
the limits that IEEE 754 names for zeros, infinities and NaN. Series are Taylor's, cut where the rest is below 1e-13 of
the result; that of erf is a Chebyshev interpolation.
"""

from collections.abc import Callable, Mapping
from math import factorial, inf, log, nan, pi

from llvmlite import ir

from compiler.numerics import ScalarOp
from emulator.kernels.lanes import F32, F64, I1, I32, I64, LANES, Lanes, Value, f32, f64, splat, vector

LN2_HIGH = 0.6931471805582987
"""ln 2 to 37 bits: its product with the exponent of any float is exact."""
LN2_LOW = 1.6465949582897082e-12
HALF_PI_HIGH = 1.5707963267948966
HALF_PI_MIDDLE = 6.123233995736766e-17
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
FRACTION_BITS = 52
EXPONENT_BIAS = 1023


def _wide(v: Lanes, x: Value) -> Value:
    return v.b.fpext(x, vector(F64))


def _narrow(v: Lanes, x: Value) -> Value:
    return v.b.fptrunc(x, vector(F32))


def _clamp(v: Lanes, x: Value, low: float, high: float) -> Value:
    """NaN stays NaN."""
    x = v.b.select(v.b.fcmp_ordered("<", x, f64(low)), f64(low), x)
    return v.b.select(v.b.fcmp_ordered(">", x, f64(high)), f64(high), x)


def _power_of_two(v: Lanes, n: Value) -> Value:
    """2**n for whole n in f64 lanes; NaN counts as 0."""
    whole = v.b.fptosi(v.b.select(v.is_nan(n), f64(0.0), n), vector(I64))
    biased = v.b.add(whole, splat(I64, EXPONENT_BIAS))
    return v.bits(v.b.shl(biased, splat(I64, FRACTION_BITS)), F64)


def _exp64(v: Lanes, x: Value) -> Value:
    x = _clamp(v, x, -700.0, 700.0)
    n = v.intrinsic("llvm.roundeven", v.b.fmul(x, f64(1.0 / log(2.0))))
    r = v.fma(n, f64(-LN2_HIGH), x)
    r = v.fma(n, f64(-LN2_LOW), r)
    series = v.polynomial(r, [1.0 / factorial(k) for k in range(11, -1, -1)])
    return v.b.fmul(series, _power_of_two(v, n))


def _log64(v: Lanes, x: Value) -> Value:
    """Of positive, finite, normal f64 lanes."""
    b = v.b
    bits = v.bits(x, I64)
    exponent = b.ashr(b.sub(bits, splat(I64, SQRT_HALF_BITS)), splat(I64, FRACTION_BITS))
    mantissa = v.bits(b.sub(bits, b.shl(exponent, splat(I64, FRACTION_BITS))), F64)
    s = b.fdiv(b.fsub(mantissa, f64(1.0)), b.fadd(mantissa, f64(1.0)))
    z = b.fmul(s, s)
    series = v.polynomial(z, [2.0 / k for k in range(17, 0, -2)])
    return v.fma(b.sitofp(exponent, vector(F64)), f64(log(2.0)), b.fmul(s, series))


def exp(v: Lanes, x: Value) -> Value:
    return _narrow(v, _exp64(v, _wide(v, x)))


def log_(v: Lanes, x: Value) -> Value:
    b = v.b
    wide = _wide(v, x)
    usable = b.and_(b.fcmp_ordered(">", wide, f64(0.0)), b.fcmp_ordered("<", wide, f64(inf)))
    result = _narrow(v, _log64(v, b.select(usable, wide, f64(1.0))))
    limit = b.select(b.fcmp_ordered("==", x, f32(0.0)), f32(-inf), x)
    limit = b.select(b.fcmp_ordered("<", x, f32(0.0)), f32(nan), limit)
    return b.select(usable, result, limit)


def rsqrt(v: Lanes, x: Value) -> Value:
    return _narrow(v, v.b.fdiv(f64(1.0), v.intrinsic("llvm.sqrt", _wide(v, x))))


def tanh(v: Lanes, x: Value) -> Value:
    b = v.b
    wide = _wide(v, x)
    z = b.fmul(wide, wide)
    near = b.fmul(wide, v.polynomial(z, [62 / 2835, -17 / 315, 2 / 15, -1 / 3, 1.0]))
    e = _exp64(v, b.fmul(f64(2.0), _clamp(v, wide, -20.0, 20.0)))
    far = b.fdiv(b.fsub(e, f64(1.0)), b.fadd(e, f64(1.0)))
    is_near = b.fcmp_ordered("<", z, f64(0.05**2))
    return _narrow(v, b.select(is_near, near, far))


ERF_END = 4.0
"""erf rounds to 1 in f32 from 3.92 on."""
# Chebyshev coefficients of erf(sqrt(u)) / sqrt(u) over 0 <= u <= 16, from the series at 30 nodes in 60 digits.
ERF = (
    0.48591295690286307,
    -0.3454078550049498,
    0.16182910121364605,
    -0.07648275610550889,
    0.03466993680050752,
    -0.014811864147814756,
    0.005922937956232048,
    -0.0022118406588101133,
    0.000771415427840231,
    -0.0002515965878094944,
    7.688658221076946e-05,
    -2.206549593884078e-05,
    5.961274041518158e-06,
    -1.5197750712645664e-06,
    3.6649304334520724e-07,
    -8.378998356801465e-08,
    1.820144886058123e-08,
    -3.7644779416705625e-09,
    7.427368551387369e-10,
    -1.400531848440494e-10,
    2.528290597579186e-11,
    -4.376626212874705e-12,
    7.275953483805426e-13,
    -1.163316124357751e-13,
    1.7912037965769923e-14,
    -2.6593717620310823e-15,
)


def erf(v: Lanes, x: Value) -> Value:
    """`x * p(x * x)`, p in Chebyshev polynomials of `x * x / 8 - 1` by Clenshaw's rule."""
    b = v.b
    wide = _clamp(v, _wide(v, x), -ERF_END, ERF_END)
    t = v.fma(b.fmul(wide, wide), f64(2.0 / ERF_END**2), f64(-1.0))
    twice = b.fadd(t, t)
    current: Value = f64(0.0)
    previous: Value = f64(0.0)
    for coefficient in reversed(ERF[1:]):
        current, previous = b.fsub(v.fma(twice, current, f64(coefficient)), previous), current
    series = b.fsub(v.fma(t, current, f64(ERF[0])), previous)
    return _narrow(v, b.fmul(wide, series))


LARGE = 24
"""From 2**24 on an f32 is a whole number of 24 bits times a power of two, whose quarter turns come from a table."""
TURN_DIGITS = 27
"""Binary digits after the point of the table's first part: the product with 24 bits is exact."""
TWO_OVER_PI = 0xA2F9836E4E441529FC2757D1F534DDC0DB6295993C439041FE5163ABDEBB
"""2 / pi times 2**240, its whole part."""
TWO_OVER_PI_DIGITS = 240


def quarter_turn_table() -> tuple[list[float], list[float]]:
    """`2**q * 2 / pi` modulo 4 for q = 1, 2, ..., as two floats each."""
    first, second = [], []
    for q in range(1, 128 - 23):
        turns = (TWO_OVER_PI << q) % (1 << TWO_OVER_PI_DIGITS + 2)
        high = turns >> TWO_OVER_PI_DIGITS - TURN_DIGITS
        low = turns - (high << TWO_OVER_PI_DIGITS - TURN_DIGITS)
        first.append(high / 2**TURN_DIGITS)
        second.append(low / 2**TWO_OVER_PI_DIGITS)
    return first, second


def _lookup(v: Lanes, name: str, entries: list[float], index: Value) -> Value:
    """Lanes of a constant table."""
    module = v.b.module
    if name not in module.globals:
        kind = ir.ArrayType(F64, len(entries))
        variable = ir.GlobalVariable(module, kind, name)
        variable.global_constant = True
        variable.linkage = "internal"
        variable.initializer = ir.Constant(kind, entries)
    lanes: Value = f64(0.0)
    for lane in range(LANES):
        place = v.b.gep(module.globals[name], [v.b.extract_element(index, I32(lane))], source_etype=F64)
        lanes = v.b.insert_element(lanes, v.b.load(place, typ=F64), I32(lane))
    return lanes


def _large_turns(v: Lanes, x: Value) -> tuple[Value, Value]:
    """As `_quarter_turns`, for finite values of at least 2**24; anything for others."""
    b = v.b
    first, second = quarter_turn_table()
    biased = b.and_(b.lshr(v.bits(x, I64), splat(I64, FRACTION_BITS)), splat(I64, 0x7FF))
    index = b.sub(biased, splat(I64, EXPONENT_BIAS + LARGE))
    usable = b.icmp_unsigned("<", index, splat(I64, len(first)))
    index = b.select(usable, index, splat(I64, 0))
    shift = b.shl(b.sub(splat(I64, EXPONENT_BIAS - 1), index), splat(I64, FRACTION_BITS))
    whole = b.fmul(x, v.bits(shift, F64))
    product = b.fmul(whole, _lookup(v, "turns_high", first, index))
    n = v.intrinsic("llvm.roundeven", product)
    rest = v.fma(whole, _lookup(v, "turns_low", second, index), b.fsub(product, n))
    return n, b.fmul(rest, f64(pi / 2))


def _quarter_turns(v: Lanes, x: Value) -> tuple[Value, Value]:
    """Split into whole quarter turns (integers) and the rest, at most 1 in size."""
    b = v.b
    n = v.intrinsic("llvm.roundeven", b.fmul(x, f64(2.0 / pi)))
    r = v.fma(n, f64(-HALF_PI_HIGH), x)
    r = v.fma(n, f64(-HALF_PI_MIDDLE), r)
    r = b.select(b.fcmp_ordered("==", n, f64(0.0)), x, r)
    large_n, large_r = _large_turns(v, x)
    size = v.intrinsic("llvm.fabs", x)
    is_large = b.and_(b.fcmp_ordered(">=", size, f64(2.0**LARGE)), b.fcmp_ordered("<", size, f64(inf)))
    n, r = b.select(is_large, large_n, n), b.select(is_large, large_r, r)
    usable = b.fcmp_ordered("<", size, f64(inf))
    return b.fptosi(b.select(usable, n, f64(0.0)), vector(I64)), r


def _sine(v: Lanes, x: Value, shift: int) -> Value:
    """The sine of `x` plus `shift` quarter turns."""
    b = v.b
    turns, r = _quarter_turns(v, _wide(v, x))
    turns = b.add(turns, splat(I64, shift))
    z = b.fmul(r, r)
    sine = b.fmul(r, v.polynomial(z, [(-1.0) ** k / factorial(2 * k + 1) for k in range(7, -1, -1)]))
    cosine = v.polynomial(z, [(-1.0) ** k / factorial(2 * k) for k in range(8, -1, -1)])
    value = b.select(_bit(v, turns, 0), cosine, sine)
    return _narrow(v, b.select(_bit(v, turns, 1), b.fneg(value), value))


def _bit(v: Lanes, x: Value, number: int) -> Value:
    return v.b.trunc(v.b.lshr(x, splat(I64, number)), vector(I1))


def sin(v: Lanes, x: Value) -> Value:
    return _sine(v, x, 0)


def cos(v: Lanes, x: Value) -> Value:
    return _sine(v, x, 1)


def pow_(v: Lanes, x: Value, y: Value) -> Value:
    """As IEEE 754's `pow`."""
    b = v.b
    base, power = _wide(v, x), _wide(v, y)
    size = v.intrinsic("llvm.fabs", base)
    usable = b.and_(b.fcmp_ordered(">", size, f64(0.0)), b.fcmp_ordered("<", size, f64(inf)))
    logarithm = _log64(v, b.select(usable, size, f64(1.0)))
    end = b.select(b.fcmp_ordered("==", size, f64(0.0)), f64(-inf), size)
    logarithm = b.select(usable, logarithm, end)
    exponent = _clamp(v, b.fmul(power, logarithm), -600.0, 600.0)
    result = _narrow(v, _exp64(v, exponent))
    whole = b.fcmp_ordered("==", v.intrinsic("llvm.trunc", power), power)
    half = b.fmul(power, f64(0.5))
    odd = b.and_(whole, b.fcmp_unordered("!=", v.intrinsic("llvm.trunc", half), half))
    sign = _bit(v, v.bits(base, I64), 63)
    result = b.select(b.and_(sign, odd), b.fneg(result), result)
    negative = b.and_(b.fcmp_ordered("<", x, f32(0.0)), b.fcmp_ordered(">", x, f32(-inf)))
    result = b.select(b.and_(negative, b.not_(whole)), f32(nan), result)
    unit = b.and_(b.fcmp_ordered("==", x, f32(-1.0)), b.fcmp_ordered("==", v.intrinsic("llvm.fabs", y), f32(inf)))
    one = b.or_(b.or_(b.fcmp_ordered("==", x, f32(1.0)), b.fcmp_ordered("==", y, f32(0.0))), unit)
    return b.select(one, f32(1.0), result)


UNARY: Mapping[ScalarOp, Callable[[Lanes, Value], Value]] = {
    ScalarOp.EXP: exp,
    ScalarOp.LOG: log_,
    ScalarOp.RSQRT: rsqrt,
    ScalarOp.TANH: tanh,
    ScalarOp.ERF: erf,
    ScalarOp.SIN: sin,
    ScalarOp.COS: cos,
}
