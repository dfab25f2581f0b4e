"""Which values an offset takes, and which pages an instruction touches: exact, without running the loops."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TILE, TileGrid
from compiler.program.image import IndexMap, ShardPlace, Tensor
from compiler.program.instructions import Affine

Pages = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Span:
    """Least and greatest value of an offset."""

    least: int
    greatest: int


def span_of(value: Affine, counts: Sequence[int]) -> Span:
    """The values that `value` takes lie between these two, and both occur; loop `d` runs `counts[d]` times."""
    reach = [c * (count - 1) for c, count in zip(value.coefficients, counts, strict=False)]
    return Span(value.constant + sum(min(0, r) for r in reach), value.constant + sum(max(0, r) for r in reach))


def values_of(value: Affine, counts: Sequence[int]) -> Pages:
    """Every value that `value` takes, ascending."""
    values = np.array([value.constant], np.int64)
    for coefficient, count in zip(value.coefficients, counts, strict=False):
        if coefficient:
            values = np.unique(values[:, None] + coefficient * np.arange(count))
    return values


def residues_of(value: Affine, counts: Sequence[int], modulus: int) -> frozenset[int]:
    """The values that `value` takes, modulo `modulus`."""
    residues = {value.constant % modulus}
    for coefficient, count in zip(value.coefficients, counts, strict=False):
        steps = {coefficient * turn % modulus for turn in range(min(count, modulus))}
        residues = {(residue + step) % modulus for residue in residues for step in steps}
    return frozenset(residues)


def owner_numbers(tensor: Tensor, place: ShardPlace, pages: Pages) -> Pages:
    """The number of the owner of each page, and (second row) the page's number inside its block."""
    dims = TileGrid(tensor.shape).dims
    owner, inside = np.zeros_like(pages), np.zeros_like(pages)
    for extent, ways, coordinate in zip(dims, place.ways, np.unravel_index(pages, dims), strict=True):
        length = -(-extent // ways)
        block = coordinate // length
        owner = owner * ways + block
        inside = inside * np.minimum(length, extent - block * length) + coordinate % length
    return np.stack([owner, inside])


def gathered_pages(index_map: IndexMap, source: Tensor) -> tuple[Pages, Pages]:
    """Pairs (page of the result, page of the source that it needs), distinct, in two arrays."""
    numbers = np.arange(int(np.prod(index_map.shape)), dtype=np.int64)
    digits = np.unravel_index(numbers, index_map.digits) if index_map.digits else ()
    element, inside = np.zeros_like(numbers), np.ones(numbers.shape, bool)
    for base, steps, extent in zip(index_map.base, index_map.steps, index_map.extents, strict=True):
        coordinate = base + sum(
            (step * digit for step, digit in zip(steps, digits, strict=True)), np.zeros_like(numbers)
        )
        inside &= (coordinate >= 0) & (coordinate < extent)
        element = element * extent + coordinate
    pairs = np.stack([_pages_of(index_map.shape, numbers[inside]), _pages_of(source.shape, element[inside])])
    pairs = np.unique(pairs, axis=1)
    return pairs[0], pairs[1]


def _pages_of(shape: tuple[int, ...], elements: Pages) -> Pages:
    """The page of each element, given its row-major number in a tensor of shape `shape`."""
    grid = TileGrid(shape)
    *lead, row, column = np.unravel_index(elements, grid.matrix_shape)
    pages: Pages = np.ravel_multi_index((*lead, row // TILE, column // TILE), grid.dims)
    return pages
