"""Element types: their names, what they can represent, and their NumPy counterparts."""

from dataclasses import dataclass
from enum import Enum

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.numerics.blocks import round_blocks


class DType(Enum):
    """An element type; the value is its name in the language."""

    __hash__ = object.__hash__  # there is one object of each; that of `Enum` is computed in Python

    F32 = "f32"
    BF16 = "bf16"
    F16 = "f16"
    FP8_E4M3 = "fp8_e4m3"
    FP8_E5M2 = "fp8_e5m2"
    BFP8 = "bfp8"
    BFP4 = "bfp4"
    BFP2 = "bfp2"
    I32 = "i32"
    I8 = "i8"
    U8 = "u8"
    BOOL = "bool"

    @property
    def itemsize(self) -> int:
        """Bytes of one element in an array of the host, and in L1 and DRAM unless the type `is_block` (a bool takes one
        byte, 0 or 1)."""
        return self.numpy.itemsize

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type with the same bytes; of a block type one that holds its values, float32."""
        return _NUMPY[self]

    @property
    def is_float(self) -> bool:
        return self.wide is DType.F32

    @property
    def is_integer(self) -> bool:
        return self.wide is DType.I32

    @property
    def is_block(self) -> bool:
        """True when elements share exponents (see `compiler.numerics.blocks`): such a type is stored and cast only."""
        return self in _MAGNITUDE_BITS

    @property
    def magnitude_bits(self) -> int:
        """Bits of an element of a block type beside its sign."""
        return _MAGNITUDE_BITS[self]

    @property
    def wide(self) -> "DType":
        """The type in which operations compute, sums accumulate and registers hold values: f32, i32 or bool."""
        return _WIDE[self]

    @property
    def reach(self) -> "Reach":
        return _REACH[self]


@dataclass(frozen=True, slots=True)
class Reach:
    """Which values a type has: of at most `digits` significant bits, multiples of `2**least` below `2**limit`."""

    digits: int
    least: int
    limit: int
    signed: bool = True


FLOATS = (DType.F32, DType.BF16, DType.F16, DType.FP8_E4M3, DType.FP8_E5M2)
"""Float types with arithmetic."""

INTEGERS = (DType.I32, DType.I8, DType.U8)

NUMBERS = (*FLOATS, *INTEGERS)
"""Types with arithmetic."""

_MAGNITUDE_BITS = {DType.BFP8: 7, DType.BFP4: 3, DType.BFP2: 1}
_WIDE = {
    **dict.fromkeys((*FLOATS, *_MAGNITUDE_BITS), DType.F32),
    **dict.fromkeys(INTEGERS, DType.I32),
    DType.BOOL: DType.BOOL,
}
_REACH = {
    DType.F32: Reach(24, -149, 128),
    DType.BF16: Reach(8, -133, 128),
    DType.F16: Reach(11, -24, 16),
    DType.FP8_E4M3: Reach(4, -9, 9),
    DType.FP8_E5M2: Reach(3, -16, 16),
    DType.BFP8: Reach(7, -133, 128),
    DType.BFP4: Reach(3, -129, 128),
    DType.BFP2: Reach(1, -127, 128),
    DType.I32: Reach(31, 0, 32),
    DType.I8: Reach(7, 0, 8),
    DType.U8: Reach(8, 0, 8, signed=False),
    DType.BOOL: Reach(1, 0, 1, signed=False),
}
_NUMPY: dict[DType, np.dtype[np.generic]] = {
    DType.F32: np.dtype(np.float32),
    DType.BF16: np.dtype(ml_dtypes.bfloat16),
    DType.F16: np.dtype(np.float16),
    DType.FP8_E4M3: np.dtype(ml_dtypes.float8_e4m3fn),
    DType.FP8_E5M2: np.dtype(ml_dtypes.float8_e5m2),
    **dict.fromkeys(_MAGNITUDE_BITS, np.dtype(np.float32)),
    DType.I32: np.dtype(np.int32),
    DType.I8: np.dtype(np.int8),
    DType.U8: np.dtype(np.uint8),
    DType.BOOL: np.dtype(np.bool_),
}


def fits(source: DType, target: DType) -> bool:
    """True when a cast from `source` to `target` keeps every value; into a block type none does, for the neighbors."""
    if source is target:
        return True
    small, large = source.reach, target.reach
    if target.is_block or target is DType.BOOL or (source.is_float and not target.is_float):
        return False
    if not (small.digits <= large.digits and small.least >= large.least and small.limit <= large.limit):
        return False
    return large.signed or not small.signed


def integer_range(dtype: DType) -> tuple[int, int]:
    """The least and the greatest value of an integer type."""
    bits = 8 * dtype.itemsize
    return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if dtype.reach.signed else (0, (1 << bits) - 1)


def round_to(values: NDArray[np.generic], dtype: DType) -> NDArray[np.generic]:
    """Convert `values` to `dtype` as the machine does.

    To a float: round to nearest, ties to even; NaN stays NaN; overflow gives infinity, of fp8_e4m3, which has none, NaN
    (as `ml_dtypes.float8_e4m3fn`). To a block type: `round_blocks` along the last axis. Float to integer: truncate
    toward zero, saturate at the ends of the range, NaN gives 0. Integer to integer: wrap. To bool: true where the value
    is not zero (NaN is true).
    """
    if dtype is DType.BOOL:
        return np.asarray(values != 0)
    if dtype.is_block:
        return round_blocks(_as(values, np.dtype(np.float32)), dtype.magnitude_bits)
    if dtype.is_integer and values.dtype.kind not in "iub":
        least, greatest = integer_range(dtype)
        wide = values.astype(np.float64)
        clipped: NDArray[np.float64] = np.clip(np.nan_to_num(np.trunc(wide), nan=0.0), least, greatest)
        return clipped.astype(dtype.numpy)
    return _as(values, dtype.numpy)


def _as(values: NDArray[np.generic], kind: np.dtype[np.generic]) -> NDArray[np.generic]:
    with np.errstate(over="ignore", invalid="ignore"):
        return np.asarray(values.astype(kind))
