"""`check`, `fmt`, `explain` and the warnings of every command that reads a program."""

import io
import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest

from runtime.cli import main

NEAT = "program p(x: input f32[4]) -> f32[4] {\n    return x + 1\n}\n"
UGLY = "program p(x:input f32[4])->f32[4] {\nreturn x+1 }\n"
DOUBTFUL = "dim N = 4\nprogram p(x: input f32[4]) -> f32[4] {\n    return x + 1\n}\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("neat.mesh").write_text(NEAT)
    Path("ugly.mesh").write_text(UGLY)
    Path("doubtful.mesh").write_text(DOUBTFUL)
    Path("wrong.mesh").write_text(
        "program p(x: input f32[4]) -> f32[4] { return y }\nprogram q() -> f32 { return z }\n"
    )


def test_check_says_that_files_are_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "neat.mesh", "doubtful.mesh"]) == 0
    out, error = capsys.readouterr()
    assert out == "neat.mesh: in order; 1 program, 0 functions\ndoubtful.mesh: in order; 1 program, 0 functions\n"
    assert error.startswith("warning[W0101]: the size `N` is never used\n --> doubtful.mesh:1:5\n")


def test_check_reports_what_is_wrong_in_every_file(capsys: pytest.CaptureFixture[str]) -> None:
    Path("other.mesh").write_text(
        "fn f(x: f32[4]) -> f32[4] { return x[9] }\nprogram p(x: input f32[4]) -> f32[4] { return f(x) }"
    )
    assert main(["check", "wrong.mesh", "other.mesh"]) == 2
    error = capsys.readouterr().err
    assert [line[:12] for line in error.split("\n") if line.startswith("error")] == [
        "error[E0201]",
        "error[E0201]",
        "error[E0309]",
    ]


def test_check_covers_every_program_unless_one_is_named() -> None:
    Path("two.mesh").write_text(NEAT + "program q(x: input f32[4]) -> f32[5] {\n    return x\n}\n")
    assert main(["check", "two.mesh"]) == 2
    assert main(["check", "two.mesh", "--program", "q"]) == 2
    assert main(["check", "two.mesh", "--program", "p"]) == 0


def test_check_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "doubtful.mesh", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["files"][0]["programs"] == [{"name": "p", "operations": 2}]
    (warning,) = document["warnings"]
    assert (warning["code"], warning["severity"], warning["labels"][0]["line"]) == ("W0101", "warning", 1)
    assert main(["check", "wrong.mesh", "--json"]) == 2
    document = json.loads(capsys.readouterr().out)
    assert [diagnostic["code"] for diagnostic in document["diagnostics"]] == ["E0201", "E0201"]


@pytest.mark.parametrize("command", ["check", "compile", "run --input random"])
@pytest.mark.parametrize("denied", ["W0101", "all"])
def test_a_denied_warning_is_an_error(command: str, denied: str, capsys: pytest.CaptureFixture[str]) -> None:
    name, *options = command.split()
    machine = [] if name == "check" else ["--machine", "mesh_4x4"]
    assert main([name, "doubtful.mesh", *options, *machine, "--deny", denied]) == 2
    assert "error[W0101]" in capsys.readouterr().err
    assert main([name, "doubtful.mesh", *options, *machine, "--deny", "W0102"]) == 0
    assert "warning[W0101]" in capsys.readouterr().err


def test_imports_are_found_on_the_path(capsys: pytest.CaptureFixture[str]) -> None:
    Path("lib").mkdir()
    Path("lib", "more.mesh").write_text("fn twice(x: f32[N]) -> f32[N] {\n    return 2 * x\n}\n")
    Path("user.mesh").write_text("import more\n\nprogram p(x: input f32[4]) -> f32[4] {\n    return twice(x)\n}\n")
    assert main(["check", "user.mesh"]) == 2
    assert "there is no `more.mesh`" in capsys.readouterr().err
    assert main(["run", "user.mesh", "--path", "lib", "--input", "random", "--check", "--machine", "mesh_4x4"]) == 0


def test_fmt_changes_what_is_not_laid_out(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fmt", "--check", "neat.mesh", "ugly.mesh"]) == 1
    assert capsys.readouterr().out == "would change ugly.mesh\n"
    assert Path("ugly.mesh").read_text() == UGLY
    assert main(["fmt", "neat.mesh", "ugly.mesh"]) == 0
    assert capsys.readouterr().out == "changed ugly.mesh\n"
    assert Path("ugly.mesh").read_text() == NEAT
    assert main(["fmt", "--check", "neat.mesh", "ugly.mesh", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "changed": []}


def test_fmt_changes_nothing_when_a_file_is_wrong() -> None:
    Path("broken.mesh").write_text("program p(")
    assert main(["fmt", "ugly.mesh", "broken.mesh"]) == 2
    assert Path("ugly.mesh").read_text() == UGLY


def test_fmt_of_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(UGLY))
    assert main(["fmt", "-"]) == 0
    assert capsys.readouterr().out == NEAT


def test_explain_prints_the_page_of_a_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "e0301"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("E0301: Shapes do not broadcast.\n\n")
    assert "```mesh wrong\n" in out
    assert main(["explain", "E0301", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["code"] == "E0301"


def test_check_imports_nothing_of_the_back_end_and_is_fast() -> None:
    """The time is a bound with room: benchmarks measure it."""
    code = (
        "import sys; from runtime.cli import main; code = main(['check', 'neat.mesh'])\n"
        "heavy = {'lark', 'networkx', 'llvmlite', 'numba', 'rich', 'compiler.pipeline', 'emulator', 'safetensors'}\n"
        "print(sorted(heavy & set(sys.modules)), code)"
    )
    start = perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=".",
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.stdout.endswith("[] 0\n"), done.stdout + done.stderr
    assert perf_counter() - start < 5
