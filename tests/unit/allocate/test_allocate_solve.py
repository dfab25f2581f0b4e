"""The allocator on problems whose answer is known, and what it says when there is none."""

import numpy as np
import pytest

from compiler.allocate.check import check
from compiler.allocate.problem import AllocateProblem, Arena, Buffer
from compiler.allocate.solve import live_peak, solve
from compiler.diagnostics import DiagnosticError

L1 = Arena("L1 of core 0", 96, 1000, 16)


def test_nothing_to_allocate() -> None:
    solution = solve(AllocateProblem((L1,), ()))
    assert (solution.addresses, solution.peaks) == ((), (0,))


def test_lifetimes_that_do_not_meet_share_bytes() -> None:
    problem = AllocateProblem((L1,), (Buffer("a", 0, 900, 0, 3), Buffer("b", 0, 900, 4, 5)))
    solution = solve(problem)
    assert (solution.addresses, solution.peaks) == ((96, 96), (900,))


def test_both_ends_of_a_lifetime_count() -> None:
    problem = AllocateProblem((L1,), (Buffer("a", 0, 100, 0, 4), Buffer("b", 0, 100, 4, 5)))
    solution = solve(problem)
    assert sorted(solution.addresses) == [96, 208]


def test_the_base_is_brought_to_the_alignment() -> None:
    problem = AllocateProblem((Arena("L1", 100, 1000, 64),), (Buffer("a", 0, 10, 0, 0),))
    solution = solve(problem)
    check(problem, solution)
    assert (solution.addresses, solution.peaks) == ((128,), (38,))


def test_the_refusal_names_the_largest_buffers() -> None:
    sizes = {"w1": 500, "w2": 400, "x": 300, "y": 20, "z": 10}
    buffers = tuple(Buffer(name, 0, nbytes, 0, 1) for name, nbytes in sizes.items())
    with pytest.raises(DiagnosticError) as caught:
        solve(AllocateProblem((L1,), buffers))
    (found,) = caught.value.diagnostics
    assert found.code == "E0411"
    assert found.message == "buffers in L1 of core 0 need 1264 bytes, but 1000 bytes are available"
    assert found.notes == ("live at the same time: `w1` 500, `w2` 400, `x` 300, `y` 20 and 1 smaller one (bytes)",)
    assert "free 264 bytes" in found.helps[0]


def test_each_arena_that_overflows_is_reported() -> None:
    arenas = (L1, Arena("DRAM", 0, 50, 1), Arena("L1 of core 2", 0, 10, 1))
    buffers = (Buffer("a", 0, 2000, 0, 0), Buffer("b", 1, 20, 0, 0), Buffer("c", 2, 20, 0, 0))
    with pytest.raises(DiagnosticError) as caught:
        solve(AllocateProblem(arenas, buffers))
    assert ["DRAM" in d.message for d in caught.value.diagnostics] == [False, False]


def test_a_tight_fit_is_found_by_search() -> None:
    """Random problems with room for the bound and a twentieth more: all are solved."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        starts = rng.integers(0, 40, size=30)
        buffers = tuple(
            Buffer(f"b{i}", 0, int(nbytes), int(start), int(start + length))
            for i, (start, length, nbytes) in enumerate(
                zip(starts, rng.integers(0, 12, size=30), rng.integers(1, 100, size=30), strict=True)
            )
        )
        bound = live_peak(Arena("L1", 0, 0, 1), buffers)[0]
        problem = AllocateProblem((Arena("L1", 0, bound * 21 // 20, 1),), buffers)
        check(problem, solve(problem))


def test_alike_cores_get_alike_addresses() -> None:
    arenas = tuple(Arena(f"L1 of core {i}", 0, 1000, 16) for i in range(3))
    buffers = tuple(Buffer(f"cb{j}", i, 100 + j, j, j + 2) for i in range(3) for j in range(5))
    addresses = solve(AllocateProblem(arenas, buffers)).addresses
    assert addresses[:5] == addresses[5:10] == addresses[10:]
