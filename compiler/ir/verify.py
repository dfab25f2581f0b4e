"""Check the invariants of a tensor graph, as its docstrings list them."""

from collections import Counter
from collections.abc import Iterator, Sequence

from compiler.diagnostics import InternalError
from compiler.ir.graph import Fed, Operation, State, TensorGraph, TensorType
from compiler.ir.hints import print_hint
from compiler.ir.rules import problems


def verify(graph: TensorGraph) -> None:
    """Raise `InternalError` naming the first operation and rule that `graph` breaks."""
    for problem in graph_problems(graph):
        raise InternalError(f"verify: graph `{graph.name}`: {problem}")


def verify_operation(op: Operation, earlier: Sequence[TensorType]) -> None:
    """Raise `InternalError` unless `op` is well-formed after operations of the types `earlier`."""
    for problem in operation_problems(op, earlier):
        raise InternalError(f"verify: {problem}")


def graph_problems(graph: TensorGraph) -> Iterator[str]:
    """Yield every rule that the graph breaks."""
    earlier: list[TensorType] = []
    for index, op in enumerate(graph.ops):
        if op.id != index:
            yield f"operation {index} has id {op.id}"
        yield from operation_problems(op, earlier)
        earlier.append(op.type)
    yield from name_problems(graph)


def name_problems(graph: TensorGraph) -> Iterator[str]:
    """Yield every rule about inputs, weights and outputs that the graph breaks."""
    names = [op.kind.name for op in graph.ops if isinstance(op.kind, Fed)]
    yield from (f"two inputs, weights or states are called `{name}`" for name in _repeated(names))
    yield from (f"two outputs are called `{name}`" for name in _repeated([name for name, _ in graph.outputs]))
    for hint in graph.hints:
        sizes = [size for size in (hint.cores or ()) + (hint.buffers,) if size is not None]
        places = [place for place in (hint.corner or ()) + (hint.epoch,) if place is not None]
        if min(sizes, default=1) < 1 or min(places, default=0) < 0:
            yield f"the hint `{print_hint(hint)}` has a number that is too small"
    states = {op.kind.name: op.type for op in graph.ops if isinstance(op.kind, State)}
    if not graph.outputs:
        yield "there is no output"
    for name, value in graph.outputs:
        if not 0 <= value < len(graph.ops):
            yield f"output `{name}` is %{value}, which does not exist"
        elif name in states and states[name] != graph.ops[value].type:
            yield f"output `{name}` is {graph.ops[value].type}, but the state `{name}` is {states[name]}"


def operation_problems(op: Operation, earlier: Sequence[TensorType]) -> Iterator[str]:
    """Yield every rule that `op` breaks after operations of the types `earlier`."""
    where = f"%{op.id} ({type(op.kind).__name__.lower()})"
    if not all(0 <= value < len(earlier) for value in op.inputs):
        yield f"{where}: an input is not an earlier operation"
        return
    for problem in problems(op.kind, [earlier[value] for value in op.inputs], op.type):
        yield f"{where}: {problem}"


def _repeated(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
