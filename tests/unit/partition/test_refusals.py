"""What does not fit a machine is refused with the bytes needed, the bytes there are, and a way out."""

from dataclasses import replace

import pytest

from compiler.diagnostics import DiagnosticError, Span
from compiler.ir import GraphBuilder, TensorType
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.partition.solve import solve
from compiler.partition.tiling import tile
from compiler.target.load import load_machine

OPERANDS = 8
TILE_BYTES = 4096


def _sum_of_arguments() -> Expr:
    builder = ExprBuilder()
    total = builder.arg(0, DType.F32)
    for number in range(1, OPERANDS):
        total = builder.op(ScalarOp.ADD, DType.F32, total, builder.arg(number, DType.F32))
    return builder.build(total)


def test_a_map_with_more_operands_than_l1_has_room_for() -> None:
    mesh = load_machine("mesh_4x4")
    machine = replace(mesh, l1_bytes=mesh.l1_base + OPERANDS * TILE_BYTES)
    builder = GraphBuilder("wide")
    shape = TensorType((32, 32), DType.F32)
    inputs = [builder.input(f"x{number}", shape) for number in range(OPERANDS)]
    span = Span("wide.mesh", 3, 5, 3, 20)
    builder.output("y", builder.map(_sum_of_arguments(), inputs, span))
    with pytest.raises(DiagnosticError) as caught:
        solve(machine, tile(builder.build()))
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.code == "E0412"
    assert f"{(OPERANDS + 1) * TILE_BYTES} bytes" in diagnostic.message
    assert f"{OPERANDS * TILE_BYTES} bytes to give" in diagnostic.message
    assert diagnostic.labels[0].span == span
    assert diagnostic.helps
