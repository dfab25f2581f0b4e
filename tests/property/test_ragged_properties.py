"""Ragged stages: what is dealt, what it loads and how evenly, against the masks taken point by point."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from itertools import product as points

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import InternalError
from compiler.numerics import DType
from compiler.numerics.expr import ExprBuilder, identity
from compiler.numerics.fidelity import Fidelity
from compiler.numerics.masks import TileMask
from compiler.partition.check import check
from compiler.partition.context import Candidate, Context
from compiler.partition.deal import segments
from compiler.partition.live import Flags
from compiler.partition.mapping import candidates
from compiler.partition.nest import Access, Body, ContractBody, MapBody, Nest, Storage, Workload
from compiler.partition.printer import print_stages
from compiler.partition.ragged import CHUNK, in_step, loads, result_pages, work
from compiler.partition.solve import solve
from compiler.partition.stages import Sharing, Stage, StageGraph
from compiler.program.image import Role
from compiler.target.load import load_machine

MESH = load_machine("mesh_4x4")
DRAM = Context((False, False), to_dram=True, shard=False)


def _product(batch: int, rows: int, inner: int, columns: int, live: Flags, out: Flags) -> Workload:
    """`y[b, i, j] = x[b, i, k] * w[k, j]` over tiles, where only `live[b, i, j, k]` counts."""
    shapes = {"x": (batch, rows, inner), "w": (inner, columns), "y": (batch, rows, columns)}
    tiles = {name: (*shape[:-2], shape[-2] * 32, shape[-1] * 32) for name, shape in shapes.items()}
    storages = (
        Storage("x", DType.BF16, tiles["x"], Role.INPUT, -1),
        Storage("w", DType.BF16, tiles["w"], Role.INPUT, -1),
        Storage("y", DType.BF16, tiles["y"], Role.OUTPUT, 0, live=TileMask.of(out)),
    )
    accesses = (Access(0, (rows * inner, inner, 0, 1)), Access(1, (0, 0, 1, columns)))
    body = ContractBody(DType.BF16, False, False, identity(DType.F32), Fidelity.HIFI4)
    return _workload(storages, tiles["y"], (inner,), accesses, body, live)


def _sum(rows: int, columns: int, out: Flags) -> Workload:
    """`y[i, j] = x[i, j] + w[j]` over tiles, where `out` is live."""
    builder = ExprBuilder()
    expr = builder.build(builder.arg(0, DType.BF16))
    tiles = (rows * 32, columns * 32)
    storages = (
        Storage("x", DType.BF16, tiles, Role.INPUT, -1, live=TileMask.of(out)),
        Storage("w", DType.BF16, (32, columns * 32), Role.INPUT, -1),
        Storage("y", DType.BF16, tiles, Role.OUTPUT, 0, live=TileMask.of(out)),
    )
    return _workload(storages, tiles, (), (Access(0, (columns, 1)), Access(1, (0, 1))), MapBody(expr), out)


def _workload(
    storages: tuple[Storage, ...],
    shape: tuple[int, ...],
    reduced: tuple[int, ...],
    accesses: tuple[Access, ...],
    body: Body,
    live: Flags,
) -> Workload:
    nest = Nest("n", None, None, 2, shape, reduced, accesses, body, live=TileMask.of(live))
    return Workload("t", storages, (nest,), ())


@st.composite
def _coarse(draw: st.DrawFn, dims: tuple[int, ...]) -> Flags:
    """A mask made of equal parts, so that blocks of several tiles are uniform."""
    sizes = [draw(st.sampled_from([size for size in (1, 2, 4) if dim % size == 0])) for dim in dims]
    small = [dim // size for dim, size in zip(dims, sizes, strict=True)]
    seed, density = draw(st.integers(0, 10**6)), draw(st.sampled_from([0.1, 0.5, 0.9]))
    mask = np.random.default_rng(seed).random(small) < density
    for axis, size in enumerate(sizes):
        mask = mask.repeat(size, axis)
    return mask


@st.composite
def workloads(draw: st.DrawFn) -> Workload:
    """Nests of which some page is live; the weights of a product may be sparse for all rows alike."""
    extents = st.sampled_from([1, 2, 4, 6, 8])
    rows, inner, columns = draw(extents), draw(extents), draw(extents)
    if draw(st.booleans()):
        out = draw(_coarse((rows, columns)))
        out[0, 0] = True
        return _sum(rows, columns, out)
    batch = draw(st.integers(1, 2))
    space = (batch, rows, columns, inner)
    sparse = np.broadcast_to(draw(_coarse((columns, inner))), space)
    live = sparse & draw(st.one_of(st.just(np.ones(space, bool)), _coarse(space)))
    out = live.any(axis=-1) | draw(_coarse(space[:-1]))
    out[0, 0, 0] = True
    return _product(batch, rows, inner, columns, live, out)


def _found(workload: Workload) -> tuple[Candidate, ...]:
    found = candidates(MESH, workload, 0, DRAM)
    assert found
    return found


stages = workloads().flatmap(
    lambda workload: st.tuples(st.just(workload), st.sampled_from(_found(workload)).map(lambda found: found.stage))
)


@given(workloads())
def test_solutions_pass_the_check_and_print(workload: Workload) -> None:
    graph = solve(MESH, workload)
    check(MESH, graph)
    assert "of them computed" in print_stages(graph, MESH)


@given(stages)
def test_every_live_page_is_made_once(given_: tuple[Workload, Stage]) -> None:
    workload, stage = given_
    live = workload.storages[2].live
    assert live is not None
    made = np.concatenate([result_pages(workload, stage, core) for core in range(stage.cores)])
    assert sorted(made.tolist()) == np.flatnonzero(live.array).tolist()


def _iterations(workload: Workload, stage: Stage, core: int) -> Iterator[tuple[int, ...]]:
    """Every iteration that the steps of a core stand for."""
    found = work(workload, stage, core)
    rows, columns, inner = stage.block
    lead = len(workload.nests[0].out_dims) - 2
    for block, first in enumerate(found.blocks.tolist()):
        chunks = found.chunk_bounds[block], found.chunk_bounds[block + 1]
        for step in found.steps[found.step_bounds[chunks[0]] : found.step_bounds[chunks[1]]].tolist():
            for r, c, k in points(range(rows), range(columns), range(inner)):
                yield (*first[:lead], first[lead] + r, first[lead + 1] + c, *step[:-1], step[-1] + k)


@given(stages)
def test_steps_are_the_live_iterations(given_: tuple[Workload, Stage]) -> None:
    workload, stage = given_
    nest = workload.nests[0]
    done = [point for core in range(stage.cores) for point in _iterations(workload, stage, core)]
    assert nest.live is not None
    wanted = [tuple(point) for point in np.argwhere(nest.live.array).tolist()] if nest.reduced else []
    assert sorted(done) == wanted


def _parts(workload: Workload, stage: Stage, core: int, level: int) -> Iterator[tuple[int, int, int]]:
    """Load, block and step (-1: none) of every use of an operand of this level that steps, or blocks, make."""
    found = work(workload, stage, core)
    panel = -1
    chunk = -1
    for block in range(len(found.blocks)):
        panel += block in found.panels[:-1]
        if not workload.nests[0].reduced:
            yield (0, panel, block, -1)[level], block, -1
        for part in range(found.chunk_bounds[block], found.chunk_bounds[block + 1]):
            chunk += 1
            assert 0 < found.step_bounds[part + 1] - found.step_bounds[part] <= CHUNK
            for step in range(found.step_bounds[part], found.step_bounds[part + 1]):
                yield (0, panel, block, chunk)[level], block, step


@given(stages)
def test_loads_bring_what_every_use_needs(given_: tuple[Workload, Stage]) -> None:
    workload, stage = given_
    nest = workload.nests[0]
    rank = len(nest.out_dims)
    for core, number in points(range(stage.cores), range(2)):
        found, todo = loads(workload, stage, number, core), work(workload, stage, core)
        access = nest.operands[number]
        brought = np.split(found.pages, np.cumsum(found.counts)[:-1])
        for use, (load, block, step) in enumerate(_parts(workload, stage, core, stage.operands[number].level)):
            page = access.offset + int(todo.blocks[block] @ np.array(access.strides[:rank]))
            page += int(todo.steps[step] @ np.array(access.strides[rank:])) if step >= 0 else 0
            assert brought[load][found.places[use]] == page
        assert all(len(set(pages.tolist())) == len(pages) for pages in brought)


@given(stages)
def test_cores_that_share_an_operand_load_the_same(given_: tuple[Workload, Stage]) -> None:
    workload, stage = given_
    for number, plan in enumerate(stage.operands):
        groups: dict[int, list[tuple[bytes, bytes]]] = defaultdict(list)
        for core in range(stage.cores):
            row, column = divmod(core, stage.grid[1])
            group = {Sharing.ROW: row, Sharing.COLUMN: column, Sharing.ALL: 0}.get(plan.sharing, core)
            found = loads(workload, stage, number, core)
            groups[group].append((found.counts.tobytes(), found.pages.tobytes()))
        assert all(len(set(members)) == 1 for members in groups.values())


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.data())
def test_segments_are_balanced(weights: list[int], data: st.DataObject) -> None:
    cores = data.draw(st.integers(1, len(weights)))
    deal = segments(np.arange(len(weights)), np.array(weights), cores)
    assert [block for run in deal for block in run] == list(range(len(weights)))
    assert all(deal)
    heaviest = max(sum(weights[block] for block in run) for run in deal)
    assert heaviest <= sum(weights) / cores + max(weights)


@given(stages, st.data())
def test_damaged_deals_are_refused(given_: tuple[Workload, Stage], data: st.DataObject) -> None:
    workload, stage = given_
    first, *rest = stage.deal
    broken = [
        replace(stage, deal=(first[1:], *rest)),
        replace(stage, deal=((*first, first[0]), *rest)),
        replace(stage, deal=(*stage.deal, stage.deal[0])),
        replace(stage, deal=(), ways=(1,) * len(workload.nests[0].out_dims), grid=(1, 1)),
        replace(stage, block=(stage.block[0] * 16, *stage.block[1:])),
        replace(stage, operands=tuple(replace(plan, level=4) for plan in stage.operands)),
    ]
    uneven = [sharing for sharing in (Sharing.ROW, Sharing.COLUMN) if not in_step(workload, stage, 2, sharing)]
    for sharing in uneven:
        plans = tuple(replace(plan, level=2, sharing=sharing) for plan in stage.operands)
        broken.append(replace(stage, operands=plans))
    graph = StageGraph(workload, ((data.draw(st.sampled_from(broken)),),))
    with pytest.raises(InternalError):
        check(MESH, graph)
