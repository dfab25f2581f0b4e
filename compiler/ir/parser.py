"""Read the printed form of a tensor graph; see `compiler.ir.printer` for the form."""

import base64
import binascii
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

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
    ReduceKind,
    Reshape,
    Slice,
    State,
    Take,
    TensorGraph,
    TensorType,
    Transpose,
    Weight,
    Window,
)
from compiler.ir.hints import Hint, Loading
from compiler.ir.lexer import Lexer, Token
from compiler.ir.rules import accumulator
from compiler.ir.verify import graph_problems, operation_problems
from compiler.numerics import DType, Expr, ExprBuilder, ScalarOp
from compiler.numerics.expr_check import is_exact, result_dtype
from compiler.numerics.fidelity import Fidelity

_NESTING = 100
_DTYPES = {dtype.value: dtype for dtype in DType}
_CALLS = {op.value: op for op in ScalarOp if op.arity > 0}
_FED: dict[str, type[Input] | type[Weight] | type[State]] = {"input": Input, "weight": Weight, "state": State}
_COMBINERS = {kind.value: kind for kind in ReduceKind}
_SPAN = re.compile(r"@(.*):(\d+):(\d+)-(\d+):(\d+)", re.DOTALL)


def parse_graph(text: str, name: str = "<graph>") -> TensorGraph:
    """Return the graph that `text` prints; `sources` is empty.

    Raises a `DiagnosticError` (E0490) that points into `text`, called `name`, when it is not a well-formed graph.
    """
    return _Parser(Lexer(text, name)).graph()


@dataclass(frozen=True, slots=True)
class _Term:
    """A call (its operation and arguments), an operand (`arg3`), a constant or the name of an earlier step."""

    token: Token
    args: tuple["_Term", ...] = ()
    dtype: DType | None = None
    value: float | int = 0


@dataclass(frozen=True, slots=True)
class _Block:
    """An expression whose operand types are not known yet: named steps, then the result."""

    steps: tuple[tuple[str, _Term], ...]
    result: _Term


class _Parser:
    """Recursive descent, one method per production."""

    def __init__(self, lexer: Lexer) -> None:
        self.lexer = lexer
        self.types: list[TensorType] = []

    def graph(self) -> TensorGraph:
        self.lexer.expect("graph")
        name = self.name()
        ops: list[Operation] = []
        while not self.lexer.accept("return"):
            ops.append(self.operation())
        outputs = [self.output()]
        while self.lexer.accept(","):
            outputs.append(self.output())
        hints: list[Hint] = []
        while self.lexer.accept("hint"):
            hints.append(self.hint())
        if self.lexer.peek.group != "end":
            raise self.lexer.error("expected the end of the text after the outputs")
        graph = TensorGraph(name, tuple(ops), tuple(outputs), (), tuple(hints))
        for problem in graph_problems(graph):
            raise self.lexer.error(problem)
        return graph

    def hint(self) -> Hint:
        span = self.span()
        if span is None:
            raise self.lexer.error("expected the place of the hinted statement")
        hint = Hint(span, soft=self.lexer.accept("prefer"))
        while self.lexer.peek.group == "word" and self.lexer.peek.text != "hint":
            hint = self.clause(hint)
        return hint

    def clause(self, hint: Hint) -> Hint:
        word = self.lexer.take()
        match word.text:
            case "on":
                self.lexer.expect("cores")
                return replace(hint, cores=self.pair())
            case "at":
                self.lexer.expect("core")
                return replace(hint, corner=self.pair())
            case "epoch":
                return replace(hint, epoch=self.parenthesized())
            case "buffers":
                return replace(hint, buffers=self.parenthesized())
            case "resident" | "stream":
                return replace(hint, loading=Loading(word.text))
        raise self.lexer.error("expected a clause of a hint, such as `on cores(4, 8)`", word)

    def pair(self) -> tuple[int, int]:
        self.lexer.expect("(")
        first = self.integer()
        self.lexer.expect(",")
        second = self.integer()
        self.lexer.expect(")")
        return first, second

    def parenthesized(self) -> int:
        self.lexer.expect("(")
        number = self.integer()
        self.lexer.expect(")")
        return number

    def output(self) -> tuple[str, int]:
        name = self.name()
        self.lexer.expect("=")
        return name, self.value()

    def operation(self) -> Operation:
        start = self.lexer.peek
        number = int(self.lexer.group("target", "an operation such as `%0: f32[4] = ...`").text[1:])
        if number != len(self.types):
            raise self.lexer.error(f"expected %{len(self.types)}, found %{number}", start)
        self.lexer.expect(":")
        type = self.type()
        self.lexer.expect("=")
        kind, inputs = self.kind(type)
        op = Operation(number, kind, tuple(inputs), type, self.span())
        for problem in operation_problems(op, self.types):
            raise self.lexer.error(problem, start)
        self.types.append(type)
        return op

    def kind(self, type: TensorType) -> tuple[Kind, list[int]]:
        word = self.lexer.group("word", "an operation")
        match word.text:
            case "input" | "weight" | "state":
                return _FED[word.text](self.name(), self.lexer.accept("finite")), []
            case "constant":
                return Constant(self.data(type.dtype)), []
            case "iota":
                return Iota(self.integer()), []
            case "map":
                block = self.block()
                inputs = self.values()
                return Map(self.resolve(block, [self.dtype_of(i) for i in inputs])), inputs
            case "reduce":
                return self.reduce()
            case "contract":
                return self.contract()
            case "reshape":
                return Reshape(), [self.value()]
            case "transpose":
                return Transpose(self.integers()), [self.value()]
            case "slice":
                starts = self.integers()
                self.lexer.expect("step")
                return Slice(starts, self.integers()), [self.value()]
            case "window":
                return self.window()
            case "take":
                return Take(), self.values()
        raise self.lexer.error(f"`{word.text}` is not an operation", word)

    def window(self) -> tuple[Window, list[int]]:
        digits = self.integers()
        self.lexer.expect("from")
        base = self.integers()
        self.lexer.expect("step")
        steps: list[tuple[int, ...]] = []
        while not self.lexer.accept("of"):
            steps.append(self.integers())
        return Window(digits, base, tuple(steps)), [self.value()]

    def reduce(self) -> tuple[Reduce, list[int]]:
        word = self.lexer.group("word", "a way to combine")
        if word.text not in _COMBINERS:
            raise self.lexer.error(f"`{word.text}` is not one of {', '.join(_COMBINERS)}", word)
        axes, block = self.integers(), self.block()
        inputs = self.values()
        body = self.resolve(block, [self.dtype_of(i) for i in inputs])
        epilogue, extra = self.epilogue(body.dtype)
        return Reduce(_COMBINERS[word.text], axes, body, epilogue, len(inputs)), inputs + extra

    def contract(self) -> tuple[Contract, list[int]]:
        fidelity = next((f for f in Fidelity if self.lexer.accept(f.value)), Fidelity.HIFI4)
        annihilates = self.lexer.accept("annihilates")
        a = self.lexer.group("word", "axis letters").text
        self.lexer.expect(",")
        b = self.lexer.group("word", "axis letters").text
        self.lexer.expect("->")
        out = self.lexer.group("word", "axis letters").text
        inputs = self.values()
        epilogue, extra = self.epilogue(accumulator(self.dtype_of(inputs[0])))
        return Contract(a, b, out, epilogue, fidelity, annihilates=annihilates), inputs + extra

    def epilogue(self, combined: DType) -> tuple[Expr, list[int]]:
        self.lexer.expect("then")
        block = self.block()
        extra = self.values() if self.lexer.peek.group == "value" else []
        return self.resolve(block, [combined, *(self.dtype_of(i) for i in extra)]), extra

    def block(self) -> _Block:
        if not self.lexer.accept("{"):
            return _Block((), self.term())
        steps: list[tuple[str, _Term]] = []
        term = self.term()
        while not term.args and self.lexer.accept("="):
            steps.append((term.token.text, self.term()))
            self.lexer.expect(";")
            term = self.term()
        self.lexer.expect("}")
        return _Block(tuple(steps), term)

    def term(self, depth: int = 0) -> _Term:
        token = self.lexer.group("word", "an expression")
        if depth > _NESTING:
            raise self.lexer.error("the expression is nested too deeply", token)
        if token.text in _DTYPES:
            self.lexer.expect(":")
            return _Term(token, dtype=_DTYPES[token.text], value=self.number(_DTYPES[token.text]))
        if not self.lexer.accept("("):
            return _Term(token)
        return self.call(token, depth)

    def call(self, token: Token, depth: int) -> _Term:
        if token.text not in _CALLS:
            raise self.lexer.error(f"`{token.text}` is not a scalar operation", token)
        dtype = None
        if token.text == ScalarOp.CAST.value:
            dtype = self.dtype()
            self.lexer.expect(",")
        args = [self.term(depth + 1)]
        while self.lexer.accept(","):
            args.append(self.term(depth + 1))
        self.lexer.expect(")")
        if len(args) != _CALLS[token.text].arity:
            raise self.lexer.error(
                f"`{token.text}` takes {_CALLS[token.text].arity} arguments, found {len(args)}", token
            )
        return _Term(token, tuple(args), dtype)

    def resolve(self, block: _Block, operands: Sequence[DType]) -> Expr:
        """Type the expression; `operands` are the types of its arguments."""
        builder = ExprBuilder()
        steps: dict[str, int] = {}

        def node(term: _Term) -> int:
            args = [node(arg) for arg in term.args]
            if term.args:
                op = _CALLS[term.token.text]
                return builder.op(op, term.dtype or result_dtype(op, builder.dtype(args[-1])), *args)
            if term.dtype is not None:
                return builder.const(term.value, term.dtype)
            return self.named(term.token, builder, steps, operands)

        for name, term in block.steps:
            steps[name] = node(term)
        return builder.build(node(block.result))

    def named(self, token: Token, builder: ExprBuilder, steps: Mapping[str, int], operands: Sequence[DType]) -> int:
        if token.text in steps:
            return steps[token.text]
        match = re.fullmatch(r"arg(\d{1,9})", token.text)
        if match is None or int(match[1]) >= len(operands):
            raise self.lexer.error(f"`{token.text}` is neither an operand nor an earlier step", token)
        return builder.arg(int(match[1]), operands[int(match[1])])

    def number(self, dtype: DType) -> float | int:
        token = self.lexer.group("number", "a number")
        value = self.real(token) if dtype.is_float else self.whole(token)
        if not is_exact(value, dtype):
            raise self.lexer.error(f"{token.text} is not exactly representable in {dtype.value}", token)
        return value

    def real(self, token: Token) -> float:
        return math.nan if token.text == "nan" else float(token.text)

    def whole(self, token: Token) -> int:
        if not re.fullmatch(r"-?\d{1,18}", token.text):
            raise self.lexer.error("expected an integer of at most 18 digits", token)
        return int(token.text)

    def integer(self) -> int:
        return self.whole(self.lexer.group("number", "an integer"))

    def integers(self) -> tuple[int, ...]:
        self.lexer.expect("[")
        found: list[int] = []
        while not self.lexer.accept("]"):
            if found:
                self.lexer.expect(",")
            found.append(self.integer())
        return tuple(found)

    def dtype(self) -> DType:
        token = self.lexer.group("word", "an element type")
        if token.text not in _DTYPES:
            raise self.lexer.error(f"`{token.text}` is not one of {', '.join(_DTYPES)}", token)
        return _DTYPES[token.text]

    def type(self) -> TensorType:
        dtype = self.dtype()
        return TensorType(self.integers(), dtype)

    def data(self, dtype: DType) -> bytes:
        if self.lexer.accept("base64"):
            return self.base64()
        self.lexer.expect("[")
        values = [self.number(dtype)]
        while self.lexer.accept(","):
            values.append(self.number(dtype))
        self.lexer.expect("]")
        return np.array(values, np.float64).astype(dtype.numpy).tobytes()

    def base64(self) -> bytes:
        length = self.integer()
        token = self.lexer.group("string", "a string")
        try:
            data = base64.b64decode(token.text[1:-1], validate=True)
        except (binascii.Error, ValueError):
            raise self.lexer.error("the string is not base64", token) from None
        if len(data) != length:
            raise self.lexer.error(f"expected {length} bytes, found {len(data)}", token)
        return data

    def name(self) -> str:
        if self.lexer.peek.group == "word":
            return self.lexer.take().text
        return self.string(self.lexer.group("string", "a name"), None)

    def string(self, token: Token, text: str | None) -> str:
        """The meaning of a quoted `text`, by default that of the token."""
        try:
            return str(json.loads(text if text is not None else token.text))
        except ValueError:
            raise self.lexer.error("the string is not well-formed", token) from None

    def value(self) -> int:
        token = self.lexer.group("value", "a value such as `%0`")
        return int(token.text[1:])

    def values(self) -> list[int]:
        found = [self.value()]
        while self.lexer.accept(","):
            found.append(self.value())
        return found

    def dtype_of(self, value: int) -> DType:
        if value >= len(self.types):
            raise self.lexer.error(f"%{value} is not an earlier operation")
        return self.types[value].dtype

    def span(self) -> Span | None:
        if self.lexer.peek.group != "span":
            return None
        token = self.lexer.take()
        match = _SPAN.fullmatch(token.text)
        if match is None:
            raise self.lexer.error("expected `@file:line:column-line:column`", token)
        source = self.string(token, match[1]) if match[1].startswith('"') else match[1]
        return Span(source, int(match[2]), int(match[3]), int(match[4]), int(match[5]))
