"""Proof that the buffers and semaphores of an image let every program run to its end, whatever the timing.

The threads of an epoch are run once, without time and without data: only the counts of pages in cbs and the values of
semaphores are kept, and each thread goes on until it blocks. If all of them reach their end, they do so under every
timing, for these reasons:

- no instruction depends on data or on time, so a thread is a fixed sequence of operations on counts;
- an operation that could go on still can, however long it is put off: the free pages of a cb are taken only by its one
  producer, its filled pages only by its one consumer, a semaphore is lowered only by the one thread that waits for it,
  and one that is awaited without subtracting never falls (`check_image` proves these single roles);
- so two operations that could both go on may go on in either order and lead to the same counts. By induction every
  order can be turned into the one that was run, step by step: all of them end, with the same counts.

This is Karp's and Miller's determinacy for bounded dataflow. Packets on their way only put increments off; that they
arrive at last is what the router proves. `Barrier` waits for packets alone and is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.program.image import CbKind, Code, CoreProgram, Epoch, Image, ShardPlace
from compiler.program.instructions import (
    Affine,
    Await,
    End,
    Instruction,
    Loop,
    Pop,
    Push,
    Reserve,
    SemInc,
    SemWait,
    Thread,
    Wait,
)
from compiler.program.pages import owner_numbers
from compiler.program.syntax import format_instruction

LISTED = 12
"""Blocked threads that a diagnostic spells out."""


class _Kind(IntEnum):
    RESERVE = 0
    PUSH = 1
    WAIT = 2
    POP = 3
    FILL = 4
    """Reserve, then push as many."""
    DRAIN = 5
    """Wait, then pop as many."""
    RAISE = 6
    LOWER = 7
    REACH = 8
    """Wait for a semaphore without subtracting."""


class _Step(NamedTuple):
    """An operation on counts. `number` is a cb or a semaphore; `at` is the index of the instruction."""

    kind: int
    number: int
    amount: int
    at: int
    targets: int


def check_tokens(image: Image) -> None:
    """Raise `DiagnosticError` if an epoch of a checked image cannot run to its end (E0512: each blocked thread, and
    what it waits for), or ends out of balance (E0513: pages left in cbs, semaphores not used up, shards not full)."""
    for number, epoch in enumerate(image.epochs):
        run = _Run(image, epoch)
        blocked = run.run()
        if blocked:
            _report("E0512", f"epoch {number} of `{image.name}` blocks for good: {_threads(len(blocked))}", blocked)
        left = run.imbalance()
        if left:
            _report("E0513", f"epoch {number} of `{image.name}` is out of balance at its end", left)


def _threads(count: int) -> str:
    return "a thread waits for what never comes" if count == 1 else f"{count} threads wait for what never comes"


def _report(code: str, message: str, found: Sequence[str]) -> None:
    more = (f"and {len(found) - LISTED} more",) if len(found) > LISTED else ()
    raise DiagnosticError((Diagnostic(code, message, notes=(*found[:LISTED], *more)),))


@dataclass(slots=True)
class _Unroller:
    """Turns code into steps with all loops unrolled; equal code is unrolled once."""

    image: Image
    known: dict[Code, list[_Step]] = field(default_factory=dict)

    def steps(self, code: Code) -> list[_Step]:
        if code not in self.known:
            steps, _ = self.body(code.instructions, 0, [])
            self.known[code] = _merged(steps)
        return self.known[code]

    def body(self, instructions: Sequence[Instruction], at: int, counters: list[int]) -> tuple[list[_Step], int]:
        """The steps from instruction `at` to the end of its loop, and the index behind that."""
        steps: list[_Step] = []
        while at < len(instructions):
            instruction = instructions[at]
            if isinstance(instruction, End):
                return steps, at + 1
            if isinstance(instruction, Loop):
                inside, at = self.loop(instructions, at, counters)
                steps += inside
                continue
            step = self.step(instruction, at, counters)
            if step:
                steps.append(step)
            at += 1
        return steps, at

    def loop(self, instructions: Sequence[Instruction], at: int, counters: list[int]) -> tuple[list[_Step], int]:
        """A body that does not depend on counters is unrolled once and repeated."""
        loop = instructions[at]
        assert isinstance(loop, Loop)
        end = _end_of(instructions, at)
        if not any(_varies(instruction) for instruction in instructions[at:end]):
            steps, behind = self.body(instructions, at + 1, [*counters, 0])
            return steps * loop.count, behind
        steps = []
        for turn in range(loop.count):
            steps += self.body(instructions, at + 1, [*counters, turn])[0]
        return steps, end

    def step(self, instruction: Instruction, at: int, counters: list[int]) -> _Step | None:
        if isinstance(instruction, Reserve | Push | Wait | Pop):
            return _Step(_CB_KINDS[type(instruction)], instruction.cb, instruction.pages, at, -1)
        if isinstance(instruction, SemInc):
            semaphore = _value(instruction.semaphore, counters)
            return _Step(_Kind.RAISE, semaphore, instruction.amount, at, instruction.targets)
        if isinstance(instruction, SemWait):
            return _Step(_Kind.LOWER, _value(instruction.semaphore, counters), instruction.amount, at, -1)
        if isinstance(instruction, Await):
            return self.reach(instruction, at, counters)
        return None

    def reach(self, instruction: Await, at: int, counters: list[int]) -> _Step:
        tensor = self.image.tensors[instruction.tensor]
        assert isinstance(tensor.place, ShardPlace)
        page = np.array([_value(instruction.page, counters)], np.int64)
        owner, inside = owner_numbers(tensor, tensor.place, page)[:, 0].tolist()
        return _Step(_Kind.REACH, tensor.place.ready + owner, inside + 1, at, -1)


_CB_KINDS: dict[type[Instruction], int] = {
    Reserve: _Kind.RESERVE,
    Push: _Kind.PUSH,
    Wait: _Kind.WAIT,
    Pop: _Kind.POP,
}
_TOGETHER: dict[tuple[int, int], int] = {
    (_Kind.RESERVE, _Kind.PUSH): _Kind.FILL,
    (_Kind.WAIT, _Kind.POP): _Kind.DRAIN,
}


def _value(value: Affine, counters: Sequence[int]) -> int:
    return value.constant + sum(c * counter for c, counter in zip(value.coefficients, counters, strict=False))


def _varies(instruction: Instruction) -> bool:
    """Whether the operation on counts may differ from turn to turn of a loop around it."""
    if isinstance(instruction, SemInc | SemWait):
        return bool(instruction.semaphore.coefficients)
    return isinstance(instruction, Await) and bool(instruction.page.coefficients)


def _end_of(instructions: Sequence[Instruction], at: int) -> int:
    """The index behind the `End` of the loop at `at`."""
    depth = 0
    for index in range(at, len(instructions)):
        depth += isinstance(instructions[index], Loop) - isinstance(instructions[index], End)
        if depth == 0:
            return index + 1
    return len(instructions)


def _merged(steps: list[_Step]) -> list[_Step]:
    """Adjacent reserve and push (wait and pop) of as many pages of one cb, as one step: nothing blocks in between."""
    merged: list[_Step] = []
    for step in steps:
        if merged:
            last = merged[-1]
            together = _TOGETHER.get((last.kind, step.kind))
            if together is not None and (last.number, last.amount) == (step.number, step.amount):
                merged[-1] = last._replace(kind=together)
                continue
        merged.append(step)
    return merged


@dataclass(slots=True)
class _Run:
    """The counts of one epoch. Threads are numbered three per program; cbs and semaphores of all cores lie in one
    list each, from the first of their core on."""

    image: Image
    epoch: Epoch
    steps: list[list[_Step]] = field(init=False)
    at: list[int] = field(init=False)
    first_cb: list[int] = field(init=False)
    filled: list[int] = field(init=False)
    capacity: list[int] = field(init=False)
    granted: list[list[int]] = field(init=False)
    """Pages that the producer has reserved and not pushed, and that the consumer has waited for and not popped."""
    semaphores: list[int] = field(init=False)
    sleepers: dict[tuple[bool, int], list[int]] = field(default_factory=dict)
    """Threads that block on a cb (True) or semaphore (False)."""
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        unroller = _Unroller(self.image)
        programs = self.epoch.programs
        self.steps = [unroller.steps(code) for program in programs for code in _codes(program)]
        self.at = [0] * len(self.steps)
        self.capacity = [buffer.capacity for program in programs for buffer in program.buffers]
        sizes = [len(program.buffers) for program in programs]
        self.first_cb = [sum(sizes[:index]) for index in range(len(sizes))]
        self.filled = [0] * len(self.capacity)
        self.granted = [[0] * len(self.capacity), [0] * len(self.capacity)]
        self.semaphores = [0] * (self.image.machine.semaphores * len(self.image.machine.cores))

    def run(self) -> list[str]:
        """Run to the end; a sentence per thread that blocks for good, or per step that takes what was not granted."""
        ready = list(range(len(self.steps)))[::-1]
        while ready:
            self.advance(ready.pop(), ready)
        if self.faults:
            return self.faults
        return [self.blocked(t) for t in range(len(self.steps)) if self.at[t] < len(self.steps[t])]

    def advance(self, thread: int, ready: list[int]) -> None:
        """Run a thread until it blocks or ends; threads that its steps may have freed become ready."""
        steps, at = self.steps[thread], self.at[thread]
        first = self.first_cb[thread // 3]
        filled, capacity, sleepers = self.filled, self.capacity, self.sleepers
        end = len(steps)
        while at < end:
            kind, number, amount, _, targets = steps[at]
            if kind >= _RAISE:
                if not self.semaphore(thread, kind, number, amount, targets, ready):
                    break
                at += 1
                continue
            cb = first + number
            if kind in _NEEDS_SPACE:
                if capacity[cb] - filled[cb] < amount:
                    sleepers.setdefault((True, cb), []).append(thread)
                    break
            elif kind in _NEEDS_PAGES and filled[cb] < amount:
                sleepers.setdefault((True, cb), []).append(thread)
                break
            if kind < _FILL and not self.grant(thread, kind, cb, amount, at):
                break
            at += 1
            change = _CHANGE[kind]
            if change:
                filled[cb] += change * amount
                if (True, cb) in sleepers:
                    ready += sleepers.pop((True, cb))
        self.at[thread] = at

    def grant(self, thread: int, kind: int, cb: int, amount: int, at: int) -> bool:
        """Note what was reserved or waited for; a push or pop of more than that is a fault."""
        granted = self.granted[kind >= _Kind.WAIT]
        if kind in (_Kind.RESERVE, _Kind.WAIT):
            granted[cb] = max(granted[cb], amount)
            return True
        granted[cb] -= amount
        if granted[cb] < 0:
            what = "pushes pages that it has not reserved" if kind == _Kind.PUSH else "pops pages that it has not seen"
            self.faults.append(f"{self.where(thread, self.steps[thread][at].at)} {what}")
        return granted[cb] >= 0

    def semaphore(self, thread: int, kind: int, number: int, amount: int, targets: int, ready: list[int]) -> bool:
        """Do a step on semaphores; False if it blocks."""
        core = self.epoch.programs[thread // 3].core
        per_core = self.image.machine.semaphores
        if kind == _RAISE:
            core_set = self.epoch.core_sets[targets]
            for member in core_set.cores:
                if member != core or not core_set.multicast:
                    self.semaphores[member * per_core + number] += amount
                    ready += self.sleepers.pop((False, member * per_core + number), ())
            return True
        index = core * per_core + number
        if self.semaphores[index] < amount:
            self.sleepers.setdefault((False, index), []).append(thread)
            return False
        if kind == _Kind.LOWER:
            self.semaphores[index] -= amount
        return True

    def where(self, thread: int, at: int) -> str:
        program = self.epoch.programs[thread // 3]
        instruction = _codes(program)[thread % 3].instructions[at]
        name = _THREADS[thread % 3].value
        coord = self.image.machine.cores[program.core]
        return f"core {program.core} at {coord}, {name}, instruction {at}, `{format_instruction(instruction)}`:"

    def blocked(self, thread: int) -> str:
        step = self.steps[thread][self.at[thread]]
        program = self.epoch.programs[thread // 3]
        where = self.where(thread, step.at)
        if step.kind >= _RAISE:
            value = self.semaphores[program.core * self.image.machine.semaphores + step.number]
            return f"{where} semaphore {step.number} is {value}, and {step.amount} is needed"
        buffer, filled = program.buffers[step.number], self.filled[self.first_cb[thread // 3] + step.number]
        name = f"cb{step.number}" + (f" (`{buffer.name}`)" if buffer.name else "")
        if step.kind in _NEEDS_SPACE:
            return f"{where} {name} has {buffer.capacity - filled} of {buffer.capacity} pages free"
        return f"{where} {name} holds {filled} pages"

    def imbalance(self) -> list[str]:
        """What is left over at the end."""
        found = []
        for index, program in enumerate(self.epoch.programs):
            found += self.pages_left(index, program)
        for semaphore in sorted(self.lowered()):
            if self.semaphores[semaphore]:
                core, number = divmod(semaphore, self.image.machine.semaphores)
                found.append(f"core {core}: semaphore {number} is left at {self.semaphores[semaphore]}")
        return found

    def pages_left(self, index: int, program: CoreProgram) -> list[str]:
        found = []
        for number, buffer in enumerate(program.buffers):
            left = self.filled[self.first_cb[index] + number]
            if left:
                found.append(f"core {program.core}: cb{number} is left with {left} pages that nobody pops")
            pushed = self.pushed(index, number) if buffer.kind is CbKind.SHARD else buffer.capacity
            if pushed != buffer.capacity:
                found.append(f"core {program.core}: {pushed} pages are pushed to shard cb{number} of {buffer.capacity}")
        return found

    def pushed(self, index: int, cb: int) -> int:
        threads = self.steps[3 * index : 3 * index + 3]
        return sum(step.amount for steps in threads for step in steps if step.number == cb and step.kind in _PUSHES)

    def lowered(self) -> set[int]:
        """The semaphores that are waited for with subtraction, of all cores."""
        per_core = self.image.machine.semaphores
        return {
            self.epoch.programs[thread // 3].core * per_core + step.number
            for thread, steps in enumerate(self.steps)
            for step in steps
            if step.kind == _Kind.LOWER
        }


_RAISE = int(_Kind.RAISE)
_FILL = int(_Kind.FILL)
_NEEDS_SPACE = frozenset({int(_Kind.RESERVE), int(_Kind.FILL)})
_NEEDS_PAGES = frozenset({int(_Kind.WAIT), int(_Kind.DRAIN)})
_PUSHES = frozenset({int(_Kind.PUSH), int(_Kind.FILL)})
_CHANGE = (0, 1, 0, -1, 1, -1)
_THREADS = (Thread.READ, Thread.COMPUTE, Thread.WRITE)


def _codes(program: CoreProgram) -> tuple[Code, Code, Code]:
    return (program.read, program.compute, program.write)
