"""Arrays for a program: read from files, generated, and held against what the program declares.

An array must have the declared shape exactly, and an element type that converts without a surprise: a narrow float
(bf16, f16, fp8) takes its own type or float32 (rounded to nearest, ties to even, here and nowhere else), f32 and the
block floats take float32, integers and bools take the NumPy type of their name. NumPy's own file format has no name for
bf16 and fp8_e4m3 and writes them as raw bytes (`V2`, `V1`); these are read as what is declared. (It writes
fp8_e5m2 so that it cannot read it again: feed float32, or a safetensors file.)
"""

import zlib
from collections.abc import Mapping
from pathlib import Path
from struct import error as StructError
from typing import Protocol
from zipfile import BadZipFile

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.numerics.dtypes import round_to
from compiler.program.image import Role
from runtime.errors import bad_input, did_you_mean

Array = NDArray[np.generic]

_FLOAT32 = np.dtype(np.float32)
_ACCEPTED: dict[DType, tuple[np.dtype[np.generic], ...]] = {
    dtype: tuple(dict.fromkeys((dtype.numpy, _FLOAT32))) if dtype.is_float else (dtype.numpy,) for dtype in DType
}
_SAFETENSORS: dict[str, np.dtype[np.generic]] = {
    "BOOL": np.dtype(np.bool_),
    "U8": np.dtype(np.uint8),
    "I8": np.dtype(np.int8),
    "I16": np.dtype(np.int16),
    "I32": np.dtype(np.int32),
    "I64": np.dtype(np.int64),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
}


class Declared(Protocol):
    """What a program says about a tensor that the caller feeds."""

    @property
    def name(self) -> str: ...
    @property
    def dtype(self) -> DType: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def role(self) -> Role: ...


def accept(declared: Declared, array: Array, origin: str = "the array") -> Array:
    """Return `array` in the declared type; `origin` names it in a message.

    Raises E0522 for a wrong shape, E0523 for an element type that is not accepted.
    """
    stored = declared.dtype.numpy
    if array.dtype == np.dtype(f"V{stored.itemsize}") and stored.isbuiltin != 1:
        array = array.view(stored)
    if array.dtype not in _ACCEPTED[declared.dtype]:
        accepted = " or ".join(f"{dtype.name}" for dtype in _ACCEPTED[declared.dtype])
        raise bad_input(
            "E0523",
            f"`{declared.name}` is declared {declared.dtype.value} and takes {accepted}, but {origin} is {array.dtype}",
            helps=[f"convert it, for example with `.astype(np.{_ACCEPTED[declared.dtype][-1].name})`"],
        )
    if array.shape != declared.shape:
        raise bad_input(
            "E0522",
            f"`{declared.name}` is declared {_shape(declared.shape)}, but {origin} is {_shape(array.shape)}",
            helps=_shape_helps(declared.shape, array.shape),
        )
    return np.ascontiguousarray(round_to(array, declared.dtype)).reshape(declared.shape)


def _shape(shape: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _shape_helps(declared: tuple[int, ...], found: tuple[int, ...]) -> list[str]:
    if found == declared[::-1]:
        return ["it looks transposed: feed `.T`"]
    if len(found) == len(declared):
        return ["sizes declared with `dim` can be changed with `--set NAME=SIZE` when the program is compiled"]
    return []


def read_array(path: Path, name: str) -> Array:
    """Return the array in a `.npy` file, or the member called `name` of an `.npz` file.

    Raises E0524 for a file that cannot be read as such.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                return loaded
            return _member(loaded, path, name)
    except OSError as error:
        raise bad_input("E0524", f"cannot read `{path}` for `{name}`: {error.strerror or error}") from error
    except (ValueError, EOFError, BadZipFile, zlib.error, StructError, SyntaxError) as error:
        raise bad_input(
            "E0524",
            f"`{path}`, given for `{name}`, is not a whole `.npy` or `.npz` file of numbers",
            helps=["write one with `numpy.save`"],
        ) from error


def _member(archive: Mapping[str, Array], path: Path, name: str) -> Array:
    if name not in archive:
        raise bad_input("E0524", f"`{path}` has no array `{name}`", helps=did_you_mean(name, archive, "it has"))
    return archive[name]


def read_weights(path: Path) -> dict[str, Array]:
    """Return the tensors of a safetensors file by name; raises E0525 when it cannot be read as one.

    Tensors of types that NumPy cannot hold even with ml_dtypes are left out.
    """
    from safetensors import SafetensorError, deserialize

    try:
        entries = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except OSError as error:
        raise bad_input("E0525", f"cannot read weights file `{path}`: {error.strerror or error}") from error
    except SafetensorError as error:
        raise bad_input("E0525", f"`{path}` is not a whole safetensors file: {error}") from error
    return {
        name: np.frombuffer(entry["data"], _SAFETENSORS[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in entries
        if entry["dtype"] in _SAFETENSORS
    }


def random_array(declared: Declared, seed: int) -> Array:
    """Return values that depend on the seed and the tensor's name alone.

    Floats are standard normal; weights of two axes or more are divided by the square root of their row count, so that
    products keep their scale. Integers lie in -8 .. 7 (u8: 0 .. 7), bools are fair.
    """
    generator = np.random.default_rng([seed, zlib.crc32(declared.name.encode())])
    if declared.dtype.is_integer:
        least = -8 if declared.dtype.reach.signed else 0
        return generator.integers(least, 8, declared.shape, np.int32).astype(declared.dtype.numpy)
    if declared.dtype is DType.BOOL:
        return generator.integers(0, 2, declared.shape).astype(np.bool_)
    values = np.asarray(generator.standard_normal(declared.shape, np.float32))
    if declared.role is Role.WEIGHT and len(declared.shape) > 1:
        values /= np.float32(np.sqrt(declared.shape[-2]))
    return round_to(values, declared.dtype)


def zero_array(declared: Declared) -> Array:
    return np.zeros(declared.shape, declared.dtype.numpy)
