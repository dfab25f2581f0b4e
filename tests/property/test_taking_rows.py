"""Drawn programs that pick rows by number, on drawn machines: every row arrives, and nothing else matters."""

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import emulator
from compiler.diagnostics import DiagnosticError
from compiler.ir import GraphBuilder, Input, TensorGraph, TensorType
from compiler.numerics import DType, ExprBuilder, ScalarOp
from compiler.numerics.evaluate import Array
from compiler.partition.nest import TakeBody
from compiler.partition.solve import PartitionOptions
from compiler.pipeline import CompileOptions, compile_graph
from compiler.prune.options import Mode, PruneOptions
from compiler.target import Machine
from runtime.reference import evaluate
from runtime.testing.machines import machines

Draw = Callable[[st.SearchStrategy[Any]], Any]
TYPES = (DType.F32, DType.BF16, DType.I32, DType.I8)


@st.composite
def lookups(draw: Draw) -> TensorGraph:
    """Rows of a table that is fed or computed, perhaps zero from some row on, by numbers that are fed or computed; the
    result perhaps used again."""
    builder = GraphBuilder("lookup")
    extent, rows, columns = draw(st.integers(1, 100)), draw(st.integers(1, 100)), draw(st.integers(1, 70))
    lead = draw(st.sampled_from([(), (1,), (3,), (2, 2)]))
    repeats = [tuple(draw(st.sampled_from([n, 1])) for n in lead) for _ in range(2)]
    table = builder.input("x", TensorType((*repeats[0], extent, columns), draw(st.sampled_from(TYPES))))
    shape = (*repeats[1], *draw(st.sampled_from([(rows, 1), (1, rows)])))
    numbers = builder.input("numbers", TensorType(shape, DType.I32))
    if draw(st.booleans()):
        numbers = _with_constant(builder, ScalarOp.SUB, numbers, 1)
    if draw(st.booleans()):
        table = _with_constant(builder, ScalarOp.NEG, table, None)
    if draw(st.booleans()):
        table = _zero_below(builder, table, draw(st.integers(0, extent)))
    found = builder.take(table, numbers, rows)
    if draw(st.booleans()):
        found = builder.cast(found, DType.F32)
    builder.output("y", found)
    return builder.build()


def _zero_below(builder: GraphBuilder, value: int, row: int) -> int:
    expr, dtype, shape = ExprBuilder(), builder.type(value).dtype, builder.type(value).shape
    rows = builder.iota((*(1 for _ in shape[:-2]), shape[-2], 1), len(shape) - 2)
    above = expr.op(ScalarOp.LT, DType.BOOL, expr.arg(1, DType.I32), expr.const(row, DType.I32))
    zero = expr.const(0.0 if dtype.is_float else 0, dtype)
    kept = expr.op(ScalarOp.WHERE, dtype, above, expr.arg(0, dtype), zero)
    return builder.map(expr.build(kept), (value, rows), shape=shape)


def _with_constant(builder: GraphBuilder, op: ScalarOp, value: int, constant: int | None) -> int:
    expr, dtype = ExprBuilder(), builder.type(value).dtype
    operands = [expr.arg(0, dtype), *([] if constant is None else [expr.const(constant, dtype)])]
    return builder.map(expr.build(expr.op(op, dtype, *operands)), (value,))


def tensors(graph: TensorGraph, seed: int, *, stray: bool) -> dict[str, Array]:
    """A table, of floats with anything in it, and numbers of rows, some of them of none if they may be `stray`."""
    generator = np.random.default_rng(seed)
    types = {op.kind.name: op.type for op in graph.ops if isinstance(op.kind, Input)}
    extent = types["x"].shape[-2]
    values = generator.integers(-100, 101, types["x"].shape).astype(types["x"].dtype.numpy)
    if types["x"].dtype.is_float:
        values[generator.random(values.shape) < 0.1] = np.nan
        values[generator.random(values.shape) < 0.1] = -np.inf
    numbers = generator.integers(-3, extent + 3, types["numbers"].shape)
    numbers[generator.random(numbers.shape) < 0.1] = generator.choice([2**31 - 1, -(2**31), extent, -1])
    return {"x": values, "numbers": (numbers if stray else numbers % extent).astype(np.int32)}


@given(lookups(), machines(min_cores=2), st.integers(0, 99), st.booleans(), st.integers(1, 4), st.sampled_from(Mode))
def test_rows_arrive_bit_for_bit(
    graph: TensorGraph, machine: Machine, seed: int, stray: bool, longest: int, mode: Mode
) -> None:
    options = CompileOptions(
        seed=seed,
        check_passes=True,
        partition=PartitionOptions(longest_epoch=longest),
        prune=PruneOptions(mode),
    )
    try:
        compiled = compile_graph(graph, machine, options)
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise
    assert any(isinstance(nest.body, TakeBody) for nest in compiled.stage_graph.workload.nests)
    fed = tensors(graph, seed, stray=stray)
    _assert_same(emulator.run(compiled.image, fed).outputs["y"], evaluate(graph, fed)["y"])


@given(lookups(), machines(min_cores=2), st.integers(0, 99))
def test_rows_that_nobody_picks_may_hold_anything(graph: TensorGraph, machine: Machine, seed: int) -> None:
    """The same rows come out whatever lies in the others."""
    assume(graph.ops[0].type.dtype.is_float)
    fed = tensors(graph, seed, stray=True)
    fed["x"] = np.nan_to_num(fed["x"].astype(np.float32), posinf=1, neginf=-1).astype(fed["x"].dtype)
    touched = evaluate(graph, fed | {"x": _numbered(fed["x"])})["y"]
    rows = np.unique(np.abs(touched.astype(np.float64)))
    poisoned = np.where(np.isin(_numbered(fed["x"]), rows.astype(fed["x"].dtype)), fed["x"], np.nan)
    try:
        image = compile_graph(graph, machine).image
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise
    outputs = [emulator.run(image, fed | {"x": x.astype(fed["x"].dtype)}).outputs["y"] for x in (fed["x"], poisoned)]
    _assert_same(outputs[0], outputs[1])


def _numbered(x: Array) -> Array:
    """The number of its row, from 1, in each element: at most 100, which every type holds."""
    return np.broadcast_to(np.arange(1, x.shape[-2] + 1).reshape(-1, 1), x.shape).astype(x.dtype)


def _assert_same(found: Array, expected: Array) -> None:
    np.testing.assert_array_equal(found.astype(np.float64), expected.astype(np.float64))
