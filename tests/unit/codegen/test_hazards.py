"""Programs that go wrong if one particular synchronization or mask is missing: drawn programs seldom hit these."""

from dataclasses import replace

import numpy as np
import pytest

import emulator
from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.pipeline import compile_graph
from compiler.target import Coord, Machine, SiteKind
from compiler.target.load import load_machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.strategies import tensors_for


def _unary(op: ScalarOp, dtype: DType) -> Expr:
    builder = ExprBuilder()
    return builder.build(builder.op(op, dtype, builder.arg(0, dtype)))


def _run_and_compare(graph: TensorGraph, machine: Machine) -> None:
    tensors = tensors_for(graph, 0, whole=False)
    result = emulator.run(compile_graph(graph, machine).image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        assert np.isfinite(bound).all()
        assert compare(value, bound, result.outputs[name]).ok


def test_what_a_ragged_tile_holds_outside_the_tensor_is_not_summed() -> None:
    """`exp` makes ones of the padding of both operands; the summed axis is not a multiple of the tile."""
    builder = GraphBuilder("ragged")
    exp = _unary(ScalarOp.EXP, DType.F32)
    x = builder.map(exp, [builder.input("x", TensorType((33, 40), DType.F32))])
    y = builder.map(exp, [builder.input("y", TensorType((40, 7), DType.F32))])
    builder.output("z", builder.contract("mk", "kn", "mn", x, y))
    _run_and_compare(builder.build(), load_machine("mesh_4x4"))


@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
@pytest.mark.parametrize("kind", ReduceKind)
def test_padding_takes_no_part_in_a_reduction(kind: ReduceKind, axes: tuple[int, ...]) -> None:
    """All elements are below -1, so a zero of the padding would win a maximum, spoil a product, and add `exp(0)`."""
    builder = GraphBuilder("ragged")
    x = builder.input("x", TensorType((40, 33), DType.F32))
    values = {"x": -1 - np.random.default_rng(0).random((40, 33), dtype=np.float32) / 64}
    exp = builder.map(_unary(ScalarOp.EXP, DType.F32), [x])
    builder.output("plain", builder.reduce(kind, axes, x))
    builder.output("mapped", builder.reduce(kind, axes, exp))
    graph = builder.build()
    result = emulator.run(compile_graph(graph, load_machine("mesh_4x4")).image, values)
    for name, (value, bound) in evaluate_with_bounds(graph, values).items():
        assert compare(value, bound, result.outputs[name]).ok
        assert np.isfinite(bound).all() or kind is ReduceKind.PROD


def _one_slow_core() -> Machine:
    """One core that computes at once, with little L1, on networks of one byte per cycle."""
    mesh = load_machine("mesh_4x4")
    noc = replace(mesh.noc, flit_bytes=1, write_issue=0, read_issue=0)
    compute = replace(mesh.compute, unpack_bytes=4096, pack_bytes=4096, instruction=0)
    return replace(
        mesh,
        floor_plan=((SiteKind.DRAM, SiteKind.CORE),),
        noc=noc,
        compute=compute,
        dram=replace(mesh.dram, channels=(Coord(0, 0),)),
        l1_bytes=mesh.l1_base + 12 * 4096,
        facts={},
    )


def test_a_result_larger_than_l1_passes_through_its_ring() -> None:
    """One row is repeated, so the result is made much faster than it can leave, and the ring comes round many times."""
    builder = GraphBuilder("stream")
    x = builder.input("x", TensorType((1, 32), DType.F32))
    builder.output("y", builder.map(_unary(ScalarOp.NEG, DType.F32), [x], shape=(32 * 24, 32)))
    _run_and_compare(builder.build(), _one_slow_core())


def test_a_block_is_read_only_when_it_has_arrived() -> None:
    """A product whose operands come over a slow network, block after block, into two buffers each."""
    builder = GraphBuilder("slow")
    x = builder.input("x", TensorType((32, 320), DType.BF16))
    w = builder.weight("w", TensorType((320, 32), DType.BF16))
    builder.output("y", builder.contract("mk", "kn", "mn", x, w))
    _run_and_compare(builder.build(), _one_slow_core())
