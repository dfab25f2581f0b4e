"""How often the instructions of a thread run, and which values their page numbers take on the way.

What a program does when it runs may be less: a read that a guard leaves out, and a page that a header stands for, count
in full here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from compiler.program.control import Visit, run_code
from compiler.program.image import Code
from compiler.program.instructions import (
    ZERO,
    Affine,
    End,
    Fetch,
    Gather,
    Instruction,
    Loop,
    Multicast,
    Probe,
    Read,
    Sense,
    Take,
    Variable,
    Write,
)

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Turns:
    """An instruction runs `times` times: in loops of `counts` turns, outermost first, or, in a thread with tables, with
    `pages` as the values of its page number, or of the number of pages that a multicast sends."""

    times: int
    counts: tuple[int, ...]
    pages: tuple[int, ...] | None = None


def with_turns(code: Code) -> Iterator[tuple[Instruction, int, Turns]]:
    """Instructions with their origin and their turns; loops themselves are left out."""
    if any(isinstance(instruction, Fetch | Probe) for instruction in code.instructions):
        yield from _run(code)
        return
    counts: tuple[int, ...] = ()
    for instruction, origin in zip(code.instructions, code.origins, strict=True):
        if isinstance(instruction, Loop):
            # A variable that is never set is 0.
            counts = (*counts, instruction.count if isinstance(instruction.count, int) else 0)
        elif isinstance(instruction, End):
            counts = counts[:-1]
        else:
            yield instruction, origin, Turns(prod(counts), counts)


def _run(code: Code) -> Iterator[tuple[Instruction, int, Turns]]:
    """What `with_turns` says of a thread with tables, by running through it."""
    pages: dict[int, list[int]] = {
        index: []
        for index, instruction in enumerate(code.instructions)
        if not isinstance(instruction, Loop | End | Fetch | Probe)
    }
    run_code(code, {index: _noting(taken, code.instructions[index]) for index, taken in pages.items()})
    for index, taken in pages.items():
        yield code.instructions[index], code.origins[index], Turns(len(taken), (), tuple(taken))


def _noting(taken: list[int], instruction: Instruction) -> Visit:
    page = _noted(instruction)

    def visit(counters: Sequence[int], variables: Sequence[int]) -> None:
        held = variables[page.variable] if page.variable >= 0 else 0
        taken.append(page.constant + held + sum(c * turn for c, turn in zip(page.coefficients, counters, strict=False)))

    return visit


def _noted(instruction: Instruction) -> Affine:
    if isinstance(instruction, Multicast):
        pages = instruction.pages
        return Affine(variable=pages.index) if isinstance(pages, Variable) else Affine(pages)
    return instruction.page if isinstance(instruction, Read | Sense | Write | Gather | Take) else ZERO


def repeated_values(value: Affine, turns: Turns) -> Ints:
    """Every value that a page number takes, as often as it takes it."""
    if turns.pages is not None:
        return np.array(turns.pages, np.int64)
    values = np.array([value.constant], np.int64)
    repeats = 1
    for index, count in enumerate(turns.counts):
        coefficient = value.coefficients[index] if index < len(value.coefficients) else 0
        if coefficient:
            values = (values[:, None] + coefficient * np.arange(count)).ravel()
        else:
            repeats *= count
    return np.repeat(values, repeats)


def multicasts(at: Multicast, turns: Turns) -> tuple[tuple[int, int], ...]:
    """How many pages a multicast sends, and how often it sends so many."""
    if isinstance(at.pages, int):
        return ((at.pages, turns.times),)
    numbers, times = np.unique(np.array(turns.pages or (), np.int64), return_counts=True)
    return tuple((number, count) for number, count in zip(numbers.tolist(), times.tolist(), strict=True) if number)
