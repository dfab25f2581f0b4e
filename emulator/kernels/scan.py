"""The kernel that looks at all elements of a page: is it zero, is it finite, is any bit set?"""

from collections.abc import Callable
from typing import TypeAlias

from llvmlite import ir

from compiler.numerics import TILE, DType
from compiler.numerics.blocks import BLOCK, MAX_EXPONENT
from emulator.engine import columns as c
from emulator.kernels.lanes import (
    I1,
    I8,
    I64,
    LANES,
    Value,
    counted,
    kernel_function,
    load,
    pointer_argument,
    splat,
    vector,
)
from emulator.kernels.requests import ScanKernel

_ENDLESS = {
    DType.F32: 0x7F800000,
    DType.BF16: 0x7F80,
    DType.F16: 0x7C00,
    DType.FP8_E4M3: 0x7F,
    DType.FP8_E5M2: 0x7C,
}
"""Of each float type with arithmetic, the least magnitude, read as an integer, that is not finite."""


def emit_scan(module: ir.Module, name: str, request: ScanKernel) -> None:
    """Arguments: page; the flags are put in place of the second one."""
    builder, arguments = kernel_function(module, name)
    page = pointer_argument(builder, arguments, 0)
    dtype = request.dtype
    scan = _scan_blocks if dtype.is_block else _scan_elements
    bare, zero, finite = scan(builder, page, dtype)
    flags: Value = I64(0)
    for flag, holds in ((c.BARE, bare), (c.ZERO, zero), (c.FINITE, finite)):
        flags = builder.or_(flags, builder.select(holds, I64(flag), I64(0)))
    builder.store(flags, builder.gep(arguments, [I64(1)], source_etype=I64))
    builder.ret_void()


Found: TypeAlias = tuple[Value, Value, Value]
"""Whether no bit of a page is set, whether it is zero, whether it is finite."""


def _scan_elements(builder: ir.IRBuilder, page: Value, dtype: DType) -> Found:
    """Of a page of one element after the other. The sign of a float is its highest bit."""
    element = ir.IntType(8 * dtype.itemsize)
    magnitude = (1 << (element.width - int(dtype.is_float))) - 1

    def sized(lanes: Value) -> Value:
        return builder.and_(lanes, splat(element, magnitude))

    def endless(lanes: Value) -> Value:
        above = builder.icmp_unsigned(">=", sized(lanes), splat(element, _ENDLESS[dtype]))
        return builder.sext(above, vector(element))

    looks: tuple[Look, ...] = (lambda lanes: lanes, sized, *((endless,) if dtype.is_float else ()))
    found = _none_set(builder, page, element, 0, TILE * TILE, looks)
    return found[0], found[1], found[2] if dtype.is_float else I1(1)


def _scan_blocks(builder: ir.IRBuilder, page: Value, dtype: DType) -> Found:
    """Of a page of block floats: exponents first, then the elements, of which only a block with the greatest exponent
    may have one that is not finite."""
    width, exponents = dtype.magnitude_bits + 1, TILE * TILE // BLOCK
    magnitude = sum(((1 << dtype.magnitude_bits) - 1) << place for place in range(0, 8, width))

    def greatest(lanes: Value) -> Value:
        return builder.sext(builder.icmp_unsigned("==", lanes, splat(I8, MAX_EXPONENT)), vector(I8))

    def sized(lanes: Value) -> Value:
        return builder.and_(lanes, splat(I8, magnitude))

    low, finite = _none_set(builder, page, I8, 0, exponents, (lambda lanes: lanes, greatest))
    empty, zero = _none_set(builder, page, I8, exponents, TILE * TILE * width // 8, (lambda lanes: lanes, sized))
    return builder.and_(low, empty), zero, finite


Look: TypeAlias = Callable[[Value], Value]


def _none_set(
    builder: ir.IRBuilder, page: Value, element: ir.Type, first: int, count: int, looks: tuple[Look, ...]
) -> list[Value]:
    """For each look at the elements `first ..< first + count` of a page: whether it has never a bit set."""
    before = builder.block
    with counted(builder, count // LANES, "lanes") as index:
        held = [builder.phi(vector(element)) for _ in looks]
        lanes = load(builder, vector(element), page, element, builder.add(builder.mul(index, I64(LANES)), I64(first)))
        seen = [builder.or_(phi, look(lanes)) for phi, look in zip(held, looks, strict=True)]
        for phi, bits in zip(held, seen, strict=True):
            phi.add_incoming(splat(element, 0), before)
            phi.add_incoming(bits, builder.block)
    word = ir.IntType(element.width * LANES)
    return [builder.icmp_unsigned("==", builder.bitcast(bits, word), word(0)) for bits in seen]
