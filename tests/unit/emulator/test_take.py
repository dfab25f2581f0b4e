"""`Take`: rows by number, in hand-written images; what it costs, and what the checks of images say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.numerics.masks import TileMask
from compiler.program import instructions as ins
from compiler.program.assembly import parse_image, print_image
from compiler.program.check import violations
from compiler.program.image import CircularBuffer, Image, Role, UnicastRoute
from compiler.program.instructions import ZERO, Affine
from compiler.program.serialize import dump, load
from compiler.target import Machine, load_machine
from compiler.target.costs import take_cost
from emulator import Profile, SoftwareFault, run
from runtime.testing.sample_image import with_routes
from tests.unit.emulator.handmade import Handmade, Program, seq

Array = NDArray[Any]
SMALL, WORMHOLE = load_machine("mesh_4x4"), load_machine("wormhole_n150")
ELEMENTS = (DType.F32, DType.BF16, DType.I8, DType.BOOL)


def image(numbers: tuple[int, ...], extent: int, *, dtype: DType, across: bool, machine: Machine = SMALL) -> Image:
    """One core that picks `numbers` rows out of `extent` rows of 40 elements, two tile columns of the result."""
    rows = numbers[-2 if not across else -1]
    h = Handmade(machine)
    source = h.dram("x", dtype, (extent, 40), Role.INPUT)
    index = h.dram("i", DType.I32, numbers, Role.INPUT)
    target = h.dram("y", dtype, (rows, 40), Role.OUTPUT)
    tiles = -(-rows // 32)
    buffers = [
        CircularBuffer(machine.l1_base, 1, DType.I32),
        CircularBuffer(machine.l1_base + 8192, 2, dtype),
    ]
    outer, column = Affine(0, (1,)), Affine(0, (0, 1))
    read = seq(
        *seq(ins.Loop(tiles), ins.Reserve(0, 1), ins.Read(0, ZERO, index, outer, 0), ins.Barrier(), ins.Push(0, 1)),
        *seq(ins.Wait(0, 1), ins.Reserve(1, 2), ins.Loop(2)),
        ins.Take(1, column, source, column, 2, extent, 0, ZERO, across, rows, outer, 0),
        *seq(ins.End(), ins.Barrier(), ins.Push(1, 2), ins.Pop(0, 1), ins.End()),
    )
    write = seq(
        *seq(ins.Loop(tiles), ins.Wait(1, 2), ins.Loop(2), ins.Write(1, column, target, Affine(0, (2, 1)), 1)),
        *seq(ins.End(), ins.Barrier(), ins.Pop(1, 2), ins.End()),
    )
    h.epoch([Program(0, buffers, read=read, write=write)])
    return with_routes(h.image()) if machine is SMALL else h.image()


def picked(x: Array, numbers: Array) -> Array:
    return np.stack([x[n] if 0 <= n < len(x) else np.zeros_like(x[0]) for n in numbers.ravel().tolist()])


@given(st.sampled_from(ELEMENTS), st.booleans(), st.sampled_from([1, 32, 50, 70]), st.integers(0, 99))
def test_rows_are_picked_by_number(dtype: DType, across: bool, extent: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.integers(0, 2 if dtype is DType.BOOL else 100, (extent, 40)).astype(dtype.numpy)
    numbers = generator.integers(-2, extent + 2, (1, 45) if across else (45, 1)).astype(np.int32)
    numbers.ravel()[:3] = [2**31 - 1, -(2**31), extent]
    built = image(numbers.shape, extent, dtype=dtype, across=across)
    assert not list(violations(built))
    assert np.array_equal(run(built, {"x": x, "i": numbers}).outputs["y"], picked(x, numbers))


def test_what_is_not_picked_is_not_read() -> None:
    """Not a number in the rows between, which a product with ones and zeros would let through."""
    x = np.full((64, 40), np.nan, np.float32)
    x[7] = 1.0
    numbers = np.full((1, 45), 7, np.int32)
    built = image((1, 45), 64, dtype=DType.F32, across=True)
    assert np.array_equal(run(built, {"x": x, "i": numbers}).outputs["y"], np.ones((45, 40), np.float32))


def test_rows_that_are_not_stored_are_zero() -> None:
    built = image((1, 45), 64, dtype=DType.F32, across=True)
    live = TileMask.of(np.array([[True, False], [False, True]]))
    built = replace(built, tensors=(replace(built.tensors[0], live=live), *built.tensors[1:]))
    x = np.ones((64, 40), np.float32)
    x[:32, 32:] = x[32:, :32] = 0.0
    numbers = np.arange(45, dtype=np.int32)[None]
    assert np.array_equal(run(built, {"x": x, "i": numbers}).outputs["y"], x[:45])


def busy(profile: Profile) -> int:
    (thread,) = [t for t in profile.epochs[0].threads if t.thread == "read"]
    return thread.cycles[0]


@pytest.mark.parametrize("found", [1, 9, 32])
def test_each_row_is_a_short_read(found: int) -> None:
    """A row that is found costs the load of its number and the issue of a read, any other one the clearing of 16
    words."""
    built = image((1, 32), 64, dtype=DType.BF16, across=True, machine=WORMHOLE)
    x = np.ones((64, 40), DType.BF16.numpy)

    def profile(count: int) -> Profile:
        numbers = np.where(np.arange(32) < count, np.arange(32)[::-1], -1).astype(np.int32)[None]
        return run(built, {"x": x, "i": numbers}).profile

    some, none = profile(found), profile(0)
    clear = 16 * WORMHOLE.core.copy_word
    assert busy(none) - busy(some) == 2 * found * (clear - WORMHOLE.noc.read_issue)
    channels = [sum(channel.requests for channel in p.epochs[0].channels) for p in (some, none)]
    assert channels[0] - channels[1] == 2 * found


def test_a_page_takes_what_the_cost_table_says() -> None:
    """Reads follow one another at the pace of their issue; the thread then waits for the last of them."""
    built = image((1, 32), 64, dtype=DType.BF16, across=True, machine=WORMHOLE)
    x, numbers = np.ones((64, 40), DType.BF16.numpy), np.arange(32, dtype=np.int32)[None]
    profile = run(built, {"x": x, "i": numbers}).profile
    other = 6 * WORMHOLE.core.cb_op + 4 * WORMHOLE.core.loop + WORMHOLE.noc.read_issue
    assert abs(busy(profile) - 2 * take_cost(WORMHOLE, DType.BF16, 32) - other) <= 4 * WORMHOLE.core.loop


def test_it_reads_back() -> None:
    built = image((1, 45), 64, dtype=DType.BF16, across=True)
    text = print_image(built)
    assert "take cb1[i1], t0[i1; 2] of 64, cb0[0]^T, rows(45, i0), noc0" in text
    assert parse_image(text) == built
    assert load(dump(built)) == built


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("of 64,", "of 65,", "the page of t0 takes values from 4 to 5, allowed are 0 to 3"),
        ("of 64,", "of 0,", "45 rows of 0, 2 pages apart"),
        ("rows(45, i0)", "rows(0, i0)", "0 rows of 64"),
        ("rows(45, i0)", "rows(45, i0 + -1)", "the row tile takes values from -1 to 0"),
        ("cb0[0]^T, rows", "cb1[0]^T, rows", "cb1 holds bf16, not i32"),
        ("cb0[0]^T, rows", "cb0[1]^T, rows", "the page of cb0 takes values from 1 to 1, allowed are 0 to 0"),
        ("cb0[0]^T, rows", "cb7[0]^T, rows", "there is no cb7"),
        ("take cb1[i1], t0[i1; 2]", "take cb1[i1], t9[i1; 2]", "there is no tensor t9"),
        ("take cb1[i1], t0[i1; 2]", "take cb1[i1], t1[i1; 2]", "cb1 holds bf16, not i32"),
        ("rows(45, i0), noc0", "rows(45, i0), noc2", "there is no NoC 2"),
    ],
)
def test_a_broken_rule_is_told(old: str, new: str, message: str) -> None:
    text = print_image(image((1, 45), 64, dtype=DType.BF16, across=True))
    assert old in text
    assert any(message in found for found in violations(parse_image(text.replace(old, new))))


def test_every_page_of_the_source_needs_a_route() -> None:
    built = image((1, 45), 64, dtype=DType.BF16, across=True)
    far = built.machine.dram.channels[3 % len(built.machine.dram.channels)]
    (epoch,) = built.epochs
    fewer = tuple(r for r in epoch.routes if not (isinstance(r, UnicastRoute) and r.dst == far and r.noc == 0))
    found = list(violations(replace(built, epochs=(replace(epoch, routes=fewer),))))
    assert found == [f"epoch 0: there is no route for requests on NoC 0 from {built.machine.cores[0]} to {far}"]


def test_a_page_that_is_not_there_stops_the_machine() -> None:
    text = print_image(image((1, 32), 64, dtype=DType.F32, across=True))
    broken = parse_image(text.replace("of 64,", "of 640,"))
    with pytest.raises(SoftwareFault, match="has no page"):
        run(broken, {"x": np.ones((64, 40), np.float32), "i": np.full((1, 32), 600, np.int32)})
