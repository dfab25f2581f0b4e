"""The verifier names the operation and the rule that a mutated graph breaks."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from compiler.diagnostics import InternalError
from compiler.ir import (
    Constant,
    Contract,
    Input,
    Iota,
    Kind,
    Map,
    Reduce,
    ReduceKind,
    Slice,
    TensorGraph,
    TensorType,
    Transpose,
    Weight,
    cast_expr,
    parse_graph,
    verify,
)
from compiler.numerics import DType, Expr, ScalarNode, ScalarOp

BF16, F32, I32, BOOL = DType.BF16, DType.F32, DType.I32, DType.BOOL

GRAPH = """graph g
%0: bf16[4, 8] = input x
%1: bf16[8, 2] = weight w
%2: bf16[4, 2] = contract mk,kn->mn %0, %1 then cast(bf16, arg0)
%3: bf16[4, 1] = reduce sum [1] cast(f32, arg0) %2 then cast(bf16, arg0)
%4: bf16[4, 2] = map add(arg0, arg1) %2, %3
%5: bf16[2, 4] = transpose [1, 0] %4
%6: bf16[1, 2] = slice [0, 1] step [1, 2] %5
%7: bf16[2] = reshape %6
%8: bf16[2] = constant [1.0, 2.0]
%9: i32[2] = iota 0
return y = %7, z = %4
"""


def graph() -> TensorGraph:
    return parse_graph(GRAPH)


def change(index: int, **fields: object) -> Callable[[], TensorGraph]:
    def mutated() -> TensorGraph:
        base = graph()
        ops = list(base.ops)
        ops[index] = replace(ops[index], **fields)  # type: ignore[arg-type]
        return replace(base, ops=tuple(ops))

    return mutated


def kind(index: int, value: Kind) -> Callable[[], TensorGraph]:
    return change(index, kind=value)


def node(op: ScalarOp, dtype: DType, *args: int, value: float = 0) -> ScalarNode:
    return ScalarNode(op, dtype, args, value)


ARG = node(ScalarOp.ARG, BF16)
EMPTY = Expr(())
NARROW = cast_expr(F32, BF16)

BROKEN: dict[str, tuple[Callable[[], TensorGraph], str]] = {
    "id": (change(3, id=4), "operation 3 has id 4"),
    "later input": (change(2, inputs=(0, 3)), "%2 .contract.: an input is not an earlier operation"),
    "own input": (change(4, inputs=(4, 4)), "%4 .map.: an input is not an earlier operation"),
    "extent": (change(0, type=TensorType((4, 0), BF16)), "%0 .input.: an extent of bf16.4, 0. is not positive"),
    "name twice": (kind(1, Input("x")), "two inputs, weights or states are called `x`"),
    "empty name": (kind(1, Weight("")), "name is empty"),
    "no outputs": (lambda: replace(graph(), outputs=()), "there is no output"),
    "output twice": (lambda: replace(graph(), outputs=(("y", 1), ("y", 2))), "two outputs are called `y`"),
    "output missing": (lambda: replace(graph(), outputs=(("y", 10),)), "output `y` is %10"),
    "leaf operand": (change(9, inputs=(0,)), "takes no operands"),
    "constant bytes": (kind(8, Constant(b"abc")), "3 bytes of data do not fill bf16.2."),
    "iota axis": (kind(9, Iota(1)), "axis 1 does not number"),
    "iota type": (change(9, type=TensorType((2,), F32)), "does not number"),
    "map without operands": (change(4, inputs=()), "at least one operand"),
    "map shape": (change(4, inputs=(2, 0)), "operand bf16.4, 8. does not broadcast"),
    "map type": (change(4, type=TensorType((4, 2), F32)), "gives bf16, but the result is f32"),
    "empty expression": (kind(4, Map(EMPTY)), "at least one node"),
    "arity": (kind(4, Map(Expr((ARG, node(ScalarOp.ADD, BF16, 0))))), "1 arguments, but 2 are needed"),
    "later argument": (kind(4, Map(Expr((ARG, node(ScalarOp.NEG, BF16, 1))))), "not an earlier node"),
    "operand number": (kind(4, Map(Expr((node(ScalarOp.ARG, BF16, value=2),)))), "operand 2 does not exist"),
    "operand type": (kind(4, Map(Expr((node(ScalarOp.ARG, F32),)))), "operand 0 has type bf16, not f32"),
    "operand twice": (kind(4, Map(Expr((ARG, ARG, node(ScalarOp.ADD, BF16, 0, 1))))), "appears in two nodes"),
    "constant": (kind(4, Map(Expr((node(ScalarOp.CONST, BF16, value=0.1),)))), "not exactly representable"),
    "mixed types": (
        kind(4, Map(Expr((ARG, node(ScalarOp.CONST, F32, value=1.0), node(ScalarOp.ADD, BF16, 0, 1))))),
        "operands of different types: bf16, f32",
    ),
    "wrong type": (kind(4, Map(Expr((ARG, node(ScalarOp.NOT, BOOL, 0))))), "not defined on bf16"),
    "result type": (kind(4, Map(Expr((ARG, node(ScalarOp.LT, BF16, 0, 0))))), "the result has type bool"),
    "condition": (kind(4, Map(Expr((ARG, node(ScalarOp.WHERE, BF16, 0, 0, 0))))), "condition is not a bool"),
    "stray value": (kind(4, Map(Expr((ARG, node(ScalarOp.NEG, BF16, 0, value=1))))), "carry a value"),
    "axes order": (kind(3, Reduce(ReduceKind.SUM, (1, 0), cast_expr(BF16, F32), NARROW)), "not sorted"),
    "reduced shape": (kind(3, Reduce(ReduceKind.SUM, (0,), cast_expr(BF16, F32), NARROW)), "gives .1, 2."),
    "body type": (kind(3, Reduce(ReduceKind.SUM, (1,), Expr((ARG,)), Expr((ARG,)))), "f32 or i32 is combined"),
    "body inputs": (kind(3, Reduce(ReduceKind.SUM, (1,), cast_expr(BF16, F32), NARROW, 2)), "2 body inputs of 1"),
    "epilogue": (kind(3, Reduce(ReduceKind.SUM, (1,), cast_expr(BF16, F32), Expr((ARG,)))), "epilogue"),
    "contract letters": (kind(2, Contract("mk", "kn", "nm", NARROW)), "not a product with result `nm`"),
    "contract upper": (kind(2, Contract("Mk", "kn", "Mn", NARROW)), "distinct lower-case letters"),
    "contract rank": (kind(2, Contract("amk", "akn", "amn", NARROW)), "does not name the axes"),
    "contract extent": (kind(2, Contract("km", "kn", "mn", NARROW)), "has extents"),
    "contract one": (change(2, inputs=(0,)), "two operands"),
    "permutation": (kind(5, Transpose((0, 0))), "not a permutation"),
    "transposed shape": (kind(5, Transpose((0, 1))), "does not give"),
    "slice rank": (kind(6, Slice((0,), (1,))), "one start and one step per axis"),
    "slice end": (kind(6, Slice((0, 2), (1, 2))), "do not lie in an axis of 4"),
    "reshape size": (change(7, type=TensorType((3,), BF16)), "differ in size"),
    "reshape type": (change(7, type=TensorType((2,), F32)), "the result's element type"),
}


def test_a_well_formed_graph_passes() -> None:
    verify(graph())


@pytest.mark.parametrize("case", BROKEN)
def test_a_mutated_graph_is_refused_by_its_rule(case: str) -> None:
    make, words = BROKEN[case]
    with pytest.raises(InternalError, match=words):
        verify(make())


def test_only_floats_know_products_that_zero_annihilates() -> None:
    text = "graph g\n%0: i32[4, 4] = input x\n%1: i32[4, 4] = contract mk,kn->mn %0, %0 then arg0\nreturn y = %1\n"
    base = parse_graph(text)
    product = base.ops[1]
    assert isinstance(product.kind, Contract)
    changed = replace(product, kind=replace(product.kind, annihilates=True))
    with pytest.raises(InternalError, match="every 0 annihilates anyway"):
        verify(replace(base, ops=(base.ops[0], changed)))
