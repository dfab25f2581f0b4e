"""Which kernels there are: the names under which an epoch asks for native code."""

from dataclasses import dataclass
from typing import TypeAlias

from compiler.numerics import DType
from compiler.numerics.fidelity import Part
from compiler.program.image import Kernel
from compiler.program.instructions import Combine, ReduceAxis


@dataclass(frozen=True, slots=True)
class MatmulKernel:
    """Product of two unpacked tiles, added to a register: (register, left, right, 1 to replace).

    With `annihilates` a product with a factor 0 is 0, whatever the other factor is.
    """

    dtype: DType
    annihilates: bool = False


@dataclass(frozen=True, slots=True)
class UnpackKernel:
    """A page as 32-bit elements, transposed or not: (target, page).

    Of bf16 elements only `part`, where the low part is `low_bits` bits.
    """

    dtype: DType
    transpose: bool
    part: Part = Part.WHOLE
    low_bits: int = 0


@dataclass(frozen=True, slots=True)
class MapKernel:
    """A fused map: (register, operands...). `registers[k]` tells that operand `k` is a register, not a page."""

    kernel: Kernel
    registers: tuple[bool, ...]


@dataclass(frozen=True, slots=True)
class ReduceKernel:
    """One register reduced into another: (register, source, valid rows, valid columns)."""

    combine: Combine
    axis: ReduceAxis
    dtype: DType


@dataclass(frozen=True, slots=True)
class PackKernel:
    """A register written to a page of `dtype`: (page, register, valid rows, valid columns)."""

    dtype: DType
    accumulate: bool


@dataclass(frozen=True, slots=True)
class ScanKernel:
    """The flags of a page, as `emulator.engine.columns` numbers them: (page, where to put them)."""

    dtype: DType


Request: TypeAlias = MatmulKernel | UnpackKernel | MapKernel | ReduceKernel | PackKernel | ScanKernel
