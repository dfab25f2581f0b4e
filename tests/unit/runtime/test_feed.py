"""Arrays that fit, and each way in which one does not."""

from dataclasses import dataclass
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import save_file

from compiler.diagnostics import DiagnosticError
from compiler.numerics import DType
from compiler.numerics.dtypes import round_to
from compiler.program.image import Role
from runtime.feed import accept, random_array, read_array, read_weights, zero_array


@dataclass(frozen=True, slots=True)
class Wanted:
    name: str = "x"
    dtype: DType = DType.BF16
    shape: tuple[int, ...] = (2, 3)
    role: Role = Role.INPUT


def refused(error: pytest.ExceptionInfo[DiagnosticError]) -> tuple[str, str]:
    (diagnostic,) = error.value.diagnostics
    return diagnostic.code, " ".join((diagnostic.message, *diagnostic.notes, *diagnostic.helps))


@given(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=8))
def test_float32_is_rounded_to_the_nearest_bf16_and_ties_go_to_even(values: list[float]) -> None:
    array = np.array(values, np.float32)
    got = accept(Wanted(shape=array.shape), array).view(np.uint16).astype(np.uint64)
    bits = array.view(np.uint32).astype(np.uint64)
    expected = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    assert got.tolist() == expected.tolist()


@pytest.mark.parametrize("dtype", list(DType))
def test_an_array_of_the_declared_type_is_taken_bit_for_bit(dtype: DType) -> None:
    wanted = Wanted(dtype=dtype)
    array = random_array(wanted, 7)
    assert array.dtype == dtype.numpy
    assert accept(wanted, array).tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [dtype for dtype in DType if dtype.is_float])
def test_floats_take_float32_and_round_it(dtype: DType) -> None:
    array = np.random.default_rng(0).normal(0, 9, (2, 3)).astype(np.float32)
    assert accept(Wanted(dtype=dtype), array).tobytes() == round_to(array, dtype).tobytes()


@pytest.mark.parametrize("dtype", [DType.BF16, DType.FP8_E4M3])
def test_raw_bytes_of_a_file_are_what_is_declared(dtype: DType, tmp_path: Path) -> None:
    array = random_array(Wanted(dtype=dtype), 3)
    np.save(tmp_path / "x.npy", array)
    assert accept(Wanted(dtype=dtype), read_array(tmp_path / "x.npy", "x")).tobytes() == array.tobytes()


@pytest.mark.parametrize("shape", [(3, 2), (2, 3, 1), (6,), ()])
def test_a_wrong_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(DiagnosticError) as error:
        accept(Wanted(), np.zeros(shape, np.float32))
    code, text = refused(error)
    assert code == "E0522"
    assert "[2, 3]" in text
    assert ("`.T`" in text) == (shape == (3, 2))


@pytest.mark.parametrize(
    ("dtype", "found"),
    [
        (DType.BF16, np.float64),
        (DType.F32, np.float64),
        (DType.I32, np.int64),
        (DType.BOOL, np.uint8),
        (DType.F32, "V2"),
    ],
)
def test_a_type_that_would_change_values_is_refused(dtype: DType, found: str | type[np.generic]) -> None:
    with pytest.raises(DiagnosticError) as error:
        accept(Wanted(dtype=dtype), np.zeros((2, 3), found))
    code, text = refused(error)
    assert code == "E0523"
    assert dtype.value in text


def test_bf16_survives_a_file_of_numpy(tmp_path: Path) -> None:
    array = np.arange(6).reshape(2, 3).astype(ml_dtypes.bfloat16)
    np.save(tmp_path / "x.npy", array)
    assert accept(Wanted(), read_array(tmp_path / "x.npy", "x")).tobytes() == array.tobytes()


def test_an_archive_gives_the_member_of_that_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "all.npz", x=np.ones(3), y=np.zeros(2))
    assert read_array(tmp_path / "all.npz", "y").shape == (2,)
    with pytest.raises(DiagnosticError) as error:
        read_array(tmp_path / "all.npz", "xx")
    assert refused(error)[0] == "E0524"
    assert "did you mean `x`?" in refused(error)[1]


def _whole(path: Path) -> bytes:
    np.save(path, np.arange(100, dtype=np.float32))
    return path.read_bytes()


@pytest.mark.parametrize("length", [0, 1, 7, 9, 60, 127, 200])
def test_a_truncated_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(_whole(path)[:length])
    with pytest.raises(DiagnosticError) as error:
        read_array(path, "x")
    assert refused(error)[0] == "E0524"


@pytest.mark.parametrize(
    "content", [b"not an array", b"PK\x03\x04 no archive", b"\x93NUMPY\x01\x00\x10\x00{'descr': !!}   "]
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(DiagnosticError) as error:
        read_array(tmp_path / "x.npy", "x")
    assert refused(error)[0] == "E0524"


def test_pickled_objects_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(DiagnosticError) as error:
        read_array(tmp_path / "x.npy", "x")
    assert refused(error)[0] == "E0524"


def test_a_missing_file_or_a_folder_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.npy", tmp_path):
        with pytest.raises(DiagnosticError) as error:
            read_array(path, "x")
        assert refused(error)[0] == "E0524"
        with pytest.raises(DiagnosticError) as error:
            read_weights(path)
        assert refused(error)[0] == "E0525"


def test_weights_come_back_as_they_were(tmp_path: Path) -> None:
    weights: dict[str, NDArray[np.generic]] = {
        "w": np.ones((2, 2), ml_dtypes.bfloat16),
        "b": np.arange(3, dtype=np.int32),
    }
    save_file(weights, tmp_path / "w.safetensors")
    loaded = read_weights(tmp_path / "w.safetensors")
    assert {name: (array.dtype, array.tobytes()) for name, array in loaded.items()} == {
        name: (array.dtype, array.tobytes()) for name, array in weights.items()
    }


@pytest.mark.parametrize("length", [0, 4, 20, 70])
def test_a_truncated_weights_file_is_refused(tmp_path: Path, length: int) -> None:
    path = tmp_path / "w.safetensors"
    save_file({"w": np.ones((4, 4), np.float32)}, path)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DiagnosticError) as error:
        read_weights(path)
    assert refused(error)[0] == "E0525"


@pytest.mark.parametrize("dtype", list(DType))
def test_random_values_depend_on_seed_and_name_alone(dtype: DType) -> None:
    first = random_array(Wanted("a", dtype, (64,)), 1)
    assert first.tobytes() == random_array(Wanted("a", dtype, (64,)), 1).tobytes()
    assert first.tobytes() != random_array(Wanted("b", dtype, (64,)), 1).tobytes()
    assert first.tobytes() != random_array(Wanted("a", dtype, (64,)), 2).tobytes()


def test_random_weights_keep_the_scale_of_products() -> None:
    x = random_array(Wanted("x", DType.F32, (100, 400)), 0)
    w = random_array(Wanted("w", DType.F32, (400, 50), Role.WEIGHT), 0)
    assert 0.9 < float(np.std(np.matmul(x.astype(np.float32), w.astype(np.float32)))) < 1.1


def test_zeros_are_zero() -> None:
    assert not zero_array(Wanted()).astype(np.float32).any()
