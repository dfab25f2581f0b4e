"""Bad input: one diagnostic, exit code 2, no traceback, nothing written. Every code of the runtime has a case here."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from runtime.cli import main

ROOT = Path(__file__).parents[3]
PROGRAM = """
dim N = 4
program double(x: input f32[N], w: weight f32[N]) -> f32[N] {
    return x * w
}
"""
RUNS = {
    "empty.json": {},
    "array.json": [],
    "future.json": {"format": "meshc run", "version": 9},
    "short.json": {"format": "meshc run", "version": 1},
}
CASES = [
    ("E0520", "meshc run p.mesh --input x=x.npy", "was not given `w` f32[4]"),
    ("E0521", "meshc run p.mesh --input y=x.npy", "it has: w, x"),
    ("E0522", "meshc run p.mesh --input x=long.npy", "declared [4], but the array in `long.npy` is [5]"),
    ("E0523", "meshc run p.mesh --input x=double.npy", "float64"),
    ("E0524", "meshc run p.mesh --input x=p.mesh", "`numpy.save`"),
    ("E0524", "meshc run p.mesh --input x=absent.npy", "No such file"),
    ("E0525", "meshc run p.mesh --input x=x.npy --weights p.mesh", "safetensors"),
    ("E0526", "meshc run p.mesh --input x=x.npy --weights other.safetensors", "lacks `w`"),
    ("E0527", "meshc run p.mesh --input random --output nothing=out.npy", "has no output `nothing`"),
    ("E0528", "meshc run finite.mesh --input x=nan.npy", "element [3] of the array in `nan.npy` is nan"),
    ("E0529", "meshc run q.mesh", "did you mean `p.mesh`?"),
    ("E0529", "meshc compile .", "Is a directory"),
    ("E0529", "meshc compile x.npy", "not UTF-8"),
    ("E0530", "meshc run p.mesh --input random --output out=absent/out.npy", "No such file"),
    ("E0531", "meshc run p.mimg --set N=8 --input random", "already compiled"),
    ("E0531", "meshc run p.mimg --check --input random", "already compiled"),
    ("E0532", "meshc compile p.mesh --print-after simplfy", "did you mean `simplify`?"),
    ("E0533", "meshc run p.mesh --set N", "DIM=SIZE"),
    ("E0533", "meshc run p.mesh --set N=-3", "DIM=SIZE"),
    ("E0534", "meshc run p.mesh --input x", "NAME=FILE"),
    ("E0534", "meshc run p.mesh --input x=zeros --input x=random", "twice"),
    ("E0540", "meshc complie p.mesh", "did you mean `compile`?"),
    ("E0541", "meshc run p.mesh --chek", "did you mean `--check`?"),
    ("E0542", "meshc run", "FILE"),
    ("E0542", "meshc", "COMMAND"),
    ("E0542", "meshc run p.mesh extra", "extra"),
    ("E0542", "meshc run p.mesh --seed many", "`many` is not a whole number"),
    ("E0542", "meshc asm --assemble p.txt", "`-o FILE`"),
    ("E0542", "meshc machines --color blue", "blue"),
    ("E0542", "meshc check p.mesh --deny W0999", "W0999"),
    ("E0506", "meshc view absent.mimg --text", "cannot read"),
    ("E0530", "meshc view p.mimg -o absent/p.html", "No such file"),
    ("E0530", "meshc view p.mimg --csv -o p.mesh", "File exists"),
    ("E0531", "meshc view p.mimg --set N=8", "already compiled"),
    ("E0542", "meshc view p.mimg --text --svg mesh", "not allowed with"),
    ("E0542", "meshc view p.mimg --svg cores", "invalid choice"),
    ("E0543", "meshc view empty.json", "it does not say that it is one"),
    ("E0543", "meshc explain array.json", "it does not say that it is one"),
    ("E0543", "meshc explain future.json", "it is of version 9"),
    ("E0543", "meshc view short.json", "`image` is missing"),
    ("E0544", "meshc view p.mimg --perfetto", "a trace needs a run"),
    ("E0544", "meshc view p.mimg --congestion", "a trace needs a run"),
    ("E0544", "meshc explain timed.json", "what happened when"),
    ("E0544", "meshc explain image.json --try", "does not hold the program"),
    ("E0545", "meshc view p.mimg --profile other.json", "a run of another image"),
    ("E0546", "meshc view p.mimg --text --epoch 5", "numbered from 0"),
    ("E0548", "meshc explain E0399", "did you mean `E0309`?"),
    ("E0548", "meshc explain shapes", "such as `E0301`"),
    ("E0529", "meshc check q.mesh", "did you mean `p.mesh`?"),
    ("E0529", "meshc fmt p.mesh q.mesh", "did you mean `p.mesh`?"),
    ("E0401", "meshc run p.mesh --machine wormhole", "wormhole_n150"),
    ("E0501", "meshc asm p.mesh", "not an image"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a program, arrays that fit, arrays that do not, and an image."""
    monkeypatch.chdir(tmp_path)
    Path("p.mesh").write_text(PROGRAM)
    np.save("x.npy", np.ones(4, np.float32))
    Path("finite.mesh").write_text("program q(x: input f32[4] finite) -> f32[4] { return x + 1.0 }")
    np.save("nan.npy", np.array([0, 1, 2, np.nan], np.float32))
    np.save("long.npy", np.ones(5, np.float32))
    np.save("double.npy", np.ones(4))
    save_file({"v": np.ones(4, np.float32)}, "other.safetensors")
    for name, content in RUNS.items():
        Path(name).write_text(json.dumps(content))
    return tmp_path


def make_runs() -> None:
    """Runs that lack something: the program, what happened when; and one of another image."""
    run = ["--input", "random", "--machine", "mesh_4x4", "--profile"]
    assert main(["run", "p.mimg", "--input", "random", "--profile", "image.json"]) == 0
    assert main(["run", "p.mesh", *run, "other.json", "--set", "N=8"]) == 0
    timed = json.loads(Path("image.json").read_text()) | {"recording": None}
    Path("timed.json").write_text(json.dumps(timed))


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(("code", "command", "says"), CASES, ids=[f"{code}: {command}" for code, command, _ in CASES])
def test_bad_input(code: str, command: str, says: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if ".mimg" in command:
        assert main(["compile", "p.mesh", "-o", "p.mimg", "--machine", "mesh_4x4"]) == 0
        capsys.readouterr()
    if any(name in command for name in ("image.json", "other.json", "timed.json")):
        assert main(["compile", "p.mesh", "-o", "p.mimg", "--machine", "mesh_4x4"]) == 0
        make_runs()
        capsys.readouterr()
    before = listing(folder)
    assert main(shlex.split(command)[1:]) == 2
    out, error = capsys.readouterr()
    assert error.startswith(f"error[{code}]: ")
    assert error.count("error[") == 1
    assert says in error
    assert "Traceback" not in error
    assert out == ""
    assert listing(folder) == before


@pytest.mark.parametrize("command", ["run q.mesh --json", "complie --json", "machines wormhole --json"])
def test_json_is_one_document_even_when_it_fails(
    command: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(shlex.split(command)) == 2
    document = json.loads(capsys.readouterr().out)
    assert document["ok"] is False
    assert re.fullmatch(r"E0[45]\d\d", document["diagnostics"][0]["code"])


def test_every_code_of_the_runtime_has_a_case() -> None:
    files = [*(ROOT / "runtime").glob("*.py"), *(ROOT / "runtime/cli").glob("*.py")]
    used = {code for file in files for code in re.findall(r'"(E\d{4})"', file.read_text())}
    assert used == {code for code, _, _ in CASES if "E0520" <= code < "E0550"}


def test_a_bug_of_ours_is_a_short_report(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken() -> None:
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr("runtime.cli.machines.preset_names", broken)
    assert main(["machines"]) == 70
    error = capsys.readouterr().err
    assert error.startswith("internal error: ZeroDivisionError: of a test\n")
    assert "Traceback" not in error
    with pytest.raises(ZeroDivisionError):
        main(["machines", "--traceback"])
