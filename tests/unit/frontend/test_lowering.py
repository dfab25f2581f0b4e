"""The form of the graph: which operations stand for what."""

import pytest

from compiler.frontend import load, lower
from compiler.ir import Contract, Input, Map, Operation, Reduce, Reshape, Slice, TensorGraph, Transpose, Weight

MATRICES = "a: input bf16[4, 8], b: input bf16[8, 6], s: input bf16[2, 4, 8], v: input bf16[8]"


def graph(body: str, result: str, parameters: str = MATRICES, before: str = "", **sizes: int) -> TensorGraph:
    return lower(load(f"{before}\nprogram p({parameters}) -> {result} {{\n{body}\n}}", "t.mesh"), "p", sizes)


def kinds(graph: TensorGraph) -> list[str]:
    return [type(op.kind).__name__ for op in graph.ops if not isinstance(op.kind, Input | Weight)]


def letters(graph: TensorGraph) -> list[str]:
    found = [op.kind for op in graph.ops if isinstance(op.kind, Contract)]
    return [f"{kind.a},{kind.b}->{kind.out}" for kind in found]


def last(graph: TensorGraph) -> Operation:
    return graph.ops[graph.outputs[0][1]]


@pytest.mark.parametrize(
    ("body", "result", "contraction"),
    [
        ("return a @ b", "bf16[4, 6]", "mk,kn->mn"),
        ("c[i, j] = sum(k) a[i, k] * b[k, j]\nreturn c", "bf16[4, 6]", "mk,kn->mn"),
        ("c[j, i] = sum(k) a[i, k] * b[k, j]\nreturn c", "bf16[6, 4]", "km,nk->mn"),
        ("return (a @ b).T.T", "bf16[4, 6]", "mk,kn->mn"),
        ("return b.T @ a.T", "bf16[6, 4]", "km,nk->mn"),
        ("return s @ b", "bf16[2, 4, 6]", "amk,kn->amn"),
        ("return s @ s.T", "bf16[2, 4, 4]", "amk,ank->amn"),
        ("c[h, i, j] = sum(k) s[h, i, k] * s[h, j, k]\nreturn c", "bf16[2, 4, 4]", "amk,ank->amn"),
        ("c[i, j] = sum(h, k) s[h, i, k] * s[h, j, k]\nreturn c", "bf16[4, 4]", "amk,ank->mn"),
        ("c[..., i, j] = sum(k) s[..., i, k] * b[k, j]\nreturn c", "bf16[2, 4, 6]", "amk,kn->amn"),
    ],
)
def test_a_sum_of_products_is_one_contraction(body: str, result: str, contraction: str) -> None:
    found = graph(body, result)
    assert kinds(found) == ["Contract"]
    assert letters(found) == [contraction]


def test_matrix_times_vector_gets_an_axis_of_extent_one() -> None:
    for body in ("return a @ v", "c[i] = sum(k) v[k] * a[i, k]\nreturn c"):
        assert kinds(graph(body, "bf16[4]")) == ["Reshape", "Contract", "Reshape"]


@pytest.mark.parametrize(
    ("body", "result"),
    [
        ("return sum(k) v[k] * v[k]", "bf16"),
        ("return v @ v", "bf16"),
        ("c[i] = mean(k) a[i, k] * a[i, k]\nreturn c", "bf16[4]"),
        ("c[i] = sum(k) a[i, k] * s[0, i, k]\nreturn c", "bf16[4]"),
        ("c[i] = sum(k, l) a[i, k] * b[k, l]\nreturn c", "bf16[4]"),
    ],
)
def test_other_sums_of_products_round_only_the_sum(body: str, result: str) -> None:
    """The product is a map in f32, and the reduction brings the result back to bf16."""
    found = graph(body, result)
    reduce = next(op for op in found.ops if isinstance(op.kind, Reduce))
    assert found.ops[reduce.inputs[0]].type.dtype.value == "f32"
    assert isinstance(found.ops[reduce.inputs[0]].kind, Map)
    assert reduce.type.dtype.value == "bf16"


def test_the_axis_form_of_a_sum_rounds_its_argument() -> None:
    found = graph("return sum(v * v)", "bf16")
    product, reduce = (op for op in found.ops if isinstance(op.kind, Map | Reduce))
    assert product.type.dtype.value == "bf16"
    assert reduce.type.dtype.value == "bf16"


def test_maps_have_operands_of_the_rank_of_the_result() -> None:
    found = graph("c[i, j] = a[i, j] + v[j]\nd = c * v\nreturn d + c[:, 0:1]", "bf16[4, 8]")
    for op in found.ops:
        if isinstance(op.kind, Map):
            assert {len(found.ops[i].type.shape) for i in op.inputs} == {len(op.type.shape)}


def test_equal_operands_are_one_operand() -> None:
    assert last(graph("return v * v", "bf16[8]")).inputs == (3,)


def test_a_reduction_keeps_its_axis_and_a_reshape_drops_it() -> None:
    found = graph("return max(a, axis=1)", "bf16[4]")
    assert [(type(op.kind), op.type.shape) for op in found.ops[4:]] == [(Reduce, (4, 1)), (Reshape, (4,))]
    assert kinds(graph("return max(a, axis=1, keepdims=true)", "bf16[4, 1]")) == ["Reduce"]


def test_transposes_are_operations_only_where_an_order_is_demanded() -> None:
    assert kinds(graph("return a.T", "bf16[8, 4]")) == ["Transpose"]
    assert kinds(graph("return relu(a.T).T", "bf16[4, 8]")) == ["Map"]
    assert last(graph("return transpose(s, 2, 0, 1)", "bf16[8, 2, 4]")).kind == Transpose((2, 0, 1))


def test_selections_are_one_slice_and_a_reshape() -> None:
    found = graph("return s[1, :, 1:8:3]", "bf16[4, 3]")
    assert [type(op.kind) for op in found.ops[4:]] == [Slice, Reshape]
    assert found.ops[4].kind == Slice((1, 0, 1), (1, 1, 3))


def test_a_whole_slice_is_nothing() -> None:
    assert kinds(graph("return a[:, 0:8]", "bf16[4, 8]")) == []


def test_sizes_can_be_set_and_those_computed_from_them_follow() -> None:
    dims = "dim N = 4, M = 2 * N + 1"
    assert graph("return x", "f32[N, M]", "x: input f32[N, M]", dims).ops[0].type.shape == (4, 9)
    assert graph("return x", "f32[N, M]", "x: input f32[N, M]", dims, N=8).ops[0].type.shape == (8, 17)
    assert graph("return x", "f32[N, M]", "x: input f32[N, M]", dims, M=3).ops[0].type.shape == (4, 3)


def test_operations_of_the_library_stand_where_the_user_called() -> None:
    found = graph("h = softmax(a, axis=1)\nreturn h", "bf16[4, 8]")
    spans = {str(op.span) for op in found.ops if not isinstance(op.kind, Input)}
    assert spans == {"t.mesh:3:5"}


def test_operations_of_the_users_function_stand_in_it() -> None:
    found = graph("return f(a)", "bf16[4, 8]", before="fn f<T>(x: T[...]) -> T[...] { return exp(x) }")
    assert str(last(found).span) == "t.mesh:1:39"


def test_results_are_named_or_numbered() -> None:
    assert [name for name, _ in graph("return a", "bf16[4, 8]").outputs] == ["out"]
    assert [name for name, _ in graph("return a, b", "(bf16[4, 8], bf16[8, 6])").outputs] == ["out0", "out1"]
    assert [name for name, _ in graph("return a, b", "(x: bf16[4, 8], y: bf16[8, 6])").outputs] == ["x", "y"]


def test_inputs_and_weights_keep_their_order_even_if_unused() -> None:
    found = graph("return w", "f32[2]", "x: input f32, w: weight f32[2], y: input i32[3]")
    assert [(type(op.kind), op.type.shape) for op in found.ops] == [(Input, ()), (Weight, (2,)), (Input, (3,))]


def test_lowering_twice_gives_the_same_graph() -> None:
    text = "program p(q: input bf16[2, 8, 4]) -> bf16[2, 8, 4] {\nreturn causal_attention(q, q, q)\n}"
    assert lower(load(text, "t.mesh"), None, {}) == lower(load(text, "t.mesh"), None, {})


def test_numbers_are_folded_and_rounded_once() -> None:
    expression = last(graph("return v * (1 / 3 + 2 * sqrt(2) - sqrt(8))", "bf16[8]")).kind
    assert isinstance(expression, Map)
    assert [node.value for node in expression.expr.nodes if node.op.value == "const"] == [0.333984375]


def test_a_conditional_on_a_constant_is_decided_at_once() -> None:
    functions = "fn f<T>(x: T[...], on: const) -> T[...] {\nreturn where(on, exp(x), x)\n}"
    assert kinds(graph("return f(v, on=1 > 2)", "bf16[8]", before=functions)) == ["Map"]
    assert last(graph("return f(v, on=false)", "bf16[8]", before=functions)).id == 3
