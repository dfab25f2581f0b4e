"""Which flags a page of each type gets, against NumPy."""

import ctypes

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.numerics.dtypes import round_to
from compiler.numerics.layout import from_pages, to_pages
from emulator.engine import columns as c
from emulator.kernels.compile import Compiler
from emulator.kernels.requests import ScanKernel

COMPILER = Compiler()
VALUES = (0.0, -0.0, 1.0, -1.0, 2.0**-100, -1e-45, 3e38, np.inf, -np.inf, np.nan)


def scanned(page: NDArray[np.uint8], dtype: DType) -> int:
    """The flags that the kernel finds."""
    arguments = np.array([page.ctypes.data, 0], np.int64)
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_int64)(COMPILER.address(ScanKernel(dtype)))
    kernel(arguments.ctypes.data)
    return int(arguments[1])


@pytest.mark.parametrize("dtype", list(DType))
@given(
    places=st.lists(st.tuples(st.integers(0, 1023), st.sampled_from(VALUES)), max_size=3),
    rest=st.sampled_from(VALUES[:3]),
)
def test_flags_of_a_page(dtype: DType, places: list[tuple[int, float]], rest: float) -> None:
    values = np.full(1024, rest, np.float32)
    for place, value in places:
        values[place] = value
    pages = np.ascontiguousarray(to_pages(round_to(values.reshape(32, 32), dtype), dtype))
    stored = from_pages(pages, (32, 32), dtype).astype(np.float64)
    expected = c.ZERO if not np.any(stored) else 0
    expected |= c.FINITE if np.isfinite(stored).all() else 0
    expected |= c.BARE if not pages.any() else 0
    assert scanned(pages[0], dtype) == expected
