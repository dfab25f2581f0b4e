"""Image files: what is written reads back, what is damaged is refused with one sentence."""

import os
import struct
import zlib
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.diagnostics import DiagnosticError
from compiler.program.image import Image
from compiler.program.serialize import dump, load, read_file, write_file
from runtime.testing.images import any_images

SLOW = settings(
    deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
HEADER = 60


@given(image=any_images())
@SLOW
def test_an_image_reads_back_and_has_one_file(image: Image) -> None:
    data = dump(image)
    again = load(data)
    assert again == image
    assert dump(again) == data


@given(image=any_images(), data=st.data())
@SLOW
def test_truncations_and_flips_are_refused(image: Image, data: st.DataObject) -> None:
    whole = dump(image)
    cut = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(DiagnosticError) as error:
        load(whole[:cut])
    assert error.value.diagnostics[0].code in ("E0501", "E0503")
    damaged = bytearray(whole)
    damaged[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(DiagnosticError) as error:
        load(bytes(damaged))
    assert error.value.diagnostics[0].code in ("E0501", "E0502", "E0503", "E0504")


def _forged(payload: bytes, like: bytes) -> bytes:
    """A file with a right header and checksum around any payload."""
    prefix = like[:20] + struct.pack("<Q", len(payload))
    return prefix + sha256(prefix + payload).digest() + payload


@given(image=any_images(), data=st.data())
@SLOW
def test_nonsense_behind_a_right_checksum_is_refused_or_read(image: Image, data: st.DataObject) -> None:
    whole = dump(image)
    content = bytearray(zlib.decompress(whole[HEADER:]))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.sampled_from(b'0129[]",-{}aenult'))
    with suppress(DiagnosticError):
        load(_forged(zlib.compress(bytes(content)), whole))


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 8, b"[" * 100_000, b'[[],"",[]]', b"[[1],3,[]]", b"{}", b"9" * 9999]
)
def test_foreign_payloads_are_refused(content: bytes, sample: bytes) -> None:
    framed = struct.pack("<Q", len(content)) + content
    for payload in (content, zlib.compress(content), zlib.compress(framed)):
        with pytest.raises(DiagnosticError):
            load(_forged(payload, sample))


@pytest.fixture(scope="module")
def sample() -> bytes:
    from compiler.target import load_machine

    return dump(Image("empty", load_machine("mesh_4x4"), (), (), (), (), ()))


def test_other_files_and_other_versions_have_their_own_sentence(sample: bytes) -> None:
    for data, code in (
        (b"", "E0501"),
        (b"\x7fELF" + sample, "E0501"),
        (sample[:8] + b"\x09" + sample[9:], "E0502"),
        (sample + b"x", "E0503"),
        (sample[:-1] + b"x", "E0504"),
    ):
        with pytest.raises(DiagnosticError) as error:
            load(data)
        assert [d.code for d in error.value.diagnostics] == [code]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, sample: bytes) -> None:
    image = load(sample)
    write_file(tmp_path / "a.img", image)
    assert read_file(tmp_path / "a.img") == image
    assert os.listdir(tmp_path) == ["a.img"]
    with pytest.raises(DiagnosticError, match="E0506"):
        write_file(tmp_path / "missing" / "a.img", image)
    with pytest.raises(DiagnosticError, match="E0506"):
        read_file(tmp_path / "b.img")
