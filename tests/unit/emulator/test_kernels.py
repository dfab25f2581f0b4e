"""Native tile kernels against NumPy."""

import ctypes
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.numerics import DType, Expr, ScalarNode, ScalarOp, from_pages, to_pages
from compiler.numerics.dtypes import FLOATS, INTEGERS, NUMBERS, round_to
from compiler.numerics.evaluate import evaluate_expr
from compiler.numerics.layout import page_bytes
from compiler.program.image import Kernel, Operand, Spread
from compiler.program.instructions import Combine, ReduceAxis
from emulator.kernels.compile import Compiler
from emulator.kernels.requests import MapKernel, MatmulKernel, PackKernel, ReduceKernel, Request, UnpackKernel

Array = NDArray[Any]

COMPILER = Compiler()
EDGE = 32
REGISTER = {dtype: np.float32 if dtype.is_float else np.int32 for dtype in DType}
SPECIAL = np.array(
    [
        *(0, 0x80000000, 1, 0x80000001, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F800001, 0xFFFFFFFF, 0x7F7FFFFF),
        *(0x00800000, 0x3F800000, 0xBF800000, 0x42B17218, 0xC2CFF1B5, 0x3F800001, 0x7FFFFFFF, 0x3F808000, 0x3F818000),
        *(0x4B800000, 0xC0400000, 0x40400000, 0xC0A00000, 0x3F000000, 0xBF000000, 0x3FC00000, 0x4F000000, 0xCF000000),
    ],
    np.uint32,
)
"""Zeros, subnormals, infinities, NaN, limits of exp, ties of bf16, small whole numbers, ends of i32."""


def call(request: Request, *arguments: Array | int) -> None:
    """Call a kernel on arrays (by address) and integers."""
    words = [a.ctypes.data if isinstance(a, np.ndarray) else a for a in arguments]
    packed = np.array(words, np.int64)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(COMPILER.address(request))(packed.ctypes.data)


def tile(dtype: DType, seed: int) -> Array:
    """A tile of random bit patterns, the special ones among them."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2**32, (EDGE, EDGE), dtype=np.uint32)
    near = rng.standard_normal((EDGE, EDGE)).astype(np.float32) * np.float32(4)
    bits = np.where(rng.random((EDGE, EDGE)) < 0.5, near.view(np.uint32), bits)
    places = rng.integers(0, bits.size, 2 * SPECIAL.size)
    bits.flat[places] = np.tile(SPECIAL, 2)
    if dtype is DType.BF16:
        return (bits >> 16).astype(np.uint16).view(dtype.numpy)
    if dtype is DType.BOOL:
        return np.asarray((bits & 1).astype(np.bool_))
    if dtype.is_integer:
        small = rng.integers(-4, 5, (EDGE, EDGE), dtype=np.int32)
        whole = np.where(rng.random((EDGE, EDGE)) < 0.3, small, bits.view(np.int32))
        return whole.astype(dtype.numpy)
    if dtype.itemsize < 4:
        return (
            round_to(near, dtype) if rng.random() < 0.2 else (bits >> 8).astype(f"u{dtype.itemsize}").view(dtype.numpy)
        )
    return np.asarray(round_to(bits.view(np.float32), dtype))


def page_of(values: Array, dtype: DType) -> Array:
    """A tile as it lies in memory."""
    return np.asarray(to_pages(values, dtype)[0])


def unary(op: ScalarOp, source: DType, target: DType) -> Expr:
    return Expr((ScalarNode(ScalarOp.ARG, source), ScalarNode(op, target, (0,))))


def binary(op: ScalarOp, source: DType, target: DType) -> Expr:
    args = (ScalarNode(ScalarOp.ARG, source, (), 0), ScalarNode(ScalarOp.ARG, source, (), 1))
    return Expr((*args, ScalarNode(op, target, (0, 1))))


def as_stored(values: Array, dtype: DType) -> Array:
    """What a register holds of a result."""
    with np.errstate(invalid="ignore"):
        return values.astype(REGISTER[dtype])


def same(found: Array, expected: Array) -> Array:
    """Where two register tiles hold the same bits, any NaN being like any other."""
    equal: Array = found.view(np.int32) == expected.view(np.int32)
    if found.dtype == np.float32:
        equal |= np.isnan(found) & np.isnan(expected)
    return equal


def run_map(kernel: Kernel, operands: list[Array]) -> Array:
    result = np.zeros((EDGE, EDGE), REGISTER[kernel.expr.dtype])
    pages = [page_of(array, operand.dtype) for array, operand in zip(operands, kernel.operands, strict=True)]
    call(MapKernel(kernel, (False,) * len(operands)), result, *pages)
    return result


COMPARISONS = (ScalarOp.LT, ScalarOp.LE, ScalarOp.GT, ScalarOp.GE, ScalarOp.EQ, ScalarOp.NE)
ANY_BINARY = (
    *(ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.DIV, ScalarOp.MOD, ScalarOp.MIN, ScalarOp.MAX),
)
FLOAT_UNARY = (
    *(ScalarOp.EXP, ScalarOp.LOG, ScalarOp.SQRT, ScalarOp.RSQRT, ScalarOp.TANH, ScalarOp.ERF, ScalarOp.SIN),
    *(ScalarOp.COS, ScalarOp.FLOOR, ScalarOp.CEIL, ScalarOp.ROUND),
)
CASES = [
    *[(unary(op, d, d), d) for op in (ScalarOp.NEG, ScalarOp.ABS, ScalarOp.SIGN) for d in NUMBERS],
    *[(unary(op, d, d), d) for op in FLOAT_UNARY for d in FLOATS],
    *[(unary(ScalarOp.CAST, s, t), s) for s in DType for t in DType if not t.is_block],
    (unary(ScalarOp.NOT, DType.BOOL, DType.BOOL), DType.BOOL),
    *[(binary(op, d, d), d) for op in ANY_BINARY for d in NUMBERS],
    *[(binary(ScalarOp.POW, d, d), d) for d in FLOATS],
    *[(binary(op, d, DType.BOOL), d) for op in COMPARISONS for d in NUMBERS],
    *[(binary(op, DType.BOOL, DType.BOOL), DType.BOOL) for op in (ScalarOp.AND, ScalarOp.OR, ScalarOp.EQ, ScalarOp.NE)],
]


@pytest.mark.parametrize(
    ("expr", "dtype"), CASES, ids=[f"{e.nodes[-1].op.value}-{d.value}-{e.dtype.value}" for e, d in CASES]
)
def test_map_equals_the_interpreter(expr: Expr, dtype: DType) -> None:
    for seed in range(3):
        operands = [tile(dtype, 10 * seed + k) for k in range(expr.arg_count)]
        kernel = Kernel(expr, tuple(Operand(dtype) for _ in operands))
        with np.errstate(all="ignore"):
            expected = as_stored(evaluate_expr(expr, operands), expr.dtype)
        differs = ~same(run_map(kernel, operands), expected)
        assert not differs.any(), [o[differs][:3] for o in operands]


def _ulps(found: Array, expected: Array) -> int:
    ordered = [
        np.where(a.view(np.int32) < 0, -(a.view(np.int32) & 0x7FFFFFFF), a.view(np.int32)) for a in (found, expected)
    ]
    usable = ~np.isnan(expected)
    return int(np.abs(ordered[0].astype(np.int64) - ordered[1])[usable].max(initial=0))


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40), op=st.sampled_from(FLOAT_UNARY))
def test_any_bit_pattern_is_within_one_unit(bits: list[int], op: ScalarOp) -> None:
    values = np.resize(np.array(bits, np.uint32), (EDGE, EDGE)).view(np.float32)
    expr = unary(op, DType.F32, DType.F32)
    found, expected = run_map(Kernel(expr, (Operand(DType.F32),)), [values]), evaluate_expr(expr, [values])
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    assert _ulps(found, expected) <= 1


@pytest.mark.parametrize(
    ("op", "value", "expected"),
    [
        (ScalarOp.EXP, -np.inf, 0.0),
        (ScalarOp.EXP, np.inf, np.inf),
        (ScalarOp.EXP, 89.0, np.inf),
        (ScalarOp.LOG, 0.0, -np.inf),
        (ScalarOp.LOG, -1.0, np.nan),
        (ScalarOp.LOG, np.inf, np.inf),
        (ScalarOp.TANH, np.inf, 1.0),
        (ScalarOp.TANH, -np.inf, -1.0),
        (ScalarOp.ERF, -np.inf, -1.0),
        (ScalarOp.RSQRT, 0.0, np.inf),
        (ScalarOp.RSQRT, np.inf, 0.0),
        (ScalarOp.SIN, np.inf, np.nan),
        (ScalarOp.ERF, 1e-30, np.float32(1.1283791671e-30)),
    ],
)
def test_limits(op: ScalarOp, value: float, expected: float) -> None:
    kernel = Kernel(unary(op, DType.F32, DType.F32), (Operand(DType.F32),))
    found = run_map(kernel, [np.full((EDGE, EDGE), value, np.float32)])
    assert same(found, np.full((EDGE, EDGE), expected, np.float32)).all()


def _spread(array: Array, spread: Spread) -> Array:
    picked = {
        Spread.NONE: array,
        Spread.ROW: array[:1, :],
        Spread.COLUMN: array[:, :1],
        Spread.SCALAR: array[:1, :1],
        Spread.TRANSPOSE: array.T,
    }[spread]
    return np.ascontiguousarray(np.broadcast_to(picked, (EDGE, EDGE)))


@pytest.mark.parametrize("spread", list(Spread))
@pytest.mark.parametrize("dtype", list(DType))
def test_operands_spread(dtype: DType, spread: Spread) -> None:
    source = tile(dtype, 5)
    expr = Expr((ScalarNode(ScalarOp.ARG, dtype),))
    found = run_map(Kernel(expr, (Operand(dtype, spread),)), [source])
    assert same(found, as_stored(_spread(source, spread), dtype)).all()


def test_bools_and_rounded_values_in_registers() -> None:
    nodes = (
        ScalarNode(ScalarOp.ARG, DType.BOOL, (), 0),
        ScalarNode(ScalarOp.ARG, DType.F32, (), 1),
        ScalarNode(ScalarOp.CONST, DType.F32, (), 2.5),
        ScalarNode(ScalarOp.WHERE, DType.F32, (0, 1, 2)),
    )
    kernel = Kernel(Expr(nodes), (Operand(DType.BOOL), Operand(DType.F32)))
    chosen, value = tile(DType.BOOL, 1).astype(np.int32), tile(DType.F32, 2)
    result = np.zeros((EDGE, EDGE), np.float32)
    call(MapKernel(kernel, (True, True)), result, chosen, value)
    assert same(result, np.where(chosen != 0, value, np.float32(2.5))).all()


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype is not DType.BOOL])
def test_unpack(dtype: DType, transpose: bool) -> None:
    source = tile(dtype, 3)
    result = np.zeros((EDGE, EDGE), REGISTER[dtype])
    call(UnpackKernel(dtype, transpose), result, page_of(source, dtype))
    expected = np.ascontiguousarray(source.T if transpose else source)
    assert same(result, as_stored(expected, dtype)).all()


def test_matmul_sums_in_order_of_the_inner_index() -> None:
    rng = np.random.default_rng(0)
    left, right, start = (rng.standard_normal((EDGE, EDGE)).astype(np.float32) for _ in range(3))
    for clear in (0, 1):
        result = start.copy()
        call(MatmulKernel(DType.F32), result, left, right, clear)
        expected = np.zeros_like(start) if clear else start.copy()
        for k in range(EDGE):
            exact = left[:, k : k + 1].astype(np.float64) * right[k].astype(np.float64)
            expected = (exact + expected).astype(np.float32)
        assert np.array_equal(result, expected)


def sparse(seed: int, *, odd: bool) -> Array:
    """Half zeros of either sign; with `odd` a few elements are NaN or infinite."""
    rng = np.random.default_rng(seed)
    values = np.where(rng.random((EDGE, EDGE)) < 0.5, rng.choice([0.0, -0.0], (EDGE, EDGE)), rng.random((EDGE, EDGE)))
    strange = rng.choice([np.nan, np.inf, -np.inf], (EDGE, EDGE))
    return np.where(odd & (rng.random((EDGE, EDGE)) < 0.02), strange, values).astype(np.float32)


@pytest.mark.parametrize("odd", [False, True])
def test_zero_annihilates_in_a_product(odd: bool) -> None:
    """Equal to the plain product where all is finite; else each product with a factor 0 adds nothing."""
    seen = set()
    for seed in range(6):
        left, right = sparse(2 * seed, odd=odd), sparse(2 * seed + 1, odd=odd and seed > 2)
        result, plain = np.zeros((2, EDGE, EDGE), np.float32)
        call(MatmulKernel(DType.F32, annihilates=True), result, left, right, 1)
        call(MatmulKernel(DType.F32), plain, left, right, 1)
        if not odd:
            assert same(result, plain).all()
            continue
        expected = np.zeros((EDGE, EDGE), np.float32)
        for k in range(EDGE):
            x, y = left[:, k : k + 1].astype(np.float64), right[k].astype(np.float64)
            with np.errstate(invalid="ignore"):
                product = np.where((x == 0) | (y == 0), 0.0, x * y)
                expected = (product + expected).astype(np.float32)
        assert same(result, expected).all()
        seen.add(bool(np.isnan(plain).sum() > np.isnan(result).sum()))
    assert seen <= {odd}


def test_matmul_of_whole_numbers_wraps() -> None:
    left, right = tile(DType.I32, 1), tile(DType.I32, 2)
    result = np.zeros((EDGE, EDGE), np.int32)
    call(MatmulKernel(DType.I32), result, left, right, 1)
    assert np.array_equal(result, left @ right)


NEUTRAL = {Combine.SUM: 0, Combine.PROD: 1, Combine.MAX: -np.inf, Combine.MIN: np.inf}
UFUNC = {Combine.SUM: np.add, Combine.PROD: np.multiply, Combine.MAX: np.maximum, Combine.MIN: np.minimum}


@pytest.mark.parametrize("dtype", [DType.F32, DType.I32])
@pytest.mark.parametrize("axis", list(ReduceAxis))
@pytest.mark.parametrize("combine", list(Combine))
def test_reduce(combine: Combine, axis: ReduceAxis, dtype: DType) -> None:
    rng = np.random.default_rng(7)
    kind = REGISTER[dtype]
    for rows, columns in ((32, 32), (1, 32), (32, 5), (17, 31), (0, 9)):
        # Factors of 1, -1 and a single 2 keep products exact.
        values = rng.choice([1, -1], (EDGE, EDGE)) if combine is Combine.PROD else rng.integers(-99, 99, (EDGE, EDGE))
        source = values.astype(kind)
        target = rng.integers(-9, 9, (EDGE, EDGE)).astype(kind)
        result = target.copy()
        call(ReduceKernel(combine, axis, dtype), result, source, rows, columns)
        inside = source[:rows, :columns].astype(np.float64)
        ufunc = UFUNC[combine]
        if axis is ReduceAxis.NONE:
            expected = target.astype(np.float64)
            expected[:rows, :columns] = ufunc(expected[:rows, :columns], inside)
            assert np.array_equal(result, expected.astype(kind))
        elif axis is ReduceAxis.ROWS:
            reduced = ufunc.reduce(inside, axis=0, initial=NEUTRAL[combine])
            assert np.array_equal(result[0, :columns], ufunc(target[0, :columns], reduced))
        elif axis is ReduceAxis.COLUMNS:
            reduced = ufunc.reduce(inside, axis=1, initial=NEUTRAL[combine])
            assert np.array_equal(result[:rows, 0], ufunc(target[:rows, 0], reduced))
        else:
            reduced = ufunc.reduce(inside, axis=None, initial=NEUTRAL[combine])
            assert result[0, 0] == ufunc(target[0, 0], reduced)


@pytest.mark.parametrize("combine", [Combine.MAX, Combine.MIN])
def test_extremes_pass_nan_on(combine: Combine) -> None:
    source = np.zeros((EDGE, EDGE), np.float32)
    source[9, 20] = np.nan
    for axis, place in ((ReduceAxis.ROWS, (0, 20)), (ReduceAxis.COLUMNS, (9, 0)), (ReduceAxis.BOTH, (0, 0))):
        result = np.zeros((EDGE, EDGE), np.float32)
        call(ReduceKernel(combine, axis, DType.F32), result, source, EDGE, EDGE)
        assert np.isnan(result[place])
        assert np.isnan(result).sum() == 1


PACKED = [*((dtype, dtype) for dtype in NUMBERS), *((DType.F32, dtype) for dtype in DType if dtype.is_float)]
PACKED += [*((DType.I32, dtype) for dtype in INTEGERS), (DType.I32, DType.BOOL)]


@pytest.mark.parametrize(("source", "dtype"), dict.fromkeys(PACKED))
def test_pack_masks_and_converts(source: DType, dtype: DType) -> None:
    """What a register holds is rounded once more: to its own type, which keeps it, or to a narrower one."""
    register = as_stored(tile(source, 4), source)
    for rows, columns in ((32, 32), (3, 32), (32, 17), (0, 32)):
        page = np.full(page_bytes(dtype), 7, np.uint8)
        call(PackKernel(dtype, False), page, register, rows, columns)
        masked = register.copy()
        masked[rows:, :] = 0
        masked[:, columns:] = 0
        found = from_pages(page[None], (EDGE, EDGE), dtype)
        assert same(as_stored(found, dtype), as_stored(round_to(masked, dtype), dtype)).all()
        if dtype.is_block:
            assert np.array_equal(page, page_of(masked, dtype))


NARROW = [dtype for dtype in NUMBERS if dtype.itemsize < 4]


@pytest.mark.parametrize("dtype", NARROW)
def test_every_pattern_is_unpacked_and_packed(dtype: DType) -> None:
    count = 1 << (8 * dtype.itemsize)
    patterns = np.arange(max(count, EDGE * EDGE)).astype(f"u{dtype.itemsize}").view(dtype.numpy)
    for source in patterns.reshape(-1, EDGE, EDGE):
        register, page = np.zeros((EDGE, EDGE), REGISTER[dtype]), np.zeros_like(source)
        call(UnpackKernel(dtype, False), register, source)
        assert same(register, as_stored(source, dtype)).all()
        call(PackKernel(dtype, False), page, register, EDGE, EDGE)
        assert same(as_stored(page, dtype), as_stored(source, dtype)).all()


@pytest.mark.parametrize("dtype", [dtype for dtype in NARROW if dtype.is_float])
def test_every_upper_half_of_an_f32_is_rounded_as_by_numpy(dtype: DType) -> None:
    """With lower halves below, at and above a tie, so that every rounding decision of every binade is made."""
    upper = np.arange(1 << 16, dtype=np.uint32) << 16
    for lower in (0, 1, 0x0FFF, 0x1000, 0x1001, 0x3000, 0x7FFF, 0x8000, 0xFFFF):
        for register in (upper | lower).view(np.float32).reshape(-1, EDGE, EDGE):
            page = np.zeros((EDGE, EDGE), dtype.numpy)
            call(PackKernel(dtype, False), page, register, EDGE, EDGE)
            with np.errstate(over="ignore", invalid="ignore"):
                expected = register.astype(dtype.numpy)
            assert same(as_stored(page, dtype), as_stored(expected, dtype)).all()


@pytest.mark.parametrize("dtype", [DType.F32, DType.I32])
def test_pack_accumulates(dtype: DType) -> None:
    register, page = (np.arange(1024).reshape(EDGE, EDGE).astype(REGISTER[dtype]) for _ in range(2))
    call(PackKernel(dtype, True), page, register, EDGE, EDGE)
    assert np.array_equal(page, 2 * register)


def test_object_files_are_reused(tmp_path: Any) -> None:
    request = MatmulKernel(DType.F32)
    first = Compiler(tmp_path)
    assert first.address(request)
    (stored,) = tmp_path.iterdir()
    before = stored.stat().st_mtime_ns
    assert Compiler(tmp_path).address(request)
    assert [file.stat().st_mtime_ns for file in tmp_path.iterdir()] == [before]
