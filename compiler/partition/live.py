"""Which blocks and steps of a nest are live, for a given shape of block."""

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from compiler.partition.nest import ContractBody, Nest, ReduceBody, Workload

Numbers = NDArray[np.int64]
Flags = NDArray[np.bool_]
T = TypeVar("T")


class Same(Generic[T]):
    """An object as the key of a cache: that very object, not what equals it."""

    __slots__ = ("it",)

    def __init__(self, it: T) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.it is other.it


def block_shape(nest: Nest, block: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the tiles per axis of the space of one block and one step."""
    rows, columns, inner = block
    reduced = (*(1,) * (len(nest.reduced) - 1), inner) if nest.reduced else ()
    return (*(1,) * (len(nest.out_dims) - 2), rows, columns, *reduced)


def block_grid(nest: Nest, block: tuple[int, int, int]) -> tuple[int, ...]:
    """Return the number of blocks per axis of the result; they are numbered row-major."""
    return tuple(-(-dim // size) for dim, size in zip(nest.out_dims, block_shape(nest, block), strict=False))


def has_steps(nest: Nest) -> bool:
    """Whether the work on a block consists of steps; a map or a gather makes it at once."""
    return isinstance(nest.body, ReduceBody | ContractBody)


def looped(nest: Nest, number: int) -> bool:
    """Whether operand `number` is used by every step rather than once per block."""
    return has_steps(nest) and number < nest.looped_operands


def live_pages(workload: Workload, number: int) -> Flags:
    """Return which pages of the result of nest `number` are live, over the axes of the result."""
    return _live_pages(Same(workload), number)


def live_iterations(workload: Workload, number: int) -> Flags:
    """Return which iterations of nest `number` are live, over its space."""
    return _live_iterations(Same(workload), number)


def uniform(workload: Workload, number: int, block: tuple[int, int, int]) -> bool:
    """Whether this block cuts the space of nest `number` evenly, into parts that are live as a whole or not at all."""
    nest = workload.nests[number]
    shape = block_shape(nest, block)
    if any(extent % size for extent, size in zip(nest.space, shape, strict=True)):
        return False
    if not _is_uniform(live_pages(workload, number), shape[: len(nest.out_dims)]):
        return False
    return not has_steps(nest) or _is_uniform(live_iterations(workload, number), shape)


def uniform_sizes(workload: Workload, number: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the tile rows, tile columns and innermost reduced tiles that blocks of nest `number` may have.

    A block is uniform, see `uniform`, if and only if each of its three sizes is among these, ascending.
    """
    return _uniform_sizes(Same(workload), number)


def live_blocks(workload: Workload, number: int, block: tuple[int, int, int]) -> Numbers:
    """Return the numbers of the blocks that hold live pages of the result of nest `number`, ascending."""
    nest = workload.nests[number]
    return np.flatnonzero(_folded(live_pages(workload, number), block_shape(nest, block)[: len(nest.out_dims)]))


def live_steps(workload: Workload, number: int, block: tuple[int, int, int]) -> Flags:
    """Return which steps of which block of nest `number` are live (blocks x steps); no columns without steps."""
    nest = workload.nests[number]
    blocks = prod(block_grid(nest, block))
    if not has_steps(nest):
        return np.zeros((blocks, 0), bool)
    return _folded(live_iterations(workload, number), block_shape(nest, block)).reshape(blocks, -1)


@lru_cache(maxsize=64)
def _live_pages(workload: Same[Workload], number: int) -> Flags:
    nest = workload.it.nests[number]
    live = workload.it.storages[nest.out].live
    return np.ones(nest.out_dims, bool) if live is None else live.array.reshape(nest.out_dims)


@lru_cache(maxsize=64)
def _live_iterations(workload: Same[Workload], number: int) -> Flags:
    nest = workload.it.nests[number]
    return np.ones(nest.space, bool) if nest.live is None else nest.live.array


@lru_cache(maxsize=256)
def _uniform_sizes(workload: Same[Workload], number: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    nest = workload.it.nests[number]
    rank = len(nest.out_dims)
    masks = [live_pages(workload.it, number)]
    if has_steps(nest):
        masks.append(live_iterations(workload.it, number))
    rows, columns = (_even_sizes(masks, axis) for axis in (rank - 2, rank - 1))
    return rows, columns, _even_sizes(masks[1:], len(nest.space) - 1) if nest.reduced else (1,)


def _even_sizes(masks: Sequence[Flags], axis: int) -> tuple[int, ...]:
    """The divisors of the extent of an axis into parts along which no mask changes."""
    changes: set[int] = set()
    for mask in masks:
        lines = np.moveaxis(mask, axis, 0).reshape(mask.shape[axis], -1)
        changes.update((np.flatnonzero((lines[1:] != lines[:-1]).any(axis=1)) + 1).tolist())
    extent = masks[0].shape[axis]
    even = (all(change % size == 0 for change in changes) for size in range(1, extent + 1))
    return tuple(size for size, fine in enumerate(even, 1) if extent % size == 0 and fine)


def _split(flags: Flags, shape: Sequence[int]) -> Flags:
    """The parts of this shape as one axis behind those that count the parts."""
    parts = tuple(extent // size for extent, size in zip(flags.shape, shape, strict=True))
    both = [number for pair in zip(parts, shape, strict=True) for number in pair]
    axes = (*range(0, 2 * len(shape), 2), *range(1, 2 * len(shape), 2))
    return flags.reshape(both).transpose(axes).reshape(*parts, prod(shape))


def _is_uniform(flags: Flags, shape: Sequence[int]) -> bool:
    parts = _split(flags, shape)
    return bool((parts == parts[..., :1]).all())


def _folded(flags: Flags, shape: Sequence[int]) -> Flags:
    """Which parts of this shape hold anything."""
    return np.asarray(_split(flags, shape).any(axis=-1), np.bool_)
