"""The bounds of the reference hold for a device that is as sloppy as it may be.

The device here sums in a random order in f32 and puts every transcendental function up to four units off.
"""

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.ir import Contract, Fed, Map, Operation, Reduce, ReduceKind, TensorGraph
from compiler.ir.evaluate import evaluate_operation
from compiler.ir.rules import broadcast
from compiler.numerics import Expr, ScalarOp
from compiler.numerics.evaluate import TRANSCENDENTAL, Array, apply, cast, constant
from runtime.reference import compare, evaluate_with_bounds
from runtime.testing.strategies import graphs, tensors_for


class Device:
    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def run(self, graph: TensorGraph, tensors: dict[str, Array]) -> list[Array]:
        values: list[Array] = []
        for op in graph.ops:
            known = isinstance(op.kind, Fed)
            values.append(tensors[op.kind.name] if known else self.step(op, [values[i] for i in op.inputs]))  # type: ignore[union-attr]
        return values

    def step(self, op: Operation, inputs: Sequence[Array]) -> Array:
        match op.kind:
            case Map(expr):
                return np.broadcast_to(self.expr(expr, inputs), op.type.shape)
            case Reduce(kind, axes, body, epilogue, count):
                domain = broadcast([x.shape for x in inputs[:count]]) or ()
                terms = np.broadcast_to(self.expr(body, inputs[:count]), domain)
                rest = [axis for axis in range(len(domain)) if axis not in axes]
                flat = terms.transpose(*rest, *axes).reshape(*(domain[axis] for axis in rest), -1)
                total = self.combine(kind, flat).reshape(op.type.shape)
                return np.broadcast_to(self.expr(epilogue, [total, *inputs[count:]]), op.type.shape)
            case Contract(a, b, out, epilogue):
                wide = np.int32 if inputs[0].dtype.kind in "iu" else np.float32
                summed = "".join(c for c in a if c not in out)
                x, y = (part.astype(wide) for part in inputs[:2])
                products = np.einsum(f"{a},{b}->{out}{summed}", x, y).reshape(*op.type.shape, -1)
                total = self.combine(ReduceKind.SUM, products)
                return np.broadcast_to(self.expr(epilogue, [total, *inputs[2:]]), op.type.shape)
        return evaluate_operation(op.kind, inputs, op.type)

    def combine(self, kind: ReduceKind, terms: Array) -> Array:
        """Along the last axis, one by one, in a random order."""
        function = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[kind.value]
        order = self.generator.permutation(terms.shape[-1])
        with np.errstate(all="ignore"):
            total = function.accumulate(terms[..., order], axis=-1, dtype=terms.dtype)[..., -1]
            return np.asarray(total + np.zeros((), total.dtype) if kind is ReduceKind.SUM else total)

    def expr(self, expr: Expr, operands: Sequence[Array]) -> Array:
        values: list[Array] = []
        for node in expr.nodes:
            args = [values[arg] for arg in node.args]
            if node.op is ScalarOp.ARG:
                values.append(operands[int(node.value)])
            elif node.op is ScalarOp.CONST:
                values.append(constant(node))
            elif node.op in TRANSCENDENTAL:
                with np.errstate(all="ignore"):
                    true = np.asarray(TRANSCENDENTAL[node.op](*(arg.astype(np.float64) for arg in args)), np.float32)
                    off = self.generator.integers(-4, 5, true.shape) * np.spacing(np.abs(true))
                    values.append(cast(np.where(np.isfinite(off), true + off, true).astype(np.float32), node.dtype))
            else:
                values.append(apply(node.op, node.dtype, args))
        return values[-1]


@given(graph=graphs(), seed=st.integers(0, 999), whole=st.booleans())
@settings(max_examples=250, deadline=None)
def test_a_sloppy_device_stays_within_the_bounds(graph: TensorGraph, seed: int, whole: bool) -> None:
    tensors = tensors_for(graph, seed, whole=whole)
    found = Device(seed).run(graph, tensors)
    bounded = evaluate_with_bounds(graph, tensors)
    for name, value in graph.outputs:
        result = compare(*bounded[name], found[value])
        assert result.ok, result


@given(graph=graphs(approximate=False, max_steps=4), seed=st.integers(0, 999))
@settings(max_examples=60, deadline=None)
def test_bounds_of_short_exact_programs_on_whole_numbers_are_zero(graph: TensorGraph, seed: int) -> None:
    """Unless a division, a root or a remainder leaves the whole numbers, nothing may differ."""
    leaving = {ScalarOp.DIV, ScalarOp.SQRT, ScalarOp.MOD}
    kinds = [op.kind for op in graph.ops]
    used = {node.op for kind in kinds if isinstance(kind, Map) for node in kind.expr.nodes}
    products = any(isinstance(kind, Reduce) and kind.kind is ReduceKind.PROD for kind in kinds)
    if used & leaving or products:
        return
    bounded = evaluate_with_bounds(graph, tensors_for(graph, seed, whole=True))
    values = [value for value, _ in bounded.values() if value.dtype.kind != "b"]
    small = all(np.all(np.abs(value.astype(np.float64)) < 2**20) for value in values)
    assert not small or not any(np.any(bound) for _, bound in bounded.values())
