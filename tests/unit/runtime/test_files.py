"""Files are replaced whole or not at all."""

from pathlib import Path

import pytest

from compiler.diagnostics import DiagnosticError
from runtime.files import read_source, replacing


def test_a_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with replacing(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "out"):
        pass
    assert (tmp_path / "out").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        _write_half(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def _write_half(path: Path) -> None:
    with replacing(path) as file:
        file.write(b"half")
        raise ZeroDivisionError


@pytest.mark.parametrize("place", ["absent/out", "file/out", "folder"])
def test_a_place_that_cannot_be_written_is_a_diagnostic(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(DiagnosticError, match="E0530"), replacing(tmp_path / place):
        pass
    assert len(list(tmp_path.iterdir())) == 2


def test_a_source_keeps_the_name_the_user_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.mesh").write_text("# é\n")
    assert read_source(Path("p.mesh")).name == "p.mesh"
    assert read_source(Path("p.mesh")).text == "# é\n"
