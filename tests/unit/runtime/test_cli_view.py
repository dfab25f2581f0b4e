"""`meshc view` and `meshc explain RUN`, as a user types them."""

import json
import shlex
from pathlib import Path

import pytest

from runtime.cli import main
from tests.unit.view.ran import MLP

ESCAPE = "\x1b"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a program, its image, a run of the program and a run of the image."""
    folder = tmp_path_factory.mktemp("view")
    source, image = folder / "mlp.mesh", folder / "mlp.mimg"
    source.write_text(MLP)
    assert main(["compile", str(source), "--machine", "mesh_4x4", "-o", str(image)]) == 0
    common = ["--input", "random", "--profile"]
    assert main(["run", str(source), "--machine", "mesh_4x4", *common, str(folder / "run.json")]) == 0
    assert main(["run", str(image), *common, str(folder / "plain.json")]) == 0
    return folder


@pytest.fixture(autouse=True)
def inside(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(made)


def meshc(command: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    assert main(shlex.split(command)) == code
    out, _ = capsys.readouterr()
    return out


@pytest.mark.parametrize(
    ("command", "file"),
    [
        ("view run.json", "run.html"),
        ("view mlp.mimg", "mlp.html"),
        ("view mlp.mesh --machine mesh_4x4 -o source.html", "source.html"),
        ("view mlp.mimg --profile run.json -o both.html", "both.html"),
        ("view run.json --svg mesh", "run.mesh.svg"),
        ("view run.json --svg timeline", "run.timeline.svg"),
        ("view mlp.mimg --svg memory --epoch 0", "mlp.memory.svg"),
        ("view mlp.mimg --svg graph", "mlp.graph.svg"),
        ("view run.json --perfetto", "run.perfetto.json"),
        ("view run.json --congestion", "run.congestion.json"),
        ("view run.json --csv", "run.csv"),
        ("view run.json --compare plain.json", "run.compare.html"),
        ("view run.json --compare mlp.mimg -o image.html", "image.html"),
    ],
)
def test_what_is_written(command: str, file: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = meshc(command, capsys)
    assert f"wrote {file}" in out
    assert Path(file).exists()


def test_text_says_the_same_with_a_run_and_more(capsys: pytest.CaptureFixture[str]) -> None:
    image, run = meshc("view mlp.mimg --text", capsys), meshc("view run.json --text", capsys)
    assert "not yet run" in image
    assert "What threads wait for" in run
    assert "Costliest lines" in run
    assert ESCAPE not in run
    assert ESCAPE in meshc("view run.json --text --color always", capsys)
    assert ESCAPE not in meshc("view run.json --text --color never", capsys)


def test_a_comparison_in_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    out = meshc("view run.json --compare plain.json --text", capsys)
    assert out.startswith("B takes as long as A, ")


def test_json_documents(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("view run.json --json", "view run.json --text --json", "explain run.json --json"):
        assert json.loads(meshc(command, capsys))["ok"] is True
    document = json.loads(meshc("view run.json --compare mlp.mimg --json", capsys))
    assert document["bytes"] == Path(document["file"]).stat().st_size


def test_a_run_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    out = meshc("explain run.json", capsys)
    assert "lower bound" in out
    assert "Who waits for whom:" in out
    assert "waits for nobody" in out
    assert "predicted:" in out
    assert "tried:" not in out
    assert meshc("explain run.json", capsys) == out


def test_suggestions_are_tried(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(meshc("explain run.json --try --json", capsys))
    assert document["suggestions"]
    for suggestion in document["suggestions"]:
        assert suggestion["tried"] is not None or suggestion["reason"]
