"""The pictures of the documents can be drawn anew, and the documents show every one of them."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "pictures"
PNG = b"\x89PNG\r\n\x1a\n"


def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_pictures", ROOT / "docs" / "make_pictures.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pictures_are_drawn_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["make_pictures.py", str(tmp_path)])
    script().main()
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(made) == {path.name for path in FOLDER.iterdir()}
    for name, content in made.items():
        if name.endswith(".svg"):
            ElementTree.fromstring(content)
        else:
            assert content.startswith(PNG)


def test_documents_show_pictures_that_there_are() -> None:
    shown = {
        (document.parent / name).resolve()
        for document in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))
        for name in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", document.read_text())
    }
    assert all(path.exists() for path in shown)
    unused = {path.name for path in FOLDER.iterdir() if path.resolve() not in shown}
    assert unused <= {"memory.svg", "graph.svg", "report-dark.png", "report-phone.png"}
