"""Where folding and fusing stop, and the order of the pipeline on known programs."""

from compiler.frontend import load, lower
from compiler.ir import Contract, TensorGraph, TensorType, parse_graph, print_operation
from compiler.numerics import DType
from compiler.numerics.dependence import needed
from compiler.passes import PASS_NAMES, FoldConstants, Fuse, run_pipeline


def graph(*lines: str, outputs: str) -> TensorGraph:
    return parse_graph("\n".join(["graph g", *lines, f"return {outputs}"]))


def ops(graph: TensorGraph) -> list[str]:
    return [print_operation(op) for op in graph.ops]


def test_folding_a_splat_never_makes_its_elements() -> None:
    huge = graph(
        "%0: f32[100000, 100000] = constant [3.0]",
        "%1: f32[100000, 100000] = map mul(arg0, arg0) %0",
        "%2: f32[10000000000] = reshape %1",
        outputs="y = %2",
    )
    assert ops(FoldConstants().run(huge)) == ["%0: f32[10000000000] = constant [9.0]"]


def test_folding_respects_its_limits() -> None:
    table = graph(
        "%0: f32[2, 1] = constant [1.0, 2.0]",
        "%1: f32[1, 2] = constant [10.0, 20.0]",
        "%2: f32[2, 2] = map add(arg0, arg1) %0, %1",
        "%3: f32[2, 2] = contract mk,kn->mn %2, %2 then arg0",
        outputs="y = %3",
    )
    assert ops(FoldConstants().run(table)) == ["%0: f32[2, 2] = constant [373.0, 693.0, 396.0, 736.0]"]
    assert len(FoldConstants(max_elements=3).run(table).ops) == 4
    assert len(FoldConstants(max_work=7).run(table).ops) == 4


def test_an_iota_stays_a_formula() -> None:
    counted = graph("%0: i32[4] = iota 0", outputs="y = %0")
    assert FoldConstants().run(counted) == counted


def test_a_value_that_others_read_stays() -> None:
    shared = graph(
        "%0: bf16[4, 8] = input x",
        "%1: bf16[4, 8] = map exp(arg0) %0",
        "%2: bf16[4, 1] = reduce sum [1] cast(f32, arg0) %1 then cast(bf16, arg0)",
        "%3: bf16[4, 8] = map div(arg0, arg1) %1, %2",
        outputs="y = %3",
    )
    assert Fuse().run(shared) == shared


def test_an_expensive_map_is_not_repeated_along_a_broadcast() -> None:
    lines = ["%0: f32[4, 1] = input x", "%1: f32[4, 8] = input z"]
    consumer = "%3: f32[4, 8] = map add(arg0, arg1) %2, %1"
    costly = graph(*lines, "%2: f32[4, 1] = map exp(arg0) %0", consumer, outputs="y = %3")
    assert Fuse().run(costly) == costly
    cheap = graph(*lines, "%2: f32[4, 1] = map neg(arg0) %0", consumer, outputs="y = %3")
    assert ops(Fuse().run(cheap))[2:] == ["%2: f32[4, 8] = map add(neg(arg0), arg1) %0, %1"]


def test_a_contraction_with_two_readers_keeps_its_epilogue() -> None:
    shared = graph(
        "%0: f32[4, 8] = input x",
        "%1: f32[8, 2] = input w",
        "%2: f32[4, 2] = contract mk,kn->mn %0, %1 then arg0",
        "%3: f32[4, 2] = map exp(arg0) %2",
        outputs="y = %3, z = %2",
    )
    assert Fuse().run(shared) == shared


def test_fusing_respects_its_limits() -> None:
    lines = ["%0: f32[4] = input x"]
    lines += [f"%{i}: f32[4] = map tanh(arg0) %{i - 1}" for i in range(1, 9)]
    chain = graph(*lines, outputs="y = %8")
    assert len(Fuse().run(chain).ops) == 2
    assert len(Fuse(max_nodes=5).run(chain).ops) == 3
    wide = graph(
        *(f"%{i}: f32[4] = input v{i}" for i in range(3)),
        "%3: f32[4] = map mul(arg0, arg1) %0, %1",
        "%4: f32[4] = map mul(arg0, arg1) %3, %2",
        outputs="y = %4",
    )
    assert Fuse(max_operands=2).run(wide) == wide


def test_a_softmax_is_two_reductions_and_two_maps() -> None:
    """The form that index notation gives: every reduction drops its axis, every use adds it again."""
    softmax = graph(
        "%0: bf16[4, 8] = input x",
        "%1: bf16[4, 1] = reduce max [1] cast(f32, arg0) %0 then cast(bf16, arg0)",
        "%2: bf16[4] = reshape %1",
        "%3: bf16[4, 1] = reshape %2",
        "%4: bf16[4, 8] = map sub(arg0, arg1) %0, %3",
        "%5: bf16[4, 8] = map exp(arg0) %4",
        "%6: bf16[4, 1] = reduce sum [1] cast(f32, arg0) %5 then cast(bf16, arg0)",
        "%7: bf16[4] = reshape %6",
        "%8: bf16[4] = map div(bf16:1.0, arg0) %7",
        "%9: bf16[4, 1] = reshape %8",
        "%10: bf16[4, 8] = map mul(arg0, arg1) %5, %9",
        outputs="y = %10",
    )
    assert ops(run_pipeline(softmax, check=True)) == [
        "%0: bf16[4, 8] = input x",
        "%1: bf16[4, 1] = reduce max [1] cast(f32, arg0) %0 then cast(bf16, arg0)",
        "%2: bf16[4, 8] = map exp(sub(arg0, arg1)) %0, %1",
        "%3: bf16[4, 1] = reduce sum [1] cast(f32, arg0) %2 then div(bf16:1.0, cast(bf16, arg0))",
        "%4: bf16[4, 8] = map mul(arg0, arg1) %2, %3",
    ]


def test_the_pipeline_shows_every_pass() -> None:
    seen: list[str] = []
    source = graph("%0: f32[4] = input x", outputs="y = %0")
    assert run_pipeline(source, observe=lambda name, _: seen.append(name)) == source
    assert tuple(dict.fromkeys(seen)) == PASS_NAMES


def test_a_map_that_spreads_the_domain_of_a_reduction_stays() -> None:
    spread = graph(
        "%0: f32[1, 8] = input x",
        "%1: f32[4, 8] = map arg0 %0",
        "%2: f32[1, 8] = reduce sum [0] arg0 %1 then arg0",
        outputs="y = %2",
    )
    assert Fuse().run(spread) == spread


GATED = """
program p(x: input bf16[64, 32], gate: weight bf16[32, 8], w1: weight bf16[8, 32, 64], w2: weight bf16[8, 64, 32])
        -> bf16[64, 32] {
    return mixture_of_experts(x, gate, w1, w2, k=2)
}
"""


def test_the_gates_of_experts_are_in_memory_before_the_experts() -> None:
    """What guards the second layer is one operand, zero where the share is; its first layer serves that layer alone."""
    experts = run_pipeline(lower(load(GATED, "p.mesh"), None, {}))
    second = max(op.id for op in experts.ops if isinstance(op.kind, Contract))
    op = experts.ops[second]
    hidden, _, share = op.inputs
    assert experts.ops[share].type.shape == (8, 64, 1)
    assert share < hidden
    assert isinstance(op.kind, Contract)
    assert 0 in needed(op.kind.epilogue, frozenset())
    assert needed(op.kind.epilogue, frozenset({1})) == frozenset()
    assert [user.id for user in experts.ops if hidden in user.inputs] == [second]


def test_what_a_gate_guards_is_computed_once_and_apart() -> None:
    """`f` serves the guarded product alone; a gate that is cheap to compute still has its own place in memory."""
    text = """
    program p(x: input f32[64, 32], h: input f32[64], w: weight f32[32, 64], v: weight f32[64, 64]) -> f32[64, 64] {
        open = h > 3.0
        y[m, n] = where(open[m], gelu((x @ w) @ v)[m, n], 0)
        return y
    }"""
    gated = run_pipeline(lower(load(text, "p.mesh"), None, {}))
    products = [op for op in gated.ops if isinstance(op.kind, Contract)]
    assert len(products) == 2
    last = products[-1]
    assert isinstance(last.kind, Contract)
    (gate,) = last.inputs[2:]
    assert gated.ops[gate].type == TensorType((64, 1), DType.BOOL)
    assert needed(last.kind.epilogue, frozenset({1})) == frozenset()
