"""Proof that the buffers and semaphores of an image let every program run to its end, whatever the timing.

The threads of an epoch are run once, without time and without data: only the counts of pages in cbs and the values of
semaphores are kept, and each thread goes on until it blocks. If all of them reach their end, they do so under every
timing, for these reasons:

- no operation on counts depends on data or on time (variables come from tables, which are a part of the program), so a
  thread is a fixed sequence of such operations;
- an operation that could go on still can, however long it is put off: the free pages of a cb are taken only by its one
  producer, its filled pages only by its one consumer, a semaphore is lowered only by the one thread that waits for it,
  and one that is awaited without subtracting never falls (`check_image` proves these single roles);
- so two operations that could both go on may go on in either order and lead to the same counts. By induction every
  order can be turned into the one that was run, step by step: all of them end, with the same counts.

This is Karp's and Miller's determinacy for bounded dataflow. Packets on their way only put increments off; that they
arrive at last is what the router proves. `Barrier` waits for packets alone and is left out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.numerics import TileGrid
from compiler.program.control import Control, Placed, Repeat, Visit, nested
from compiler.program.image import CbKind, Code, CoreProgram, Epoch, Image, ShardPlace
from compiler.program.instructions import (
    Affine,
    Await,
    Fetch,
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
from compiler.program.pages import owner_numbers, variables_used
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
    homes: dict[int, list[tuple[int, int] | None]] = field(default_factory=dict)
    """Of the pages of tensors in L1: the semaphore that announces it and from which value on; None: not stored."""

    def steps(self, code: Code) -> list[_Step]:
        if code not in self.known:
            steps: list[_Step] = []
            control = Control(code.tables, steps)
            control.run(self.nodes(control, nested(code), _tables_of_use(code)))
            self.known[code] = _merged(steps)
        return self.known[code]

    def nodes(
        self, control: Control, placed: Sequence[Placed | Repeat], tables: frozenset[int]
    ) -> list[list[_Step] | Visit | Repeat]:
        """What `Control` is to run: adjacent steps that are always the same are one list, loops of them unrolled."""
        nodes: list[list[_Step] | Visit | Repeat] = []
        node: list[_Step] | Visit | Repeat
        for part in placed:
            if isinstance(part, Repeat):
                node = _repeated(part, self.nodes(control, part.body, tables))
            elif isinstance(part.instruction, Fetch):
                node = control.fetch(part.instruction) if part.instruction.table in tables else []
            else:
                node = self.step(control.out, part.instruction, part.at)
            if isinstance(node, list) and nodes and isinstance(nodes[-1], list):
                nodes[-1] += node
            elif node != []:
                nodes.append(node)
        return nodes

    def step(self, steps: list[_Step], instruction: Instruction, at: int) -> list[_Step] | Visit:
        """The step of an instruction, if it is always the same, else the visit that appends it to `steps`."""
        if isinstance(instruction, Reserve | Push | Wait | Pop):
            kind, pages = _CB_KINDS[type(instruction)], instruction.pages
            if isinstance(pages, int):
                return [_Step(kind, instruction.cb, pages, at, -1)]
            return _counted(steps, _Step(kind, instruction.cb, 0, at, -1), pages.index)
        if isinstance(instruction, SemInc | SemWait):
            numbered = _Step(_Kind.LOWER, 0, instruction.amount, at, -1)
            if isinstance(instruction, SemInc):
                numbered = numbered._replace(kind=_Kind.RAISE, targets=instruction.targets)
            return _chosen(steps, instruction.semaphore, lambda number: numbered._replace(number=number))
        if isinstance(instruction, Await):
            homes = self.homes_of(instruction.tensor)
            return _chosen(steps, instruction.page, lambda page: _reach(homes[page], at))
        return []

    def homes_of(self, number: int) -> list[tuple[int, int] | None]:
        if number not in self.homes:
            tensor = self.image.tensors[number]
            place, pages = tensor.place, TileGrid(tensor.shape).pages
            assert isinstance(place, ShardPlace)
            owners, inside = owner_numbers(tensor, place, np.arange(pages)).tolist()
            stored = tensor.live.array.ravel().tolist() if tensor.live else [True] * pages
            self.homes[number] = [
                (place.ready + owner, page + 1) if lives else None
                for owner, page, lives in zip(owners, inside, stored, strict=True)
            ]
        return self.homes[number]


def _reach(home: tuple[int, int] | None, at: int) -> _Step | None:
    return _Step(_Kind.REACH, *home, at, -1) if home else None


def _counted(steps: list[_Step], step: _Step, variable: int) -> Visit:
    """Append the step with the value of a variable as its amount, unless that is 0."""
    known: dict[int, _Step] = {}

    def visit(_: Sequence[int], variables: Sequence[int]) -> None:
        amount = variables[variable]
        if amount:
            steps.append(known.get(amount) or known.setdefault(amount, step._replace(amount=amount)))

    return visit


def _chosen(steps: list[_Step], value: Affine, make: Callable[[int], _Step | None]) -> list[_Step] | Visit:
    """The step that `make` has for the value, if there is one."""
    if not value.coefficients and value.variable < 0:
        step = make(value.constant)
        return [step] if step else []
    known: dict[int, _Step | None] = {}

    def visit(counters: Sequence[int], variables: Sequence[int]) -> None:
        chosen = _value(value, counters, variables)
        if chosen not in known:
            known[chosen] = make(chosen)
        step = known[chosen]
        if step:
            steps.append(step)

    return visit


def _repeated(loop: Repeat, body: list[list[_Step] | Visit | Repeat]) -> list[_Step] | Repeat:
    """A loop; of steps that are always the same, unrolled."""
    if not body:
        return []
    if isinstance(loop.count, int) and len(body) == 1 and isinstance(body[0], list):
        return body[0] * loop.count
    return Repeat(loop.count, tuple(body))


def _tables_of_use(code: Code) -> frozenset[int]:
    """The tables from which variables that matter to counts are set; the others only say which
    pages are moved."""
    used = {
        variable
        for instruction in code.instructions
        if isinstance(instruction, Loop | Reserve | Push | Wait | Pop | SemInc | SemWait | Await)
        for variable in variables_used(instruction)
    }
    return frozenset(at.table for at in code.instructions if isinstance(at, Fetch) and at.variable in used)


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


def _value(value: Affine, counters: Sequence[int], variables: Sequence[int]) -> int:
    held = variables[value.variable] if value.variable >= 0 else 0
    return value.constant + held + sum(c * counter for c, counter in zip(value.coefficients, counters, strict=False))


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
