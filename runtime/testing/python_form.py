"""A program of the language written again in Python: its statements, said to the builder one after the other."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from compiler import Program, std
from compiler.frontend import ast

_BINARY: Mapping[ast.BinaryOperator, Callable[[Any, Any], Any]] = {
    ast.BinaryOperator.ADD: operator.add,
    ast.BinaryOperator.SUB: operator.sub,
    ast.BinaryOperator.MUL: operator.mul,
    ast.BinaryOperator.DIV: operator.truediv,
    ast.BinaryOperator.MOD: operator.mod,
    ast.BinaryOperator.MATMUL: operator.matmul,
    ast.BinaryOperator.LT: operator.lt,
    ast.BinaryOperator.LE: operator.le,
    ast.BinaryOperator.GT: operator.gt,
    ast.BinaryOperator.GE: operator.ge,
    ast.BinaryOperator.EQ: operator.eq,
    ast.BinaryOperator.NE: operator.ne,
    ast.BinaryOperator.AND: operator.and_,
    ast.BinaryOperator.OR: operator.or_,
}


def in_python(program: ast.Program) -> Program:
    """The same program from the builder; for bodies of assignments, `while` and calls of the library."""
    builder = Program(program.name.text)
    made = {ast.Mode.INPUT: builder.input, ast.Mode.WEIGHT: builder.weight, ast.Mode.STATE: builder.state}
    writer = _Writer(builder, {"inf": math.inf, "nan": math.nan, "pi": math.pi})
    for parameter in program.parameters:
        assert parameter.mode is not None
        name, type = parameter.name.text, parameter.type
        extents = [writer.value(extent) for extent in type.extents if not isinstance(extent, ast.Rest)]
        make, finite = made[parameter.mode], parameter.finite is not None
        writer.values[name] = make(name, type.element.text, *extents, finite=finite)
    *statements, last = program.body
    for statement in statements:
        writer.statement(statement)
    assert isinstance(last, ast.Return)
    for declared, value in zip(program.results, last.values, strict=True):
        extents = [writer.value(extent) for extent in declared.type.extents if not isinstance(extent, ast.Rest)]
        label = declared.name.text if declared.name is not None else None
        builder.result(writer.value(value), declared.type.element.text, *extents, name=label)
    return builder


@dataclass(slots=True)
class _Writer:
    """`values` are those of names, `indices` those that the statement at hand has introduced."""

    program: Program
    values: dict[str, Any]
    indices: dict[str, Any] = field(default_factory=dict)

    def statement(self, statement: ast.Statement) -> None:
        match statement:
            case ast.Assign((target,), value):
                self.assign(target.text, self.value(value))
            case ast.Assign(targets, ast.Call() as call):
                arguments = [self.value(argument) for argument in call.arguments]
                options = {keyword.name.text: self.value(keyword.value) for keyword in call.keywords}
                found = std.several(call.function.text, len(targets), *arguments, **options)
                self.values.update(zip((target.text for target in targets), found, strict=True))
            case ast.IndexAssign():
                self.index_assign(statement)
            case ast.While(condition, ast.Literal(limit), body):
                with self.program.loop(lambda: self.value(condition), int(limit)):
                    for inner in body:
                        self.statement(inner)
            case _:
                raise NotImplementedError(f"{type(statement).__name__} in Python")

    def assign(self, name: str, value: Any) -> None:
        """Give a name a value of its own, so that what changes one changes no other."""
        if name not in self.values:
            self.values[name] = self.program.tensor()
        self.program.update(self.values[name], value)

    def index_assign(self, statement: ast.IndexAssign) -> None:
        fresh = [item.text for item in statement.items if ast.is_index(item, self.values)]
        outer, self.indices = self.indices, {name: self.program.indices(name)[0] for name in fresh}
        target = self.values.setdefault(statement.target.text, self.program.tensor())
        items = tuple(self.item(item) for item in statement.items)
        target[items] = self.value(statement.value)
        self.indices = outer

    def item(self, item: ast.Item) -> Any:
        match item:
            case ast.Rest():
                return ...
            case ast.SliceItem(start, stop, step):
                return slice(*(self.value(bound) if bound is not None else None for bound in (start, stop, step)))
            case _:
                return self.value(item)

    def value(self, node: ast.Expression) -> Any:
        match node:
            case ast.Name(text):
                return self.indices[text] if text in self.indices else self.values[text]
            case ast.Literal(value):
                return value
            case ast.Unary(op, operand):
                inner = self.value(operand)
                return -inner if op is ast.UnaryOperator.NEG else not inner if isinstance(inner, bool) else ~inner
            case ast.Binary(op, left, right):
                return _BINARY[op](self.value(left), self.value(right))
            case ast.Call():
                return self.call(node)
            case ast.Subscript(base, items):
                return self.value(base)[tuple(self.item(item) for item in items)]
            case ast.Attribute(base):
                return self.value(base).T
            case ast.Tuple(parts):
                return tuple(self.value(part) for part in parts)
            case ast.Reduction(kind, indices, body):
                outer = self.indices
                introduced = [self.program.indices(index.text)[0] for index in indices]
                self.indices = outer | {index.text: i for index, i in zip(indices, introduced, strict=True)}
                found = getattr(std, kind.text)(*introduced)(self.value(body))
                self.indices = outer
                return found

    def call(self, node: ast.Call) -> Any:
        arguments = [self.value(argument) for argument in node.arguments]
        options = {keyword.name.text: self.value(keyword.value) for keyword in node.keywords}
        if node.function.text == "sqrt" and isinstance(arguments[0], int | float):
            return math.sqrt(arguments[0])
        return self.program.call(node.function.text, *arguments, **options)
