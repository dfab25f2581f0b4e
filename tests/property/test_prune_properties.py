"""Pruning changes no output, and what it claims to know holds: on values, tile by tile."""

from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from compiler.ir import TensorGraph
from compiler.numerics import TileGrid
from compiler.numerics.evaluate import Array
from compiler.partition.nest import Workload
from compiler.partition.tiling import tile
from compiler.passes import run_pipeline
from compiler.program.image import Role
from compiler.prune import PruneOptions, prune
from compiler.prune.demand import demand
from compiler.prune.facts import Facts
from compiler.prune.signs import signs_that_matter
from compiler.prune.solve import forward
from runtime.testing.nests import Tiles, inside, run
from runtime.testing.sparse import make_finite, sparse_graphs, special_tensors, zero_tiles
from runtime.testing.strategies import graphs, tensors_for

SEEDS = st.integers(0, 2**16)


def _case(graph: TensorGraph, seed: int, *, assume_finite: bool) -> tuple[Workload, dict[str, Array], PruneOptions]:
    optimized = run_pipeline(graph)
    tensors = special_tensors(optimized, seed, share=0.0 if seed % 2 else 0.02)
    zeros = zero_tiles(optimized, tensors, seed)
    return tile(optimized), tensors, PruneOptions(assume_finite=assume_finite, zeros=zeros)


def _is_finite(tiles: Tiles) -> bool:
    return bool(np.isfinite(tiles.astype(np.float64)).all())


def _holds(facts: Facts, values: Tiles, shape: tuple[int, ...]) -> bool:
    dims = TileGrid(shape).dims
    parts: list[Array] = [facts.low, facts.high, facts.nan, facts.minus]
    low, high, nan, minus = (np.broadcast_to(part, dims).reshape(-1, 1, 1) for part in parts)
    wide: Array = values.astype(np.float64)
    number = ~np.isnan(wide)
    between = (wide >= low) & (wide <= high)
    signs = minus | ~((wide == 0) & np.signbit(wide))
    return bool((~inside(shape) | np.where(number, between & signs, nan)).all())


@given(sparse_graphs(), SEEDS)
def test_proved_facts_hold(graph: TensorGraph, seed: int) -> None:
    workload, tensors, options = _case(graph, seed, assume_finite=False)
    make_finite(workload, tensors)
    known = forward(workload, options)
    for number, values in enumerate(run(workload, tensors)):
        storage = workload.storages[number]
        assert _holds(known.proven[number], values, storage.shape), storage.name
        assert _holds(known.best[number], values, storage.shape), storage.name


@given(graphs(), SEEDS, st.booleans())
def test_proved_facts_hold_of_every_operation(graph: TensorGraph, seed: int, whole: bool) -> None:
    optimized = run_pipeline(graph)
    workload, tensors = tile(optimized), tensors_for(optimized, seed, whole=whole)
    known = forward(workload, PruneOptions())
    for number, values in enumerate(run(workload, tensors)):
        storage = workload.storages[number]
        assert _holds(known.proven[number], values, storage.shape), storage.name


def _outputs(workload: Workload, pages: tuple[Tiles, ...]) -> dict[str, Tiles]:
    return {s.name: values for s, values in zip(workload.storages, pages, strict=True) if s.role is Role.OUTPUT}


def _same(a: Mapping[str, Tiles], b: Mapping[str, Tiles]) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[n], b[n], equal_nan=a[n].dtype.kind not in "ib") for n in a)


@given(sparse_graphs(), SEEDS)
def test_pruned_computes_the_same(graph: TensorGraph, seed: int) -> None:
    workload, tensors, options = _case(graph, seed, assume_finite=False)
    make_finite(workload, tensors)
    pruned = prune(None, workload, options).workload
    assert _same(_outputs(workload, run(workload, tensors)), _outputs(pruned, run(pruned, tensors)))


@given(graphs(), SEEDS, st.booleans())
def test_pruned_computes_the_same_for_every_operation(graph: TensorGraph, seed: int, whole: bool) -> None:
    optimized = run_pipeline(graph)
    workload, tensors = tile(optimized), tensors_for(optimized, seed, whole=whole)
    pruned = prune(None, workload).workload
    assert _same(_outputs(workload, run(workload, tensors)), _outputs(pruned, run(pruned, tensors)))


@given(sparse_graphs(), SEEDS)
def test_assuming_finite_is_right_or_noticed(graph: TensorGraph, seed: int) -> None:
    """If all that is computed of the tensors that are promised to be finite is, outputs are the same."""
    workload, tensors, options = _case(graph, seed, assume_finite=True)
    make_finite(workload, tensors)
    pruned = prune(None, workload, options).workload
    pages = run(pruned, tensors)
    if all(_is_finite(values) for s, values in zip(pruned.storages, pages, strict=True) if s.promised):
        assert _same(_outputs(workload, run(workload, tensors)), _outputs(pruned, pages))


@given(sparse_graphs(), SEEDS)
def test_nobody_looks_at_what_is_not_demanded(graph: TensorGraph, seed: int) -> None:
    """Pages that are neither needed nor zero may hold any numbers."""
    workload, tensors, options = _case(graph, seed, assume_finite=False)
    make_finite(workload, tensors)
    known = forward(workload, options)
    wanted = demand(workload, known.nests, signs_that_matter(workload))
    generator = np.random.default_rng(seed)

    def garble(name: str, tiles: Tiles) -> Tiles:
        number = names[name]
        storage = workload.storages[number]
        dims = TileGrid(storage.shape).dims
        free = ~np.broadcast_to(wanted.pages[number] | known.best[number].zero, dims)
        if storage.role is Role.OUTPUT or not storage.dtype.is_float:
            return tiles
        noise = generator.standard_normal(tiles.shape).astype(storage.dtype.numpy)
        return np.where(free.reshape(-1, 1, 1) & inside(storage.shape), noise, tiles)

    names = {storage.name: number for number, storage in enumerate(workload.storages)}
    pruned = prune(None, workload, options).workload
    pages = run(pruned, tensors, lambda number, tiles: garble(pruned.storages[number].name, tiles))
    assert _same(_outputs(workload, run(workload, tensors)), _outputs(pruned, pages))
