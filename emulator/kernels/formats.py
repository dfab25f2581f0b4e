"""Element types in registers and in pages: rounding, encoding, decoding, and where an element lies.

Lanes hold f32 for floats (a narrow value is an f32 that its type represents), i32 for integers, and i1 for bools. A
register holds the same, bools as i32 0 and 1. A row of a tile is two groups of lanes, each just as long as a block of
floats that share an exponent.
"""

from dataclasses import dataclass
from math import inf, nan

from llvmlite import ir

from compiler.numerics import TILE, DType
from compiler.numerics.blocks import BLOCK, MAX_EXPONENT, infinity_magnitude, nan_magnitude
from emulator.kernels.lanes import (
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    LANES,
    Lanes,
    Value,
    f32,
    f64,
    i32,
    load,
    splat,
    store,
    vector,
)

assert LANES == BLOCK

_SIGN = -(2**31)
_SIZE = 2**31 - 1
_EXPONENTS = TILE * TILE // BLOCK
"""Bytes at the beginning of a page of a block type."""


@dataclass(frozen=True, slots=True)
class Small:
    """A float of up to 16 bits with gradual underflow; without infinities only all ones are NaN."""

    fraction: int
    exponent: int
    infinities: bool = True

    @property
    def bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1

    @property
    def dropped(self) -> int:
        """Bits of the fraction of an f32 beyond its own."""
        return 23 - self.fraction

    @property
    def sign_shift(self) -> int:
        """From the sign of an f32 to its own."""
        return 31 - self.fraction - self.exponent

    @property
    def nan(self) -> int:
        return (((1 << self.exponent) - 1) << self.fraction) + (
            1 << (self.fraction - 1) if self.infinities else (1 << self.fraction) - 1
        )

    @property
    def infinity(self) -> int:
        return ((1 << self.exponent) - 1) << self.fraction

    @property
    def largest(self) -> int:
        """Bits, as an f32, of the largest finite value."""
        code = self.infinity - 1 if self.infinities else self.nan - 1
        return (code << self.dropped) + ((127 - self.bias) << 23)


SMALL = {DType.F16: Small(10, 5), DType.FP8_E4M3: Small(3, 4, infinities=False), DType.FP8_E5M2: Small(2, 5)}


def narrow(v: Lanes, x: Value, dtype: DType) -> Value:
    """Round f32 lanes to a float type, wrap i32 lanes to an integer type. (Blocks are rounded when they are stored.)"""
    if dtype is DType.BF16:
        return v.round_to_bf16(x)
    if dtype in SMALL:
        return _round_small(v, x, SMALL[dtype], dtype.reach.least)
    if dtype is DType.I8:
        return v.b.ashr(v.b.shl(x, i32(24)), i32(24))
    if dtype is DType.U8:
        return v.b.and_(x, i32(0xFF))
    return x


def _round_small(v: Lanes, x: Value, form: Small, least: int) -> Value:
    """To nearest, ties to even: by adding half a step to the bits; below the normal numbers, whose step is `2**least`,
    by adding a number with just that step."""
    b, bits = v.b, v.bits(x, I32)
    size = b.and_(bits, i32(_SIZE))
    odd = b.and_(b.lshr(size, i32(form.dropped)), i32(1))
    nearest = b.add(size, b.add(odd, i32((1 << (form.dropped - 1)) - 1)))
    nearest = b.and_(nearest, i32(-(1 << form.dropped)))
    coarse = f32(2.0 ** (least + 23))
    gradual = v.bits(b.fsub(b.fadd(v.bits(size, F32), coarse), coarse), I32)
    normal = i32((128 - form.bias) << 23)
    size = b.select(b.icmp_unsigned("<", size, normal), gradual, nearest)
    beyond = f32(inf if form.infinities else nan)
    size = b.select(b.icmp_unsigned(">", size, i32(form.largest)), v.bits(beyond, I32), size)
    size = b.select(v.is_nan(x), v.bits(f32(nan), I32), size)
    return v.bits(b.or_(size, b.and_(bits, i32(_SIGN))), F32)


def _encode_small(v: Lanes, x: Value, form: Small) -> Value:
    """The codes, as i32, of lanes that the format represents: those of an f32 with another bias, cut off."""
    b, bits = v.b, v.bits(x, I32)
    scaled = v.bits(b.fmul(x, f32(2.0 ** (form.bias - 127))), I32)
    code = b.lshr(b.and_(scaled, i32(_SIZE)), i32(form.dropped))
    code = b.select(b.icmp_unsigned("==", b.and_(bits, i32(_SIZE)), i32(0x7F800000)), i32(form.infinity), code)
    code = b.select(v.is_nan(x), i32(form.nan), code)
    return b.or_(code, b.lshr(b.and_(bits, i32(_SIGN)), i32(form.sign_shift)))


def _decode_small(v: Lanes, code: Value, form: Small) -> Value:
    b = v.b
    moved = b.shl(code, i32(form.sign_shift))
    sign = b.and_(moved, i32(_SIGN))
    size = b.and_(code, i32((1 << (form.exponent + form.fraction)) - 1))
    shifted = b.shl(size, i32(form.dropped))
    value = v.bits(b.fmul(v.bits(shifted, F32), f32(2.0 ** (127 - form.bias))), I32)
    if form.infinities:
        special = b.icmp_unsigned(">=", size, i32(form.infinity))
        value = b.select(special, b.or_(shifted, i32(0x7F800000)), value)
    else:
        value = b.select(b.icmp_unsigned("==", size, i32(form.nan)), v.bits(f32(nan), I32), value)
    return v.bits(b.or_(value, sign), F32)


def stored_type(dtype: DType, in_register: bool) -> ir.Type:
    """How an element lies in a page, or in a register; not for pages of a block type."""
    if in_register or dtype.itemsize == 4:
        return F32 if dtype.is_float else I32
    return I16 if dtype.itemsize == 2 else I8


def decode(v: Lanes, x: Value, dtype: DType, in_register: bool) -> Value:
    """Stored lanes as the lanes that are computed with."""
    b = v.b
    if dtype is DType.BOOL:
        return b.icmp_unsigned("!=", x, splat(x.type.element, 0))
    if in_register or dtype is dtype.wide:
        return x
    if dtype is DType.I8:
        return b.sext(x, vector(I32))
    code = b.zext(x, vector(I32))
    if dtype is DType.BF16:
        return v.bits(b.shl(code, i32(16)), F32)
    return _decode_small(v, code, SMALL[dtype]) if dtype in SMALL else code


def encode(v: Lanes, x: Value, dtype: DType) -> Value:
    """The lanes of a register, rounded to `dtype`, as they lie in a page; not for a block type."""
    b = v.b
    if dtype is DType.BOOL:
        return b.zext(b.icmp_signed("!=", x, i32(0)), vector(I8))
    if dtype is dtype.wide:
        return x
    if dtype is DType.BF16:
        x = b.lshr(v.bits(v.round_to_bf16(x), I32), i32(16))
    elif dtype in SMALL:
        x = _encode_small(v, narrow(v, x, dtype), SMALL[dtype])
    return b.trunc(x, vector(stored_type(dtype, False)))


def load_row(v: Lanes, base: Value, dtype: DType, in_register: bool, row: Value, group: int) -> Value:
    """A group of lanes of a row, of a page or a register."""
    b = v.b
    if dtype.is_block and not in_register:
        exponent = b.zext(load(b, I8, base, I8, _exponent_place(v, row, I64(group))), I32)
        code = ir.IntType(dtype.magnitude_bits + 1)
        packed = load(b, ir.IntType(LANES * code.width), base, I8, _codes_place(v, row, group, code.width))
        codes = b.zext(b.bitcast(packed, vector(code)), vector(I32))
        return _decode_block(v, v.broadcast(exponent), codes, dtype.magnitude_bits)
    element = stored_type(dtype, in_register)
    place = b.add(b.mul(row, I64(TILE)), I64(group * LANES))
    return decode(v, load(b, vector(element), base, element, place), dtype, in_register)


def load_column(v: Lanes, base: Value, dtype: DType, in_register: bool, row: Value, group: int) -> Value:
    """A group of lanes of column `row`, collected one by one."""
    b = v.b
    if dtype.is_block and not in_register:
        return _load_block_column(v, base, dtype.magnitude_bits, row, group)
    element = stored_type(dtype, in_register)
    places = [b.add(row, I64((group * LANES + lane) * TILE)) for lane in range(LANES)]
    return decode(v, _collect(v, [load(b, element, base, element, place) for place in places]), dtype, in_register)


def store_row(v: Lanes, lanes: Value, page: Value, dtype: DType, row: Value, group: int) -> None:
    """Round a group of register lanes to `dtype` and store it in a page."""
    b = v.b
    if not dtype.is_block:
        place = b.add(b.mul(row, I64(TILE)), I64(group * LANES))
        store(b, encode(v, lanes, dtype), page, stored_type(dtype, False), place)
        return
    exponents = _shared_exponents(v, lanes)
    codes = _encode_block(v, lanes, exponents, dtype.magnitude_bits)
    width = dtype.magnitude_bits + 1
    packed = b.bitcast(b.trunc(codes, vector(ir.IntType(width))), ir.IntType(LANES * width))
    exponent = b.trunc(b.extract_element(exponents, I32(0)), I8)
    store(b, exponent, page, I8, _exponent_place(v, row, I64(group)))
    store(b, packed, page, I8, _codes_place(v, row, group, width))


def _exponent_place(v: Lanes, row: Value, group: Value) -> Value:
    return v.b.add(v.b.mul(row, I64(TILE // BLOCK)), group)


def _codes_place(v: Lanes, row: Value, group: int, width: int) -> Value:
    """Byte at which the codes of a block begin."""
    return v.b.add(v.b.mul(row, I64(TILE * width // 8)), I64(_EXPONENTS + group * BLOCK * width // 8))


def _collect(v: Lanes, scalars: list[Value]) -> Value:
    lanes: Value = ir.Constant(vector(scalars[0].type), ir.Undefined)
    for lane, scalar in enumerate(scalars):
        lanes = v.b.insert_element(lanes, scalar, I32(lane))
    return lanes


def _load_block_column(v: Lanes, base: Value, bits: int, row: Value, group: int) -> Value:
    b, width = v.b, bits + 1
    position = b.mul(row, I64(width))
    inside, shift = b.lshr(position, I64(3)), b.trunc(b.and_(position, I64(7)), I8)
    codes, exponents = [], []
    for lane in range(group * LANES, (group + 1) * LANES):
        place = b.add(inside, I64(_EXPONENTS + lane * TILE * width // 8))
        code = b.lshr(load(b, I8, base, I8, place), shift)
        codes.append(b.zext(b.and_(code, I8((1 << width) - 1)), I32))
        place = _exponent_place(v, I64(lane), b.lshr(row, I64(4)))
        exponents.append(b.zext(load(b, I8, base, I8, place), I32))
    return _decode_block(v, _collect(v, exponents), _collect(v, codes), bits)


def _power_of_two(v: Lanes, exponents: Value) -> Value:
    """f64 lanes `2**exponents` of i32 lanes."""
    biased = v.b.zext(v.b.add(exponents, i32(1023)), vector(I64))
    return v.bits(v.b.shl(biased, splat(I64, 52)), F64)


def _decode_block(v: Lanes, exponents: Value, codes: Value, bits: int) -> Value:
    """As `compiler.numerics.blocks.decode`."""
    b = v.b
    magnitudes = b.and_(codes, i32((1 << bits) - 1))
    step = _power_of_two(v, b.sub(exponents, i32(126 + bits)))
    sizes = v.bits(b.fptrunc(b.fmul(b.uitofp(magnitudes, vector(F64)), step), vector(F32)), I32)
    odd = b.icmp_unsigned(">", magnitudes, i32(infinity_magnitude(bits)))
    odd = b.and_(odd, b.icmp_unsigned("==", exponents, i32(MAX_EXPONENT)))
    sizes = b.select(odd, v.bits(f32(nan), I32), sizes)
    return v.bits(b.or_(sizes, b.and_(b.shl(codes, i32(31 - bits)), i32(_SIGN))), F32)


def _shared_exponents(v: Lanes, x: Value) -> Value:
    """The largest exponent of all lanes, in every lane."""
    b = v.b
    largest = b.and_(b.lshr(v.bits(x, I32), i32(23)), i32(MAX_EXPONENT))
    for distance in (8, 4, 2, 1):
        order = ir.Constant(vector(I32), [(lane + distance) % LANES for lane in range(LANES)])
        moved = b.shuffle_vector(largest, largest, order)
        largest = b.select(b.icmp_unsigned(">", moved, largest), moved, largest)
    return largest


def _encode_block(v: Lanes, x: Value, exponents: Value, bits: int) -> Value:
    """As `compiler.numerics.blocks.encode`."""
    b, word = v.b, v.bits(x, I32)
    size = b.and_(word, i32(_SIZE))
    finite = b.icmp_unsigned("<", size, i32(0x7F800000))
    known = b.fpext(b.select(finite, v.bits(size, F32), f32(0.0)), vector(F64))
    scaled = b.fmul(known, _power_of_two(v, b.sub(i32(126 + bits), exponents)))
    rounded = v.intrinsic("llvm.roundeven", scaled)
    top = float((1 << bits) - 1)
    rounded = b.select(b.fcmp_ordered(">", rounded, f64(top)), f64(top), rounded)
    magnitudes = b.fptoui(rounded, vector(I32))
    endless = i32(max(1, infinity_magnitude(bits)))
    magnitudes = b.select(finite, magnitudes, b.select(v.is_nan(x), i32(nan_magnitude(bits)), endless))
    negative = b.and_(b.icmp_signed("<", word, i32(0)), b.icmp_unsigned("!=", magnitudes, i32(0)))
    return b.or_(magnitudes, b.select(negative, i32(1 << bits), i32(0)))
