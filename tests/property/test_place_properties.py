"""Placements of random blocks on random machines."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError, InternalError
from compiler.place.check import check
from compiler.place.problem import Block, Flow, Placement, PlaceProblem, PlaceSolution, core_at
from compiler.place.solve import PlaceOptions, fits, solve
from compiler.target import Coord, Machine
from runtime.testing.machines import machines

OPTIONS = PlaceOptions(seed=1, moves=60)


@st.composite
def problems(draw: st.DrawFn, max_blocks: int = 4, max_side: int = 3) -> PlaceProblem:
    machine = draw(machines(min_cores=4))
    side = st.integers(1, max_side)
    sizes = draw(st.lists(st.tuples(side, side), max_size=max_blocks))
    blocks = tuple(Block(f"b{i}", rows, columns) for i, (rows, columns) in enumerate(sizes))
    anchors = machine.dram.channels
    ends = [(-1, i) for i in range(len(anchors))]
    ends += [(b, i) for b, block in enumerate(blocks) for i in range(block.rows * block.columns)]
    end = st.sampled_from(ends)
    flows = draw(st.lists(st.tuples(end, end, st.integers(0, 10_000)), max_size=20))
    return PlaceProblem(machine, blocks, anchors, tuple(Flow(*src, *dst, nbytes) for src, dst, nbytes in flows))


def legal(machine: Machine, blocks: tuple[Block, ...], placements: tuple[Placement, ...]) -> bool:
    """Say whether blocks stand on live cores, each on its own; written without the placer's tables."""
    covered = [
        (placement.column + column, placement.row + row)
        for block, placement in zip(blocks, placements, strict=True)
        for row, column in product(range(block.rows), range(block.columns))
    ]
    columns, rows = machine.core_columns, machine.core_rows
    live = {(columns.index(core.x), rows.index(core.y)) for core in machine.cores}
    return len(set(covered)) == len(covered) and live.issuperset(covered)


def corners(machine: Machine) -> list[tuple[int, int]]:
    return list(product(range(len(machine.core_columns)), range(len(machine.core_rows))))


@given(problems())
def test_solutions_pass_the_check(problem: PlaceProblem) -> None:
    if fits(problem.machine, problem.blocks):
        check(problem, solve(problem, OPTIONS))
    else:
        with pytest.raises(DiagnosticError, match="E0410"):
            solve(problem, OPTIONS)


@given(problems(max_blocks=2))
def test_two_blocks_fit_exactly_when_some_pair_of_corners_does(problem: PlaceProblem) -> None:
    pairs = product(corners(problem.machine), repeat=len(problem.blocks))
    exists = any(legal(problem.machine, problem.blocks, tuple(Placement(*c) for c in pair)) for pair in pairs)
    assert fits(problem.machine, problem.blocks) == exists


@given(problems())
def test_same_seed_same_placement(problem: PlaceProblem) -> None:
    if fits(problem.machine, problem.blocks):
        assert solve(problem, OPTIONS) == solve(problem, OPTIONS)


@given(problems(), st.integers(0, 3), st.sampled_from(("row", "column")), st.sampled_from((-1, 1)))
def test_check_rejects_a_shifted_block_or_a_wrong_cost(problem: PlaceProblem, which: int, axis: str, by: int) -> None:
    if not problem.blocks or not fits(problem.machine, problem.blocks):
        return
    solution = solve(problem, OPTIONS)
    with pytest.raises(InternalError, match="cost"):
        check(problem, replace(solution, cost=solution.cost + 1))
    placements = list(solution.placements)
    which %= len(placements)
    old = placements[which]
    placements[which] = replace(old, row=old.row + by) if axis == "row" else replace(old, column=old.column + by)
    if not legal(problem.machine, problem.blocks, tuple(placements)):
        with pytest.raises(InternalError, match=r"leaves the worker grid|no live core|both cover"):
            check(problem, PlaceSolution(tuple(placements), solution.cost))


@given(problems(max_blocks=1))
def test_one_block_is_placed_optimally(problem: PlaceProblem) -> None:
    if not problem.blocks or not fits(problem.machine, problem.blocks):
        return
    assert solve(problem).cost == optimum(problem)


def optimum(problem: PlaceProblem) -> int:
    """Return the least cost of all placements, by trying them, judged by `check` itself."""
    flips = (False, True)
    every = [Placement(x, y, mx, my) for (x, y), mx, my in product(corners(problem.machine), flips, flips)]
    costs = (
        cost_of(problem, placements)
        for placements in product(every, repeat=len(problem.blocks))
        if legal(problem.machine, problem.blocks, placements)
    )
    return min(costs)


def cost_of(problem: PlaceProblem, placements: tuple[Placement, ...]) -> int:
    """Return the cost that `check` accepts."""
    try:
        check(problem, PlaceSolution(placements, -1))
    except InternalError as error:
        return int(str(error).rsplit(" ", 1)[1])
    raise AssertionError("a cost cannot be negative")


@given(problems(), st.data())
def test_a_pinned_block_stays_where_it_is_pinned(problem: PlaceProblem, data: st.DataObject) -> None:
    """Pinning some blocks of a solvable problem where one solution has them leaves it solvable, and them there."""
    if not fits(problem.machine, problem.blocks):
        return
    free = solve(problem)
    numbers = range(len(problem.blocks))
    pinned = data.draw(st.sets(st.sampled_from(numbers))) if numbers else set()
    blocks = list(problem.blocks)
    for number in pinned:
        placement = replace(free.placements[number], mirror_columns=False, mirror_rows=False)
        blocks[number] = replace(blocks[number], corner=core_at(problem.machine, blocks[number], placement, 0))
    again = replace(problem, blocks=tuple(blocks))
    solution = solve(again)
    check(again, solution)
    for number in pinned:
        assert solution.placements[number].column == free.placements[number].column
        assert solution.placements[number].row == free.placements[number].row
        moved = replace(blocks[number], corner=Coord(99, 99))
        with pytest.raises(InternalError, match="does not start at"):
            check(replace(again, blocks=(*blocks[:number], moved, *blocks[number + 1 :])), solution)
