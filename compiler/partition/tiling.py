"""Turn a tensor graph into loop nests over tiles.

Reshapes that keep the order of pages, unused operations and splat constants disappear; moves that respect tiles become
maps with another index map; the rest becomes `GatherBody`.
"""

from dataclasses import dataclass, replace

import numpy as np

from compiler.ir.graph import (
    Constant,
    Contract,
    Input,
    Iota,
    Map,
    Operation,
    Reduce,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    Transpose,
    Weight,
    Window,
)
from compiler.numerics import TILE, Expr, ExprBuilder, ScalarOp, TileGrid
from compiler.numerics.expr import identity
from compiler.numerics.fidelity import product_dtype
from compiler.partition.hinting import nest_hint
from compiler.partition.nest import (
    Access,
    Body,
    ContractBody,
    GatherBody,
    MapBody,
    Nest,
    ReduceBody,
    Storage,
    TakeBody,
    Workload,
)
from compiler.program.image import IndexMap, Role, Spread
from compiler.program.instructions import Combine, ReduceAxis


@dataclass(frozen=True, slots=True)
class _View:
    """A value of the graph: the pages of `storage` in order, read with this shape."""

    storage: int
    shape: tuple[int, ...]

    @property
    def matrix(self) -> tuple[int, ...]:
        return TileGrid(self.shape).matrix_shape

    @property
    def strides(self) -> tuple[int, ...]:
        return TileGrid(self.shape).strides


def tile(graph: TensorGraph) -> Workload:
    """Return the nests that compute the outputs of `graph`."""
    return _Tiler(graph).run()


class _Tiler:
    def __init__(self, graph: TensorGraph) -> None:
        self.graph = graph
        self.storages: list[Storage] = []
        self.nests: list[Nest] = []
        self.views: dict[int, _View] = {}

    def run(self) -> Workload:
        live = _live(self.graph)
        for op in self.graph.ops:
            if op.id in live or isinstance(op.kind, (Input, Weight, State)):
                self.visit(op)
        for name, value in self.graph.outputs:
            self.output(name, self.graph.ops[value])
        return Workload(self.graph.name, tuple(self.storages), tuple(self.nests), self.graph.sources)

    def output(self, name: str, op: Operation) -> None:
        """Give the storage of `op` the role of an output, copying it first where it already has another role."""
        view = self.views[op.id]
        if self.storages[view.storage].role is not Role.TEMPORARY:
            copy = MapBody(identity(op.type.dtype))
            view = self.emit(op, "copy", copy, (self.broadcast(view, view.shape),))
        self.storages[view.storage] = replace(
            self.storages[view.storage], name=name, shape=view.shape, role=Role.OUTPUT
        )

    def visit(self, op: Operation) -> None:
        match op.kind:
            case Input(name, finite):
                view = self.source(name, op, Role.INPUT, finite=finite)
            case Weight(name, finite):
                view = self.source(name, op, Role.WEIGHT, finite=finite)
            case State(name, finite):
                view = self.source(name, op, Role.STATE, finite=finite)
            case Constant(data=data):
                view = self.source(f"constant_{op.id}", op, Role.CONSTANT, _unsplat(data, op))
            case Iota(axis=axis):
                view = self.source(f"iota_{op.id}", op, Role.CONSTANT, _iota(axis, op.type.shape))
            case Map():
                view = self.map(op, op.kind)
            case Reduce():
                view = self.reduce(op, op.kind)
            case Contract():
                view = self.contract(op, op.kind)
            case Reshape():
                view = self.reshape(op)
            case Transpose(perm=perm):
                view = self.transpose(op, perm)
            case Slice():
                view = self.slice(op, op.kind)
            case Window(digits, base, steps):
                extents = self.graph.ops[op.inputs[0]].type.shape
                view = self.gather(op, IndexMap(op.type.shape, digits, base, steps, extents))
            case Take():
                view = self.take(op)
        self.views[op.id] = view

    def source(self, name: str, op: Operation, role: Role, data: bytes = b"", *, finite: bool = False) -> _View:
        self.storages.append(Storage(name, op.type.dtype, op.type.shape, role, -1, data, finite=finite))
        return _View(len(self.storages) - 1, op.type.shape)

    def emit(
        self,
        op: Operation,
        verb: str,
        body: Body,
        operands: tuple[Access, ...],
        reduced: tuple[int, ...] = (),
    ) -> _View:
        """Append a nest that computes `op` into a new storage."""
        name = f"{verb}_{op.id}"
        self.storages.append(Storage(name, op.type.dtype, op.type.shape, Role.TEMPORARY, len(self.nests)))
        out = len(self.storages) - 1
        finish = (op.kind.epilogue_span if isinstance(op.kind, Contract | Reduce) else None) or op.span
        hint = nest_hint(self.graph.hints, op.span, finish)
        self.nests.append(Nest(name, op.span, finish, out, op.type.shape, reduced, operands, body, hint))
        return _View(out, op.type.shape)

    def broadcast(self, view: _View, shape: tuple[int, ...], extra_axes: int = 0) -> Access:
        """Return the access that repeats `view` along the axes where it has extent 1 and `shape` does not."""
        strides, repeats = [], []
        for extent, stride, wanted in zip(view.matrix, view.strides, TileGrid(shape).matrix_shape, strict=True):
            repeats.append(extent == 1 and wanted > 1)
            strides.append(0 if repeats[-1] else stride)
        return Access(view.storage, (*strides, *(0,) * extra_axes), _SPREADS[repeats[-2], repeats[-1]])

    def map(self, op: Operation, kind: Map) -> _View:
        expr, inputs = _inline_splats(self.graph, kind.expr, op.inputs)
        operands = tuple(self.broadcast(self.views[i], op.type.shape) for i in inputs)
        return self.emit(op, "map", MapBody(expr), operands)

    def reduce(self, op: Operation, kind: Reduce) -> _View:
        body_views = [self.views[i] for i in op.inputs[: kind.body_inputs]]
        domain = np.broadcast_shapes(*(view.matrix for view in body_views))
        shift = len(domain) - len(op.type.shape)
        axes = tuple(axis + shift for axis in kind.axes)
        grid = TileGrid(domain)
        operands = []
        for view in body_views:
            access = self.broadcast(view, domain)
            kept = tuple(0 if axis in axes else stride for axis, stride in enumerate(access.strides))
            operands.append(replace(access, strides=kept + tuple(access.strides[axis] for axis in axes)))
        for i in op.inputs[kind.body_inputs :]:
            operands.append(self.broadcast(self.views[i], op.type.shape, len(axes)))
        body = _reduce_body(kind, domain, axes)
        return self.emit(op, "reduce", body, tuple(operands), tuple(grid.dims[axis] for axis in axes))

    def contract(self, op: Operation, kind: Contract) -> _View:
        summed = [letter for letter in kind.a if letter not in kind.out]
        inner = next(letter for letter in kind.a[-2:] if letter != kind.out[-2])
        summed.sort(key=lambda letter: letter == inner)
        axis_of = {letter: axis for axis, letter in enumerate((*kind.out, *summed))}
        extents: dict[str, int] = {}
        operands = []
        for letters, value in ((kind.a, op.inputs[0]), (kind.b, op.inputs[1])):
            view = self.views[value]
            strides = [0] * len(axis_of)
            for letter, stride, dim in zip(letters, view.strides, TileGrid(view.shape).dims, strict=True):
                strides[axis_of[letter]] = stride
                extents[letter] = dim
            operands.append(Access(view.storage, tuple(strides)))
        operands += [self.broadcast(self.views[i], op.type.shape, len(summed)) for i in op.inputs[2:]]
        dtype = product_dtype(*(self.graph.ops[value].type.dtype for value in op.inputs[:2]))
        assert dtype is not None
        transposed = kind.a[-1] != inner, kind.b[-1] == inner
        body = ContractBody(dtype, *transposed, kind.epilogue, kind.fidelity, kind.annihilates)
        return self.emit(op, "contract", body, tuple(operands), tuple(extents[letter] for letter in summed))

    def reshape(self, op: Operation) -> _View:
        view = self.views[op.inputs[0]]
        if _same_pages(view.matrix, TileGrid(op.type.shape).matrix_shape):
            return _View(view.storage, op.type.shape)
        known = self.storages[view.storage]
        if known.role is Role.CONSTANT:  # its bytes are row-major: another shape is another way to lay them out
            return self.source(f"{known.name}_{op.id}", op, Role.CONSTANT, known.data)
        size = op.type.size
        return self.gather(op, IndexMap(op.type.shape, (size,), (0,), ((1,),), (size,)))

    def transpose(self, op: Operation, perm: tuple[int, ...]) -> _View:
        view = self.views[op.inputs[0]]
        last = set(perm[-2:])
        rank = len(perm)
        if rank >= 2 and last == {rank - 2, rank - 1}:
            spread = Spread.NONE if perm[-1] == rank - 1 else Spread.TRANSPOSE
            strides = tuple(view.strides[axis] for axis in perm)
            return self.emit(
                op, "transpose", MapBody(identity(op.type.dtype)), (Access(view.storage, strides, spread),)
            )
        shape = self.graph.ops[op.inputs[0]].type.shape
        steps = tuple(tuple(int(perm[d] == j) for d in range(rank)) for j in range(rank))
        return self.gather(op, IndexMap(op.type.shape, op.type.shape, (0,) * rank, steps, shape))

    def slice(self, op: Operation, kind: Slice) -> _View:
        view = self.views[op.inputs[0]]
        pad = (0,) * (len(view.matrix) - len(kind.starts))
        starts, steps = pad + kind.starts, (1,) * len(pad) + kind.steps
        out = TileGrid(op.type.shape).matrix_shape
        if all(start % TILE == 0 and (step == 1 or extent == 1) for start, step, extent in _last(starts, steps, out)):
            units = (*(1,) * (len(starts) - 2), TILE, TILE)
            offset = sum(s // unit * stride for s, unit, stride in zip(starts, units, view.strides, strict=True))
            strides = tuple(
                step * stride if unit == 1 else stride
                for step, unit, stride in zip(steps, units, view.strides, strict=True)
            )
            access = Access(view.storage, strides, offset=offset)
            return self.emit(op, "slice", MapBody(identity(op.type.dtype)), (access,))
        shape = self.graph.ops[op.inputs[0]].type.shape
        diagonal = tuple(tuple(kind.steps[j] if d == j else 0 for d in range(len(shape))) for j in range(len(shape)))
        return self.gather(op, IndexMap(op.type.shape, op.type.shape, kind.starts, diagonal, shape))

    def gather(self, op: Operation, index_map: IndexMap) -> _View:
        view = self.views[op.inputs[0]]
        zeros = (0,) * len(TileGrid(op.type.shape).dims)
        return self.emit(op, "gather", GatherBody(index_map), (Access(view.storage, zeros),))

    def take(self, op: Operation) -> _View:
        source, index = (self.views[value] for value in op.inputs)
        across = index.shape[-1] > 1
        *lead, rows, _ = TileGrid(op.type.shape).matrix_shape
        numbers = self.broadcast(index, (*lead, *((1, rows) if across else (rows, 1))))
        down = numbers.strides[-1] if across else numbers.strides[-2]
        picked = self.broadcast(source, (*lead, *source.matrix[-2:]))
        operands = (
            Access(index.storage, (*numbers.strides[:-2], down, 0)),
            Access(source.storage, (*picked.strides[:-2], 0, picked.strides[-1])),
        )
        return self.emit(op, "take", TakeBody(source.matrix[-2], source.strides[-2], across), operands)


_SPREADS = {
    (False, False): Spread.NONE,
    (True, False): Spread.ROW,
    (False, True): Spread.COLUMN,
    (True, True): Spread.SCALAR,
}


def _last(starts: tuple[int, ...], steps: tuple[int, ...], out: tuple[int, ...]) -> list[tuple[int, int, int]]:
    return list(zip(starts, steps, out, strict=True))[-2:]


def _live(graph: TensorGraph) -> set[int]:
    """Ids of operations that an output needs; a splat constant is not needed by the maps that inline it."""
    live = {value for _, value in graph.outputs}
    for op in reversed(graph.ops):
        if op.id in live:
            inputs = _inline_splats(graph, op.kind.expr, op.inputs)[1] if isinstance(op.kind, Map) else op.inputs
            live.update(inputs)
    return live


def _unsplat(data: bytes, op: Operation) -> bytes:
    return data * op.type.size if len(data) == op.type.dtype.itemsize else data


def _iota(axis: int, shape: tuple[int, ...]) -> bytes:
    index = np.arange(shape[axis], dtype=np.int32).reshape(-1, *(1,) * (len(shape) - 1 - axis))
    return np.broadcast_to(index, shape).tobytes()


def _same_pages(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    """Whether two shapes of the same elements also have the same tiles in the same order."""
    if before[-1] != after[-1]:
        return False
    return before[-2] == after[-2] or (before[-2] % TILE == 0 and after[-2] % TILE == 0)


def _splat(graph: TensorGraph, value: int) -> float | int | None:
    """The value that every element of a constant has, None if it is not known to have one."""
    op = graph.ops[value]
    if not isinstance(op.kind, Constant) or len(op.kind.data) != op.type.dtype.itemsize:
        return None
    element = np.frombuffer(op.kind.data, op.type.dtype.numpy)[0]
    return float(element) if op.type.dtype.is_float else int(element)


def _inline_splats(graph: TensorGraph, expr: Expr, inputs: tuple[int, ...]) -> tuple[Expr, tuple[int, ...]]:
    """Return `expr` with its splat operands as constants, and the inputs that remain (each once, all used)."""
    builder = ExprBuilder()
    dtypes = {int(n.value): n.dtype for n in expr.nodes if n.op is ScalarOp.ARG}
    kept: list[int] = []
    operands: list[int] = []
    for number, value in enumerate(inputs):
        splat = _splat(graph, value)
        if number not in dtypes:
            operands.append(-1)
        elif splat is not None:
            operands.append(builder.const(splat, dtypes[number]))
        else:
            if value not in kept:
                kept.append(value)
            operands.append(builder.arg(kept.index(value), dtypes[number]))
    return builder.build(builder.inline(expr, operands)), tuple(kept)


def _reduce_body(kind: Reduce, domain: tuple[int, ...], axes: tuple[int, ...]) -> ReduceBody:
    rank = len(domain)
    row, column = rank - 2, rank - 1
    inside = {
        (False, False): ReduceAxis.NONE,
        (True, False): ReduceAxis.ROWS,
        (False, True): ReduceAxis.COLUMNS,
        (True, True): ReduceAxis.BOTH,
    }
    return ReduceBody(
        combine=Combine(kind.kind.value),
        axis=inside[row in axes, column in axes],
        body=kind.body,
        epilogue=kind.epilogue,
        body_operands=kind.body_inputs,
        rows=domain[row],
        row_axis=rank + axes.index(row) if row in axes else row,
        columns=domain[column],
        column_axis=rank + axes.index(column) if column in axes else column,
    )
