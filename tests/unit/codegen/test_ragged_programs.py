"""Programs with zero tiles, run with and without the parts that this makes needless: equal bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import emulator
from compiler.ir import GraphBuilder, ReduceKind, TensorGraph, TensorType
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.dtypes import round_to
from compiler.numerics.masks import TileMask
from compiler.partition import ragged
from compiler.pipeline import Compiled, CompileOptions, compile_graph
from compiler.prune import Mode, PruneOptions
from compiler.target import Coord, Machine, SiteKind
from compiler.target.load import load_machine

MESH = load_machine("mesh_4x4")
Arrays = dict[str, NDArray[np.generic]]


def _one_slow_core() -> Machine:
    """One core that computes at once, with little L1, on networks of one byte per cycle."""
    return replace(
        MESH,
        floor_plan=((SiteKind.DRAM, SiteKind.CORE),),
        noc=replace(MESH.noc, flit_bytes=1, write_issue=0, read_issue=0),
        compute=replace(MESH.compute, unpack_bytes=4096, pack_bytes=4096, instruction=0),
        dram=replace(MESH.dram, channels=(Coord(0, 0),)),
        l1_bytes=MESH.l1_base + 24 * 4096,
        facts={},
    )


def _binary(op: ScalarOp, dtype: DType) -> Expr:
    builder = ExprBuilder()
    return builder.build(builder.op(op, dtype, builder.arg(0, dtype), builder.arg(1, dtype)))


def _sparse(shape: tuple[int, ...], density: float, seed: int, dtype: DType) -> tuple[NDArray[np.generic], TileMask]:
    """Normal deviates in some of the tiles of a matrix (or of several), and which tiles those are not."""
    generator = np.random.default_rng(seed)
    rows, columns = (-(-extent // 32) for extent in shape[-2:])
    live = generator.random((*shape[:-2], rows, columns)) < density
    spread = np.kron(live, np.ones((32, 32), bool))[..., : shape[-2], : shape[-1]]
    values = round_to(generator.standard_normal(shape).astype(np.float32), dtype)
    return np.asarray(values * spread, dtype.numpy), TileMask.of(~live)


def _run(
    graph: TensorGraph, machine: Machine, fed: Arrays, zeros: dict[str, TileMask], mode: Mode
) -> tuple[Compiled, Arrays]:
    options = CompileOptions(prune=PruneOptions(mode, assume_finite=True, zeros=zeros))
    compiled = compile_graph(graph, machine, options)
    return compiled, dict(emulator.run(compiled.image, fed).outputs)


def _check(graph: TensorGraph, machine: Machine, fed: Arrays, zeros: dict[str, TileMask]) -> None:
    _, whole = _run(graph, machine, fed, zeros, Mode.NONE)
    compiled, part = _run(graph, machine, fed, zeros, Mode.STATIC)
    assert any(stage.deal for stages in compiled.stage_graph.epochs for stage in stages)
    for name, value in whole.items():
        assert np.array_equal(value, part[name], equal_nan=True)


@pytest.mark.parametrize("machine", [MESH, _one_slow_core()], ids=["mesh", "slow"])
@pytest.mark.parametrize("letters", ["mk,kn", "km,kn", "mk,nk", "km,nk"])
@pytest.mark.parametrize("dtype", [DType.BF16, DType.F32])
def test_products_with_zero_tiles_on_the_right(machine: Machine, letters: str, dtype: DType) -> None:
    left, right = letters.split(",")
    extents = {"m": 96, "k": 270, "n": 160}
    builder = GraphBuilder("product")
    x = builder.input("x", TensorType(tuple(extents[letter] for letter in left), dtype))
    w = builder.weight("w", TensorType(tuple(extents[letter] for letter in right), dtype))
    bias = builder.weight("bias", TensorType((1, 160), dtype))
    y = builder.contract(left, right, "mn", x, w)
    builder.output("y", builder.map(_binary(ScalarOp.ADD, dtype), [y, bias]))
    fed: Arrays = {}
    fed["x"], _ = _sparse(tuple(extents[letter] for letter in left), 1.0, 0, dtype)
    fed["w"], zeros = _sparse(tuple(extents[letter] for letter in right), 0.3, 1, dtype)
    fed["bias"], _ = _sparse((1, 160), 1.0, 2, dtype)
    _check(builder.build(), machine, fed, {"w": zeros})


def test_large_loads_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """With small pieces there are many, shared by rows and columns of cores, and round the ring."""
    monkeypatch.setattr(ragged, "PIECE_PAGES", 3)
    builder = GraphBuilder("product")
    x = builder.input("x", TensorType((512, 512), DType.BF16))
    w = builder.weight("w", TensorType((512, 512), DType.BF16))
    builder.output("y", builder.contract("mk", "kn", "mn", x, w))
    fed: Arrays = {}
    fed["x"], _ = _sparse((512, 512), 1.0, 0, DType.BF16)
    fed["w"], zeros = _sparse((512, 512), 0.3, 1, DType.BF16)
    _check(builder.build(), MESH, fed, {"w": zeros})


@pytest.mark.parametrize("axes", [(1,), (2,), (1, 2)])
def test_sums_leave_zero_tiles_out(axes: tuple[int, ...]) -> None:
    builder = GraphBuilder("sum")
    x = builder.input("x", TensorType((3, 130, 200), DType.F32))
    builder.output("y", builder.reduce(ReduceKind.SUM, axes, x))
    fed: Arrays = {}
    fed["x"], zeros = _sparse((3, 130, 200), 0.4, 3, DType.F32)
    _check(builder.build(), MESH, fed, {"x": zeros})


@pytest.mark.parametrize("machine", [MESH, _one_slow_core()], ids=["mesh", "slow"])
def test_maps_make_only_what_may_differ_from_zero(machine: Machine) -> None:
    builder = GraphBuilder("map")
    x = builder.input("x", TensorType((200, 330), DType.F32))
    y = builder.input("y", TensorType((200, 330), DType.F32))
    builder.output("z", builder.map(_binary(ScalarOp.MUL, DType.F32), [x, y]))
    fed: Arrays = {}
    fed["x"], zeros = _sparse((200, 330), 0.4, 3, DType.F32)
    fed["y"], _ = _sparse((200, 330), 1.0, 4, DType.F32)
    _check(builder.build(), machine, fed, {"x": zeros})
