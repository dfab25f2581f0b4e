"""How a tensor lies in memory: a row-major grid of pages, one page per 32 x 32 tile.

The last two axes of a tensor are cut into tiles; leading axes count whole matrices. A tensor of rank 0 or 1 is laid
out as the matrix `[1, n]`. A tile is stored row-major (not in the four 16 x 16 faces of the silicon: the order of
elements inside a tile changes no byte count and no cycle of the model); a tile of a block float is laid out as
`compiler.numerics.blocks` says. Elements of a tile outside the tensor are zero; everything that writes a tile keeps
them so.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np
from numpy.typing import NDArray

from compiler.numerics.blocks import BLOCK, pack_pages, unpack_pages
from compiler.numerics.dtypes import DType

TILE = 32
"""Rows and columns of a tile."""


def tiles(extent: int) -> int:
    """Tiles that cover `extent` elements."""
    return -(-extent // TILE)


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The pages of a tensor of the given shape.

    Invariants: `dims` has at least two entries, the last two being tile rows and tile columns; page numbers are
    row-major over `dims`.
    """

    shape: tuple[int, ...]

    @property
    def matrix_shape(self) -> tuple[int, ...]:
        """The shape with ones put in front until it has two axes."""
        return (1,) * max(0, 2 - len(self.shape)) + self.shape

    @property
    def dims(self) -> tuple[int, ...]:
        return _tile_dims(self.shape)

    @property
    def pages(self) -> int:
        return prod(self.dims)

    @property
    def strides(self) -> tuple[int, ...]:
        """Page-number step per axis of `dims`."""
        dims = self.dims
        return tuple(prod(dims[axis + 1 :]) for axis in range(len(dims)))


@lru_cache(maxsize=4096)
def _tile_dims(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Cached: partitioning asks for the same few shapes tens of thousands of times."""
    *lead, rows, columns = TileGrid(shape).matrix_shape
    return (*lead, tiles(rows), tiles(columns))


def page_bytes(dtype: DType) -> int:
    """Bytes of one tile."""
    if dtype.is_block:
        return TILE * TILE // BLOCK + TILE * TILE * (dtype.magnitude_bits + 1) // 8
    return TILE * TILE * dtype.itemsize


def to_pages(array: NDArray[np.generic], dtype: DType) -> NDArray[np.uint8]:
    """Return the bytes `[pages, page_bytes]` of `array` (any shape, already of the NumPy type of `dtype`)."""
    grid = TileGrid(array.shape)
    *lead, rows, columns = grid.matrix_shape
    *_, tile_rows, tile_columns = grid.dims
    padded = np.zeros((prod(lead), tile_rows * TILE, tile_columns * TILE), dtype.numpy)
    padded[:, :rows, :columns] = array.reshape(prod(lead), rows, columns)
    split = padded.reshape(-1, tile_rows, TILE, tile_columns, TILE).transpose(0, 1, 3, 2, 4)
    tiles = np.ascontiguousarray(split)
    if dtype.is_block:
        return pack_pages(tiles.reshape(-1, TILE, TILE), dtype.magnitude_bits)
    return tiles.view(np.uint8).reshape(grid.pages, page_bytes(dtype))


def from_pages(pages: NDArray[np.uint8], shape: tuple[int, ...], dtype: DType) -> NDArray[np.generic]:
    """Return the array of `shape` whose tiles are the rows of `pages`; the inverse of `to_pages`."""
    grid = TileGrid(shape)
    *lead, rows, columns = grid.matrix_shape
    *_, tile_rows, tile_columns = grid.dims
    tiles = (
        unpack_pages(pages, TILE, TILE, dtype.magnitude_bits)
        if dtype.is_block
        else np.ascontiguousarray(pages).view(dtype.numpy)
    )
    split = tiles.reshape(-1, tile_rows, tile_columns, TILE, TILE)
    padded = split.transpose(0, 1, 3, 2, 4).reshape(prod(lead), tile_rows * TILE, tile_columns * TILE)
    return np.ascontiguousarray(padded[:, :rows, :columns]).reshape(shape)
