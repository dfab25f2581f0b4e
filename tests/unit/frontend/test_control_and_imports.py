"""Loops, branches and assertions leave no trace in the graph; imports bring in functions with their sizes."""

from pathlib import Path

import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load, lower
from compiler.frontend.lint import lint
from compiler.ir import print_graph
from runtime.imports import FileFinder
from runtime.reference import evaluate


def graph(text: str, **sizes: int) -> str:
    """The printed graph, without places."""
    lines = print_graph(lower(load(text, "t.mesh"), None, sizes)).split("\n")
    return "\n".join(line.partition(" @")[0] for line in lines)


def program(body: str) -> str:
    return f"dim N = 4\nprogram p(x: input f32[N, 8], w: input f32[N]) -> f32[8] {{\n{body}\n}}\n"


def test_a_loop_is_its_body_repeated() -> None:
    loop = program("y = x[0]\nfor i in 1:N {\n  y = y * 2.0 + x[i]\n}\nreturn y")
    written = program("y = x[0]\n" + "\n".join(f"y = y * 2.0 + x[{i}]" for i in range(1, 4)) + "\nreturn y")
    assert graph(loop) == graph(written)


def test_a_loop_has_a_step_and_may_be_empty() -> None:
    loop = program("y = x[0]\nfor i in 0:N:3 { y = y + x[i] }\nfor i in 3:1 { y = -y }\nreturn y")
    assert graph(loop) == graph(program("y = x[0]\ny = y + x[0]\ny = y + x[3]\nreturn y"))


def test_the_name_of_a_loop_ends_with_it() -> None:
    loop = program("y = x[0]\ni = 3 * y\nfor i in 0:1 { y = y + x[i] }\nreturn y + i")
    assert graph(loop) == graph(program("y = x[0]\nk = 3 * y\ny = y + x[0]\nreturn y + k"))


@pytest.mark.parametrize(("size", "taken"), [(4, "x[1]"), (6, "x[2]"), (8, "x[3]")])
def test_a_branch_is_the_one_taken(size: int, taken: str) -> None:
    text = program("if N < 5 { y = x[1] }\nelse if N == 6 { y = x[2] }\nelse { y = x[3] }\nreturn y")
    assert graph(text, N=size) == graph(program(f"y = {taken}\nreturn y"), N=size)


def test_what_is_not_taken_may_be_impossible() -> None:
    text = program("y = x[0]\nif N > 10 { y = y + x[10] }\nreturn y")
    assert graph(text) == graph(program("y = x[0]\nreturn y"))


def test_an_assertion_tells_its_message_and_the_sizes() -> None:
    text = program('assert N % 8 == 0 and N > 1, "N comes in eights"\nreturn x[0]')
    with pytest.raises(DiagnosticError) as error:
        graph(text)
    (diagnostic,) = error.value.diagnostics
    assert (diagnostic.code, diagnostic.message, diagnostic.notes) == ("E0330", "N comes in eights", ("here N = 4",))
    assert graph(text, N=8)


def test_a_wrong_statement_of_a_loop_is_reported_once() -> None:
    with pytest.raises(DiagnosticError) as error:
        graph(program("y = x[0]\nfor i in 0:N { y = y + x[i + 9] }\nreturn y"))
    assert len(error.value.diagnostics) == 1


def test_a_loop_that_never_ends_is_refused() -> None:
    with pytest.raises(DiagnosticError, match="E0212"):
        graph(program("for i in 0:1000000000000 { }\nreturn x[0]"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def imported(*folders: str) -> str:
    find = FileFinder([Path(folder) for folder in folders])
    source = find.open(Path("main.mesh"))
    return print_graph(lower(load(source.text, source.name, find), None, {"N": 2}))


MAIN = "dim N = 4\nimport nn.a\nprogram p(x: input f32[N]) -> f32[N] { return f(x) }\n"


def test_functions_use_the_sizes_and_imports_of_their_own_file(folder: Path) -> None:
    (folder / "nn").mkdir()
    Path("main.mesh").write_text(MAIN)
    Path("nn/a.mesh").write_text("import b\ndim N = 16\nfn f(x: f32[M]) -> f32[M] { return g(x) + N }\n")
    Path("nn/b.mesh").write_text("fn g(x: f32[M]) -> f32[M] { return 3 * x }\n")
    text = imported()
    assert "f32:16.0" in text
    assert "@nn/b.mesh:1:36-1:41" in text


def test_a_function_inside_of_a_body_is_known_there_only() -> None:
    """It hides one of the same name outside, and sees sizes and the functions around it."""
    text = """dim N = 3
    fn f(x: f32) -> f32 { return 100 * x }
    fn outer(x: f32) -> f32 {
        fn f<T>(x: T[...]) -> T[...] {
            fn g(x: f32) -> f32 { return x + N }
            return 2 * g(x)
        }
        fn h(x: f32) -> f32 { return f(x) + 1 }
        return h(x)
    }
    program p(x: input f32) -> f32 {
        fn h(x: f32) -> f32 { return f(x) }
        return outer(x) + h(x)
    }"""
    (value,) = evaluate(lower(load(text, "t.mesh"), None, {}), {"x": np.asarray(5, np.float32)}).values()
    assert value == (2 * (5 + 3) + 1) + 100 * 5
    assert [warning.code for warning in lint(load(text, "t.mesh"))] == []
    unused = "program p(x: input f32) -> f32 {\n fn f(x: f32, y: f32) -> f32 { return x }\n return x\n}"
    assert [warning.message for warning in lint(load(unused, "t.mesh"))] == [
        "the function `f` is never used",
        "the parameter `y` is never used",
    ]


def test_sizes_of_an_imported_file_are_set_by_its_name(folder: Path) -> None:
    """By whatever way it is imported, and not those of the same name of another file."""
    (folder / "inner.mesh").write_text("dim N = 2\nfn add(x: f32) -> f32 { return x + N }")
    (folder / "outer.mesh").write_text("import inner\ndim N = 3\nfn more(x: f32) -> f32 { return N * add(x) }")
    text = "import outer\ndim N = 5\nprogram p(x: input f32) -> f32 { return N + more(x) }"
    module = load(text, str(folder / "p.mesh"), FileFinder([folder]))

    def value(**sizes: int) -> float:
        given = {name.replace("_", "."): size for name, size in sizes.items()}
        (result,) = evaluate(lower(module, None, given), {"x": np.asarray(10, np.float32)}).values()
        return float(result)

    assert value() == 5 + 3 * (10 + 2)
    assert value(inner_N=7) == 5 + 3 * (10 + 7)
    assert value(outer_N=7, N=1) == 1 + 7 * (10 + 2)
    with pytest.raises(DiagnosticError, match=r"E0208: `.*` imports nothing called `iner`"):
        value(iner_N=7)
    with pytest.raises(DiagnosticError, match=r"E0208: there is no size `M` in"):
        value(inner_M=7)


def test_functions_of_imports_of_imports_are_not_seen(folder: Path) -> None:
    (folder / "nn").mkdir()
    Path("main.mesh").write_text(MAIN)
    Path("nn/a.mesh").write_text("import b\n")
    Path("nn/b.mesh").write_text("fn f(x: f32[M]) -> f32[M] { return 3 * x }\n")
    with pytest.raises(DiagnosticError, match="E0202"):
        imported()


def test_the_folder_of_the_importer_comes_before_those_of_the_path(folder: Path) -> None:
    for name, factor in (("lib", 5), ("other", 7)):
        (folder / name / "nn").mkdir(parents=True)
        Path(name, "nn", "a.mesh").write_text(f"fn f(x: f32[M]) -> f32[M] {{ return {factor} * x }}\n")
    Path("main.mesh").write_text(MAIN)
    assert "f32:5.0" in imported("lib", "other")
    assert "f32:7.0" in imported("other", "lib")
    (folder / "nn").mkdir()
    Path("nn/a.mesh").write_text("fn f(x: f32[M]) -> f32[M] { return 9 * x }\n")
    assert "f32:9.0" in imported("lib")


def test_a_missing_file_is_told_with_the_places(folder: Path) -> None:
    Path("main.mesh").write_text(MAIN)
    with pytest.raises(DiagnosticError) as error:
        imported("lib")
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.notes == ("there is no `nn/a.mesh`", "there is no `lib/nn/a.mesh`")


def test_a_circle_through_a_link_is_a_circle(folder: Path) -> None:
    (folder / "nn").symlink_to(folder)
    Path("main.mesh").write_text(MAIN)
    Path("a.mesh").write_text("import nn.main\n")
    with pytest.raises(DiagnosticError, match="E0221"):
        imported()


def test_a_link_to_itself_is_no_file(folder: Path) -> None:
    Path("main.mesh").write_text(MAIN)
    Path("nn").mkdir()
    Path("nn/a.mesh").symlink_to(Path("a.mesh"))
    with pytest.raises(DiagnosticError, match="E0220"):
        imported()
    with pytest.raises(DiagnosticError, match="E0529"):
        FileFinder().open(Path("nn/a.mesh"))


def test_a_file_imported_by_two_ways_is_one(folder: Path) -> None:
    Path("main.mesh").write_text("import a, b\nprogram p(x: input f32) -> f32 { return f(g(x)) }\n")
    Path("a.mesh").write_text("import c\nfn f(x: f32) -> f32 { return h(x) }\n")
    Path("b.mesh").write_text("import c\nfn g(x: f32) -> f32 { return h(x) }\n")
    Path("c.mesh").write_text("fn h(x: f32) -> f32 { return -x }\n")
    find = FileFinder()
    module = load(Path("main.mesh").read_text(), "main.mesh", find)
    assert module.modules[0].modules[0] is module.modules[1].modules[0]
