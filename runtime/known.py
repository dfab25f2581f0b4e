"""What the values of weights tell the compiler: which of their tiles are zero, and that they are finite.

An image compiled with them runs on other weights too, as long as these are zero and finite in the same places: the
host checks that when it is fed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from compiler.ir import TensorGraph
from compiler.ir.graph import Operation, Weight
from compiler.numerics import DType, TileGrid
from compiler.numerics.layout import to_pages
from compiler.numerics.masks import TileMask
from compiler.program.image import Role
from runtime.feed import Array, accept


@dataclass(frozen=True, slots=True)
class _Declared:
    """A weight of a graph, as `runtime.feed` wants it."""

    operation: Operation
    name: str
    role: Role = Role.WEIGHT

    @property
    def dtype(self) -> DType:
        return self.operation.type.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.operation.type.shape


def zero_tiles(array: Array) -> TileMask:
    """Return the tiles of which every element is +0 or -0, over `TileGrid(array.shape).dims`."""
    empty = ~to_pages(array != 0, DType.BOOL).any(axis=1)
    return TileMask.of(empty.reshape(TileGrid(array.shape).dims))


def accepted_weights(graph: TensorGraph, weights: Mapping[str, Array], origin: str) -> dict[str, Array]:
    """Return those of `weights` that the graph declares, in the declared types; raises what `accept` raises."""
    declared = (_Declared(op, op.kind.name) for op in graph.ops if isinstance(op.kind, Weight))
    return {each.name: accept(each, weights[each.name], origin) for each in declared if each.name in weights}


def with_finite_weights(graph: TensorGraph, weights: Mapping[str, Array]) -> TensorGraph:
    """Return the graph with the promise `finite` on every weight of which no element is NaN or infinite."""
    finite = {name for name, array in weights.items() if np.isfinite(array.astype(np.float32)).all()}
    return replace(graph, ops=tuple(_promised(op, finite) for op in graph.ops))


def _promised(op: Operation, finite: set[str]) -> Operation:
    if isinstance(op.kind, Weight) and op.kind.name in finite:
        return replace(op, kind=replace(op.kind, finite=True))
    return op
