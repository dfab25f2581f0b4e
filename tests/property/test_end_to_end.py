"""Drawn programs on drawn machines, from graph to emulated bytes, against the NumPy reference."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import emulator
from compiler.diagnostics import DiagnosticError
from compiler.ir import TensorGraph
from compiler.partition.solve import PartitionOptions
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.program.image import Image
from compiler.program.serialize import dump, load
from compiler.target import Machine
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.dense import dense_graphs
from runtime.testing.machines import machines
from runtime.testing.strategies import graphs, tensors_for

PROGRAMS = st.one_of(dense_graphs(), graphs())
MESHES = machines(min_cores=4)


def _compile(graph: TensorGraph, machine: Machine, options: CompileOptions | None = None) -> Compiled:
    """Compile; a program that needs more L1 than the drawn machine has is not the matter here."""
    try:
        return compile_graph(graph, machine, options)
    except DiagnosticError as error:
        assume({diagnostic.code for diagnostic in error.diagnostics} != {"E0412"})
        raise


def _outputs(image: Image, graph: TensorGraph, seed: int = 0) -> dict[str, bytes]:
    result = emulator.run(image, tensors_for(graph, seed, whole=False))
    return {name: value.tobytes() for name, value in result.outputs.items()}


@given(PROGRAMS, MESHES, st.integers(0, 3), st.booleans())
def test_emulator_agrees_with_the_reference(graph: TensorGraph, machine: Machine, seed: int, whole: bool) -> None:
    """On whole numbers the derived bound is zero wherever sums are exact, so equality is then bit for bit."""
    compiled = _compile(graph, machine, CompileOptions(seed=seed, check_passes=True))
    tensors = tensors_for(graph, seed, whole=whole)
    result = emulator.run(compiled.image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        comparison = compare(value, bound, result.outputs[name])
        assert comparison.ok, (name, comparison)
    assert result.profile.makespan >= max(cycles for _, cycles in compiled.bound)


@given(dense_graphs(), MESHES)
def test_whole_numbers_agree_bit_for_bit(graph: TensorGraph, machine: Machine) -> None:
    """Small whole numbers in f32 have exact sums of products, so nothing may differ."""
    assume(all(op.type.dtype.value == "f32" for op in graph.ops))
    tensors = {name: np.sign(value) for name, value in tensors_for(graph, 0, whole=True).items()}
    result = emulator.run(_compile(graph, machine).image, tensors)
    for name, (value, bound) in evaluate_with_bounds(graph, tensors).items():
        assume(not np.any(bound))
        np.testing.assert_array_equal(result.outputs[name], value)


def _slower(machine: Machine, factor: int, draw: st.DataObject) -> Machine:
    """The same machine with every latency and bandwidth changed."""
    noc = replace(
        machine.noc,
        hop=machine.noc.hop * factor + draw.draw(st.integers(0, 9)),
        niu=machine.noc.niu + draw.draw(st.integers(0, 30)),
        read_issue=draw.draw(st.integers(0, 60)),
        write_issue=draw.draw(st.integers(0, 60)),
        read_overhead=draw.draw(st.integers(0, 300)),
        write_overhead=draw.draw(st.integers(0, 300)),
        multicast_reserve_per_hop=draw.draw(st.integers(0, 40)),
    )
    dram = replace(
        machine.dram,
        access=draw.draw(st.integers(0, 500)),
        bytes_per_cycle=draw.draw(st.sampled_from((0.5, 3.0, 100.0))),
    )
    compute = replace(machine.compute, matmul={k: v * factor for k, v in machine.compute.matmul.items()})
    core = replace(machine.core, cb_op=draw.draw(st.integers(0, 99)), launch=draw.draw(st.integers(0, 999)))
    return replace(machine, noc=noc, dram=dram, compute=compute, core=core)


@given(PROGRAMS, MESHES, st.integers(1, 5), st.data())
def test_outputs_do_not_depend_on_timing(
    graph: TensorGraph, machine: Machine, factor: int, data: st.DataObject
) -> None:
    image = _compile(graph, machine).image
    other = replace(image, machine=_slower(machine, factor, data))
    assert _outputs(image, graph) == _outputs(other, graph)


@given(PROGRAMS, MESHES, MESHES, st.integers(0, 99), st.integers(1, 3))
def test_outputs_do_not_depend_on_the_mapping(
    graph: TensorGraph, machine: Machine, other: Machine, seed: int, longest: int
) -> None:
    """Another machine has another grid, another seed another placement, shorter epochs other transfers."""
    expected = _outputs(_compile(graph, machine).image, graph)
    assert _outputs(_compile(graph, other).image, graph) == expected
    options = CompileOptions(seed=seed, partition=PartitionOptions(longest_epoch=longest))
    assert _outputs(_compile(graph, machine, options).image, graph) == expected


@given(PROGRAMS, MESHES)
def test_a_stored_image_runs_the_same(graph: TensorGraph, machine: Machine) -> None:
    image = _compile(graph, machine).image
    again = load(dump(image))
    assert dump(again) == dump(image)
    tensors = tensors_for(graph, 1, whole=False)
    first, second = emulator.run(image, tensors), emulator.run(again, tensors)
    assert first.profile == second.profile
    assert {k: v.tobytes() for k, v in first.outputs.items()} == {k: v.tobytes() for k, v in second.outputs.items()}


_COMPILE_AND_RUN = """
import sys
from hashlib import sha256
import emulator
from compiler.frontend import load, lower
from compiler.pipeline import compile_graph
from compiler.program.serialize import dump
from compiler.target.load import load_machine
from runtime.testing.strategies import tensors_for
text = open(sys.argv[1]).read()
graph = lower(load(text, "program.mesh"), None, {})
image = compile_graph(graph, load_machine("mesh_4x4")).image
result = emulator.run(image, tensors_for(graph, 0, whole=False))
outputs = b"".join(result.outputs[name].tobytes() for name in sorted(result.outputs))
print(sha256(dump(image)).hexdigest(), sha256(outputs).hexdigest(), result.profile.makespan)
print(sha256(repr(result.profile).encode()).hexdigest())
"""


@pytest.mark.parametrize("example", ["mlp", "attention"])
def test_bytes_do_not_depend_on_the_hash_seed(example: str) -> None:
    def run(hash_seed: str) -> str:
        command = [sys.executable, "-c", _COMPILE_AND_RUN, f"examples/{example}.mesh"]
        environment = {
            "PYTHONHASHSEED": hash_seed,
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": ".",
            "HOME": "/nonexistent",
        }
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    outputs = {run(seed) for seed in ("0", "1", "4711")}
    assert len(outputs) == 1
    assert len(outputs.pop().split()) == 4
