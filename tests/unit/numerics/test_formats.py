"""Element types bit by bit, against NumPy, ml_dtypes and the definition of block floats."""

from fractions import Fraction
from math import floor, log2
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.numerics import DType, from_pages, to_pages
from compiler.numerics.blocks import BLOCK, decode, encode, round_blocks
from compiler.numerics.dtypes import FLOATS, INTEGERS, fits, round_to
from compiler.numerics.evaluate import cast
from compiler.numerics.fidelity import MATMUL_DTYPES, Fidelity, product_dtype
from compiler.numerics.layout import page_bytes

BLOCKS = [dtype for dtype in DType if dtype.is_block]
SMALL = [dtype for dtype in DType if dtype.itemsize < 4 and dtype is not DType.BOOL]


def patterns(dtype: DType) -> NDArray[Any]:
    """Every value of a type of up to 16 bits."""
    count = 1 << (8 * dtype.itemsize)
    return np.arange(count).astype(f"u{dtype.itemsize}").view(dtype.numpy)


def exact(values: NDArray[Any]) -> NDArray[np.float64]:
    """Widened; a signaling NaN is none of our concern."""
    with np.errstate(invalid="ignore"):
        return values.astype(np.float64)


@pytest.mark.parametrize("dtype", SMALL)
def test_every_pattern_survives_a_cast_to_a_type_that_holds_it(dtype: DType) -> None:
    values = patterns(dtype)
    for wide in (other for other in DType if fits(dtype, other)):
        back = cast(cast(values, wide), dtype)
        np.testing.assert_array_equal(exact(back), exact(values))


@pytest.mark.parametrize("source", SMALL)
@pytest.mark.parametrize("target", [dtype for dtype in DType if not dtype.is_block])
def test_a_type_that_does_not_fit_loses_some_pattern(source: DType, target: DType) -> None:
    values = patterns(source)
    values = values[~np.isnan(exact(values))]
    lossless = np.array_equal(exact(cast(values, target)), exact(values))
    assert lossless == fits(source, target)


@pytest.mark.parametrize("target", [DType.FP8_E4M3, DType.FP8_E5M2, DType.F16])
def test_overflow(target: DType) -> None:
    found = round_to(np.array([464.0, 465.0, 61440.0, 65520.0, np.inf], np.float32), target).astype(np.float32)
    expected = {
        DType.FP8_E4M3: [448.0, np.nan, np.nan, np.nan, np.nan],
        DType.FP8_E5M2: [448.0, 448.0, np.inf, np.inf, np.inf],
        DType.F16: [464.0, 465.0, 61440.0, np.inf, np.inf],
    }
    np.testing.assert_array_equal(found, expected[target])


def test_floats_saturate_and_integers_wrap() -> None:
    floats = np.array([-300.0, -1.5, 127.9, 200.0, np.nan, np.inf], np.float32)
    assert round_to(floats, DType.I8).tolist() == [-128, -1, 127, 127, 0, 127]
    assert round_to(floats, DType.U8).tolist() == [0, 0, 127, 200, 0, 255]
    whole = np.array([-129, 128, 255, 256], np.int32)
    assert round_to(whole, DType.I8).tolist() == [127, -128, -1, 0]
    assert round_to(whole, DType.U8).tolist() == [127, 128, 255, 0]


def by_definition(values: list[float], bits: int) -> list[float]:
    """Round one block of finite values in exact arithmetic."""
    largest = max(abs(value) for value in values)
    exponent = max(-127, floor(log2(largest))) if largest else -127
    step = Fraction(2) ** (exponent - bits + 1)
    found = []
    for value in values:
        magnitude = min(round(abs(Fraction(value)) / step), (1 << bits) - 1)
        found.append(float(magnitude * step) * (-1 if value < 0 else 1))
    return found


finite = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(values=st.lists(st.one_of(finite, st.floats(-4, 4, width=32)), min_size=BLOCK, max_size=BLOCK))
@pytest.mark.parametrize("dtype", BLOCKS)
@settings(max_examples=100, deadline=None)
def test_a_block_is_rounded_as_defined(dtype: DType, values: list[float]) -> None:
    array = np.array(values, np.float32)
    found = round_blocks(array, dtype.magnitude_bits)
    np.testing.assert_array_equal(found, by_definition(values, dtype.magnitude_bits))
    assert not np.signbit(found[found == 0]).any()
    np.testing.assert_array_equal(round_blocks(found, dtype.magnitude_bits), found)


@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=BLOCK, max_size=BLOCK))
@pytest.mark.parametrize("dtype", BLOCKS)
@settings(max_examples=60, deadline=None)
def test_what_is_not_finite_stays_so(dtype: DType, bits: list[int]) -> None:
    values = np.array(bits, np.uint32).view(np.float32)
    found = round_blocks(values, dtype.magnitude_bits)
    assert np.isnan(found[np.isnan(values)]).all()
    endless = found[np.isinf(values)]
    assert np.array_equal(endless, values[np.isinf(values)]) or (dtype is DType.BFP2 and np.isnan(endless).all())
    np.testing.assert_array_equal(round_blocks(found, dtype.magnitude_bits), found)


@pytest.mark.parametrize("dtype", BLOCKS)
def test_every_code_of_a_block_is_exact_in_bf16(dtype: DType) -> None:
    bits = dtype.magnitude_bits
    codes = np.arange(1 << (bits + 1))
    exponents = np.repeat(np.arange(256), len(codes) // 2)
    values = decode(exponents, np.resize(codes, (len(exponents), 2)), bits)
    np.testing.assert_array_equal(values.astype(ml_dtypes.bfloat16).astype(np.float32), values)


@pytest.mark.parametrize("dtype", BLOCKS)
def test_codes_hold_the_exponent_of_the_largest(dtype: DType) -> None:
    exponents, codes = encode(np.array([[1.0] + [0.25] * 15], np.float32), dtype.magnitude_bits)
    assert exponents.tolist() == [127]
    assert codes[0, 0] == 1 << (dtype.magnitude_bits - 1)


@pytest.mark.parametrize("dtype", list(DType))
@pytest.mark.parametrize("shape", [(), (5,), (33, 40), (2, 3, 17)])
def test_pages_hold_what_the_type_holds(dtype: DType, shape: tuple[int, ...]) -> None:
    values = round_to(np.random.default_rng(0).normal(0, 50, shape).astype(np.float32), dtype)
    pages = to_pages(values, dtype)
    assert pages.shape[1] == page_bytes(dtype)
    np.testing.assert_array_equal(from_pages(pages, shape, dtype), values)


def test_page_sizes_are_those_of_the_silicon() -> None:
    """tt-metal, tile size constants."""
    expected = {"f32": 4096, "bf16": 2048, "f16": 2048, "bfp8": 1088, "bfp4": 576, "bfp2": 320, "i8": 1024}
    assert {name: page_bytes(DType(name)) for name in expected} == expected
    assert page_bytes(DType.FP8_E4M3) == page_bytes(DType.U8) == 1024


def test_the_first_element_is_in_the_low_bits() -> None:
    tile = np.zeros((32, 32), np.float32)
    tile[0, :2] = 1.0, -1.5
    (page,) = to_pages(tile, DType.BFP4)
    assert (page[0], page[64]) == (127, 0b1110_0100)


def test_products() -> None:
    narrow = {DType.BF16, DType.FP8_E4M3, DType.FP8_E5M2, *BLOCKS}
    for left in DType:
        for right in DType:
            expected = left if left is right and left in MATMUL_DTYPES else None
            expected = DType.BF16 if {left, right} <= narrow else expected
            assert product_dtype(left, right) is expected


def test_phases_are_those_of_the_multiplier() -> None:
    """tt-isa-documentation, SrcASrcB: 7 bits of the left operand and 5 of the right one at a time."""
    expected = {"bf16": 4, "bfp8": 2, "bfp4": 1, "bfp2": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}
    assert {name: Fidelity.HIFI4.phases(DType(name), DType(name)) for name in expected} == expected
    assert Fidelity.HIFI3.phases(DType.BF16, DType.BF16) == 3
    assert Fidelity.HIFI4.phases(DType.BF16, DType.BFP8) == 4
    assert Fidelity.HIFI4.phases(DType.BFP8, DType.BF16) == 2


def test_kinds() -> None:
    assert [dtype for dtype in DType if dtype.is_float] == [*FLOATS, *BLOCKS]
    assert [dtype for dtype in DType if dtype.is_integer] == list(INTEGERS)
