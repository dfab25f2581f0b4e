"""Carry what is known of the pages of a storage to the iterations of a nest, and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TileGrid
from compiler.partition.nest import Access
from compiler.prune.facts import Facts, Flags, some


@dataclass(frozen=True, slots=True)
class Route:
    """How an access walks over a grid of pages of extents `dims`, from iterations of extents `space`.

    If every page coordinate follows at most one axis of the space, `axis_of[d]` is that axis (-1: none) and page
    coordinate `d` is `first[d] + step[d] * t[axis_of[d]]`; else `axis_of` is empty and `pages` holds the numbers of
    the pages, of extent 1 along axes of stride 0.
    """

    dims: tuple[int, ...]
    space: tuple[int, ...]
    axis_of: tuple[int, ...]
    first: tuple[int, ...]
    step: tuple[int, ...]
    pages: NDArray[np.int64]

    def facts(self, facts: Facts) -> Facts:
        """What is known of the page that each iteration uses."""
        return facts.each(self.spread)

    def spread(self, array: NDArray[Any]) -> NDArray[Any]:
        """The element of `array` (over `dims`, or of extent 1) of each iteration, of extent 1 where all are equal."""
        if not self.axis_of:
            return np.broadcast_to(array, self.dims).reshape(-1)[self.pages]
        index = tuple(
            slice(None) if array.shape[d] == 1 else slice(first, first + 1 + step * (self._turns(d) - 1), step)
            for d, (first, step) in enumerate(zip(self.first, self.step, strict=True))
        )
        found = array[index]
        order = [d for _, d in sorted((axis, d) for d, axis in enumerate(self.axis_of) if axis >= 0)]
        shape = [1] * len(self.space)
        for d in order:
            shape[self.axis_of[d]] = found.shape[d]
        return found.transpose([d for d in range(found.ndim) if d not in order] + order).reshape(shape)

    def _turns(self, d: int) -> int:
        return self.space[self.axis_of[d]] if self.axis_of[d] >= 0 else 1

    def collect(self, iterations: Flags) -> Flags:
        """The pages that some iteration in `iterations` (over `space`, or of extent 1) uses."""
        if not self.axis_of:
            return self._collect_pages(iterations)
        mapped = {axis for axis in self.axis_of if axis >= 0}
        found = some(iterations, tuple(a for a in range(len(self.space)) if a not in mapped), keep=True)
        order = [axis for axis in self.axis_of if axis >= 0]
        rest = [axis for axis in range(found.ndim) if axis not in order]
        shape = [found.shape[axis] if axis >= 0 else 1 for axis in self.axis_of]
        found = found.transpose([*order, *rest]).reshape(shape)
        return self._place(found)

    def _place(self, found: Flags) -> Flags:
        covers = [self._turns(d) == self.dims[d] for d in range(len(self.dims))]
        extents = [n if c and n == 1 else dim for n, c, dim in zip(found.shape, covers, self.dims, strict=True)]
        pages = np.zeros(extents, np.bool_)
        index = tuple(
            slice(None) if extents[d] == 1 else slice(first, first + 1 + step * (self._turns(d) - 1), step)
            for d, (first, step) in enumerate(zip(self.first, self.step, strict=True))
        )
        pages[index] = found
        return pages

    def _collect_pages(self, iterations: Flags) -> Flags:
        unused = tuple(axis for axis, extent in enumerate(self.pages.shape) if extent == 1)
        found = np.broadcast_to(some(iterations, unused, keep=True), self.pages.shape)
        pages = np.zeros(self.dims, np.bool_)
        pages.reshape(-1)[self.pages[found]] = True
        return pages


def route(access: Access, shape: tuple[int, ...], space: tuple[int, ...]) -> Route:
    """Analyze `access` to a storage of `shape` from a nest of iterations `space`."""
    grid = TileGrid(shape)
    first, axis_of, step = [], [-1] * len(grid.dims), [1] * len(grid.dims)
    rest = access.offset
    for stride, dim in zip(grid.strides, grid.dims, strict=True):
        first.append(rest // stride % dim)
        rest %= stride
    plain = True
    for axis, stride in enumerate(access.strides):
        if stride and space[axis] > 1:
            at = _coordinate(stride, grid)
            plain = plain and axis_of[at] < 0
            axis_of[at], step[at] = axis, stride // grid.strides[at]
            plain = plain and first[at] + step[at] * (space[axis] - 1) < grid.dims[at]
    if plain:
        return Route(grid.dims, space, tuple(axis_of), tuple(first), tuple(step), np.zeros(0, np.int64))
    return Route(grid.dims, space, (), (), (), _pages(access, space))


def _coordinate(stride: int, grid: TileGrid) -> int:
    """The outermost coordinate of which `stride` is a whole number of steps that may fit."""
    for d, (unit, dim) in enumerate(zip(grid.strides, grid.dims, strict=True)):
        if dim > 1 and stride % unit == 0:
            return d
    return len(grid.dims) - 1


def _pages(access: Access, space: tuple[int, ...]) -> NDArray[np.int64]:
    pages = np.full((1,) * len(space), access.offset, np.int64)
    for axis, (stride, extent) in enumerate(zip(access.strides, space, strict=True)):
        if stride:
            shape = [1] * len(space)
            shape[axis] = extent
            pages = pages + stride * np.arange(extent).reshape(shape)
    return pages
