"""Allocations of random lifetimes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from compiler.allocate.check import check
from compiler.allocate.problem import AllocateProblem, AllocateSolution, Arena, Buffer
from compiler.allocate.solve import live_peak, solve
from compiler.diagnostics import DiagnosticError, InternalError

ROOMY = 1 << 20


@st.composite
def problems(draw: st.DrawFn, size: int = ROOMY) -> AllocateProblem:
    alignment = st.sampled_from((1, 4, 16, 64))
    arenas = draw(st.lists(st.builds(Arena, st.just("L1"), st.integers(0, 100), st.just(size), alignment), max_size=3))
    if not arenas:
        return AllocateProblem((), ())
    lifetime = st.tuples(st.integers(0, 12), st.integers(0, 6))
    buffer = st.builds(
        lambda arena, nbytes, life: Buffer("b", arena, nbytes, life[0], life[0] + life[1]),
        st.integers(0, len(arenas) - 1),
        st.integers(0, 300),
        lifetime,
    )
    return AllocateProblem(tuple(arenas), tuple(draw(st.lists(buffer, max_size=24))))


def live_bytes(problem: AllocateProblem, arena: int, time: int) -> int:
    alive = (b for b in problem.buffers if b.arena == arena and b.start <= time <= b.end)
    return sum(b.nbytes for b in alive)


@given(problems())
def test_solutions_pass_the_check_and_stay_above_the_bound(problem: AllocateProblem) -> None:
    solution = solve(problem)
    check(problem, solution)
    assert solution == solve(problem)
    for number, peak in enumerate(solution.peaks):
        assert peak >= max(live_bytes(problem, number, time) for time in range(20))


@given(problems())
def test_the_peak_stays_near_the_bound(problem: AllocateProblem) -> None:
    """The best of the greedy orders stays within 5/4 of the bytes live at one time."""
    solution = solve(problem)
    for number, (arena, peak) in enumerate(zip(problem.arenas, solution.peaks, strict=True)):
        bound = live_peak(arena, [buffer for buffer in problem.buffers if buffer.arena == number])[0]
        assert peak <= 1.25 * bound + arena.alignment


@given(problems(size=600))
def test_either_fits_or_says_what_is_missing(problem: AllocateProblem) -> None:
    """What has too many bytes live at one time is refused, whatever the solver tries."""
    times = range(20)
    hopeless = any(live_bytes(problem, arena, time) > 600 for arena in range(len(problem.arenas)) for time in times)
    try:
        check(problem, solve(problem))
    except DiagnosticError as error:
        found = error.diagnostics
    else:
        found = ()
    assert bool(found) >= hopeless
    assert all(d.code == "E0411" and "600 bytes are available" in d.message for d in found)


@given(problems(), st.data())
def test_check_rejects_a_moved_buffer(problem: AllocateProblem, data: st.DataObject) -> None:
    """Any buffer moved onto another one that lives at the same time, or off its alignment, or out of its arena."""
    solution = solve(problem)
    pairs = [
        (i, j)
        for i, a in enumerate(problem.buffers)
        for j, b in enumerate(problem.buffers)
        if i != j and a.arena == b.arena and a.start <= b.end and b.start <= a.end and a.nbytes and b.nbytes
    ]
    if pairs:
        moved, onto = data.draw(st.sampled_from(pairs))
        _rejects(problem, _with_address(solution, moved, solution.addresses[onto]))
    if problem.buffers:
        which = data.draw(st.integers(0, len(problem.buffers) - 1))
        arena = problem.arenas[problem.buffers[which].arena]
        _rejects(problem, _with_address(solution, which, arena.base + arena.size + arena.alignment))
        if arena.alignment > 1:
            _rejects(problem, _with_address(solution, which, solution.addresses[which] + 1))
    if problem.arenas:
        _rejects(problem, replace(solution, peaks=(solution.peaks[0] + 1, *solution.peaks[1:])))


def _with_address(solution: AllocateSolution, number: int, address: int) -> AllocateSolution:
    return replace(solution, addresses=(*solution.addresses[:number], address, *solution.addresses[number + 1 :]))


def _rejects(problem: AllocateProblem, solution: AllocateSolution) -> None:
    with pytest.raises(InternalError, match=r"^allocate: "):
        check(problem, solution)


class Lifetimes(RuleBasedStateMachine):
    """Buffers are opened and closed as a program would; whatever is open at one time is written with its own pattern.

    The memory is a plain list of owners: an allocation that lets two live buffers share a byte loses an owner.
    """

    def __init__(self) -> None:
        super().__init__()
        self.time = 0
        self.open: dict[int, tuple[int, int]] = {}
        self.closed: list[Buffer] = []
        self.count = 0

    @rule(nbytes=st.integers(1, 40))
    def allocate(self, nbytes: int) -> None:
        self.open[self.count] = (nbytes, self.time)
        self.count += 1
        self.time += 1

    @rule(which=st.integers(0, 30))
    def free(self, which: int) -> None:
        if self.open:
            number = sorted(self.open)[which % len(self.open)]
            nbytes, start = self.open.pop(number)
            self.closed.append(Buffer(f"b{number}", 0, nbytes, start, self.time))
            self.time += 1

    @invariant()
    def every_live_byte_has_one_owner(self) -> None:
        still = (Buffer(f"b{n}", 0, nbytes, start, self.time) for n, (nbytes, start) in self.open.items())
        buffers = (*self.closed, *still)
        solution = solve(AllocateProblem((Arena("L1", 0, ROOMY, 4),), buffers))
        for time in range(self.time + 1):
            owners: dict[int, str] = {}
            for buffer, address in zip(buffers, solution.addresses, strict=True):
                if buffer.start <= time <= buffer.end:
                    assert owners.keys().isdisjoint(range(address, address + buffer.nbytes))
                    owners |= dict.fromkeys(range(address, address + buffer.nbytes), buffer.name)


TestLifetimes = Lifetimes.TestCase
