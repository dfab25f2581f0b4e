"""The stages and the tensors between them."""

from collections import defaultdict
from dataclasses import dataclass

from compiler.ir import TensorGraph
from runtime.view.colors import ROLES, stage_color
from runtime.view.graphs import nodes_of
from runtime.view.model import ViewModel
from runtime.view.pictures.canvas import Canvas

WIDE, HIGH, GAP_X, GAP_Y = 150.0, 34.0, 14.0, 26.0


@dataclass(frozen=True, slots=True)
class _Node:
    title: str
    text: str
    color: str


def graph_picture(model: ViewModel, epoch: int) -> str:
    """Draw all stages, whatever `epoch` is, from the inputs down."""
    nodes, edges = _nodes(model)
    return _draw(f"{model.image.name}: {len(model.stages)} stages and what flows between them", nodes, edges)


def tensor_graph_picture(graph: TensorGraph) -> str:
    """Draw the operations of a graph, from the inputs down."""
    outputs = {value: name for name, value in graph.outputs}
    nodes = [
        _Node(
            f"%{node.number} {node.kind}" + (f" → {outputs[node.number]}" if node.number in outputs else ""),
            node.shape,
            ROLES.get(node.kind, ROLES["output" if node.number in outputs else "temporary"]),
        )
        for node in nodes_of(graph, ())
    ]
    edges = [(value, op.id) for op in graph.ops for value in op.inputs]
    return _draw(f"{graph.name}: {len(nodes)} operations", nodes, edges)


def _draw(title: str, nodes: list[_Node], edges: list[tuple[int, int]]) -> str:
    places = _layout(len(nodes), edges)
    width = 20 + max((x for x, _ in places), default=0) * (WIDE + GAP_X) + WIDE
    height = 20 + max((y for _, y in places), default=0) * (HIGH + GAP_Y) + HIGH
    canvas = Canvas(width, height, title)
    spots = [(10 + x * (WIDE + GAP_X), 10 + y * (HIGH + GAP_Y)) for x, y in places]
    for start, end in edges:
        (x, y), (x1, y1) = spots[start], spots[end]
        a, b, c = x + WIDE / 2, y + HIGH, x1 + WIDE / 2
        curve = f"M{a:.0f} {b:.0f}C{a:.0f} {b + GAP_Y:.0f} {c:.0f} {y1 - GAP_Y:.0f} {c:.0f} {y1:.0f}"
        canvas.path(curve, class_="line")
    for node, (x, y) in zip(nodes, spots, strict=True):
        canvas.rect(x, y, WIDE, HIGH, node.color, rx=5, title=f"{node.title}, {node.text}")
        canvas.text(x + 6, y + 14, node.title[:22], "bold on")
        canvas.text(x + 6, y + 28, node.text[:26], "small on")
    return canvas.render()


def _nodes(model: ViewModel) -> tuple[list[_Node], list[tuple[int, int]]]:
    """Stages first, then the tensors that some stage reads or writes."""
    index: defaultdict[int, int] = defaultdict(int)
    nodes = []
    for stage in model.stages:
        color = stage_color(index[stage.epoch])
        index[stage.epoch] += 1
        nodes.append(_Node(f"{stage.letter} {stage.name}", f"{len(stage.cores)} cores, epoch {stage.epoch}", color))
    edges = []
    for tensor in model.tensors:
        if not (tensor.readers or tensor.writers):
            continue
        number = len(nodes)
        shape = ", ".join(map(str, tensor.shape))
        nodes.append(_Node(tensor.name, f"{tensor.dtype}[{shape}]", ROLES[tensor.role]))
        edges += [(stage, number) for stage in tensor.writers] + [(number, stage) for stage in tensor.readers]
    return nodes, edges


def _layout(count: int, edges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Column and layer of every node: as deep as the longest way to it, sources right above their first user."""
    parents: defaultdict[int, list[int]] = defaultdict(list)
    children: defaultdict[int, list[int]] = defaultdict(list)
    for start, end in edges:
        parents[end].append(start)
        children[start].append(end)
    missing = [len(parents[node]) for node in range(count)]
    ready = [node for node in range(count) if not missing[node]]
    depth = [0] * count
    for node in ready:
        for child in children[node]:
            depth[child] = max(depth[child], depth[node] + 1)
            missing[child] -= 1
            if not missing[child]:
                ready.append(child)
    for node in range(count):
        if not parents[node] and children[node]:
            depth[node] = max(0, min(depth[child] for child in children[node]) - 1)
    return _columns(depth, parents)


def _columns(depth: list[int], parents: defaultdict[int, list[int]]) -> list[tuple[int, int]]:
    """Inside a layer, nodes stand in the order of the mean column of what they come from."""
    columns = [0] * len(depth)
    for layer in range(max(depth, default=-1) + 1):
        members = [node for node, each in enumerate(depth) if each == layer]

        def mean(node: int, layer: int = layer) -> float:
            above = [columns[parent] for parent in parents[node] if depth[parent] < layer]
            return sum(above) / len(above) if above else 0.0

        for column, node in enumerate(sorted(members, key=mean)):
            columns[node] = column
    return list(zip(columns, depth, strict=True))
