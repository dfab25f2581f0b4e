"""The printed stages name every stage, its grid and each of its operands once."""

import pytest

from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import TensorType
from compiler.numerics import DType
from compiler.partition.printer import print_stages
from compiler.partition.solve import solve
from compiler.partition.tiling import tile
from compiler.target.load import load_machine, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_every_stage_is_printed(name: str) -> None:
    builder = GraphBuilder("dense")
    x = builder.input("x", TensorType((64, 128), DType.BF16))
    w = builder.weight("w", TensorType((128, 96), DType.BF16))
    builder.output("y", builder.transpose(builder.contract("mk", "kn", "mn", x, w), (1, 0)))
    machine = load_machine(name)
    graph = solve(machine, tile(builder.build()))
    lines = print_stages(graph, machine).splitlines()
    stages = [stage for epoch in graph.epochs for stage in epoch]
    assert sum(line.startswith("epoch ") for line in lines) == len(graph.epochs)
    for stage, line in zip(stages, (line for line in lines if line.startswith("  stage ")), strict=True):
        rows, columns = stage.grid
        assert f" on {rows} x {columns} cores" in line
    operands = [line.split()[:2] for line in lines if line.startswith("    ") and "result to" not in line]
    assert [name for name, _ in operands] == [
        graph.workload.storages[access.storage].name
        for stage in stages
        for access in graph.workload.nests[stage.nest].operands
    ]
