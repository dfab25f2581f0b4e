"""`check_tokens` against an interpreter that picks the next thread at random."""

import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.program.assembly import parse_image
from compiler.program.image import Code, CoreProgram, CoreSet, Epoch, Image
from compiler.program.instructions import (
    Affine,
    End,
    Instruction,
    Loop,
    Pop,
    Push,
    Reserve,
    SemInc,
    SemWait,
    Wait,
)
from compiler.program.tokens import check_tokens
from runtime.testing.sample_image import sample_image, sample_text


def test_the_sample_runs_to_its_end() -> None:
    check_tokens(sample_image())


_LOOP = "loop {}\n      reserve cb0 1\n      read"
_FIRST = _LOOP.format(2)
_WAIT = "core 0 at (1, 0), read, instruction 5, `sem.wait s[0] >= 1`: semaphore 0 is 0, and 1 is needed"


@pytest.mark.parametrize(
    ("old", "new", "code", "message"),
    [
        ("sem.inc set1, s[0] += 1, noc0", "barrier", "E0512", _WAIT),
        ("set2, s[4] += 2", "set2, s[4] += 1", "E0512", "`await t3[i0]`: semaphore 4 is 1, and 2 is needed"),
        (_FIRST, _LOOP.format(3), "E0513", "core 0: cb0 is left with 1 pages"),
        (_FIRST, _LOOP.format(9), "E0512", "cb0 (`x`) has 0 of 2 pages free"),
        (_FIRST, _LOOP.format(1), "E0512", "cb0 (`x`) holds 0 pages"),
        ("set1, s[0] += 1", "set1, s[0] += 2", "E0513", "core 0: semaphore 0 is left at 1"),
        ("push cb2 2", "push cb2 1", "E0512", "cb2 (`h`) holds 1 pages"),
        ("push cb1 4", "push cb1 5", "E0512", "pushes pages that it has not reserved"),
        ("pop cb2 2", "pop cb2 1", "E0513", "cb2 is left with 1 pages"),
        ("pop cb1 4", "pop cb1 5", "E0512", "pops pages that it has not seen"),
    ],
)
def test_what_blocks_or_is_left_over_is_named(old: str, new: str, code: str, message: str) -> None:
    text = sample_text()
    assert old in text
    with pytest.raises(DiagnosticError) as error:
        check_tokens(parse_image(text.replace(old, new, 1)))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == code
    assert any(message in note for note in diagnostic.notes), diagnostic


def test_a_shard_takes_as_many_pages_as_it_holds() -> None:
    text = sample_text().replace("cb2 bf16 x 2", "cb2 bf16 x 3", 1)
    with pytest.raises(DiagnosticError) as error:
        check_tokens(parse_image(text))
    assert error.value.diagnostics[0].notes == ("core 0: 2 pages are pushed to shard cb2 of 3",)


_BASE = sample_image()


@st.composite
def _images(draw: st.DrawFn) -> Image:
    """Three cores; on each, `read` fills the cb that `compute` drains; `read` and `write` exchange increments."""
    base = _BASE
    sets = (CoreSet((0, 1), True), CoreSet((1,), False), CoreSet((2, 0), False), CoreSet((2, 1), False))
    programs = []
    for core in range(3):
        buffer = replace(base.epochs[0].programs[0].buffers[1], capacity=draw(st.integers(1, 4)))
        read = draw(_codes(("fill", "give", "take0")))
        compute = draw(_codes(("drain",)))
        write = draw(_codes(("give", "take1")))
        programs.append(CoreProgram(core, (buffer,), Code(read), Code(compute), Code(write)))
    return replace(base, tensors=(), index_maps=(), kernels=(), epochs=(Epoch(tuple(programs), sets, ()),))


@st.composite
def _codes(draw: st.DrawFn, kinds: tuple[str, ...]) -> tuple[Instruction, ...]:
    code: list[Instruction] = []
    for _ in range(draw(st.integers(0, 3))):
        count = draw(st.integers(1, 4))
        body = [step for kind in draw(st.lists(st.sampled_from(kinds), max_size=3)) for step in draw(_parts(kind))]
        code += [Loop(count), *body, End()]
    return tuple(code)


def _parts(kind: str) -> st.SearchStrategy[list[Instruction]]:
    amounts = st.integers(1, 2)
    if kind == "fill":
        return amounts.map(lambda pages: [Reserve(0, pages), Push(0, pages)])
    if kind == "drain":
        return amounts.map(lambda pages: [Wait(0, pages), Pop(0, pages)])
    semaphore = st.sampled_from((Affine(0), Affine(2), Affine(0, (2,)))).map(
        lambda value: Affine(value.constant % 2 + (kind == "take1"), value.coefficients)
    )
    if kind == "give":
        numbers = st.sampled_from((Affine(0), Affine(1), Affine(0, (1,))))
        return st.builds(lambda n, t, a: [SemInc(n, t, a, 0)], numbers, st.integers(0, 3), amounts)
    return st.builds(lambda n, a: [SemWait(n, a)], semaphore, amounts)


class _Interpreter:
    """Runs an epoch one instruction at a time, threads in random order."""

    def __init__(self, epoch: Epoch, seed: int) -> None:
        self.epoch, self.random = epoch, random.Random(seed)
        self.filled = {program.core: 0 for program in epoch.programs}
        self.semaphores: dict[tuple[int, int], int] = {}

    def leftovers(self) -> tuple[bool, bool]:
        """Whether a thread is blocked for good, and whether pages are left."""
        threads: list[list[Any]] = [
            [program, code.instructions, 0, []]
            for program in self.epoch.programs
            for code in (program.read, program.compute, program.write)
        ]
        while True:
            self.random.shuffle(threads)
            if not any([self.step(thread) for thread in threads]):  # noqa: C419  # every thread takes its turn
                break
        stuck = any(thread[2] < len(thread[1]) for thread in threads)
        return stuck, any(self.filled.values())

    def step(self, thread: list[Any]) -> bool:
        program, code, at, loops = thread
        if at >= len(code):
            return False
        instruction = code[at]
        if isinstance(instruction, Loop):
            loops.append([at, 0, instruction.count])
        elif isinstance(instruction, End):
            loops[-1][1] += 1
            if loops[-1][1] < loops[-1][2]:
                thread[2] = loops[-1][0] + 1
                return True
            loops.pop()
        elif not self.act(program, instruction, [loop[1] for loop in loops]):
            return False
        thread[2] += 1
        return True

    def act(self, program: CoreProgram, instruction: Instruction, counters: list[int]) -> bool:
        core, capacity = program.core, program.buffers[0].capacity
        if isinstance(instruction, Reserve | Wait | Push | Pop):
            pages = instruction.pages
            assert isinstance(pages, int)
            if isinstance(instruction, Reserve):
                return capacity - self.filled[core] >= pages
            if isinstance(instruction, Wait):
                return self.filled[core] >= pages
            self.filled[core] += pages if isinstance(instruction, Push) else -pages
        else:
            assert isinstance(instruction, SemInc | SemWait)
            return self.semaphore(core, instruction, counters)
        return True

    def semaphore(self, core: int, instruction: SemInc | SemWait, counters: list[int]) -> bool:
        affine = instruction.semaphore
        number = affine.constant + sum(c * n for c, n in zip(affine.coefficients, counters, strict=False))
        if isinstance(instruction, SemWait):
            value = self.semaphores.get((core, number), 0)
            if value < instruction.amount:
                return False
            self.semaphores[core, number] = value - instruction.amount
            return True
        core_set = self.epoch.core_sets[instruction.targets]
        for member in core_set.cores:
            if not core_set.multicast or member != core:
                self.semaphores[member, number] = self.semaphores.get((member, number), 0) + instruction.amount
        return True


@given(image=_images(), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=300)
def test_the_verdict_holds_for_any_order(image: Image, seed: int) -> None:
    stuck, left = _Interpreter(image.epochs[0], seed).leftovers()
    try:
        check_tokens(image)
        code = ""
    except DiagnosticError as error:
        code = error.diagnostics[0].code
    assert (code == "E0512") == stuck
    if left and not stuck:
        assert code == "E0513"
