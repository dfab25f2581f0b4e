"""A run survives its file, and a file that is none is refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import pytest

from compiler.diagnostics import DiagnosticError
from runtime.runfile import RunFile, read_run, write_run
from runtime.view.document import document
from runtime.view.model import Run, build
from tests.unit.view.ran import ran


def test_a_run_survives_its_file(tmp_path: Path) -> None:
    content = ran("mlp").content
    write_run(tmp_path / "run.json", content)
    again = read_run(tmp_path / "run.json")
    assert again.image == content.image
    assert again.run.profile == content.run.profile
    assert again.graph == content.graph
    assert document(build(again.image, again.run, again.graph)) == document(ran("mlp").model)


def test_equal_runs_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        write_run(tmp_path / name, ran("mlp").content)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_run_without_a_recording_and_a_graph(tmp_path: Path) -> None:
    content = ran("mlp").content
    write_run(tmp_path / "run.json", RunFile(content.image, Run(content.run.profile)))
    again = read_run(tmp_path / "run.json")
    assert again.run.recording is None
    assert again.graph is None


@pytest.mark.parametrize(
    "damage",
    [
        {"format": "other"},
        {"version": 2},
        {"image": "%"},
        {"profile": {}},
        {"profile": None},
        {"recording": {"epochs": [{}]}},
        {"recording": 7},
        {"graph": {"source": "graph g", "optimized": "graph g", "passes": [], "seed": 0}},
        {"graph": {"source": 1}},
    ],
    ids=str,
)
def test_a_damaged_run_is_refused(tmp_path: Path, damage: dict[str, Any]) -> None:
    path = tmp_path / "run.json"
    write_run(path, ran("mlp").content)
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    with pytest.raises(DiagnosticError) as caught:
        read_run(path)
    assert len(caught.value.diagnostics) == 1


@pytest.mark.parametrize("text", ["", "[" * 100_000, "\x00", "nonsense"])
def test_what_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(DiagnosticError) as caught:
        read_run(path)
    assert caught.value.diagnostics[0].code == "E0543"
