"""Apply algebraic identities that keep every bit."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from compiler.ir import (
    Constant,
    Contract,
    Map,
    Operation,
    Reduce,
    Reshape,
    Slice,
    Take,
    TensorGraph,
    Transpose,
    Window,
)
from compiler.ir.rules import accumulator, broadcast
from compiler.numerics import DType, Expr
from compiler.numerics.evaluate import constant
from compiler.passes.movement import (
    absorb_cast,
    absorb_transpose,
    numbers_of_rows,
    reshape,
    rows_known,
    slice,
    transpose,
)
from compiler.passes.reshapes import hoist_reshape, sink_reshape
from compiler.passes.rewrite import Rewriter, Rule, rewrite
from compiler.passes.scalars import ACCUMULATOR, Applied, compose, splat_expr
from compiler.passes.windows import moved_window, window


@dataclass(frozen=True, slots=True)
class Simplify:
    """Drop work that changes nothing, each rule only where it keeps every bit.

    - Maps: constants of equal elements move into the expression, expressions are simplified (see `scalars`), identity
      maps vanish, operands that are not used or repeated are dropped;
    - reshapes, transposes and slices that do nothing vanish, pairs merge, a transpose of unit axes is a reshape;
    - a contraction reads a transposed operand in the order in which it lies, and operands that were only cast,
      without a loss, as they are, where the products stay the same;
    - windows take in reshapes and transposes around them, and windows before them (see `windows`);
    - reshapes that add or drop unit axes make way for maps (see `reshapes`);
    - the numbers of rows that are taken are read in the order in which they lie; a take of known, evenly spaced rows is
      a slice.

    Before::

        %0: bf16[4, 8] = input x
        %1: bf16[2, 8] = weight w
        %2: bf16[8, 2] = transpose [1, 0] %1
        %3: bf16[4, 2] = contract mk,kn->mn %0, %2 then cast(bf16, arg0)
        %4: bf16[4, 2] = constant [1.0]
        %5: bf16[4, 2] = map mul(arg0, arg1) %3, %4
        return y = %5

    After::

        %0: bf16[4, 8] = input x
        %1: bf16[2, 8] = weight w
        %2: bf16[4, 2] = contract mk,nk->mn %0, %1 then cast(bf16, arg0)
        return y = %2
    """

    name: ClassVar[str] = "simplify"

    def run(self, graph: TensorGraph) -> TensorGraph:
        return rewrite(graph, _simplify)


def _simplify(op: Operation, new: Rewriter) -> int | None:
    match op.kind:
        case Map():
            return _first(op, new, _map, sink_reshape)
        case Reduce():
            return _reduce(op, new)
        case Contract():
            return _first(op, new, absorb_transpose, absorb_cast, _contract)
        case Reshape():
            return _first(op, new, reshape, moved_window, hoist_reshape)
        case Transpose():
            return _first(op, new, transpose, moved_window)
        case Slice():
            return slice(op, new)
        case Window():
            return window(op, new)
        case Take():
            return _first(op, new, rows_known, numbers_of_rows)
    return None


def _first(op: Operation, new: Rewriter, *rules: Rule) -> int | None:
    """The result of the first rule that applies."""
    return next((value for rule in rules if (value := rule(op, new)) is not None), None)


def _map(op: Operation, new: Rewriter) -> int | None:
    assert isinstance(op.kind, Map)
    applied = _tidy(op.kind.expr, op.inputs, new, {})
    if not applied.inputs:
        return new.emit(Constant(constant(applied.expr.nodes[-1]).tobytes()), (), op.type, op.span)
    if applied.expr.is_identity and new.ops[applied.inputs[0]].type == op.type:
        return applied.inputs[0]
    if applied == Applied(op.kind.expr, op.inputs):
        return None
    return new.emit(Map(applied.expr), applied.inputs, op.type, op.span)


def _reduce(op: Operation, new: Rewriter) -> int | None:
    """Tidy body and epilogue; the operands of the body may not change when the domain would."""
    assert isinstance(op.kind, Reduce)
    kind, count = op.kind, op.kind.body_inputs
    body = _tidy(kind.body, op.inputs[:count], new, {})
    if broadcast([new.shape(v) for v in body.inputs]) != broadcast([new.shape(v) for v in op.inputs[:count]]):
        body = Applied(kind.body, op.inputs[:count])
    epilogue = _tidy(kind.epilogue, (ACCUMULATOR, *op.inputs[count:]), new, {ACCUMULATOR: kind.body.dtype})
    tidy = replace(kind, body=body.expr, epilogue=epilogue.expr, body_inputs=len(body.inputs))
    inputs = body.inputs + epilogue.inputs[1:]
    return None if (tidy, inputs) == (kind, op.inputs) else new.emit(tidy, inputs, op.type, op.span)


def _contract(op: Operation, new: Rewriter) -> int | None:
    assert isinstance(op.kind, Contract)
    kind = op.kind
    combined = {ACCUMULATOR: accumulator(new.ops[op.inputs[0]].type.dtype)}
    epilogue = _tidy(kind.epilogue, (ACCUMULATOR, *op.inputs[2:]), new, combined)
    tidy = replace(kind, epilogue=epilogue.expr)
    inputs = op.inputs[:2] + epilogue.inputs[1:]
    return None if (tidy, inputs) == (kind, op.inputs) else new.emit(tidy, inputs, op.type, op.span)


def _tidy(expr: Expr, inputs: tuple[int, ...], new: Rewriter, known: Mapping[int, DType]) -> Applied:
    """Simplify an expression over graph values, constants of equal elements moving into it."""
    values = [value for value in inputs if value != ACCUMULATOR]
    types = {value: new.ops[value].type.dtype for value in values} | dict(known)
    splats = {value: splat_expr(new.ops[value]) for value in values}
    return compose(expr, inputs, types, {value: splat for value, splat in splats.items() if splat is not None})
