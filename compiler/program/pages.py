"""Which values an offset takes, and which pages an instruction touches, without running the loops.

Exact where there are no variables. A variable is taken to hold any value of the tables that it may have been set from,
a loop whose count is a variable to run as often as the greatest of them says.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import mul
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.layout import page_bytes
from compiler.program.control import OutOfValuesError, Visit, run_code
from compiler.program.image import Code, IndexMap, ShardPlace, Tensor
from compiler.program.instructions import (
    FLAG_WORD,
    VARIABLES,
    Affine,
    Amount,
    CbTile,
    End,
    Fetch,
    Gather,
    Instruction,
    Loop,
    Map,
    Matmul,
    Pack,
    Probe,
    Read,
    Reduce,
    Sense,
    Take,
    Variable,
    Write,
)
from compiler.target import Machine

Pages = NDArray[np.int64]

_MOVES = Read | Sense | Write | Gather | Take

_NOTHING: Pages = np.zeros(1, np.int64)
"""What is added where there is no variable."""


class Scope(NamedTuple):
    """How often each of the loops around an instruction runs at most, and the values that each variable may hold,
    ascending (no variables: none is used).

    `taken` holds the values, ascending, that affine values really take where somebody ran the loops to find out.
    Variables and the counts of loops belong together, which bounds on each of them do not show.
    """

    counts: tuple[int, ...]
    variables: tuple[Pages, ...] = ()
    taken: Mapping[Affine, Pages] = MappingProxyType({})

    def amounts(self, amount: Amount) -> Pages:
        """The values that an amount may have, ascending."""
        return self.variables[amount.index] if isinstance(amount, Variable) else np.array([amount], np.int64)


def scopes(code: Code) -> Iterator[tuple[int, Instruction, Scope]]:
    """Index, instruction and scope of what is inside and outside of loops, without the loops themselves; where there
    are tables, with the values that are really taken."""
    counts: list[int] = []
    values = variable_values(code)
    moves = [index for index, at in enumerate(code.instructions) if isinstance(at, _MOVES)]
    taken = values_taken(code, moves) if code.tables else {}
    for index, instruction in enumerate(code.instructions):
        scope = Scope(tuple(counts), values[index], taken.get(index, {}))
        if isinstance(instruction, Loop):
            counts.append(max(1, int(scope.amounts(instruction.count)[-1])))
        elif isinstance(instruction, End):
            counts.pop()
        else:
            yield index, instruction, scope


def variable_values(code: Code) -> tuple[tuple[Pages, ...], ...]:
    """Per instruction, the values that each variable of the thread may hold when it is reached, ascending.

    Variables and tables exist, loops are closed. A variable holds what the last `Fetch` or `Probe` before the
    instruction put into it: where loops lead back or are passed over there may be several.
    """
    if not any(isinstance(instruction, Fetch | Probe) for instruction in code.instructions):
        return ((_NOTHING,) * VARIABLES,) * len(code.instructions)
    known: dict[frozenset[int], Pages] = {}
    states = [tuple(_held(code, sources, known) for sources in state) for state in _reaching(code)]
    return tuple(states)


_INITIAL, _PROBED = -1, -2
"""Where a value may come from, besides the number of a table."""


def _held(code: Code, sources: frozenset[int], known: dict[frozenset[int], Pages]) -> Pages:
    if sources not in known:
        special = {_INITIAL: (0,), _PROBED: (0, 1)}
        values = [special.get(source) or code.tables[source] for source in sorted(sources)]
        known[sources] = np.unique(np.concatenate([np.array(v, np.int64) for v in values]))
    return known[sources]


def _reaching(code: Code) -> Iterator[tuple[frozenset[int], ...]]:
    """Per instruction, where the values of each variable may come from."""
    state = (frozenset({_INITIAL}),) * VARIABLES
    before: list[tuple[frozenset[int], ...] | None] = []
    ends = _ends(code)
    for index, instruction in enumerate(code.instructions):
        yield state
        if isinstance(instruction, Loop):
            before.append(state if isinstance(instruction.count, Variable) else None)
            for inner in code.instructions[index + 1 : ends.get(index, len(code.instructions))]:
                state = _set(state, inner, state)
        elif isinstance(instruction, End):
            passed = before.pop() if before else None
            state = tuple(a | b for a, b in zip(state, passed, strict=True)) if passed is not None else state
        else:
            state = _set(state, instruction, None)


def _set(
    state: tuple[frozenset[int], ...], instruction: Instruction, also: tuple[frozenset[int], ...] | None
) -> tuple[frozenset[int], ...]:
    """The state after an instruction; the variable that it sets may still hold what it does in `also`."""
    if not isinstance(instruction, Fetch | Probe):
        return state
    variable = instruction.variable
    source = frozenset({instruction.table if isinstance(instruction, Fetch) else _PROBED})
    return (*state[:variable], source | (also[variable] if also else frozenset()), *state[variable + 1 :])


def _ends(code: Code) -> dict[int, int]:
    """The index of the `End` of the loop at each index."""
    opened: list[int] = []
    ends: dict[int, int] = {}
    for index, instruction in enumerate(code.instructions):
        if isinstance(instruction, Loop):
            opened.append(index)
        elif isinstance(instruction, End) and opened:
            ends[opened.pop()] = index
    return ends


def values_taken(code: Code, indices: Sequence[int]) -> dict[int, dict[Affine, Pages]]:
    """The values, ascending, that the affine values of some instructions take while the code runs; nothing about those
    that are never reached. Empty if tables run out."""
    found: dict[int, dict[Affine, set[int]]] = {
        index: {value: set() for value in affines_of(code.instructions[index])} for index in indices
    }

    def visit_of(sets: dict[Affine, set[int]]) -> Visit:
        def visit(counters: Sequence[int], variables: Sequence[int]) -> None:
            for value, values in sets.items():
                held = variables[value.variable] if value.variable >= 0 else 0
                values.add(value.constant + held + sum(map(mul, value.coefficients, counters)))

        return visit

    try:
        run_code(code, {index: visit_of(sets) for index, sets in found.items()})
    except OutOfValuesError:
        return {}
    return {
        index: {value: np.array(sorted(values), np.int64) for value, values in sets.items() if values}
        for index, sets in found.items()
    }


def variables_named(instruction: Instruction) -> Iterator[int]:
    """The variables that an instruction sets or uses."""
    if isinstance(instruction, Fetch | Probe):
        yield instruction.variable
    yield from variables_used(instruction)


def variables_used(instruction: Instruction) -> Iterator[int]:
    """The variables whose values an instruction uses."""
    for name in instruction.__slots__:
        value = getattr(instruction, name)
        if isinstance(value, Variable):
            yield value.index
    yield from (value.variable for value in affines_of(instruction) if value.variable != -1)
    if isinstance(instruction, Read | Matmul | Map) and instruction.guard != -1:
        yield instruction.guard


def affines_of(instruction: Instruction) -> Iterator[Affine]:
    """The affine values of an instruction."""
    for name in instruction.__slots__:
        value = getattr(instruction, name)
        if isinstance(value, Affine):
            yield value
    if isinstance(instruction, Map):
        yield from (operand.offset for operand in instruction.operands if isinstance(operand, CbTile))
    elif isinstance(instruction, Reduce | Pack) and instruction.mask is not None:
        yield from (instruction.mask.row_tile, instruction.mask.column_tile)


@dataclass(frozen=True, slots=True)
class Span:
    """Least and greatest value of an offset."""

    least: int
    greatest: int


def span_of(value: Affine, scope: Scope) -> Span:
    """The values that `value` takes lie between these two; without variables both occur."""
    if value in scope.taken:
        return Span(int(scope.taken[value][0]), int(scope.taken[value][-1]))
    held = scope.variables[value.variable] if value.variable >= 0 else _NOTHING
    reach = [c * (count - 1) for c, count in zip(value.coefficients, scope.counts, strict=False)]
    least, greatest = value.constant + int(held[0]), value.constant + int(held[-1])
    return Span(least + sum(min(0, r) for r in reach), greatest + sum(max(0, r) for r in reach))


def values_of(value: Affine, scope: Scope) -> Pages:
    """Every value that `value` takes, ascending."""
    if value in scope.taken:
        return scope.taken[value]
    values = value.constant + (scope.variables[value.variable] if value.variable >= 0 else _NOTHING)
    for coefficient, count in zip(value.coefficients, scope.counts, strict=False):
        if coefficient:
            values = np.unique(values[:, None] + coefficient * np.arange(count))
    return values


def residues_of(value: Affine, scope: Scope, modulus: int) -> frozenset[int]:
    """The values that `value` takes, modulo `modulus`."""
    if value in scope.taken:
        return frozenset(np.unique(scope.taken[value] % modulus).tolist())
    held = scope.variables[value.variable] if value.variable >= 0 else _NOTHING
    residues = {*(np.unique((value.constant + held) % modulus)).tolist()}
    for coefficient, count in zip(value.coefficients, scope.counts, strict=False):
        steps = {coefficient * turn % modulus for turn in range(min(count, modulus))}
        residues = {(residue + step) % modulus for residue in residues for step in steps}
    return frozenset(residues)


def owner_numbers(tensor: Tensor, place: ShardPlace, pages: Pages) -> Pages:
    """The number of the owner of each page, and (second row) the page's number inside its block; -1 for a page that no
    owner holds."""
    if place.pages:
        return _dealt(tensor, place)[:, pages]
    dims = TileGrid(tensor.shape).dims
    owner, inside = np.zeros_like(pages), np.zeros_like(pages)
    for extent, ways, coordinate in zip(dims, place.ways, np.unravel_index(pages, dims), strict=True):
        length = -(-extent // ways)
        block = coordinate // length
        owner = owner * ways + block
        inside = inside * np.minimum(length, extent - block * length) + coordinate % length
    return np.stack([owner, inside])


def _dealt(tensor: Tensor, place: ShardPlace) -> Pages:
    """Owner and number (two rows) of every page of a tensor that is dealt page by page."""
    homes = np.full((2, TileGrid(tensor.shape).pages), -1, np.int64)
    for owner, pages in enumerate(place.pages):
        homes[0, list(pages)] = owner
        homes[1, list(pages)] = np.arange(len(pages))
    return homes


def channel_bytes(machine: Machine, dtype: DType, pages: int, flagged: bool) -> int:
    """Bytes that a tensor of `pages` pages takes of each DRAM channel: rows of pages, behind them one word of flags per
    page if it is flagged."""
    rows = -(-pages // len(machine.dram.channels))
    return rows * (page_bytes(dtype) + (flag_stride(machine) if flagged else 0))


def flag_words(machine: Machine, dtype: DType, pages: int) -> int:
    """Where, from the base of a flagged tensor of `pages` pages, the words of flags begin on each channel; that of page
    `p` is number `p // channels` of its channel, `flag_stride` bytes apart."""
    return channel_bytes(machine, dtype, pages, False)


def flag_stride(machine: Machine) -> int:
    """Bytes from one word of flags to the next: each is read on its own."""
    return -(-FLAG_WORD // machine.dram_alignment) * machine.dram_alignment


def stored_pages(tensor: Tensor, pages: Pages) -> Pages:
    """Those of `pages` that the tensor stores."""
    return pages if tensor.live is None else pages[tensor.live.array.ravel()[pages]]


def gathered_pages(index_map: IndexMap, source: Tensor) -> tuple[Pages, Pages]:
    """Pairs (page of the result, page of the source that it needs), distinct, in two arrays."""
    numbers = np.arange(int(np.prod(index_map.shape)), dtype=np.int64)
    digits = np.unravel_index(numbers, index_map.digits) if index_map.digits else ()
    element, inside = np.zeros_like(numbers), np.ones(numbers.shape, bool)
    for base, steps, extent in zip(index_map.base, index_map.steps, index_map.extents, strict=True):
        coordinate = base + sum(
            (step * digit for step, digit in zip(steps, digits, strict=True)), np.zeros_like(numbers)
        )
        inside &= (coordinate >= 0) & (coordinate < extent)
        element = element * extent + coordinate
    pairs = np.stack([_pages_of(index_map.shape, numbers[inside]), _pages_of(source.shape, element[inside])])
    pairs = np.unique(pairs, axis=1)
    return pairs[0], pairs[1]


def _pages_of(shape: tuple[int, ...], elements: Pages) -> Pages:
    """The page of each element, given its row-major number in a tensor of shape `shape`."""
    grid = TileGrid(shape)
    *lead, row, column = np.unravel_index(elements, grid.matrix_shape)
    pages: Pages = np.ravel_multi_index((*lead, row // TILE, column // TILE), grid.dims)
    return pages
