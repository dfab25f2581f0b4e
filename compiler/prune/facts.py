"""What is known of the elements of each tile.

Only elements inside the tensor count: what a padded tile holds beyond them is zero and never mixes with the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.masks import TileMask

Bounds: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]


def _ends(dtype: DType) -> tuple[float, float]:
    if dtype is DType.BOOL:
        return 0.0, 1.0
    limits: Any = ml_dtypes.finfo if dtype.is_float else np.iinfo
    info = limits(dtype.numpy)
    return float(info.min), float(info.max)


SMALLEST = {dtype: _ends(dtype)[0] for dtype in DType}
LARGEST = {dtype: _ends(dtype)[1] for dtype in DType}
"""The least and the greatest finite value of each type (of a type with shared exponents: no less than that)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """Bounds per tile: arrays over a grid of tiles, of extent 1 along axes where nothing varies.

    Every element that is a number lies in `[low, high]`, infinities included; `nan`: an element may be NaN; `minus`: a
    zero may be -0.
    """

    low: Bounds
    high: Bounds
    nan: Flags
    minus: Flags

    @classmethod
    def unknown(cls, dtype: DType, rank: int) -> Self:
        """Anything that `dtype` can hold."""
        one = (1,) * rank
        if dtype.is_float:
            return cls(np.full(one, -np.inf), np.full(one, np.inf), np.ones(one, np.bool_), np.ones(one, np.bool_))
        return cls.within(SMALLEST[dtype], LARGEST[dtype], rank)

    @classmethod
    def within(cls, low: float, high: float, rank: int = 0) -> Self:
        """Numbers from `low` to `high`; no -0."""
        one = (1,) * rank
        never = np.zeros(one, np.bool_)
        return cls(np.full(one, low), np.full(one, high), never, never)

    @property
    def zero(self) -> Flags:
        """Every element is +0 or -0."""
        return np.asarray((self.low == 0) & (self.high == 0) & ~self.nan)

    @property
    def finite(self) -> Flags:
        """No element is NaN or infinite."""
        return np.asarray((self.low > -np.inf) & (self.high < np.inf) & ~self.nan)

    @property
    def holds_zero(self) -> Flags:
        """An element may be zero."""
        return np.asarray((self.low <= 0) & (self.high >= 0))

    @property
    def infinite(self) -> Flags:
        """An element may be infinite."""
        return np.asarray((self.low == -np.inf) | (self.high == np.inf))

    def each(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> "Facts":
        """The same with every array changed alike."""
        return Facts(change(self.low), change(self.high), change(self.nan), change(self.minus))

    def finite_part(self, dtype: DType) -> "Facts":
        """What holds of the elements that are finite numbers of type `dtype`."""
        low, high = np.maximum(self.low, SMALLEST[dtype]), np.minimum(self.high, LARGEST[dtype])
        return Facts(low, high, np.zeros(self.nan.shape, np.bool_), self.minus)

    @property
    def never_finite(self) -> Flags:
        """Every element is infinite or NaN."""
        return np.asarray((self.low == np.inf) | (self.high == -np.inf))

    def is_value(self, value: float) -> Flags:
        """Every element equals `value`."""
        return np.asarray((self.low == value) & (self.high == value) & ~self.nan)

    def with_zero(self, where: Flags) -> "Facts":
        """The same where tiles in `where` are +0."""
        return Facts(
            np.where(where, 0.0, self.low),
            np.where(where, 0.0, self.high),
            self.nan & ~where,
            self.minus & ~where,
        )

    def hull(self) -> "Facts":
        """What holds of every tile, as one tile."""
        one = (1,) * self.low.ndim
        return Facts(
            self.low.min().reshape(one),
            self.high.max().reshape(one),
            self.nan.any().reshape(one),
            self.minus.any().reshape(one),
        )


def join(a: Facts, b: Facts) -> Facts:
    """What holds of both."""
    return Facts(np.minimum(a.low, b.low), np.maximum(a.high, b.high), a.nan | b.nan, a.minus | b.minus)


def facts_of_values(values: NDArray[Any], rank: int) -> Facts:
    """The facts of a tensor whose elements are known; `rank` is that of its tile grid."""
    *lead, rows, columns = TileGrid(values.shape).matrix_shape
    wide = values.astype(np.float64).reshape(*lead, rows, columns)
    nan = np.isnan(wide)
    low = _by_tile(np.minimum, np.where(nan, np.inf, wide))
    high = _by_tile(np.maximum, np.where(nan, -np.inf, wide))
    empty = low > high
    minus = _by_tile(np.logical_or, np.signbit(wide) & (wide == 0))
    found = Facts(np.where(empty, -np.inf, low), np.where(empty, np.inf, high), _by_tile(np.logical_or, nan), minus)
    return found.each(lambda part: squeeze(part.reshape((1,) * (rank - part.ndim) + part.shape)))


def _by_tile(combine: np.ufunc, values: NDArray[Any]) -> NDArray[Any]:
    for axis in (-1, -2):
        values = combine.reduceat(values, np.arange(0, values.shape[axis], TILE), axis=axis)
    return values


def squeeze(array: NDArray[Any]) -> NDArray[Any]:
    """The same with extent 1 along the axes where nothing varies."""
    for axis in range(array.ndim):
        first = array.take([0], axis=axis)
        if array.shape[axis] > 1 and bool((array == first).all()):
            array = first
    return array


def every(flags: Flags, axes: tuple[int, ...], *, keep: bool = False) -> Flags:
    """Whether all along `axes` hold."""
    return np.asarray(np.all(flags, axis=axes, keepdims=keep))


def some(flags: Flags, axes: tuple[int, ...], *, keep: bool = False) -> Flags:
    """Whether any along `axes` holds."""
    return np.asarray(np.any(flags, axis=axes, keepdims=keep))


def regrid(array: NDArray[Any], dims: tuple[int, ...], target: tuple[int, ...]) -> NDArray[Any]:
    """Renumber an array over `dims` (or of extent 1) to the grid `target` of the same pages in the same order: a
    storage may be known by another shape to its producer than to its readers."""
    if dims == target:
        return array
    if array.size == 1:
        return array.reshape((1,) * len(target))
    return squeeze(np.broadcast_to(array, dims).reshape(target))


def mask_of(flags: Flags, dims: tuple[int, ...]) -> TileMask:
    """The set of tiles over `dims`, where `flags` may have extent 1."""
    return TileMask.of(np.broadcast_to(flags, dims))
