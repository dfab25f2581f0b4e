"""What the matrix unit multiplies, and how much of the operands of a bf16 product.

Its multipliers take 5 bits of one operand's significand and 7 of the other's at a time, the hidden bit included, so a
product of two 8-bit significands takes up to four phases: high by high, low by high, high by low, low by low
(tt-isa-documentation, SrcASrcB). The right operand of a product is the one that is cut into 5 and 3 bits, the left
one into 7 and 1 (tt-llk loads the right one to SrcA). A fidelity says how many phases are done; the others are left
out, not rounded.

Narrower floats that bf16 holds (fp8, block floats) are multiplied as bf16, in as many phases as their digits need: a
product of two bfp8 takes 2, of two bfp4 or two fp8 1.
"""

from enum import Enum

import numpy as np
from numpy.typing import NDArray

from compiler.numerics.dtypes import DType, fits

LEFT_LOW_BITS = 1
RIGHT_LOW_BITS = 3
BF16_DIGITS = DType.BF16.reach.digits

MATMUL_DTYPES = (DType.BF16, DType.F16, DType.F32, DType.I32, DType.I8, DType.U8)
"""Element types that the matrix instruction multiplies."""


def product_dtype(left: DType, right: DType) -> DType | None:
    """The type as which two operands are multiplied: their own, or bf16 where both are floats that it holds."""
    if left is right and left in MATMUL_DTYPES:
        return left
    narrow = all(side.is_float and fits(side, DType.BF16) for side in (left, right))
    return DType.BF16 if narrow else None


class Part(Enum):
    """What of an operand takes part: all of it, its high bits, or what is left of it without them.

    Infinities and NaN have no low part: it is 0.
    """

    WHOLE = "whole"
    HIGH = "high"
    LOW = "low"

    def inputs(self, digits: int, low_bits: int) -> int:
        """How many multiplier inputs the part of a number of `digits` fills; one takes all but `low_bits` of bf16's."""
        return 2 if self is Part.WHOLE and digits > BF16_DIGITS - low_bits else 1


def phases(parts: tuple[Part, Part], left: DType, right: DType) -> int:
    """Phases of a product of parts of operands of these types."""
    return parts[0].inputs(left.reach.digits, LEFT_LOW_BITS) * parts[1].inputs(right.reach.digits, RIGHT_LOW_BITS)


class Fidelity(Enum):
    """Phases of a bf16 product; the value is the name in the language."""

    LOFI = "lofi"
    HIFI2 = "hifi2"
    HIFI3 = "hifi3"
    HIFI4 = "hifi4"

    @property
    def passes(self) -> tuple[tuple[Part, Part], ...]:
        """Left and right parts to be multiplied and added up."""
        return _PASSES[self]

    def phases(self, left: DType, right: DType) -> int:
        """Phases of all passes over operands of these types."""
        return sum(phases(parts, left, right) for parts in self.passes)


_PASSES = {
    Fidelity.LOFI: ((Part.HIGH, Part.HIGH),),
    Fidelity.HIFI2: ((Part.HIGH, Part.WHOLE),),
    Fidelity.HIFI3: ((Part.HIGH, Part.WHOLE), (Part.LOW, Part.HIGH)),
    Fidelity.HIFI4: ((Part.WHOLE, Part.WHOLE),),
}


def take_part(values: NDArray[np.float32], part: Part, low_bits: int) -> NDArray[np.float32]:
    """Return a part of values that bf16 can represent; the low part is `low_bits` bits of the significand."""
    if part is Part.WHOLE:
        return values
    keep = np.uint32(0xFFFFFFFF << (16 + low_bits) & 0xFFFFFFFF)
    cut = (np.ascontiguousarray(values, np.float32).view(np.uint32) & keep).view(np.float32)
    high: NDArray[np.float32] = np.where(np.isnan(values), values, cut)
    if part is Part.HIGH:
        return high
    some = np.where(np.isfinite(values), values, np.float32(0))
    return some - np.where(np.isfinite(values), high, np.float32(0))
