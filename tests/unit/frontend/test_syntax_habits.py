"""What people write who know another language is answered with what to write here."""

import pytest

from compiler.diagnostics import DiagnosticError
from compiler.frontend import load

BODY = "program p(x: input f32[4]) -> f32[4] {{\n    {}\n    return x\n}}\n"
STATEMENTS = [
    ("if x = 1 { y = x }", "E0105", "`==` compares"),
    ("if N > 1: y = x", "E0102", "in braces"),
    ("if (1 > 0) y = x", "E0102", "in braces"),
    ("for i in range(4) { y = x }", "E0102", "`for i in start:stop"),
    ("for i = 0:4 { y = x }", "E0102", "`for i in start:stop"),
    ("for (i in 0:4) { y = x }", "E0102", "`for i in start:stop"),
    ("while x > 0 { y = x }", "E0102", "limit 10"),
    ("y += x", "E0102", "`y = y + 1`"),
    ("y := x", "E0102", "neither a colon nor a type"),
    ("y: f32 = x", "E0102", "neither a colon nor a type"),
    ("y == x", "E0102", "one `=`"),
    ("let y = x", "E0102", "no keyword"),
    ("y = x ? 1 : 2", "E0101", "where(condition"),
    ("y = x if x > 0 else 1", "E0102", "where(condition"),
    ("y = x ** 2", "E0108", "`pow(x, y)`"),
    ("y = x && x", "E0101", "`and`"),
    ("y = !x", "E0101", "`not`"),
    ("y = x // 2", "E0108", "`floor(x / y)`"),
    ("// why", "E0102", "a comment begins with `#`"),
    ("/* why */", "E0102", "a comment begins with `#`"),
    ("-- why", "E0102", "a comment begins with `#`"),
    ("y = x; z = x", "E0101", "ends with its line"),
    ('y = "text"', "E0102", "`assert`"),
    ('assert 1 > 0 "why"', "E0102", "comma of an `assert`"),
    ("y = [1, 2]", "E0102", "no lists"),
    ("y = x.sum()", "E0102", "`sum(x)`, not `x.sum()`"),
    ("y = sum(k x[k])", "E0102", "in parentheses"),
    ("y = sum k x[k]", "E0102", "in parentheses"),
    ("y[0] = x[0]", "E0201", "an index runs over all elements"),
    ("y[i, i + 1] = x[i]", "E0204", "bare indices"),
    ("print(x)", "E0102", "nothing is printed"),
    ("elif x { }", "E0102", "`else if`"),
    ("def f(x) { }", "E0102", "`fn`"),
    ("y = 0x10", "E0107", "decimal"),
    ("y = 1_000", "E0107", "no `_`"),
    ("y = 2x", "E0107", "`2 * x`"),
    ("y = True", "E0201", "`true`"),
    ("y = x)", "E0104", "remove it"),
]
FILES = [
    ('import "a.mesh"', "E0102", "as `folder.name`"),
    ("from a import b", "E0109", "`import name`"),
    ("const N = 4", "E0109", "`dim`"),
    ("N = 4", "E0109", "`dim`"),
    ("fn f() { return 1 }", "E0102", "after `->`"),
    ("fn f(x: f32): f32 { return x }", "E0102", "after `->`"),
    ("fn f(x) -> f32 { return x }", "E0102", "has a type"),
    ("fn f(x: f32) -> f32 = x", "E0102", "in braces"),
    ("program p(x: input f32) -> f32 { x }", "E0102", "ends with `return ...`"),
]


@pytest.mark.parametrize(
    ("text", "code", "help"),
    [*((BODY.format(text), code, help) for text, code, help in STATEMENTS), *FILES],
    ids=[text for text, _, _ in [*STATEMENTS, *FILES]],
)
def test_a_habit_is_answered(text: str, code: str, help: str) -> None:
    with pytest.raises(DiagnosticError) as error:
        load(text, "t.mesh")
    first = error.value.diagnostics[0]
    assert first.code == code
    assert help in " ".join(first.helps)
