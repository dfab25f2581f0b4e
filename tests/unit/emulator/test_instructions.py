"""Every instruction, in hand-written images on the small machine."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.numerics import DType, Expr, ScalarNode, ScalarOp
from compiler.numerics.dtypes import round_to
from compiler.numerics.expr import identity
from compiler.numerics.layout import page_bytes
from compiler.program import instructions as ins
from compiler.program.image import CbKind, CircularBuffer, CoreSet, IndexMap, Kernel, Operand, Role, ShardPlace, Spread
from compiler.program.instructions import ZERO, Affine, CbTile, DstTile
from compiler.target import load_machine
from emulator import run
from tests.unit.emulator.handmade import Handmade, Program, seq

Array = NDArray[Any]
MACHINE = load_machine("mesh_4x4")
BASE = MACHINE.l1_base
I0, I1 = Affine(0, (1,)), Affine(0, (0, 1))
KEEP = (ins.Combine.SUM, ins.ReduceAxis.NONE)


def ring(number: int, dtype: DType = DType.F32, capacity: int = 2, kind: CbKind = CbKind.STREAM) -> CircularBuffer:
    """A cb in its own 32 KiB of L1."""
    return CircularBuffer(BASE + number * 32768, capacity, dtype, kind)


def floats(*shape: int) -> Array:
    return np.random.default_rng(3).integers(-20, 20, shape).astype(np.float32)


def load_all(cb: int, tensor: int, pages: int, noc: int = 0) -> tuple[ins.Instruction, ...]:
    """Read every page of a tensor into a cb, one after the other."""
    body = seq(ins.Reserve(cb, 1), ins.Read(cb, ZERO, tensor, I0, noc), ins.Barrier(), ins.Push(cb, 1))
    return seq(ins.Loop(pages), *body, ins.End())


def store_all(cb: int, tensor: int, pages: int, noc: int = 1) -> tuple[ins.Instruction, ...]:
    """Write every page of a cb to a tensor."""
    body = seq(ins.Wait(cb, 1), ins.Write(cb, ZERO, tensor, I0, noc), ins.Barrier(), ins.Pop(cb, 1))
    return seq(ins.Loop(pages), *body, ins.End())


def computed(
    inputs: dict[str, Array],
    dtype: DType,
    compute: Sequence[ins.Instruction],
    result: tuple[int, ...] = (32, 32),
    kernels: tuple[Kernel, ...] = (),
    out: DType | None = None,
) -> Array:
    """Run `compute` on one core: cb k holds all pages of input k, the last cb is written to the result."""
    h = Handmade(MACHINE, kernels=list(kernels))
    read: list[ins.Instruction] = []
    buffers = []
    for k, (name, array) in enumerate(inputs.items()):
        tensor = h.dram(name, dtype, array.shape, Role.INPUT)
        pages = -(-array.shape[0] // 32) * -(-array.shape[1] // 32)
        read += load_all(k, tensor, pages)
        buffers.append(ring(k, dtype, pages))
    y = h.dram("y", out or dtype, result, Role.OUTPUT)
    pages = -(-result[0] // 32) * -(-result[1] // 32)
    buffers.append(ring(len(inputs), out or dtype, pages))
    h.epoch([Program(5, buffers, read=read, compute=compute, write=store_all(len(inputs), y, pages))])
    return run(h.image(), inputs).outputs["y"]


@pytest.mark.parametrize("noc", [0, 1])
@pytest.mark.parametrize("dtype", list(DType))
def test_pages_pass_through_a_core(dtype: DType, noc: int) -> None:
    x = round_to(floats(3, 70, 33), dtype)
    h = Handmade(MACHINE)
    source, target = h.dram("x", dtype, x.shape, Role.INPUT), h.dram("y", dtype, x.shape, Role.OUTPUT)
    h.epoch([Program(7, [ring(0, dtype)], read=load_all(0, source, 18, noc), write=store_all(0, target, 18, noc))])
    result = run(h.image(), {"x": x})
    assert np.array_equal(result.outputs["y"], x)
    moved = {t.tensor: (t.read_bytes, t.written_bytes) for t in result.profile.epochs[0].tensors}
    assert moved == {"x": (18 * page_bytes(dtype), 0), "y": (0, 18 * page_bytes(dtype))}


def test_constants_come_with_the_image() -> None:
    x = floats(32, 64)
    h = Handmade(MACHINE)
    source, target = h.dram("k", DType.F32, x.shape, Role.CONSTANT, x.tobytes()), 1
    h.dram("y", DType.F32, x.shape, Role.OUTPUT)
    h.epoch([Program(0, [ring(0)], read=load_all(0, source, 2), write=store_all(0, target, 2))])
    assert np.array_equal(run(h.image(), {}).outputs["y"], x)


@pytest.mark.parametrize(("transpose_a", "transpose_b"), [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16, DType.I32])
def test_matmul_of_blocks(dtype: DType, transpose_a: bool, transpose_b: bool) -> None:
    """Two by three by two tiles; a transposed operand lies transposed in memory, tile by tile."""
    rng = np.random.default_rng(1)
    a, b = rng.integers(-8, 8, (64, 96)).astype(np.float32), rng.integers(-8, 8, (96, 64)).astype(np.float32)
    stored_a, stored_b = (a.T if transpose_a else a), (b.T if transpose_b else b)
    a_step, b_step = ((1, 2) if transpose_a else (3, 1)), ((1, 3) if transpose_b else (2, 1))
    product = ins.Matmul(0, 0, ZERO, *a_step, 1, ZERO, *b_step, 2, 2, 3, dtype, transpose_a, transpose_b, True)
    again = replace(product, clear=False)
    out = DType.I32 if dtype is DType.I32 else DType.F32
    packs = [ins.Pack(i, 2, Affine(i), False, None) for i in range(4)]
    compute = seq(ins.Wait(0, 6), ins.Wait(1, 6), ins.Reserve(2, 4), product, again, *packs, ins.Push(2, 4))
    inputs = {
        "a": np.ascontiguousarray(stored_a).astype(dtype.numpy),
        "b": np.ascontiguousarray(stored_b).astype(dtype.numpy),
    }
    found = computed(inputs, dtype, compute, (64, 64), out=out)
    assert np.array_equal(found, (2 * (a @ b)).astype(out.numpy))


def test_map_on_pages_and_registers() -> None:
    x, y = floats(32, 64), floats(32, 64)
    args = [ScalarNode(ScalarOp.ARG, DType.F32, (), k) for k in range(2)]
    add = Kernel(
        Expr((*args, ScalarNode(ScalarOp.ADD, DType.F32, (0, 1)))), (Operand(DType.F32), Operand(DType.F32, Spread.ROW))
    )
    turn = Kernel(identity(DType.F32), (Operand(DType.F32, Spread.TRANSPOSE),))
    compute = seq(
        *seq(ins.Wait(0, 2), ins.Wait(1, 2), ins.Reserve(2, 2), ins.Loop(2)),
        *seq(
            ins.Map(0, 0, (CbTile(0, I0), CbTile(1, I0))),
            ins.Map(1, 0, (DstTile(0),)),
            ins.Map(0, 1, (DstTile(0), DstTile(0))),
        ),
        *seq(ins.Pack(1, 2, I0, False, None), ins.End(), ins.Push(2, 2)),
    )
    found = computed({"x": x, "y": y}, DType.F32, compute, (32, 64), (add, turn))
    for tile in (slice(0, 32), slice(32, 64)):
        turned = (x[:, tile] + y[:1, tile]).T
        assert np.array_equal(found[:, tile], turned + turned[:1])


@pytest.mark.parametrize("axis", [ins.ReduceAxis.ROWS, ins.ReduceAxis.COLUMNS, ins.ReduceAxis.BOTH])
def test_reduce_with_a_mask_that_moves(axis: ins.ReduceAxis) -> None:
    x = np.ones((64, 64), np.float32)
    mask = ins.Mask(40, I0, 50, I1)
    reduce = ins.Reduce(ins.Combine.SUM, axis, DType.F32, 1, 0, mask)
    copy = Kernel(identity(DType.F32), (Operand(DType.F32),))
    compute = seq(
        *seq(ins.Wait(0, 4), ins.Reserve(1, 1), ins.Fill(1, DType.F32, 0.5), ins.Loop(2), ins.Loop(2)),
        *seq(ins.Map(0, 0, (CbTile(0, Affine(0, (2, 1))),)), reduce, ins.End(), ins.End()),
        *seq(ins.Pack(1, 1, ZERO, False, None), ins.Push(1, 1)),
    )
    found = computed({"x": x}, DType.F32, compute, (32, 32), (copy,))
    if axis is ins.ReduceAxis.BOTH:
        assert found[0, 0] == 40 * 50 + 0.5
    elif axis is ins.ReduceAxis.ROWS:
        assert np.array_equal(found[0], np.where(np.arange(32) < 18, 80, 40) + 0.5)
    else:
        assert np.array_equal(found[:, 0], np.where(np.arange(32) < 8, 100, 50) + 0.5)


def test_pack_accumulates_in_l1_and_masks() -> None:
    x = floats(32, 32)
    copy = Kernel(identity(DType.F32), (Operand(DType.F32),))
    mask = ins.Mask(50, Affine(1), 52, Affine(1))
    compute = seq(
        *seq(ins.Wait(0, 1), ins.Reserve(1, 1), ins.Map(0, 0, (CbTile(0, ZERO),))),
        *seq(ins.Pack(0, 1, ZERO, False, None), ins.Pack(0, 1, ZERO, True, None), ins.Pack(0, 1, ZERO, True, mask)),
        ins.Push(1, 1),
    )
    found = computed({"x": x}, DType.F32, compute, kernels=(copy,))
    expected = np.zeros_like(x)
    expected[:18, :20] = 3 * x[:18, :20]
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("multicast", [True, False])
def test_multicast_to_other_cores(multicast: bool) -> None:
    """Core 0 reads three pages and sends them to three others, around the end of the ring; each writes its own."""
    x = floats(32, 96)
    h = Handmade(MACHINE)
    source = h.dram("x", DType.F32, x.shape, Role.INPUT)
    others = (1, 4, 5)
    targets = CoreSet((0, 1, 4, 5) if multicast else others, multicast)
    outputs = [h.dram(f"y{core}", DType.F32, x.shape, Role.OUTPUT) for core in (0, *others)]
    skewed = seq(ins.Reserve(0, 1), ins.Read(0, ZERO, source, ZERO, 0), ins.Barrier(), ins.Push(0, 1))
    reads = [ins.Read(0, Affine(k), source, Affine(k), 0) for k in range(3)]
    sender = seq(
        *seq(*skewed, ins.Reserve(0, 3), *reads, ins.Barrier(), ins.SemWait(ZERO, 3)),
        *seq(ins.Multicast(0, ZERO, 3, 0, 0), ins.SemInc(Affine(1), 0, 1, 0), ins.Push(0, 3), ins.Barrier()),
    )
    receiver = seq(
        *seq(*skewed, ins.Reserve(0, 3), ins.SemInc(ZERO, 1, 1, 1), ins.SemWait(Affine(1), 1), ins.Push(0, 3)),
        ins.Barrier(),
    )
    buffer = ring(0, capacity=3)
    drop = seq(ins.Wait(0, 1), ins.Pop(0, 1))
    programs = [Program(0, [buffer], read=sender, write=[*drop, *store_all(0, outputs[0], 3)])]
    programs += [
        Program(core, [buffer], read=receiver, write=[*drop, *store_all(0, outputs[1 + k], 3)])
        for k, core in enumerate(others)
    ]
    h.epoch(programs, [targets, CoreSet((0,), False)])
    outputs_found = run(h.image(), {"x": x}).outputs
    assert all(np.array_equal(outputs_found[f"y{core}"], x) for core in (0, *others))


def shard_image(consumer_first: bool = True) -> tuple[Handmade, Array]:
    """Cores 2 and 3 hold the halves of a tensor; core 9 reads all of it after their announcements."""
    x = floats(64, 64)
    h = Handmade(MACHINE)
    source = h.dram("x", DType.F32, x.shape, Role.INPUT)
    target = h.dram("y", DType.F32, x.shape, Role.OUTPUT)
    place = ShardPlace(0, (2, 1), (2, 3), 0, 4)
    h.tensors.append(replace(h.tensors[0], name="s", role=Role.TEMPORARY, place=place))
    shard = 2

    def owner(core: int) -> Program:
        k = core - 2
        page = Affine(2 * k, (1,))
        announce = ins.SemInc(Affine(4 + k), 0, 1, 0)
        read = seq(
            *seq(ins.Loop(2), ins.Reserve(0, 1), ins.Read(0, ZERO, source, page, 0), ins.Barrier()),
            *seq(ins.Push(0, 1), announce, ins.End(), ins.Barrier()),
        )
        drop = seq(ins.Loop(2), ins.Wait(0, 1), ins.Pop(0, 1), ins.End())
        return Program(core, [ring(0, kind=CbKind.SHARD)], read=read, write=drop)

    fetch = (ins.Reserve(0, 1), ins.Await(shard, I0), ins.Read(0, ZERO, shard, I0, 0), ins.Barrier(), ins.Push(0, 1))
    consumer = Program(9, [ring(1)], read=seq(ins.Loop(4), *fetch, ins.End()), write=store_all(0, target, 4))
    h.epoch([owner(2), owner(3), consumer], [CoreSet((9,), False)])
    return h, x


def test_shards_are_read_after_their_announcement() -> None:
    h, x = shard_image()
    assert np.array_equal(run(h.image(), {"x": x}).outputs["y"], x)


@pytest.mark.parametrize("dtype", [DType.F32, DType.BF16])
def test_gather_reshapes_and_pads(dtype: DType) -> None:
    """Rows of a [6, 50] matrix, from element 3 on, backward in the rows: result[i, j] = x[5 - i, j + 3 - 5]."""
    x = floats(6, 50).astype(dtype.numpy)
    h = Handmade(MACHINE)
    source, target = h.dram("x", dtype, x.shape, Role.INPUT), h.dram("y", dtype, (40, 44), Role.OUTPUT)
    h.index_maps.append(IndexMap((40, 44), (40, 44), (5, -2), ((-1, 0), (0, 1)), (6, 50)))
    body = seq(ins.Reserve(0, 1), ins.Gather(0, ZERO, source, 0, I0, 0), ins.Barrier(), ins.Push(0, 1))
    read = seq(ins.Loop(4), *body, ins.End())
    h.epoch([Program(0, [ring(0, dtype)], read=read, write=store_all(0, target, 4))])
    expected = np.zeros((40, 44), dtype.numpy)
    expected[:6, 2:] = x[::-1, :42]
    assert np.array_equal(run(h.image(), {"x": x}).outputs["y"], expected)


def test_gather_transposes_three_axes() -> None:
    x = floats(3, 5, 40)
    h = Handmade(MACHINE)
    source, target = h.dram("x", DType.F32, x.shape, Role.INPUT), h.dram("y", DType.F32, (40, 15), Role.OUTPUT)
    steps = ((0, 1, 0), (0, 0, 1), (1, 0, 0))
    h.index_maps.append(IndexMap((40, 15), (40, 3, 5), (0, 0, 0), steps, (3, 5, 40)))
    body = seq(ins.Reserve(0, 1), ins.Gather(0, ZERO, source, 0, I0, 0), ins.Barrier(), ins.Push(0, 1))
    h.epoch([Program(0, [ring(0)], read=seq(ins.Loop(2), *body, ins.End()), write=store_all(0, target, 2))])
    assert np.array_equal(run(h.image(), {"x": x}).outputs["y"], x.transpose(2, 0, 1).reshape(40, 15))


def test_epochs_follow_one_another_and_l1_is_forgotten() -> None:
    x = floats(32, 32)
    h = Handmade(MACHINE)
    source, middle = h.dram("x", DType.F32, x.shape, Role.INPUT), h.dram("t", DType.F32, x.shape, Role.TEMPORARY)
    target = h.dram("y", DType.F32, x.shape, Role.OUTPUT)
    h.epoch([Program(0, [ring(0)], read=load_all(0, source, 1), write=store_all(0, middle, 1))])
    h.epoch([Program(1, [ring(0)], read=load_all(0, middle, 1), write=store_all(0, target, 1))])
    result = run(h.image(), {"x": x})
    assert np.array_equal(result.outputs["y"], x)
    first, second = result.profile.epochs
    assert second.start == first.end + MACHINE.core.launch
    assert result.profile.makespan == second.end
