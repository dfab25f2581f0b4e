"""How a thread runs through its code: loops, tables and variables, without time and without data."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from compiler.program.image import Code
from compiler.program.instructions import VARIABLES, Amount, End, Fetch, Instruction, Loop, Probe, Variable


class Placed(NamedTuple):
    """An instruction and its index."""

    at: int
    instruction: Instruction


@dataclass(frozen=True, slots=True)
class Repeat:
    """A loop; `body` holds what is inside, in order."""

    count: Amount
    body: tuple[Any, ...]


Visit: TypeAlias = Callable[[Sequence[int], Sequence[int]], None]
"""Called with the counters of the loops around (outermost first) and the variables."""


def nested(code: Code) -> tuple[Placed | Repeat, ...]:
    """The instructions as a tree, whose loops are closed; loops and ends themselves are left out."""
    opened: list[list[Placed | Repeat]] = [[]]
    counts: list[Amount] = []
    for at, instruction in enumerate(code.instructions):
        if isinstance(instruction, Loop):
            counts.append(instruction.count)
            opened.append([])
        elif isinstance(instruction, End):
            body = tuple(opened.pop())
            opened[-1].append(Repeat(counts.pop(), body))
        else:
            opened[-1].append(Placed(at, instruction))
    return tuple(opened[0])


class OutOfValuesError(Exception):
    """Table `table` has fewer values than are fetched."""

    def __init__(self, table: int) -> None:
        super().__init__(table)
        self.table = table


class Control:
    """Runs a tree whose leaves are visits, or lists of what is to be appended to `out`."""

    def __init__(self, tables: Sequence[Sequence[int]], out: list[Any]) -> None:
        self.tables, self.out = tables, out
        self.cursors = [0] * len(tables)
        self.variables = [0] * VARIABLES
        self.counters: list[int] = []

    def fetch(self, instruction: Fetch) -> Visit:
        """The visit that does what a `Fetch` does; it raises `OutOfValuesError`."""
        variable, number = instruction.variable, instruction.table
        table, cursors, variables = self.tables[number], self.cursors, self.variables

        def visit(_: Sequence[int], __: Sequence[int]) -> None:
            cursor = cursors[number]
            if cursor == len(table):
                raise OutOfValuesError(number)
            variables[variable] = table[cursor]
            cursors[number] = cursor + 1

        return visit

    def probe(self, instruction: Probe) -> Visit:
        """The visit that does what a `Probe` of a page that is not zero does."""
        variables = self.variables

        def visit(_: Sequence[int], __: Sequence[int]) -> None:
            variables[instruction.variable] = 1

        return visit

    def run(self, nodes: Iterable[Visit | list[Any] | Repeat]) -> None:
        """Run nodes one after the other."""
        out, counters, variables = self.out, self.counters, self.variables
        for node in nodes:
            kind = type(node)
            if kind is list:
                out += node  # type: ignore[arg-type]
            elif kind is Repeat:
                self._repeat(node)  # type: ignore[arg-type]
            else:
                node(counters, variables)  # type: ignore[operator]

    def _repeat(self, node: Repeat) -> None:
        count = self.variables[node.count.index] if isinstance(node.count, Variable) else node.count
        self.counters.append(0)
        for turn in range(count):
            self.counters[-1] = turn
            self.run(node.body)
        self.counters.pop()


def run_code(code: Code, visits: Mapping[int, Visit]) -> tuple[int, ...]:
    """Make visit `visits[i]` each time that instruction `i` is reached; return how many values of each table were
    fetched. A probed variable stands for 1.

    Tables and variables exist. Raises `OutOfValuesError`.
    """
    control = Control(code.tables, [])
    control.run([*_nodes(control, nested(code), visits)])
    return tuple(control.cursors)


def _nodes(control: Control, nodes: Iterable[Placed | Repeat], visits: Mapping[int, Visit]) -> Iterator[Visit | Repeat]:
    for node in nodes:
        if isinstance(node, Repeat):
            body = tuple(_nodes(control, node.body, visits))
            if body:
                yield Repeat(node.count, body)
            continue
        if isinstance(node.instruction, Fetch):
            yield control.fetch(node.instruction)
        elif isinstance(node.instruction, Probe):
            yield control.probe(node.instruction)
        if node.at in visits:
            yield visits[node.at]
