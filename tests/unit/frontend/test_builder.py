"""A program written in Python gives the graph of the same text, and messages point into the Python file."""

from collections.abc import Callable
from pathlib import Path

import pytest

from compiler import Program, Value, std
from compiler.diagnostics import DiagnosticError
from compiler.diagnostics.render import render
from compiler.frontend import load, lower
from compiler.ir import TensorGraph, print_graph


def plain(graph: TensorGraph) -> str:
    """The graph as text, without places."""
    return "\n".join(line.partition(" @")[0] for line in print_graph(graph).split("\n"))


def one(build: Callable[[Value, Value], Value], *shape: int, element: str = "f32") -> Program:
    p = Program("p")
    x, y = p.input("x", element, 4, 8), p.weight("y", element, 4, 8)
    p.result(build(x, y), element, *shape)
    return p


@pytest.mark.parametrize(
    ("build", "text", "shape"),
    [
        (lambda x, y: x + y, "x + y", (4, 8)),
        (lambda x, y: 2 * x - y / 3.5, "2 * x - y / 3.5", (4, 8)),
        (lambda x, y: 1 - x % 2 + 1 / y, "1 - x % 2 + 1 / y", (4, 8)),
        (lambda x, y: x @ y.T, "x @ y.T", (4, 4)),
        (lambda x, y: -x[1:3, ::2], "-x[1:3, ::2]", (2, 4)),
        (lambda x, y: x[..., -1] * y[0, 0], "x[..., -1] * y[0, 0]", (4,)),
        (lambda x, y: std.where((x < y) & ~(x == 0) | (y >= 1), x, 0.0),
         "where(x < y and not x == 0 or y >= 1, x, 0.0)", (4, 8)),
        (lambda x, y: std.where((x <= y) | (x > 2) & (x != y), 1.0, y),
         "where(x <= y or x > 2 and x != y, 1.0, y)", (4, 8)),
        (lambda x, y: std.softmax(x, axis=0) * std.sum(y, axis=(0, 1), keepdims=True),
         "softmax(x, axis=0) * sum(y, axis=(0, 1), keepdims=true)", (4, 8)),
        (lambda x, y: std.f32(std.i32(std.transpose(x, 1, 0))), "f32(i32(transpose(x, 1, 0)))", (8, 4)),
        (lambda x, y: std.layernorm(x, y[0], y[1], eps=0.5), "layernorm(x, y[0], y[1], eps=0.5)", (4, 8)),
        (lambda x, y: sum((x[i] for i in range(1, 4)), x[0]), "x[0] + x[1] + x[2] + x[3]", (8,)),
    ],
)  # fmt: skip
def test_equal_programs_give_equal_graphs(
    build: Callable[[Value, Value], Value], text: str, shape: tuple[int, ...]
) -> None:
    extents = ", ".join(map(str, shape))
    program = f"program p(x: input f32[4, 8], y: weight f32[4, 8]) -> f32[{extents}] {{ return {text} }}"
    assert plain(one(build, *shape).graph()) == plain(lower(load(program, "t"), None, {}))


def test_several_results_and_a_scalar() -> None:
    p = Program("p")
    x, s = p.input("x", "bf16", 4, 8), p.input("s", "bf16")
    a, b = std.several("split", 2, x, 2, axis=1)
    p.result(a * s, "bf16", 4, 4, name="first")
    p.result(b, "bf16", 4, 4, name="second")
    text = """program p(x: input bf16[4, 8], s: input bf16) -> (first: bf16[4, 4], second: bf16[4, 4]) {
        a, b = split(x, 2, axis=1)
        return a * s, b
    }"""
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))


def test_promises_and_semantics() -> None:
    p = Program("p", semantics="zero_annihilates")
    x, w, s = p.input("x", "f32", 4, finite=True), p.weight("w", "f32", 4), p.state("s", "f32", 4, finite=True)
    p.update(s, s + w)
    p.result(x * w, "f32", 4)
    text = """semantics zero_annihilates
    program p(x: input f32[4] finite, w: weight f32[4], s: state f32[4] finite) -> f32[4] {
        s = s + w
        return x * w
    }"""
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))
    with pytest.raises(DiagnosticError, match="E0213"):
        Program("p", semantics="zero").graph()


def test_a_state_is_updated() -> None:
    p = Program("p")
    x, total = p.input("x", "f32", 4), p.state("total", "f32", 4)
    before = total * 2
    p.update(total, total + x)
    p.result(before + total, "f32", 4)
    text = """program p(x: input f32[4], total: state f32[4]) -> f32[4] {
        before = total * 2
        total = total + x
        return before + total
    }"""
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))


def test_functions_of_a_module() -> None:
    module = load("fn twice<T>(x: T[...]) -> T[...] { return 2 * x }", "lib.mesh")
    p = Program("p", module)
    p.result(std.twice(p.input("x", "f32", 4)), "f32", 4)
    text = "fn twice<T>(x: T[...]) -> T[...] { return 2 * x }\nprogram p(x: input f32[4]) -> f32[4] { return twice(x) }"
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))


def test_places_are_the_callers_expressions() -> None:
    graph = one(lambda x, y: x * (x + y), 4, 8).graph()
    places = [op.span for op in graph.ops[-2:]]
    assert all(place is not None and place.source == "test_builder.py" for place in places)
    shown = Path(__file__).read_text().split("\n")
    texts = [shown[p.line - 1][p.column - 1 : p.end_column - 1] for p in places if p is not None]
    assert texts == ["x + y", "x * (x + y)"]


def refused(build: Callable[[Value, Value], Value]) -> str:
    with pytest.raises(DiagnosticError) as error:
        one(build, 4, 8).graph()
    (diagnostic,) = error.value.diagnostics
    return render(diagnostic, error.value.sources)


@pytest.mark.parametrize(
    ("build", "code", "shows"),
    [
        (lambda x, y: x + y[:, 0], "E0301", "^^^^^^^"),
        (lambda x, y: std.sofmax(x), "E0202", "did you mean `softmax`?"),
        (lambda x, y: x if x[0, 0] > 0 else y, "E0331", "`std.where"),
        (lambda x, y: x @ y, "E0302", "x @ y"),
        (lambda x, y: std.softmax(x, along=1), "E0209", "along"),
    ],
)
def test_mistakes_are_shown_in_the_python_file(build: Callable[[Value, Value], Value], code: str, shows: str) -> None:
    text = refused(build)
    assert text.startswith(f"error[{code}]")
    assert "test_builder.py:" in text
    assert shows in text


def test_a_name_is_a_name() -> None:
    with pytest.raises(DiagnosticError, match="E0102"):
        Program("p").input("no name", "f32")


def test_a_program_without_a_file() -> None:
    names: dict[str, object] = {}
    code = "from compiler import Program\np = Program('p')\np.result(p.input('x', 'f32', 4) + 1, 'f32', 5)\n"
    exec(compile(code, "<typed>", "exec"), names)
    p = names["p"]
    assert isinstance(p, Program)
    with pytest.raises(DiagnosticError, match="E0307"):
        p.graph()


def test_index_notation_and_changes() -> None:
    p = Program("p")
    x, w, now = p.input("x", "f32", 4, 8), p.weight("w", "f32", 8, 4), p.input("now", "i32")
    cache = p.state("cache", "f32", 2, 4, 4)
    h, i, j, k = p.indices("h i, j k")
    y = p.tensor()
    y[i, j] = 2 * std.sum(k)(x[i, k] * w[k, j]) + std.exp(x[i, 2 * j]) * std.f32(j)
    cache[h, now, ...] = y[1]
    y[0, 1:3] = 1.0
    p.result(y + cache[0] + std.f32(p.call("iota", 4)), "f32", 4, 4)
    text = """program p(x: input f32[4, 8], w: weight f32[8, 4], now: input i32, cache: state f32[2, 4, 4])
            -> f32[4, 4] {
        y[i, j] = 2 * sum(k) (x[i, k] * w[k, j]) + exp(x[i, 2 * j]) * f32(j)
        cache[h, now, ...] = y[1]
        y[0, 1:3] = 1.0
        return y + cache[0] + f32(iota(4))
    }"""
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))


def test_a_loop_with_a_condition() -> None:
    p = Program("p")
    x = p.input("x", "f32", 4, 8)
    with p.loop(lambda: std.max(x, axis=1) + 1.0 < 9.0, limit=3):
        y = x * 2.0
        p.update(x, y + 1.0)
    p.result(x, "f32", 4, 8)
    text = """program p(x: input f32[4, 8]) -> f32[4, 8] {
        while max(x, axis=1) + 1.0 < 9.0 limit 3 {
            y = x * 2.0
            x = y + 1.0
        }
        return x
    }"""
    assert plain(p.graph()) == plain(lower(load(text, "t"), None, {}))


def mistaken(number: int) -> None:
    p = Program("p")
    x, (i, k) = p.input("x", "f32", 4, 8), p.indices("i k")
    y = p.tensor()
    if number == 0:
        y[i] = std.sum(k) * 2.0
    elif number == 1:
        y[i] = x(k)
    elif number == 2:
        x[i, k][0] = 1.0
    elif number == 3:
        std.several("split", 2, x[i, :], 2)
    elif number == 4:
        std.iota(4)
    elif number == 5:
        y[0] = x
        p.result(y, "f32", 4, 8)
        p.graph()
    else:
        p.result(x[i, k], "f32")
        p.graph()


@pytest.mark.parametrize(
    ("number", "code"), list(enumerate(("E0108", "E0202", "E0204", "E0209", "E0209", "E0201", "E0201")))
)
def test_mistakes_in_index_notation(number: int, code: str) -> None:
    with pytest.raises(DiagnosticError) as error:
        mistaken(number)
    (diagnostic,) = {d.code: d for d in error.value.diagnostics}.values()
    assert diagnostic.code == code
    assert all(label.span.source == "test_builder.py" for label in diagnostic.labels)
