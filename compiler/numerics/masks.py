"""Sets of tiles: which pages of a tensor, or which iterations of a loop nest, are alive."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class TileMask:
    """A subset of the points of a grid of extents `dims`, packed row-major into `bits` (`numpy.packbits`)."""

    dims: tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, array: NDArray[np.bool_]) -> Self:
        """Return the set of points where `array` holds."""
        return cls(array.shape, np.packbits(array.ravel()).tobytes())

    @property
    def array(self) -> NDArray[np.bool_]:
        """A new array of shape `dims`."""
        size = int(np.prod(self.dims, dtype=np.int64))
        bits = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=size)
        return bits.astype(np.bool_).reshape(self.dims)

    @property
    def count(self) -> int:
        """Points in the set."""
        return int(self.array.sum())
