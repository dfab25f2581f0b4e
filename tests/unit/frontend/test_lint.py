"""What is doubtful is told, with its place, and nothing else is."""

import pytest

from compiler.diagnostics import Severity, Source
from compiler.frontend import load, lower
from compiler.frontend.library import Missing
from compiler.frontend.lint import lint


def find(path: tuple[str, ...], importer: str) -> Source | Missing:
    return Source("lib.mesh", "dim UNUSED = 4\nfn twice(x: f32) -> f32 { return 2 * x }\n")


def warnings(text: str) -> list[str]:
    module = load(text, "t.mesh", find)
    found = lint(module)
    for program in module.programs:
        lower(module, program.name.text, {}, found.append)
    assert all(warning.severity is Severity.WARNING for warning in found)
    return [f"{warning.code} {warning.labels[0].span.line}:{warning.labels[0].span.column}" for warning in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dim N = 4\nprogram p(x: input f32) -> f32 { return x }", ["W0101 1:5"]),
        ("dim N = 4, M = 2 * N\nprogram p(x: input f32) -> f32[M] { return x + f32(iota(M)) }", []),
        ("program p(x: input f32, y: input f32) -> f32 { return x }", ["W0101 1:25"]),
        ("program p(x: input f32) -> f32 {\n  y = x\n  y = 2 * x\n  return x\n}", ["W0101 2:3"]),
        ("program p(x: input f32) -> f32 {\n  _y = x\n  return x\n}", []),
        ("fn f(x: f32) -> f32 { return x }\nprogram p(x: input f32) -> f32 { return x }", ["W0101 1:4"]),
        ("fn f(x: f32) -> f32 { return x }", []),
        ("program p(x: input f32, last: state f32) -> f32 {\n  last = x\n  return x\n}", []),
        ("import lib\nprogram p(x: input f32) -> f32 { return x }", ["W0101 1:8"]),
        ("import lib\nprogram p(x: input f32) -> f32 { return twice(x) }", []),
        ("program p(x: input f32[4]) -> f32 {\n  for i in 0:4 { x = 2 * x }\n  return x[0]\n}", []),
    ],
)
def test_unused_names(text: str, expected: list[str]) -> None:
    assert warnings(text) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("k = x[0, 0]\ny[i] = sum(k) x[i, k]\nreturn y + k", ["W0102 4:12"]),
        ("return sum(N) x[N, 0] + x[:, 0]", ["W0102 3:12"]),
        ("for x in 0:2 { _y = x }\nreturn f32(iota(4))", ["W0102 3:5"]),
        ("y[i] = sum(k) x[i, k]\nz[i] = max(k) x[i, k]\nreturn y + z", []),
    ],
)
def test_hidden_names(body: str, expected: list[str]) -> None:
    assert warnings(f"dim N = 4\nprogram p(x: input f32[N, 8]) -> f32[N] {{\n{body}\n}}") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("bf16(n)", ["W0301"]),
        ("bf16(iota(8)) + bf16(n)", ["W0301"]),
        ("bf16(iota(257))[0:8]", []),
        ("bf16(iota(258))[0:8]", ["W0301"]),
        ("bf16(f32(n))", []),
        ("sum(y, axis=1)", ["W0302"]),
        ("y[:, 0] * sum(y)", []),
        ("softmax(y)[:, 0]", []),
    ],
)
def test_doubtful_values(expression: str, expected: list[str]) -> None:
    body = f"_n = n\n_y = y\nreturn {expression} + 0 * y[0, 0]"
    text = f"program p(n: input i32[8], y: input bf16[8, 1]) -> bf16[8] {{\n{body}\n}}"
    assert [warning.split()[0] for warning in warnings(text)] == expected


def test_a_doubt_in_a_function_is_told_once() -> None:
    text = "fn f(n: i32[N]) -> bf16[N] { return bf16(n) }\nprogram p(n: input i32[4]) -> bf16[4] { return f(n) + f(n) }"
    assert warnings(text) == ["W0301 1:37"]
