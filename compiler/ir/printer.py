"""Print a tensor graph as text that `parse_graph` reads back.

::

    graph mlp
    %0: bf16[4, 8] = input x
    %1: bf16[8, 2] = weight w
    %2: bf16[4, 2] = contract mk,kn->mn %0, %1 then { t0 = cast(bf16, arg0); mul(t0, t0) }
    %3: bf16[4, 1] = reduce max [1] cast(f32, arg0) %2 then cast(bf16, arg0) @mlp.mesh:3:5-3:9
    return y = %3

An epilogue follows `then`; its further operands follow it. A source span trails as `@file:line:column-line:column`.
The texts of the sources are not printed.
"""

import base64
import json
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from compiler.diagnostics import Span
from compiler.ir.graph import (
    Constant,
    Contract,
    Input,
    Iota,
    Kind,
    Map,
    Operation,
    Reduce,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.hints import print_hint
from compiler.numerics import DType, Expr, ScalarNode, ScalarOp
from compiler.numerics.fidelity import Fidelity

_INLINE_ELEMENTS = 16
_NESTING = 16
"""Deepest nesting of calls before a step gets a name of its own."""


def print_graph(graph: TensorGraph) -> str:
    lines = [f"graph {_name(graph.name)}", *(print_operation(op) for op in graph.ops)]
    outputs = ", ".join(f"{_name(name)} = %{value}" for name, value in graph.outputs)
    hints = (f"hint {_span(hint.span)} {print_hint(hint)}".rstrip() for hint in graph.hints)
    return "\n".join([*lines, f"return {outputs}", *hints, ""])


def print_operation(op: Operation) -> str:
    """One line, without its end."""
    span = "" if op.span is None else f" {_span(op.span)}"
    return f"%{op.id}: {op.type} = {_kind(op.kind, op.inputs, op.type.dtype)}{span}"


def print_expr(expr: Expr) -> str:
    """Nested calls; steps used more than once are named first: `{ t0 = exp(arg0); add(t0, t0) }`."""
    uses = Counter(arg for node in expr.nodes for arg in node.args)
    texts: list[str] = []
    depths: list[int] = []
    lines: list[str] = []
    for index, node in enumerate(expr.nodes):
        text = _call(node, texts)
        depth = 1 + max((depths[arg] for arg in node.args), default=0)
        if node.args and index + 1 < len(expr.nodes) and (uses[index] > 1 or depth > _NESTING):
            lines.append(f"t{len(lines)} = {text}; ")
            text, depth = f"t{len(lines) - 1}", 0
        texts.append(text)
        depths.append(depth)
    return f"{{ {''.join(lines)}{texts[-1]} }}" if lines else texts[-1]


def _call(node: ScalarNode, texts: Sequence[str]) -> str:
    if node.op is ScalarOp.ARG:
        return f"arg{node.value}"
    if node.op is ScalarOp.CONST:
        value = float(node.value) if node.dtype.is_float else int(node.value)
        return f"{node.dtype.value}:{value!r}"
    types = [node.dtype.value] if node.op is ScalarOp.CAST else []
    return f"{node.op.value}({', '.join([*types, *(texts[arg] for arg in node.args)])})"


def _kind(kind: Kind, inputs: tuple[int, ...], dtype: DType) -> str:
    match kind:
        case Input(name, finite) | Weight(name, finite) | State(name, finite):
            return f"{type(kind).__name__.lower()} {_name(name)}{' finite' if finite else ''}"
        case Constant(data):
            return f"constant {_data(data, dtype)}"
        case Iota(axis):
            return f"iota {axis}"
        case Map(expr):
            return f"map {print_expr(expr)} {_values(inputs)}"
        case Reduce():
            body = f"{print_expr(kind.body)} {_values(inputs[: kind.body_inputs])}"
            rest = _epilogue(kind.epilogue, inputs[kind.body_inputs :])
            return f"reduce {kind.kind.value} {list(kind.axes)} {body} {rest}"
        case Contract():
            rest = _epilogue(kind.epilogue, inputs[2:])
            words = "" if kind.fidelity is Fidelity.HIFI4 else f"{kind.fidelity.value} "
            words += "annihilates " if kind.annihilates else ""
            return f"contract {words}{kind.a},{kind.b}->{kind.out} {_values(inputs[:2])} {rest}"
        case Reshape():
            return f"reshape {_values(inputs)}"
        case Transpose(perm):
            return f"transpose {list(perm)} {_values(inputs)}"
        case Slice(starts, steps):
            return f"slice {list(starts)} step {list(steps)} {_values(inputs)}"
        case Window(digits, base, steps):
            rows = "".join(f" {list(row)}" for row in steps)
            return f"window {list(digits)} from {list(base)} step{rows} of {_values(inputs)}"
        case Take():
            return f"take {_values(inputs)}"


def _epilogue(expr: Expr, operands: tuple[int, ...]) -> str:
    return f"then {print_expr(expr)} {_values(operands)}".rstrip()


def _values(ids: tuple[int, ...]) -> str:
    return ", ".join(f"%{value}" for value in ids)


def _data(data: bytes, dtype: DType) -> str:
    values = np.frombuffer(data, dtype.numpy)
    numbers = [float(v) if dtype.is_float else int(v) for v in values[:_INLINE_ELEMENTS]]
    if len(values) <= _INLINE_ELEMENTS and np.array(numbers, np.float64).astype(dtype.numpy).tobytes() == data:
        return f"[{', '.join(map(repr, numbers))}]"
    return f'base64 {len(data)} "{base64.b64encode(data).decode()}"'


def _name(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else json.dumps(name)


def _span(span: Span) -> str:
    source = span.source if re.fullmatch(r"[A-Za-z0-9_./<>+-]+", span.source) else json.dumps(span.source)
    return f"@{source}:{span.line}:{span.column}-{span.end_line}:{span.end_column}"
