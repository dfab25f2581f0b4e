"""What the command line says of pruning."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from runtime.cli import main

PROGRAM = """
dim N = 96, K = 128
program product(a: input f32[N, K] finite, b: weight f32[K, N], c: weight f32[N]) -> f32[N, N] {
    return a @ b + c
}
"""
MACHINE = "--machine mesh_4x4"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    Path("p.mesh").write_text(PROGRAM)
    generator = np.random.default_rng(0)
    dense = {"b": generator.standard_normal((128, 96), np.float32), "c": generator.standard_normal(96, np.float32)}
    sparse = dense["b"].copy()
    sparse[32:] = 0
    save_file(dense, "dense.safetensors")
    save_file(dense | {"b": sparse}, "sparse.safetensors")


def meshc(command: str) -> int:
    return main(shlex.split(command))


def document(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, Any]:
    capsys.readouterr()
    assert meshc(f"{command} --json") == 0
    parsed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return parsed


def operations(found: dict[str, Any]) -> tuple[int, int]:
    planned = found["pruned"]["planned"]
    return planned["all_operations"], planned["operations"]


def test_weights_known_at_compile_time_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"run p.mesh {MACHINE} --input random --check"
    before, after = operations(document(capsys, f"{command} --weights dense.safetensors"))
    assert (before, after) == (3 * 4 * 3, 3 * 4 * 3)
    before, after = operations(document(capsys, f"{command} --weights sparse.safetensors"))
    assert (before, after) == (3 * 4 * 3, 3 * 1 * 3)


@pytest.mark.parametrize("mode", ["none", "dynamic"])
def test_nothing_is_left_out_before_the_run_unless_asked_for(mode: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = f"run p.mesh {MACHINE} --input random --weights sparse.safetensors --prune {mode}"
    before, after = operations(document(capsys, command))
    assert before == after


def test_an_image_compiled_with_weights_runs_on_others_as_sparse(capsys: pytest.CaptureFixture[str]) -> None:
    compiled = document(capsys, f"compile p.mesh {MACHINE} --weights sparse.safetensors")
    assert compiled["pruned"]["operations"] == 9
    assert meshc("run p.mimg --input random --weights sparse.safetensors") == 0
    assert "Pruned before the run" not in capsys.readouterr().out
    assert meshc("run p.mimg --input random --weights dense.safetensors") == 2
    assert "error[E0528]" in capsys.readouterr().err


def test_a_run_is_compared_with_the_unpruned_one(capsys: pytest.CaptureFixture[str]) -> None:
    command = f"run p.mesh {MACHINE} --input random --weights sparse.safetensors --compare-unpruned"
    compared = document(capsys, command)["pruned"]["compared"]
    assert compared["same"] is True
    assert compared["unpruned"]["tile_operations"] > compared["pruned"]["tile_operations"]
    assert compared["unpruned"]["cycles"] > compared["pruned"]["cycles"]
    plain = document(capsys, f"run p.mesh {MACHINE} --input random --weights sparse.safetensors --prune none")
    assert plain["profile"]["makespan"] == compared["unpruned"]["cycles"]
    assert meshc(command) == 0
    out = capsys.readouterr().out
    assert re.search(r"Against the unpruned program: same outputs\n +unpruned +pruned +ratio\n", out)
    assert re.search(r"tile operations +\d+ +\d+ +\d\.\d\d x\n", out)


def test_a_program_of_which_nothing_is_left_out_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc(f"run p.mesh {MACHINE} --input random --weights dense.safetensors") == 0
    out = capsys.readouterr().out
    assert "Pruned" not in out
    assert "Left out" not in out


def test_explain_says_what_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert meshc("explain p.mesh --pruned --weights sparse.safetensors") == 0
    out = capsys.readouterr().out
    assert re.search(r"tile operations +36 +9 +4\.00 x\n", out)
    assert "p.mesh:4: return a @ b + c" in out
    found = document(capsys, "explain p.mesh --pruned --weights sparse.safetensors")
    assert found["planned"]["operations"] == 9
    assert meshc("explain p.mesh --pruned --weights dense.safetensors") == 0
    assert "nothing is left out of `product`" in capsys.readouterr().out


ERRORS = [
    ("E0542", "run p.mesh --prune none --assume-finite --input random", "`--assume-finite` has no meaning"),
    ("E0542", "run p.mesh --prune none --compare-unpruned --input random", "`--compare-unpruned` has no meaning"),
    ("E0542", "run p.mesh --prune some --input random", "invalid choice"),
    ("E0531", "run p.mimg --prune static --input random", "`--prune` needs the source"),
    ("E0531", "run p.mimg --assume-finite --input random", "`--assume-finite` needs the source"),
    ("E0531", "run p.mimg --compare-unpruned --input random", "`--compare-unpruned` needs the source"),
    ("E0531", "view p.mimg --weights sparse.safetensors", "`--weights` needs the source"),
    ("E0525", "compile p.mesh --weights p.mesh", "safetensors"),
    ("E0522", "compile p.mesh --set N=64 --weights sparse.safetensors", "declared [128, 64]"),
    ("E0542", "explain p.mesh", "`--pruned` explains"),
    ("E0542", "explain E0301 --pruned", "needs a .mesh program"),
    ("E0542", "explain E0301 --prune static", "`--prune` says nothing about `E0301`"),
    ("E0542", "explain p.mesh --pruned --try", "`--try` says nothing"),
]


@pytest.mark.parametrize(("code", "command", "text"), ERRORS, ids=[command for _, command, _ in ERRORS])
def test_wrong_combinations(code: str, command: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    if "p.mimg" in command:
        assert meshc(f"compile p.mesh {MACHINE}") == 0
        capsys.readouterr()
    assert meshc(command) == 2
    err = capsys.readouterr().err
    assert f"error[{code}]" in err
    assert text in err
