"""The tensor graph for showing: what each operation is, what became of it, and what each pass left."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from compiler.diagnostics import Span
from compiler.ir import TensorGraph
from compiler.ir.graph import Contract, Map, Operation, Reduce
from compiler.ir.printer import print_operation
from runtime.view.stages import StageView

SHOWN = 200
"""Characters of a printed operation."""


@dataclass(frozen=True, slots=True)
class PassStep:
    """A pass that ran, and the operations before and after it."""

    name: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class GraphRecord:
    """What compilation did to the graph: as lowered from the source, after all passes, and in between."""

    source: TensorGraph
    optimized: TensorGraph
    passes: tuple[PassStep, ...]
    seed: int = 0
    """Of the placement."""


def pass_steps(before: int, sizes: Iterable[tuple[str, int]]) -> tuple[PassStep, ...]:
    """The steps from a graph of `before` operations by the names of passes and the operations that each left."""
    steps = []
    for name, after in sizes:
        steps.append(PassStep(name, before, after))
        before = after
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class NodeView:
    """One operation. `fused` counts the scalar operations of its tile expressions; `stage` is -1 if it has no stage of
    its own (inputs, constants, and views that only rename pages)."""

    number: int
    kind: str
    text: str
    shape: str
    inputs: tuple[int, ...]
    span: Span | None
    fused: int
    stage: int


def nodes_of(graph: TensorGraph, stages: Sequence[StageView]) -> tuple[NodeView, ...]:
    """Return a node per operation. Stages are named after the operation of the optimized graph that they compute; for
    any other graph, hand over no stages."""
    stage_of = {_operation_of(stage.name): stage.number for stage in stages}
    return tuple(_node(op, stage_of.get(op.id, -1)) for op in graph.ops)


def _operation_of(stage: str) -> int:
    """The number at the end of a stage's name; -1 if there is none."""
    number = stage.rpartition("_")[2]
    return int(number) if number.isdecimal() else -1


def _node(op: Operation, stage: int) -> NodeView:
    text = print_operation(Operation(op.id, op.kind, op.inputs, op.type))
    shown = text if len(text) <= SHOWN else f"{text[:SHOWN]} ..."
    kind = type(op.kind).__name__.lower()
    return NodeView(op.id, kind, shown, str(op.type), op.inputs, op.span, _fused(op), stage)


def _fused(op: Operation) -> int:
    match op.kind:
        case Map(expr=expr):
            exprs = [expr]
        case Reduce(body=body, epilogue=epilogue):
            exprs = [body, epilogue]
        case Contract(epilogue=epilogue):
            exprs = [epilogue]
        case _:
            exprs = []
    return sum(1 for expr in exprs for node in expr.nodes if node.args)
