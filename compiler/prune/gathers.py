"""Which pages of its source a gather needs for which pages of its result."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TILE, TileGrid
from compiler.program.image import IndexMap

Numbers = NDArray[np.int64]


@lru_cache(maxsize=32)
def relation(index_map: IndexMap, shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Pairs (page of the result, page of the source of shape `shape`), distinct, in two arrays not to be written to."""
    numbers = np.arange(int(np.prod(index_map.shape)), dtype=np.int64)
    digits = np.unravel_index(numbers, index_map.digits) if index_map.digits else ()
    element, inside = np.zeros_like(numbers), np.ones(numbers.shape, np.bool_)
    for base, steps, extent in zip(index_map.base, index_map.steps, index_map.extents, strict=True):
        coordinate = np.full_like(numbers, base)
        for weight, digit in zip(steps, digits, strict=True):
            if weight:
                coordinate += weight * digit
        inside &= (coordinate >= 0) & (coordinate < extent)
        element = element * extent + coordinate
    pages = TileGrid(shape).pages
    keys = _pages_of(index_map.shape, numbers[inside]) * pages + _pages_of(shape, element[inside])
    if keys.size:
        keys = np.unique(keys[np.flatnonzero(np.diff(keys, prepend=keys[0] - 1))])
    return keys // pages, keys % pages


def _pages_of(shape: tuple[int, ...], elements: Numbers) -> Numbers:
    """The page of each element, given its row-major number in a tensor of shape `shape`."""
    grid = TileGrid(shape)
    rows, columns = grid.matrix_shape[-2:]
    tile_rows, tile_columns = grid.dims[-2:]
    matrix, inside = np.divmod(elements, rows * columns)
    row, column = np.divmod(inside, columns)
    pages: Numbers = (matrix * tile_rows + row // TILE) * tile_columns + column // TILE
    return pages
