"""Element types: their names, their width in memory and their NumPy counterparts."""

from enum import Enum

import ml_dtypes
import numpy as np
from numpy.typing import NDArray


class DType(Enum):
    """An element type; the value is its name in the language."""

    F32 = "f32"
    BF16 = "bf16"
    I32 = "i32"
    BOOL = "bool"

    @property
    def itemsize(self) -> int:
        """Bytes of one element in L1 and DRAM (a bool takes one byte, 0 or 1)."""
        return _ITEMSIZE[self]

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """The NumPy type with the same bytes."""
        return _NUMPY[self]

    @property
    def is_float(self) -> bool:
        return self in (DType.F32, DType.BF16)


_ITEMSIZE = {DType.F32: 4, DType.BF16: 2, DType.I32: 4, DType.BOOL: 1}
_NUMPY: dict[DType, np.dtype[np.generic]] = {
    DType.F32: np.dtype(np.float32),
    DType.BF16: np.dtype(ml_dtypes.bfloat16),
    DType.I32: np.dtype(np.int32),
    DType.BOOL: np.dtype(np.bool_),
}


def round_to(values: NDArray[np.generic], dtype: DType) -> NDArray[np.generic]:
    """Convert `values` to `dtype` as the machine does.

    To bf16: round to nearest, ties to even, NaN stays NaN, overflow gives infinity. Float to i32: truncate toward
    zero, saturate at the ends of the range, NaN gives 0. To bool: true where the value is not zero (NaN is true).
    """
    if dtype is DType.BOOL:
        return np.asarray(values != 0)
    if dtype is DType.I32 and values.dtype.kind not in "ib":
        wide = values.astype(np.float64)
        clipped: NDArray[np.float64] = np.clip(np.nan_to_num(np.trunc(wide), nan=0.0), -(2.0**31), 2.0**31 - 1)
        return clipped.astype(np.int32)
    with np.errstate(over="ignore", invalid="ignore"):
        rounded: NDArray[np.generic] = values.astype(dtype.numpy)
    return rounded
