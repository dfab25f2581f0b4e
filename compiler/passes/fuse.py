"""Join elementwise work with the operations around it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import ClassVar

from compiler.ir import Contract, Map, Operation, Reduce, TensorGraph
from compiler.ir.rules import Shape, accumulator, broadcast
from compiler.numerics import DType, Expr, ScalarOp
from compiler.numerics.dependence import needed
from compiler.numerics.expr import COMPARISONS
from compiler.passes.rewrite import Rewriter, rewrite
from compiler.passes.scalars import ACCUMULATOR, Applied, compose

_CHEAP = COMPARISONS | {
    *(ScalarOp.CAST, ScalarOp.ADD, ScalarOp.SUB, ScalarOp.MUL, ScalarOp.MULZ, ScalarOp.MIN, ScalarOp.MAX, ScalarOp.NEG),
    *(ScalarOp.ABS, ScalarOp.AND, ScalarOp.OR, ScalarOp.NOT, ScalarOp.WHERE),
}
_CHEAP_STEPS = 2


@dataclass(frozen=True, slots=True)
class Fuse:
    """Join a map with its consumer, or with the reduction or contraction that produces its operand.

    A map moves into a consuming map, body or epilogue when that is its only use and both run over the same elements;
    a map of at most two cheap steps on one operand also moves into several consumers, and into one that repeats its
    elements. A gate stays apart: a smaller operand whose zeros make a product unnecessary; so does what ends in a
    rounding to blocks of floats. A map that is the only use of a reduction or contraction of its own shape becomes part
    of the epilogue; the operation keeps the span of what it accumulates, and its `epilogue_span` is that of the map.
    Every expression keeps at most `max_operands` operands and `max_nodes` steps. Each step rounds as before (see
    `compiler.numerics.expr`), so no bit changes.

    Before::

        %0: bf16[4, 8] = input x
        %1: bf16[8, 2] = weight w
        %2: bf16[1, 2] = weight b
        %3: bf16[4, 2] = contract mk,kn->mn %0, %1 then cast(bf16, arg0)
        %4: bf16[4, 2] = map add(arg0, arg1) %3, %2
        %5: bf16[4, 2] = map max(arg0, bf16:0.0) %4
        %6: bf16[4, 2] = map exp(arg0) %5
        %7: bf16[4, 1] = reduce sum [1] cast(f32, arg0) %6 then cast(bf16, arg0)
        return h = %5, y = %7

    After::

        %0: bf16[4, 8] = input x
        %1: bf16[8, 2] = weight w
        %2: bf16[1, 2] = weight b
        %3: bf16[4, 2] = contract mk,kn->mn %0, %1 then max(add(cast(bf16, arg0), arg1), bf16:0.0) %2
        %4: bf16[4, 1] = reduce sum [1] cast(f32, exp(arg0)) %3 then cast(bf16, arg0)
        return h = %3, y = %4
    """

    max_operands: int = 8
    max_nodes: int = 64
    name: ClassVar[str] = "fuse"

    def run(self, graph: TensorGraph) -> TensorGraph:
        return rewrite(graph, self._fuse)

    def _fuse(self, op: Operation, new: Rewriter) -> int | None:
        match op.kind:
            case Map():
                return self._map(op, op.kind, new)
            case Reduce():
                return self._reduce(op, op.kind, new)
            case Contract():
                return self._contract(op, op.kind, new)
        return None

    def _map(self, op: Operation, kind: Map, new: Rewriter) -> int:
        applied = self._inline(Applied(kind.expr, op.inputs), op.type.shape, new, {})
        producers = [new.ops[value] for value in applied.inputs if _ends_in(value, op, new)]
        for producer in sorted(producers, key=lambda p: (isinstance(p.kind, Contract), p.id), reverse=True):
            value = self._into_epilogue(op, applied, producer, new)
            if value is not None:
                return value
        return new.emit(Map(applied.expr), applied.inputs, op.type, op.span)

    def _into_epilogue(self, op: Operation, applied: Applied, producer: Operation, new: Rewriter) -> int | None:
        assert isinstance(producer.kind, Reduce | Contract)
        kind, own = producer.kind, _own_inputs(producer)
        epilogue = Applied(kind.epilogue, (ACCUMULATOR, *producer.inputs[own:]))
        combined = _combined(producer, new)
        joined = _compose(applied, {producer.id: epilogue}, new, {ACCUMULATOR: combined})
        if not self._fits(joined):
            return None
        inputs = (*producer.inputs[:own], *joined.inputs[1:])
        longer = replace(kind, epilogue=joined.expr, epilogue_span=op.span)
        return new.emit(longer, inputs, op.type, producer.span)

    def _reduce(self, op: Operation, kind: Reduce, new: Rewriter) -> int:
        own = op.inputs[: kind.body_inputs]
        domain = broadcast([new.shape(value) for value in own]) or ()
        body = self._inline(Applied(kind.body, own), domain, new, {}, keep_domain=True)
        epilogue = self._epilogue(op, kind.epilogue, op.inputs[kind.body_inputs :], kind.body.dtype, new)
        fused = replace(kind, body=body.expr, epilogue=epilogue.expr, body_inputs=len(body.inputs))
        return new.emit(fused, (*body.inputs, *epilogue.inputs[1:]), op.type, op.span)

    def _contract(self, op: Operation, kind: Contract, new: Rewriter) -> int:
        epilogue = self._epilogue(op, kind.epilogue, op.inputs[2:], _combined(op, new), new)
        inputs = (*op.inputs[:2], *epilogue.inputs[1:])
        return new.emit(replace(kind, epilogue=epilogue.expr), inputs, op.type, op.span)

    def _epilogue(self, op: Operation, expr: Expr, extra: tuple[int, ...], combined: DType, new: Rewriter) -> Applied:
        return self._inline(Applied(expr, (ACCUMULATOR, *extra)), op.type.shape, new, {ACCUMULATOR: combined})

    def _inline(
        self, applied: Applied, shape: Shape, new: Rewriter, known: Mapping[int, DType], *, keep_domain: bool = False
    ) -> Applied:
        """Move producing maps into an expression that runs over `shape`, one by one while the result fits."""
        expand: dict[int, Applied] = {}
        best = applied
        for value in applied.inputs:
            if value == ACCUMULATOR or not _movable(new.ops[value], shape, new) or _is_gate(applied, value, shape, new):
                continue
            trial = _compose(applied, expand | {value: _definition(new.ops[value])}, new, known)
            domain = broadcast([new.shape(v) for v in trial.inputs if v != ACCUMULATOR])
            if self._fits(trial) and (not keep_domain or domain == shape):
                expand[value] = _definition(new.ops[value])
                best = trial
                if new.uses[value] > 1:
                    new.uses.update(expand[value].inputs)
        return best

    def _fits(self, applied: Applied) -> bool:
        return len(applied.inputs) <= self.max_operands and len(applied.expr.nodes) <= self.max_nodes


def _compose(applied: Applied, expand: Mapping[int, Applied], new: Rewriter, known: Mapping[int, DType]) -> Applied:
    values = {*applied.inputs, *(value for inner in expand.values() for value in inner.inputs)} - {ACCUMULATOR}
    types = {value: new.ops[value].type.dtype for value in values} | dict(known)
    return compose(applied.expr, applied.inputs, types, expand)


def _definition(op: Operation) -> Applied:
    assert isinstance(op.kind, Map)
    return Applied(op.kind.expr, op.inputs)


def _movable(op: Operation, shape: Shape, new: Rewriter) -> bool:
    """True when repeating the map in its consumer, which runs over `shape`, costs little or nothing."""
    if not isinstance(op.kind, Map) or op.type.dtype.is_block:
        return False
    steps = [node.op for node in op.kind.expr.nodes if node.args]
    cheap = len(steps) <= _CHEAP_STEPS and _CHEAP.issuperset(steps) and len(op.inputs) == 1
    return cheap or (new.uses[op.id] == 1 and op.type.shape == shape)


def _is_gate(applied: Applied, gate: int, shape: Shape, new: Rewriter) -> bool:
    """True when `gate` is repeated along some axis and its zeros make an operand that needs a contraction unnecessary:
    then its pages are worth having, since they can switch the contraction off at run time. What only asks whether
    another value is zero leaves that to be the gate."""
    kind = new.ops[gate].kind
    if new.ops[gate].type.size >= prod(shape) or (isinstance(kind, Map) and _is_zero_test(kind.expr)):
        return False
    zeros = frozenset(number for number, value in enumerate(applied.inputs) if value == gate)
    used = needed(applied.expr, zeros) | zeros
    idle = [value for number, value in enumerate(applied.inputs) if number not in used]
    return any(value == ACCUMULATOR or _contracts(value, new) for value in idle)


def _is_zero_test(expr: Expr) -> bool:
    """True for `arg0 != 0` and conversions: zero where the operand is, and (but for rounding) only there."""
    steps = [node for node in expr.nodes if node.op is not ScalarOp.ARG]
    return expr.arg_count == 1 and all(
        node.op in (ScalarOp.CAST, ScalarOp.NE) or (node.op is ScalarOp.CONST and node.value == 0) for node in steps
    )


def _contracts(value: int, new: Rewriter) -> bool:
    """True when `value` is a contraction or what maps and reductions make of one."""
    pending, seen = [value], {value}
    while pending:
        op = new.ops[pending.pop()]
        if isinstance(op.kind, Contract):
            return True
        if isinstance(op.kind, Map | Reduce):
            pending.extend(other for other in op.inputs if other not in seen)
            seen.update(op.inputs)
    return False


def _ends_in(value: int, op: Operation, new: Rewriter) -> bool:
    """True when `op` is all that becomes of the reduction or contraction `value`, unless that ends in blocks."""
    producer = new.ops[value]
    fits = isinstance(producer.kind, Reduce | Contract) and producer.type.shape == op.type.shape
    if producer.type.dtype.is_block:
        return False
    return fits and new.uses[value] == 1


def _own_inputs(op: Operation) -> int:
    """How many operands are combined; the others belong to the epilogue."""
    return op.kind.body_inputs if isinstance(op.kind, Reduce) else 2


def _combined(op: Operation, new: Rewriter) -> DType:
    if isinstance(op.kind, Reduce):
        return op.kind.body.dtype
    return accumulator(new.ops[op.inputs[0]].type.dtype)
