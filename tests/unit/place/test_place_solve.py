"""The placer on problems whose answer is known."""

from itertools import permutations, product

import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError
from compiler.place.check import check
from compiler.place.problem import Block, Flow, Placement, PlaceProblem, core_at
from compiler.place.solve import PlaceOptions, fits, solve
from compiler.target import Machine
from compiler.target.load import load_machine


@pytest.fixture(scope="module")
def mesh() -> Machine:
    return load_machine("mesh_4x4")


@pytest.fixture(scope="module")
def wormhole() -> Machine:
    return load_machine("wormhole_n150")


def test_no_blocks_cost_nothing(mesh: Machine) -> None:
    solution = solve(PlaceProblem(mesh, (), (), ()))
    assert (solution.placements, solution.cost) == ((), 0)


def test_a_block_as_large_as_the_grid_can_only_be_mirrored(wormhole: Machine) -> None:
    rows, columns = len(wormhole.core_rows), len(wormhole.core_columns)
    problem = PlaceProblem(wormhole, (Block("all", rows, columns),), (), ())
    placement = solve(problem).placements[0]
    assert (placement.column, placement.row) == (0, 0)


def test_what_cannot_be_placed_is_named_with_its_size(mesh: Machine) -> None:
    blocks = (Block("left", 4, 3), Block("right", 4, 2))
    assert not fits(mesh, blocks)
    with pytest.raises(DiagnosticError, match=r"E0410: core grids 4 x 3 `left`, 4 x 2 `right` do not fit together"):
        solve(PlaceProblem(mesh, blocks, (), ()))
    with pytest.raises(DiagnosticError, match=r"E0410: core grid 5 x 1 `tall` does not fit"):
        solve(PlaceProblem(mesh, (Block("tall", 5, 1),), (), ()))


def test_packs_a_full_grid_of_unequal_blocks(mesh: Machine) -> None:
    sizes = ((2, 3), (3, 1), (2, 2), (1, 1), (2, 1))
    blocks = tuple(Block(f"b{i}", *size) for i, size in enumerate(sizes))
    assert sum(rows * columns for rows, columns in sizes) == len(mesh.cores)
    check(PlaceProblem(mesh, blocks, (), ()), solve(PlaceProblem(mesh, blocks, (), ())))


@pytest.mark.parametrize("seed", range(6))
def test_annealing_comes_within_3_percent_of_four_quadrants(mesh: Machine, seed: int) -> None:
    """Four 2 x 2 blocks on a 4 x 4 grid: 4! x 4**4 placements, all tried."""
    rng = np.random.default_rng(seed)
    blocks = tuple(Block(f"b{i}", 2, 2) for i in range(4))
    flows = tuple(_random_flow(rng) for _ in range(24))
    problem = PlaceProblem(mesh, blocks, (), flows)
    solution = solve(problem, PlaceOptions(seed=seed))
    check(problem, solution)
    optimum = _optimum_of_quadrants(problem)
    assert optimum <= solution.cost <= 1.03 * optimum


def _random_flow(rng: np.random.Generator) -> Flow:
    src_block, src_core, dst_block, dst_core, nbytes = rng.integers((4, 4, 4, 4, 100)).tolist()
    return Flow(src_block, src_core, dst_block, dst_core, nbytes)


def _optimum_of_quadrants(problem: PlaceProblem) -> int:
    machine = problem.machine
    best = None
    for order in permutations(product((0, 2), (0, 2))):
        for mirrors in product(product((False, True), repeat=2), repeat=4):
            homes = [
                [core_at(machine, block, Placement(*corner, *mirror), i) for i in range(4)]
                for block, corner, mirror in zip(problem.blocks, order, mirrors, strict=True)
            ]
            cost = 0
            for flow in problem.flows:
                src, dst = homes[flow.src_block][flow.src_core], homes[flow.dst_block][flow.dst_core]
                cost += flow.nbytes * (abs(src.x - dst.x) + abs(src.y - dst.y))
            best = cost if best is None else min(best, cost)
    assert best is not None
    return best


def test_a_pipeline_is_laid_out_along_the_short_way(wormhole: Machine) -> None:
    """A chain of eight rows, each core to its successor: neighbors everywhere is a lower bound, and is found."""
    blocks = tuple(Block(f"stage{i}", 1, 8) for i in range(9))
    flows = tuple(Flow(i, core, i + 1, core, 64) for i in range(8) for core in range(8))
    problem = PlaceProblem(wormhole, blocks, (), flows)
    solution = solve(problem)
    check(problem, solution)
    # Eight steps of one row; the harvested and Ethernet rows make some of them longer on any closed or open path.
    gaps = sorted(b - a for a, b in zip(wormhole.core_rows, wormhole.core_rows[1:], strict=False))
    assert solution.cost <= 1.15 * 64 * 8 * sum(gaps)


def test_more_moves_are_not_worse_on_average(wormhole: Machine) -> None:
    rng = np.random.default_rng(3)
    blocks = tuple(Block(f"b{i}", 2, 2) for i in range(12))
    flows = tuple(
        Flow(a, int(rng.integers(4)), (a + int(step)) % 12, int(rng.integers(4)), 100)
        for a in range(12)
        for step in rng.integers(1, 12, size=6)
    )
    problem = PlaceProblem(wormhole, blocks, (), flows)
    short, long = (sum(solve(problem, PlaceOptions(seed, moves)).cost for seed in range(3)) for moves in (5, 600))
    assert long < short
