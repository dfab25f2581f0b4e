"""Rebuild a graph one operation at a time."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from compiler.diagnostics import Span
from compiler.ir import Constant, Fed, GraphBuilder, Kind, Operation, TensorGraph, TensorType
from compiler.ir.rules import Shape


class Rewriter:
    """A graph under construction, with the operations so far; sources and outputs are those of the old graph."""

    def __init__(self, graph: TensorGraph) -> None:
        self.old = graph
        self.ops: list[Operation] = []
        self.value_of: list[int] = []
        """New id of each old operation."""
        self.uses: Counter[int] = Counter()
        """How many old operations and outputs will use each new value."""
        self._builder = GraphBuilder(graph.name)

    def emit(self, kind: Kind, inputs: Sequence[int], type: TensorType, span: Span | None) -> int:
        """Append an operation; return its id."""
        value = self._builder.add(kind, inputs, type, span)
        self.ops.append(Operation(value, kind, tuple(inputs), type, span))
        return value

    def shape(self, value: int) -> Shape:
        return self.ops[value].type.shape

    def finish(self) -> TensorGraph:
        for name, value in self.old.outputs:
            self._builder.output(name, self.value_of[value])
        return self._builder.build(self.old.sources, self.old.hints)


Rule: TypeAlias = Callable[[Operation, Rewriter], int | None]
"""Return the value that replaces an operation (whose inputs are new ids), or None to keep it."""


def rewrite(graph: TensorGraph, rule: Rule) -> TensorGraph:
    """Apply `rule` to every operation in order, then drop what nobody uses any more."""
    new, uses = Rewriter(graph), use_counts(graph)
    for op in graph.ops:
        inputs = tuple(new.value_of[value] for value in op.inputs)
        current = Operation(op.id, op.kind, inputs, op.type, op.span)
        value = rule(current, new)
        new.value_of.append(new.emit(op.kind, inputs, op.type, op.span) if value is None else value)
        new.uses[new.value_of[-1]] += uses[op.id]
    return without_dead(new.finish())


def without_dead(graph: TensorGraph) -> TensorGraph:
    """Drop operations whose value reaches no output, but keep inputs, weights and states: they are the signature."""
    live = {value for _, value in graph.outputs}
    for op in reversed(graph.ops):
        if isinstance(op.kind, Fed):
            live.add(op.id)
        elif op.id in live:
            live.update(op.inputs)
    if len(live) == len(graph.ops):
        return graph
    number = {old: new for new, old in enumerate(sorted(live))}
    ops = (graph.ops[old] for old in sorted(live))
    return replace(
        graph,
        ops=tuple(replace(op, id=number[op.id], inputs=tuple(number[i] for i in op.inputs)) for op in ops),
        outputs=tuple((name, number[value]) for name, value in graph.outputs),
    )


def use_counts(graph: TensorGraph) -> Counter[int]:
    """How many operations and outputs use each value (an operation that uses it twice counts once)."""
    uses = Counter(value for op in graph.ops for value in set(op.inputs))
    uses.update(value for _, value in graph.outputs)
    return uses


def is_splat(op: Operation) -> bool:
    """True for a constant all of whose elements are stored as one."""
    return isinstance(op.kind, Constant) and len(op.kind.data) == op.type.dtype.itemsize
