"""Each identity of `simplify`: where it applies, and where a bit would change and it must not."""

import pytest

from compiler.ir import parse_graph, print_operation
from compiler.passes import Simplify

X = "%0: f32[4, 8] = input x"


def simplified(*lines: str) -> list[str]:
    """The operations after the pass; the last line is the output."""
    graph = parse_graph("\n".join(["graph g", *lines, f"return y = %{len(lines) - 1}"]))
    return [print_operation(op) for op in Simplify().run(graph).ops]


def expr(text: str, dtype: str = "f32", result: str | None = None) -> str:
    """The expression that `text` becomes; `arg0` if the map vanishes."""
    ops = simplified(f"%0: {dtype}[2] = input x", f"%1: {result or dtype}[2] = map {text} %0")
    return ops[1].split(" = ")[1].removeprefix("map ").removesuffix(" %0") if len(ops) > 1 else "arg0"


@pytest.mark.parametrize(
    "text",
    [
        *("mul(arg0, f32:1.0)", "mul(f32:1.0, arg0)", "div(arg0, f32:1.0)", "sub(arg0, f32:0.0)"),
        *("add(arg0, f32:-0.0)", "neg(neg(arg0))", "min(arg0, arg0)", "where(bool:1, arg0, f32:2.0)"),
        *("where(lt(arg0, f32:0.0), arg0, arg0)", "cast(f32, arg0)"),
    ],
)
def test_what_changes_nothing_vanishes(text: str) -> None:
    assert expr(text) == "arg0"


@pytest.mark.parametrize(
    "text",
    [
        *("add(arg0, f32:0.0)", "sub(arg0, f32:-0.0)", "mul(arg0, f32:0.0)", "sub(arg0, arg0)", "div(arg0, arg0)"),
        *("div(f32:1.0, arg0)", "sub(f32:0.0, arg0)", "pow(arg0, f32:1.0)", "cast(f32, cast(bf16, arg0))"),
        *("cast(f32, cast(i32, arg0))", "add(add(arg0, f32:1.0), f32:2.0)", "sqrt(mul(arg0, arg0))"),
    ],
)
def test_what_changes_a_bit_stays(text: str) -> None:
    assert expr(text) == text


def test_zeros_that_annihilate_stay() -> None:
    assert expr("mulz(arg0, f32:1.0)") == expr("mulz(f32:1.0, arg0)") == "arg0"
    assert expr("mulz(f32:0.0, f32:inf)") == "constant [0.0]"
    assert expr("mulz(arg0, f32:0.0)") == "mulz(arg0, f32:0.0)"


def test_only_nan_differs_from_itself() -> None:
    assert expr("where(ne(arg0, arg0), i32:7, arg0)", "i32") == "arg0"
    assert expr("ne(arg0, arg0)", "f32", "bool") == "ne(arg0, arg0)"


def test_a_reshape_with_several_users_stays_one() -> None:
    lines = [
        "%0: f32[2, 3] = input x",
        "%1: f32[3, 4] = weight w",
        "%2: f32[2, 4] = contract mk,kn->mn %0, %1 then arg0",
        "%3: f32[2, 4, 1] = reshape %2",
        "%4: bool[2, 4, 1] = map ne(arg0, f32:0.0) %3",
        "%5: f32[2, 4, 1] = map where(arg0, arg1, f32:1.0) %4, %3",
    ]
    assert simplified(*lines) == lines


def test_casts_merge_only_where_the_inner_one_is_exact() -> None:
    assert expr("cast(bf16, cast(f32, arg0))", "bf16") == "arg0"
    assert expr("cast(i32, cast(f32, arg0))", "bf16", "i32") == "cast(i32, arg0)"
    assert expr("cast(bool, cast(i32, arg0))", "bool") == "arg0"
    assert expr("cast(i32, cast(f32, arg0))", "i32") == "cast(i32, cast(f32, arg0))"


def test_other_types_have_their_own_identities() -> None:
    assert expr("add(arg0, i32:0)", "i32") == "arg0"
    assert expr("and(bool:1, arg0)", "bool") == "arg0"
    assert expr("or(arg0, bool:0)", "bool") == "arg0"
    assert expr("abs(neg(arg0))", "i32") == "abs(arg0)"
    assert expr("add(arg0, mul(bf16:3.0, bf16:0.3359375))", "bf16") == "add(arg0, bf16:1.0078125)"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["%1: f32[32] = reshape %0", "%2: f32[2, 16] = reshape %1"], ["%1: f32[2, 16] = reshape %0"]),
        (["%1: f32[32] = reshape %0", "%2: f32[4, 8] = reshape %1"], []),
        (["%1: f32[8, 4] = transpose [1, 0] %0", "%2: f32[4, 8] = transpose [1, 0] %1"], []),
        (["%1: f32[4, 8] = slice [0, 0] step [1, 1] %0"], []),
        (
            ["%1: f32[2, 3] = slice [1, 1] step [2, 2] %0", "%2: f32[1, 2] = slice [1, 0] step [1, 2] %1"],
            ["%1: f32[1, 2] = slice [3, 1] step [2, 4] %0"],
        ),
        (
            ["%1: f32[1, 4, 8] = reshape %0", "%2: f32[4, 1, 8] = transpose [1, 0, 2] %1"],
            ["%1: f32[1, 4, 8] = reshape %0", "%2: f32[4, 1, 8] = reshape %1"],
        ),
        (["%1: f32[4, 8] = map add(arg0, arg1) %0, %0"], ["%1: f32[4, 8] = map add(arg0, arg0) %0"]),
        (
            ["%1: f32[4, 1] = constant [2.0]", "%2: f32[4, 8] = map max(arg0, arg1) %0, %1"],
            ["%1: f32[4, 8] = map max(arg0, f32:2.0) %0"],
        ),
    ],
)
def test_graph_rules(lines: list[str], expected: list[str]) -> None:
    assert simplified(X, *lines)[1:] == expected


def test_a_broadcasting_identity_stays() -> None:
    lines = ["%0: f32[1, 8] = input x", "%1: f32[4, 8] = map arg0 %0"]
    assert simplified(*lines) == lines


def test_a_body_operand_that_sets_the_domain_stays() -> None:
    lines = [
        "%0: f32[1, 8] = input x",
        "%1: f32[4, 1] = constant [1.0]",
        "%2: f32[1, 8] = reduce sum [0] mul(arg0, arg1) %0, %1 then arg0",
    ]
    assert simplified(*lines) == lines


def test_operands_of_an_epilogue_become_constants() -> None:
    assert simplified(
        X,
        "%1: f32[8, 2] = input w",
        "%2: f32[1, 2] = constant [0.5]",
        "%3: f32[4, 2] = contract mk,kn->mn %0, %1 then mul(arg0, arg1) %2",
    )[2:] == ["%2: f32[4, 2] = contract mk,kn->mn %0, %1 then mul(arg0, f32:0.5)"]


def test_a_batch_axis_may_move_but_not_into_the_last_two() -> None:
    heads = ["%0: f32[3, 4, 8] = input q", "%1: f32[4, 3, 5] = input k"]
    swap = "%2: f32[3, 4, 5] = transpose [1, 0, 2] %1"
    kept = simplified(*heads, swap, "%3: f32[3, 8, 5] = contract hkm,hkn->hmn %0, %2 then arg0")
    assert kept[2] == swap
    moved = simplified(
        "%0: f32[2, 3, 4, 8] = input q",
        "%1: f32[3, 2, 8, 5] = input k",
        "%2: f32[2, 3, 8, 5] = transpose [1, 0, 2, 3] %1",
        "%3: f32[2, 3, 4, 5] = contract abmk,abkn->abmn %0, %2 then arg0",
    )
    assert moved[2] == "%2: f32[2, 3, 4, 5] = contract abmk,bakn->abmn %0, %1 then arg0"


def test_operands_that_were_only_widened_are_read_as_they_are() -> None:
    assert simplified(
        "%0: bf16[4, 8] = input x",
        "%1: bf16[8, 2] = input w",
        "%2: f32[4, 8] = map cast(f32, arg0) %0",
        "%3: f32[8, 2] = map cast(f32, arg0) %1",
        "%4: f32[4, 2] = contract mk,kn->mn %2, %3 then arg0",
    )[2:] == ["%2: f32[4, 2] = contract mk,kn->mn %0, %1 then arg0"]
