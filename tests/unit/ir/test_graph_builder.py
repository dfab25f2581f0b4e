"""Types that the builder infers, and what it refuses."""

from collections.abc import Callable

import numpy as np
import pytest

from compiler.diagnostics import InternalError
from compiler.ir import GraphBuilder, Operation, ReduceKind, TensorType, print_graph, print_operation
from compiler.numerics import DType

BF16, F32, I32, BOOL = DType.BF16, DType.F32, DType.I32, DType.BOOL


def start() -> GraphBuilder:
    builder = GraphBuilder("t")
    builder.input("x", TensorType((2, 4, 8), BF16))
    builder.weight("w", TensorType((2, 16, 8), BF16))
    builder.input("p", TensorType((4, 8), BOOL))
    return builder


def test_result_types_follow_from_the_operands() -> None:
    b = start()
    assert b.type(b.contract("hmk", "hnk", "hmn", 0, 1)) == TensorType((2, 4, 16), BF16)
    assert b.type(b.reduce(ReduceKind.MAX, [2, 0], 0)) == TensorType((1, 4, 1), BF16)
    assert b.type(b.transpose(0, [2, 0, 1])) == TensorType((8, 2, 4), BF16)
    assert b.type(b.slice(0, [0, 1, 2], [2, 4, 8], [1, 2, 3])) == TensorType((2, 2, 2), BF16)
    assert b.type(b.cast(2, I32)) == TensorType((4, 8), I32)
    assert b.cast(0, BF16) == 0


def test_a_constant_of_equal_elements_is_stored_once() -> None:
    b = GraphBuilder("t")
    assert print_operation(b_op(b, np.full((2, 3), 1.5))) == "%0: bf16[2, 3] = constant [1.5]"
    assert print_operation(b_op(b, np.array([1.0, 2.0]))) == "%1: bf16[2] = constant [1.0, 2.0]"


def b_op(builder: GraphBuilder, array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Operation:
    value = builder.constant(array, BF16)
    builder.output(f"y{value}", value)
    return builder.build().ops[value]


def test_constants_round_to_their_type() -> None:
    b = GraphBuilder("t")
    b.output("y", b.constant(np.array([1.001, 3.0]), BF16))
    assert "constant [1.0, 3.0]" in print_graph(b.build())


REFUSED: dict[str, tuple[Callable[[GraphBuilder], object], str]] = {
    "size": (lambda b: b.reshape(2, [4, 9]), "differ in size"),
    "zero extent": (lambda b: b.slice(0, [0, 0, 0], [2, 0, 8]), "not positive"),
    "slice beyond": (lambda b: b.slice(0, [0, 0, 0], [2, 5, 8]), "do not lie in an axis of 4"),
    "negative step": (lambda b: b.slice(0, [0, 0, 0], [2, 4, 8], [1, -1, 1]), "not positive"),
    "repeated axis": (lambda b: b.transpose(0, [0, 0, 1]), "not a permutation"),
    "axis out of range": (lambda b: b.reduce(ReduceKind.SUM, [3], 0), "not sorted, distinct axes"),
    "no axes": (lambda b: b.reduce(ReduceKind.SUM, [], 0), "not sorted, distinct axes"),
    "extents differ": (lambda b: b.contract("hmk", "hkn", "hmn", 0, 1), "axis `k` has extents 8 and 16"),
    "letters": (lambda b: b.contract("hmk", "hnk", "mhn", 0, 1), "not a product"),
    "iota axis": (lambda b: b.iota([2, 3], 2), "does not number"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_broken_rule_is_an_internal_error(case: str) -> None:
    action, words = REFUSED[case]
    with pytest.raises(InternalError, match=words):
        action(start())
