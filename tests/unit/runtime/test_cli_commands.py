"""What the commands do when all is well, and the exit codes other than 2."""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from compiler.ir import TensorGraph
from compiler.ir.parser import parse_graph
from emulator.faults import Deadlock
from runtime.cli import main
from runtime.feed import Array

PROGRAM = """
dim N = 40, K = 64
program product(a: input bf16[N, K], b: weight bf16[K, N]) -> bf16[N, N] {
    return relu(a @ b)
}
"""
MACHINE = "--machine mesh_4x4"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("p.mesh").write_text(PROGRAM)
    return tmp_path


def meshc(command: str) -> int:
    return main(shlex.split(command))


def document(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return parsed


def test_an_image_runs_as_the_source_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"compile p.mesh {MACHINE}") == 0
    assert meshc("run p.mimg --input random --output out=image.npy") == 0
    assert meshc(f"run p.mesh {MACHINE} --input random --output out=source.npy") == 0
    assert Path("image.npy").read_bytes() == Path("source.npy").read_bytes()
    assert np.load("image.npy").dtype == np.float32
    capsys.readouterr()


def test_text_of_an_image_assembles_to_the_same_bytes() -> None:
    assert meshc(f"compile p.mesh {MACHINE} -o a.mimg") == 0
    assert meshc("asm a.mimg -o a.txt") == 0
    assert meshc("asm a.txt --assemble -o b.mimg") == 0
    assert Path("a.mimg").read_bytes() == Path("b.mimg").read_bytes()


def test_seed_and_inputs_decide_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    results = []
    for seed in (1, 1, 2):
        assert meshc(f"run p.mesh {MACHINE} --input random --seed {seed} --json") == 0
        results.append(document(capsys)["outputs"])
    assert results[0] == results[1] != results[2]


def test_the_json_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"run p.mesh {MACHINE} --set N=33 --input zeros --check --json") == 0
    found = document(capsys)
    assert found["ok"] is True
    assert found["outputs"]["out"]["shape"] == [33, 33]
    assert found["outputs"]["out"]["greatest"] == 0
    assert found["check"]["out"]["mismatches"] == 0
    profile = found["profile"]
    assert profile["makespan"] >= profile["bound"] > 0
    assert profile["resources"][0] == [profile["bottleneck"], profile["bottleneck_share"]]
    assert all(0 <= share <= 1 for _, share in profile["resources"])
    assert {line["place"] for line in profile["lines"]} == {"p.mesh:4"}


def test_emitted_graph_parses(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"compile p.mesh {MACHINE} --emit graph") == 0
    assert parse_graph(capsys.readouterr().out).name == "product"
    assert not Path("p.mimg").exists()


def test_print_after_shows_the_graph_of_that_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"compile p.mesh {MACHINE} --print-after fuse") == 0
    assert re.match(r"# after fuse\ngraph product\n", capsys.readouterr().out)


def test_emitted_stages(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"compile p.mesh {MACHINE} --emit stages") == 0
    assert capsys.readouterr().out.startswith("epoch 0\n  stage ")


def test_a_failed_check_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(graph: TensorGraph, fed: Mapping[str, Array]) -> dict[str, tuple[Array, Array]]:
        value = np.zeros((40, 40), np.float32)
        value[7, 9] = 1e6
        return {"out": (value, np.full((40, 40), 1e3))}

    monkeypatch.setattr("runtime.cli.run.evaluate_with_bounds", wrong)
    assert meshc(f"run p.mesh {MACHINE} --input random --check") == 1
    assert "1 differ, the worst at [7, 9]: " in capsys.readouterr().out


def test_a_stopped_machine_is_exit_code_3(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stuck(*_: object, **__: object) -> None:
        raise Deadlock("nothing moves", epoch=0, cycle=12, cores=(1, 2))

    monkeypatch.setattr("runtime.session.run", stuck)
    assert meshc(f"run p.mesh {MACHINE} --input random --output out=out.npy") == 3
    assert "Deadlock in epoch 0 at cycle 12: nothing moves" in capsys.readouterr().err
    assert not Path("out.npy").exists()
