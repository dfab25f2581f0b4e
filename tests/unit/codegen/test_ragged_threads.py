"""The threads of ragged stages, run on symbols: every page is made from the right pages, in the right order."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.codegen.bodies import KernelTable
from compiler.codegen.frame import Names
from compiler.codegen.plan import plan_epoch
from compiler.codegen.threads import core_program
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.expr import identity
from compiler.numerics.fidelity import Fidelity
from compiler.numerics.masks import TileMask
from compiler.partition import ragged
from compiler.partition.footprint import cb_sizes
from compiler.partition.nest import (
    Access,
    Body,
    ContractBody,
    GatherBody,
    MapBody,
    Nest,
    ReduceBody,
    Storage,
    Workload,
)
from compiler.partition.ragged import in_step
from compiler.partition.stages import OperandPlan, Sharing, Stage
from compiler.program.image import CircularBuffer, IndexMap, Role
from compiler.program.instructions import Combine, ReduceAxis, Thread
from compiler.target.load import load_machine
from runtime.testing.symbols import Symbol, Symbols

MACHINE = load_machine("mesh_4x4")
Draw = Callable[[st.SearchStrategy[Any]], Any]


def _negated(dtype: DType) -> Expr:
    builder = ExprBuilder()
    return builder.build(builder.op(ScalarOp.NEG, dtype, builder.arg(0, dtype)))


def _sum(dtype: DType, count: int) -> Expr:
    builder = ExprBuilder()
    total = builder.arg(0, dtype)
    for number in range(1, count):
        total = builder.op(ScalarOp.ADD, dtype, total, builder.arg(number, dtype))
    return builder.build(total)


@dataclass(frozen=True)
class _Case:
    workload: Workload
    stage: Stage
    live: Any
    """Live iterations, over the space."""
    made: Any
    """Live pages of the result."""

    @property
    def nest(self) -> Nest:
        return self.workload.nests[0]


@st.composite
def _cases(draw: Draw) -> _Case:
    """A nest of any kind with live blocks and steps at random, dealt at random."""
    kind = draw(st.sampled_from((ContractBody, ReduceBody, MapBody, GatherBody)))
    block = draw(st.sampled_from(((1, 1, 1), (2, 1, 1), (1, 3, 2), (1, 1, 3), (1, 2, 1))))
    lead = draw(st.sampled_from(((), (2,))))
    grid = (*lead, draw(st.integers(1, 3)), draw(st.integers(1, 4)))
    steps = draw(st.sampled_from(((1,), (5,), (11,), (2, 4)))) if kind in (ContractBody, ReduceBody) else ()
    live = _flags(draw, (*grid, *steps))
    made = live.any(axis=tuple(range(len(grid), live.ndim))) | (_flags(draw, grid) if steps else False)
    if not made.any():
        made.reshape(-1)[0] = True
        live |= not steps
    for axis, size in zip((-2, -1), block[:2], strict=True):
        made = np.repeat(made, size, axis)
        live = np.repeat(live, size, axis - len(steps))
    live = np.repeat(live, block[2], -1) if steps else live
    short = draw(st.sampled_from(((0, 0), (5, 0), (0, 9), (3, 30))))
    shape = (*made.shape[:-2], made.shape[-2] * 32 - short[0], made.shape[-1] * 32 - short[1])
    reduced = live.shape[made.ndim :]
    body = _body(draw, kind, shape, reduced)
    nest, storages = _nest(draw, body, shape, reduced, live, made)
    workload = Workload("case", storages, (nest,), ())
    return _Case(workload, _stage(draw, workload, block, grid), live, made)


def _flags(draw: Draw, shape: tuple[int, ...]) -> Any:
    density = draw(st.sampled_from((0.2, 0.5, 0.9, 1.0)))
    return np.random.default_rng(draw(st.integers(0, 99))).random(shape) < density


def _body(draw: Draw, kind: type[Body], shape: tuple[int, ...], reduced: tuple[int, ...]) -> Body:
    if kind is ContractBody:
        fidelity = draw(st.sampled_from((Fidelity.HIFI4, Fidelity.HIFI3)))
        epilogue = draw(st.sampled_from((identity(DType.F32), _sum(DType.F32, 2))))
        return ContractBody(DType.BF16, draw(st.booleans()), draw(st.booleans()), epilogue, fidelity)
    if kind is ReduceBody:
        rows, columns = 32 * reduced[-1] - draw(st.sampled_from((0, 7))), shape[-1]
        epilogue = draw(st.sampled_from((identity(DType.F32), _sum(DType.F32, 2))))
        axes = len(shape) + len(reduced) - 1, len(shape) - 1
        return ReduceBody(
            Combine.MAX, ReduceAxis.ROWS, _negated(DType.F32), epilogue, 1, rows, axes[0], columns, axes[1]
        )
    if kind is MapBody:
        return MapBody(_sum(DType.F32, 3))
    return GatherBody(IndexMap(shape, (), (), (), ()))


def _nest(
    draw: Draw, body: Body, shape: tuple[int, ...], reduced: tuple[int, ...], live: Any, made: Any
) -> tuple[Nest, tuple[Storage, ...]]:
    """The nest, and its storages: the operands, each over some axes of the space, and the result last."""
    space = (*made.shape, *reduced)
    looped = {ContractBody: 2, ReduceBody: 1, MapBody: 3, GatherBody: 1}[type(body)]
    extra = int(isinstance(body, ContractBody | ReduceBody) and not body.epilogue.is_identity)
    accesses, fed = [], []
    dtype = DType.BF16 if isinstance(body, ContractBody) else DType.F32
    for number in range(looped + extra):
        axes = [axis for axis in range(len(space) if number < looped else made.ndim) if draw(st.integers(0, 3))]
        if isinstance(body, ContractBody) and number < looped:
            axes = [axis for axis in axes if axis != made.ndim - 1 - number]  # no columns on the left, no rows right
        strides, step = [0] * len(space), 1
        for axis in reversed(axes):
            strides[axis] = step
            step *= space[axis]
        offset = draw(st.sampled_from((0, 0, 6)))
        accesses.append(Access(number, tuple(strides), offset=offset))
        fed.append(Storage(f"x{number}", dtype, (32, 32 * (step + offset)), Role.INPUT, -1))
    out = Storage("y", DType.F32, shape, Role.OUTPUT, 0, live=TileMask.of(made))
    return (
        Nest("nest", None, None, len(fed), shape, reduced, tuple(accesses), body, live=TileMask.of(live)),
        (*fed, out),
    )


def _stage(draw: Draw, workload: Workload, block: tuple[int, int, int], grid: tuple[int, ...]) -> Stage:
    nest = workload.nests[0]
    made = workload.storages[nest.out].live
    assert made is not None
    rows, columns = block[:2]
    numbers = np.flatnonzero(made.array[..., ::rows, ::columns])
    core_grid = draw(st.sampled_from([pair for pair in ((1, 1), (1, 2), (2, 1), (2, 2)) if prod(pair) <= len(numbers)]))
    cores = prod(core_grid)
    owner = np.array([*range(cores), *draw(st.lists(st.integers(0, cores - 1), min_size=len(numbers), max_size=99))])
    deal = tuple(tuple(numbers[owner[: len(numbers)] == core].tolist()) for core in range(cores))
    bare = Stage(0, (), core_grid, block, (), True, False, deal=deal)
    most = 3 if nest.reduced else 2
    plans = []
    for number in range(len(nest.operands)):
        level = draw(st.integers(0, most if number < nest.looped_operands and nest.reduced else 2))
        sharing = draw(st.sampled_from([s for s in Sharing if in_step(workload, bare, level, s)]))
        if isinstance(nest.body, GatherBody) or prod(_group(core_grid, sharing)) == 1:
            sharing = Sharing.NONE
        thread = draw(st.sampled_from((Thread.READ, Thread.WRITE)))
        plans.append(OperandPlan(level, draw(st.integers(1, 2)), sharing, thread, from_l1=False))
    return Stage(0, (), core_grid, block, tuple(plans), True, draw(st.booleans()), deal=deal)


def _group(grid: tuple[int, int], sharing: Sharing) -> tuple[int, int]:
    rows, columns = grid
    return {Sharing.NONE: (1, 1), Sharing.ROW: (1, columns), Sharing.COLUMN: (rows, 1), Sharing.ALL: grid}[sharing]


def _run(case: _Case) -> Symbols:
    """All cores of the stage; tensors have the numbers of their storages."""
    workload, stage = case.workload, case.stage
    cores = (tuple(range(stage.cores)),)
    plan = plan_epoch(MACHINE, workload, (stage,), cores)
    numbers = {storage: storage for storage in range(len(workload.storages))}
    streams = plan.problem.streams
    names = Names(numbers, numbers, {0: 0}, (0,) * len(streams), plan.problem.core_sets)
    kernels = KernelTable()
    programs = []
    for core in range(stage.cores):
        sizes = cb_sizes(MACHINE, workload, stage, core)
        buffers = tuple(CircularBuffer(0, size.capacity, size.dtype, name=size.name) for size in sizes)
        programs.append(core_program(MACHINE, workload, names, plan.stages[0], core, buffers, kernels))
    symbols = Symbols(programs, plan.problem.core_sets, tuple(kernels.numbers))
    symbols.run()
    return symbols


def _pages(case: _Case) -> Iterator[tuple[int, tuple[int, ...]]]:
    for page, point in enumerate(np.ndindex(*case.made.shape)):
        if case.made[point]:
            yield page, point


def _used(case: _Case, number: int, point: Sequence[int]) -> Symbol:
    access = case.nest.operands[number]
    where = access.offset + sum(stride * t for stride, t in zip(access.strides, point, strict=False))
    return "page", access.storage, where


def _expected(case: _Case, point: tuple[int, ...]) -> Symbol:
    """What a page of the result should hold, straight from the nest."""
    nest, body = case.nest, case.nest.body
    live = [(*point, *t) for t in product(*map(range, nest.reduced)) if case.live[(*point, *t)]]
    match body:
        case GatherBody():
            page = int(np.ravel_multi_index(point, case.made.shape))
            return ("gathered", 0, 0, page)
        case MapBody(expr=expr):
            value: Symbol = ("map", expr, *(_used(case, number, point) for number in range(3)))
        case ReduceBody():
            rows, columns = (body.rows, body.row_axis), (body.columns, body.column_axis)
            value = tuple((("map", body.body, _used(case, 0, t)), _inside(t, rows, columns)) for t in live)
        case ContractBody():
            value = tuple(
                (_used(case, 0, t), parts[0], _used(case, 1, t), parts[1])
                for t in live
                for parts in body.fidelity.passes
            )
    if isinstance(body, ReduceBody | ContractBody) and not body.epilogue.is_identity:
        value = ("map", body.epilogue, value, _used(case, nest.looped_operands, point))
    rank = len(point)
    return value, _inside(point, (nest.shape[-2], rank - 2), (nest.shape[-1], rank - 1))


def _inside(point: Sequence[int], rows: tuple[int, int], columns: tuple[int, int]) -> tuple[int, int]:
    height, width = (max(0, min(32, extent - 32 * point[axis])) for extent, axis in (rows, columns))
    return height, width


@given(_cases(), st.sampled_from((2, 5, 32)))
def test_every_live_page_is_made_from_the_right_pages_in_order(case: _Case, piece: int) -> None:
    """Also where loads come in pieces, which tests make small."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "PIECE_PAGES", piece)
        symbols = _run(case)
    out = case.nest.out
    assert symbols.written == {(out, page): _expected(case, point) for page, point in _pages(case)}
