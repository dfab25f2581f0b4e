"""Parts of bf16 operands: the kernels agree with `take_part` on every bit pattern, and parts add up."""

import ctypes

import numpy as np
import pytest
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Fidelity, Part, phases, take_part
from compiler.target.costs import matmul_cost
from compiler.target.load import load_machine
from emulator.kernels.compile import Compiler
from emulator.kernels.requests import UnpackKernel

COMPILER = Compiler()
PATTERNS: NDArray[np.float32] = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
FINITE = PATTERNS[np.isfinite(PATTERNS)]


@pytest.mark.parametrize("low_bits", [LEFT_LOW_BITS, RIGHT_LOW_BITS])
def test_high_and_low_make_the_whole(low_bits: int) -> None:
    high, low = (take_part(FINITE, part, low_bits) for part in (Part.HIGH, Part.LOW))
    np.testing.assert_array_equal(high + low, FINITE)
    assert (np.abs(high) <= np.abs(FINITE)).all()
    normal = FINITE[np.abs(FINITE) >= np.float32(2.0**-126)]
    fraction, _ = np.frexp(take_part(normal, Part.HIGH, low_bits).astype(np.float64))
    assert (fraction * 2.0 ** (8 - low_bits) % 1 == 0).all()


@pytest.mark.parametrize("low_bits", [LEFT_LOW_BITS, RIGHT_LOW_BITS])
@pytest.mark.parametrize("part", Part)
def test_no_part_turns_nan_into_a_number(part: Part, low_bits: int) -> None:
    endless = PATTERNS[~np.isfinite(PATTERNS)]
    taken = take_part(endless, part, low_bits)
    if part is Part.LOW:
        assert (taken == 0).all()
    else:
        np.testing.assert_array_equal(taken, endless)


@pytest.mark.parametrize("low_bits", [LEFT_LOW_BITS, RIGHT_LOW_BITS])
@pytest.mark.parametrize("part", Part)
def test_the_kernel_takes_the_same_part(part: Part, low_bits: int) -> None:
    request = UnpackKernel(DType.BF16, False, part, low_bits)
    kernel = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(COMPILER.address(request))
    pages = (PATTERNS.view(np.uint32) >> 16).astype(np.uint16).reshape(-1, 1024)
    target = np.zeros(1024, np.float32)
    for page in pages:
        arguments = np.array([target.ctypes.data, page.ctypes.data], np.int64)
        kernel(arguments.ctypes.data)
        expected = take_part((page.astype(np.uint32) << 16).view(np.float32), part, low_bits)
        np.testing.assert_array_equal(target, expected)


def test_cycles_of_each_fidelity() -> None:
    """Measured on silicon: LoFi 21.9 and HiFi2 37.7 cycles per tile product, packing included (tt-metal)."""
    machine, bf16 = load_machine("wormhole_n150"), (DType.BF16, DType.BF16)
    cycles = [
        sum(matmul_cost(machine, *bf16, 2, 2, 8, phases(parts, *bf16)).math for parts in fidelity.passes) / 32
        for fidelity in Fidelity
    ]
    assert cycles[0] == pytest.approx(21.9, rel=0.05)
    assert cycles[1] == pytest.approx(37.7, rel=0.05)
    assert cycles == sorted(cycles)
