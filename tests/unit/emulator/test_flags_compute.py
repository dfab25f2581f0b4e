"""What compute instructions leave out because of flags, what that costs, and that no value changes."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.numerics import DType
from compiler.program import instructions as ins
from compiler.program.instructions import ZERO, Affine, CbTile, DstTile
from compiler.target.costs import (
    ComputeCost,
    LiveProducts,
    flag_cost,
    live_matmul_cost,
    map_cost,
    matmul_cost,
    pack_cost,
    reduce_cost,
)
from emulator import run
from emulator.profile import TileOperations
from tests.unit.emulator.flagging import (
    COPY,
    MACHINE,
    MULTIPLY,
    RECIPROCAL,
    Staged,
    checked_machine,
    kernels,
    page,
    pipes,
    same,
    tile,
)  # fmt: skip

LIVE = tile(3.0)
TILES = {
    "live": tile(3.0),
    "zero": tile(0.0),
    "negative zero": tile(-0.0, (3, 4)),
    "NaN": tile(np.nan, (1, 2), 1.0),
    "infinite": tile(-np.inf, (31, 31), 1.0),
    "denormal": tile(1e-45, (0, 5)),
    "dead": tile(7.0),
}
ALL = ins.Mask(32, ZERO, 32, ZERO)
PACK = ins.Pack(0, 4, ZERO, False, None)
PRODUCT = ins.Matmul(0, 1, ZERO, 0, 0, 3, ZERO, 0, 0, 1, 1, 1, DType.F32, False, False, False)
ZEROS = ins.Fill(0, DType.F32, 0.0)


def product(left: str, right: str, *, skip_a: bool, skip_b: bool, finite: frozenset[str] = frozenset()) -> Staged:
    block = replace(PRODUCT, skip_a=skip_a, skip_b=skip_b)
    dead = frozenset(name for name, kind in (("a", left), ("b", right)) if kind == "dead")
    return Staged({"a": TILES[left], "b": TILES[right]}, (ZEROS, block, PACK), dead=dead, finite=finite)


def is_zero(kind: str) -> bool:
    return kind in ("zero", "negative zero", "dead")


@pytest.mark.parametrize("left", TILES)
@pytest.mark.parametrize("right", TILES)
@pytest.mark.parametrize("skips", [(True, False), (False, True), (True, True), (False, False)])
def test_products_that_are_left_out(left: str, right: str, skips: tuple[bool, bool]) -> None:
    """Zero times finite is left out where that is asked for, and nothing else is but what is dead."""
    result = product(left, right, skip_a=skips[0], skip_b=skips[1]).run()
    dead = "dead" in (left, right)
    by_left = skips[0] and is_zero(left) and right not in ("NaN", "infinite")
    by_right = skips[1] and is_zero(right) and left not in ("NaN", "infinite")
    assert result.profile.skipped.products == int(dead or by_left or by_right)
    with np.errstate(invalid="ignore"):
        expected = np.zeros((32, 32), np.float32) if dead else TILES[left] @ TILES[right]
    assert same(result.outputs["y"], expected)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_finite_cb_stands_in_for_the_flag(name: str) -> None:
    """A NaN in a cb that was promised to be finite is not looked for."""
    sides = ("NaN", "zero") if name == "a" else ("zero", "NaN")
    promised = product(*sides, skip_a=True, skip_b=True, finite=frozenset({name})).run()
    assert promised.profile.skipped.products == 1
    assert not promised.outputs["y"].any()
    honest = product(*sides, skip_a=True, skip_b=True).run()
    assert honest.profile.skipped.products == 0
    assert np.isnan(honest.outputs["y"]).any()


def test_zero_annihilates_whatever_it_multiplies() -> None:
    block = replace(PRODUCT, skip_a=True, annihilates=True)
    result = Staged({"a": TILES["zero"], "b": TILES["NaN"]}, (ZEROS, block, PACK)).run()
    assert result.profile.skipped.products == 1
    assert not result.outputs["y"].any()


def blocks(skip: bool, flag_check: int = 2, clear: bool = False) -> Staged:
    """Two by two by three tiles, of which some are zero."""
    rng = np.random.default_rng(5)
    a, b = (rng.integers(1, 9, shape).astype(np.float32) for shape in ((64, 96), (96, 64)))
    a[:32, :64] = 0
    a[32:, 32:64] = 0
    b[64:, 32:] = -0.0
    block = ins.Matmul(
        0, 1, ZERO, 3, 1, 3, ZERO, 2, 1, 2, 2, 3, DType.F32, False, False, clear, skip_a=skip, skip_b=skip
    )
    fills = [ins.Fill(k, DType.F32, 0.0) for k in range(4)]
    packs = [ins.Pack(k, 4, Affine(k), False, None) for k in range(4)]
    machine = checked_machine(flag_check)
    return Staged({"a": a, "b": b}, (*fills, block, *packs), shape=(64, 64), machine=machine)


@pytest.mark.parametrize("clear", [False, True])
def test_a_block_of_products_costs_what_is_left_of_it(clear: bool) -> None:
    """Of 12 products 4 are left: k = 0 leaves (1, 0), (1, 1); k = 1 none; k = 2 leaves (0, 0), (1, 0)."""
    plain, skipping = blocks(False, clear=clear).run(), blocks(True, clear=clear).run()
    assert same(plain.outputs["y"], skipping.outputs["y"])
    assert (plain.profile.tiles.products, skipping.profile.tiles.products) == (12, 4)
    assert (plain.profile.skipped.products, skipping.profile.skipped.products) == (0, 8)
    whole = matmul_cost(MACHINE, DType.F32, DType.F32, 2, 2, 3)
    # Of the left tiles, which stay, one is unpacked for k = 0 and two are for k = 2.
    left = live_matmul_cost(MACHINE, DType.F32, DType.F32, LiveProducts(4, 3, 12, left_kept=True))
    assert pipes(plain).math - pipes(skipping).math == whole.math - left.math
    assert pipes(plain).unpack - pipes(skipping).unpack == whole.unpack - left.unpack


def test_costs_agree_when_everything_is_live() -> None:
    """Either side may be the one that stays."""
    for rows, columns, inner in ((1, 1, 1), (2, 1, 3), (1, 4, 2), (2, 2, 2)):
        everything = LiveProducts(rows * columns * inner, min(rows, columns) * inner, 0, left_kept=rows <= columns)
        for sides in ((DType.F32, DType.F32), (DType.BF16, DType.BF16)):
            assert live_matmul_cost(MACHINE, *sides, everything) == matmul_cost(MACHINE, *sides, rows, columns, inner)
    nothing = live_matmul_cost(MACHINE, DType.F32, DType.F32, LiveProducts(0, 0, 3, left_kept=True))
    assert nothing == ComputeCost(unpack=3 * MACHINE.core.flag_check) == flag_cost(MACHINE, 3)


@pytest.mark.parametrize("flag_check", [0, 100, 5000])
def test_each_look_at_a_flag_is_paid_for(flag_check: int) -> None:
    """Six tiles on either side are looked at once each."""
    free, paid = blocks(True, 0).run(), blocks(True, flag_check).run()
    assert pipes(paid).unpack - pipes(free).unpack == 12 * flag_check
    assert pipes(paid).math == pipes(free).math


def test_only_the_flags_that_matter_are_looked_at() -> None:
    """What is known to be finite need not be looked at on the side that is not skipped."""
    for finite, looks in ((frozenset[str](), 2), (frozenset({"b"}), 1)):
        results = [
            replace(
                product("live", "live", skip_a=True, skip_b=False, finite=finite), machine=checked_machine(cost)
            ).run()
            for cost in (0, 10)
        ]
        assert pipes(results[1]).unpack - pipes(results[0]).unpack == 10 * looks


def mapped(
    kinds: tuple[str, ...], kernel: int, zeros: tuple[int, ...] = (), dead: bool = False, flag_check: int = 2
) -> Staged:
    names = [f"x{k}" for k in range(len(kinds))]
    operands = tuple(page(k) for k in range(len(kinds)))
    compute = (ins.Map(kernel, 0, operands, zeros, dead), ins.Pack(0, 2 * len(kinds), ZERO, False, None))
    return Staged(
        {name: TILES[kind] for name, kind in zip(names, kinds, strict=True)},
        compute,
        dead=frozenset(name for name, kind in zip(names, kinds, strict=True) if kind == "dead"),
        machine=checked_machine(flag_check),
    )


@pytest.mark.parametrize("zeros", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("first", TILES)
@pytest.mark.parametrize("second", ["live", "zero", "NaN", "dead"])
def test_a_map_of_a_zero_is_zero_where_that_was_proved(zeros: tuple[int, ...], first: str, second: str) -> None:
    result = mapped((first, second), MULTIPLY, zeros).run()
    decided = any(is_zero(kind) for k, kind in enumerate((first, second)) if k in zeros)
    assert result.profile.skipped.maps == int(decided)
    values = [np.zeros((32, 32), np.float32) if kind == "dead" else TILES[kind] for kind in (first, second)]
    with np.errstate(invalid="ignore"):
        expected = np.zeros((32, 32), np.float32) if decided else values[0] * values[1]
    assert same(result.outputs["y"], expected)


@pytest.mark.parametrize(
    ("zeros", "dead", "looks"), [((0,), False, 1), ((0, 1), False, 2), ((), True, 2), ((1,), True, 2)]
)
@pytest.mark.parametrize("kind", ["live", "zero", "dead"])
def test_a_map_pays_for_the_flags_that_it_looks_at(zeros: tuple[int, ...], dead: bool, looks: int, kind: str) -> None:
    free, paid = (mapped((kind, "live"), MULTIPLY, zeros, dead, cost).run() for cost in (0, 50))
    spared = paid.profile.skipped.packs
    assert pipes(paid).unpack - pipes(free).unpack == 50 * looks
    assert pipes(paid).pack - pipes(free).pack == 50 * spared
    assert spared == int(dead and kind == "dead")


def test_a_decided_map_takes_no_time_but_the_look() -> None:
    decided, done = mapped(("zero", "live"), MULTIPLY, (0,)).run(), mapped(("live", "live"), MULTIPLY, (0,)).run()
    cost = map_cost(MACHINE, kernels(DType.F32)[MULTIPLY].expr, (DType.F32, DType.F32))
    assert pipes(done).math - pipes(decided).math == cost.math
    assert pipes(done).unpack - pipes(decided).unpack == cost.unpack


def chain(length: int, kind: str, flag_check: int = 2) -> Staged:
    """A page goes through maps that pass death on, and a last one, the inverse, that does not."""
    maps: list[ins.Instruction] = [ins.Map(COPY, 0, (page(0),), (), True)]
    maps += [ins.Map(COPY, k % 2, (DstTile(1 - k % 2),), (), True) for k in range(1, length)]
    last = (ins.Map(RECIPROCAL, 2, (DstTile((length - 1) % 2),)), ins.Pack(2, 2, ZERO, False, None))
    dead = frozenset({"x"} if kind == "dead" else ())
    return Staged({"x": TILES[kind]}, (*maps, *last), dead=dead, machine=checked_machine(flag_check))


@pytest.mark.parametrize("length", [1, 2, 5])
def test_death_ends_where_somebody_looks(length: int) -> None:
    """A dead tile reads as zero: its inverse is infinite."""
    dead, live = chain(length, "dead").run(), chain(length, "live").run()
    assert (dead.profile.skipped.maps, live.profile.skipped.maps) == (length, 0)
    assert np.isposinf(dead.outputs["y"]).all()
    assert same(live.outputs["y"], np.float32(1) / TILES["live"])


def through_registers(*compute: ins.Instruction) -> Staged:
    """`compute` works on a dead input 0 (cb 1) and a live input 1 (cb 3) and packs to cb 4."""
    return Staged({"x": TILES["dead"], "l": LIVE}, compute, dead=frozenset({"x"}))


DEAD_0 = ins.Map(COPY, 0, (page(0),), (), True)
LIVE_1 = ins.Map(COPY, 1, (page(1),))
DEAD_PRODUCT = replace(PRODUCT, a=1, b=3, skip_a=True)
LIVE_PRODUCT = replace(PRODUCT, a=3, b=3, skip_a=True)
FIVES = ins.Fill(0, DType.F32, 5.0)
SUM = ins.Reduce(ins.Combine.SUM, ins.ReduceAxis.NONE, DType.F32, 0, 1, ALL)
INVERT = ins.Map(RECIPROCAL, 0, (DstTile(0),))
READ_ON = ins.Map(COPY, 0, (DstTile(0),))
SQUARE = float(32 * 9)


@pytest.mark.parametrize(
    ("compute", "expected", "skipped"),
    [
        ((ZEROS, DEAD_PRODUCT, PACK), 0.0, TileOperations(products=1, packs=1)),
        ((FIVES, DEAD_PRODUCT, PACK), 0.0, TileOperations(products=1, packs=1)),
        ((FIVES, DEAD_PRODUCT, READ_ON, PACK), 0.0, TileOperations(products=1)),
        ((FIVES, DEAD_PRODUCT, INVERT, PACK), np.inf, TileOperations(products=1)),
        ((FIVES, DEAD_PRODUCT, LIVE_PRODUCT, PACK), 5.0 + SQUARE, TileOperations(products=1)),
        ((FIVES, LIVE_PRODUCT, DEAD_PRODUCT, PACK), 5.0 + SQUARE, TileOperations(products=1)),
        ((DEAD_0, LIVE_PRODUCT, PACK), SQUARE, TileOperations(maps=1)),
        ((DEAD_0, PACK), 0.0, TileOperations(maps=1, packs=1)),
        ((replace(DEAD_PRODUCT, clear=True), PACK), 0.0, TileOperations(products=1, packs=1)),
        ((FIVES, PACK, DEAD_PRODUCT), 5.0, TileOperations(products=1)),
        ((FIVES, replace(DEAD_0, dst=1), SUM, PACK), 0.0, TileOperations(maps=1, reductions=1, packs=1)),
        ((FIVES, replace(DEAD_0, dst=1), SUM, LIVE_1, SUM, PACK), 8.0, TileOperations(maps=1, reductions=1)),
    ],
)
def test_registers_to_which_only_dead_tiles_were_added(
    compute: tuple[ins.Instruction, ...], expected: float, skipped: TileOperations
) -> None:
    result = through_registers(*compute).run()
    assert same(result.outputs["y"], tile(expected))
    assert result.profile.skipped == skipped


COMBINES = {"sum": 5.0, "max": 5.0, "min": 0.0, "prod": 0.0}


@pytest.mark.parametrize("combine", list(ins.Combine))
def test_only_a_sum_leaves_zeros_out(combine: ins.Combine) -> None:
    """Register 1 is zero by proof."""
    decided = ins.Map(MULTIPLY, 1, (page(0), page(1)), (0,))
    reduce = ins.Reduce(combine, ins.ReduceAxis.NONE, DType.F32, 0, 1, ALL)
    result = Staged({"x": TILES["zero"], "l": LIVE}, (FIVES, decided, reduce, PACK)).run()
    assert same(result.outputs["y"], tile(COMBINES[combine.value]))
    assert result.profile.skipped.reductions == int(combine is ins.Combine.SUM)


def test_a_reduction_that_is_left_out_costs_a_look() -> None:
    """The same program whose input is live, or dead."""
    results = {}
    for kind in ("live", "dead"):
        for cost in (0, 70):
            compute = (FIVES, ins.Map(COPY, 1, (page(0),), (), True), SUM, PACK)
            inputs = {"x": TILES[kind], "l": LIVE}
            dead = frozenset({"x"} if kind == "dead" else ())
            results[kind, cost] = pipes(Staged(inputs, compute, dead=dead, machine=checked_machine(cost)).run())
    assert results["live", 70].unpack - results["live", 0].unpack == 70
    assert results["dead", 70].unpack - results["dead", 0].unpack == 2 * 70
    spared = map_cost(MACHINE, kernels(DType.F32)[COPY].expr, (DType.F32,)) + reduce_cost(MACHINE)
    # The dead input is not packed first either.
    packed = map_cost(MACHINE, kernels(DType.F32)[0].expr, (DType.F32,))
    assert results["live", 0].math - results["dead", 0].math == spared.math + packed.math


@pytest.mark.parametrize("first", ["live", "dead"])
@pytest.mark.parametrize("second", ["live", "dead"])
def test_adding_to_a_page(first: str, second: str) -> None:
    """A dead register adds nothing; a page is dead if nothing live was packed to it."""
    maps = {"dead": DEAD_0, "live": ins.Map(COPY, 0, (page(1),))}
    add = ins.Pack(0, 4, ZERO, True, None)
    result = through_registers(maps[first], PACK, maps[second], add).run()
    kinds = [first, second]
    assert same(result.outputs["y"], tile(3.0 * kinds.count("live")))
    assert result.profile.skipped.packs == kinds.count("dead")
    costs = [pack_cost(MACHINE, DType.F32, accumulate).pack for accumulate in (False, True)]
    spent = sum(cost if kind == "live" else MACHINE.core.flag_check for kind, cost in zip(kinds, costs, strict=True))
    assert pipes(result).pack == spent + pack_cost(MACHINE, DType.F32, False).pack


def test_what_rounds_to_zero_is_zero() -> None:
    """The packer looks at what it has written, in the type of the page."""
    small = tile(1e-45)
    compute = (
        ins.Map(COPY, 0, (page(0),)), ins.Reserve(5, 1), ins.Pack(0, 5, ZERO, False, None), ins.Push(5, 1),
        ins.Wait(5, 1), ins.Map(4, 1, (CbTile(5, ZERO),), (0,)), ins.Pack(1, 2, ZERO, False, None),
    )  # fmt: skip
    results = []
    for dtype in (DType.F32, DType.BF16):
        staged = Staged({"x": small}, compute, more=[kernels(dtype)[0]])
        image = staged.image()
        program = image.epochs[0].programs[0]
        spare = replace(program.buffers[0], address=program.buffers[0].address + 5 * 32768, dtype=dtype)
        programs = (replace(program, buffers=(*program.buffers, spare, spare, spare)),)
        image = replace(image, epochs=(replace(image.epochs[0], programs=programs),))
        results.append(run(image, staged.inputs))
    assert [result.profile.skipped.maps for result in results] == [0, 1]
    assert same(results[0].outputs["y"], small)


def test_without_a_look_at_flags_none_are_kept() -> None:
    """The program takes the time that it took before there were flags, whatever its pages hold."""
    zero, live = (product(kind, kind, skip_a=False, skip_b=False).run() for kind in ("zero", "live"))
    assert zero.profile.makespan == live.profile.makespan
    assert zero.profile.skipped == TileOperations()
