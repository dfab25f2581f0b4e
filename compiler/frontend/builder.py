"""Write programs in Python: values with NumPy's operators, lowered exactly like a text.

    p = Program("layer")
    x, w = p.input("x", "bf16", 64, 784), p.weight("w", "bf16", 784, 10)
    p.result(std.softmax(x @ w, axis=1), "bf16", 64, 10)
    graph = p.graph()

Every operation becomes a statement of a syntax tree, whose place is the caller's expression; so messages point into the
Python file, and a value that is used twice is computed once. Shapes and types are checked by `graph`.
"""

import linecache
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import PurePath
from types import EllipsisType, FrameType
from typing import TypeAlias

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span
from compiler.frontend import ast
from compiler.frontend.library import visible
from compiler.frontend.lower import lower
from compiler.frontend.names import check
from compiler.ir import TensorGraph

Operand: TypeAlias = "Value | int | float | bool"
Item: TypeAlias = "Value | int | slice | EllipsisType"
Option: TypeAlias = "Operand | tuple[int, ...]"
_Op: TypeAlias = ast.BinaryOperator
_Unary: TypeAlias = ast.UnaryOperator
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(slots=True)
class _Places:
    """The Python files that a program comes from, by the names that messages give them."""

    names: dict[str, str] = field(default_factory=dict)
    sources: dict[str, Source] = field(default_factory=dict)

    def here(self) -> Span:
        """The expression of the nearest caller outside of this module."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        assert frame is not None
        positions = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
        line, end_line, column, end_column = positions
        name = self.name_of(frame.f_code.co_filename)
        if self.sources[name].text.count("\n") < frame.f_lineno:  # the file is not to be had
            self.sources[name] = Source(name, "\n" * frame.f_lineno)
        if line is None or end_line is None or column is None or end_column is None:
            return Span(name, frame.f_lineno, 1, frame.f_lineno, 2)
        return Span(name, line, column + 1, end_line, end_column + 1)

    def name_of(self, file: str) -> str:
        """The last part of the path; more of it where two files have the same. (A name in `<>` would be ours.)"""
        if file not in self.names:
            short = PurePath(file).name.strip("<>")
            name = file.strip("<>") if short in self.sources else short
            self.names[file] = name
            self.sources[name] = Source(name, "".join(linecache.getlines(file)))
        return self.names[file]


@dataclass(eq=False, slots=True)
class Program:
    """A program under construction; its statements are in the order in which Python computes them.

    `std` can call the functions of `functions`, a loaded module, beside those of the standard library. `semantics` is
    what a file would say: `"zero_annihilates"`.
    """

    name: str
    functions: ast.Module | None = None
    semantics: str | None = None
    _places: _Places = field(default_factory=_Places)
    _parameters: list[ast.Parameter] = field(default_factory=list)
    _body: list[ast.Statement] = field(default_factory=list)
    _results: list[tuple[ast.Result, ast.Expression]] = field(default_factory=list)
    _values: int = 0

    def input(self, name: str, element: str, *extents: int, finite: bool = False) -> "Value":
        """Add a tensor that is fed at every run; without extents a scalar. `finite` promises no NaN or infinity."""
        return self._parameter(name, ast.Mode.INPUT, element, extents, finite)

    def weight(self, name: str, element: str, *extents: int, finite: bool = False) -> "Value":
        """Add a tensor that is fixed before the program runs."""
        return self._parameter(name, ast.Mode.WEIGHT, element, extents, finite)

    def state(self, name: str, element: str, *extents: int, finite: bool = False) -> "Value":
        """Add a tensor that stays on the device between runs; `update` gives it another value."""
        return self._parameter(name, ast.Mode.STATE, element, extents, finite)

    def update(self, state: "Value", value: "Value") -> None:
        """Make `value` that of a state, from here on and in the next run."""
        place = self._places.here()
        self._body.append(ast.Assign((ast.Name(state.name, place),), value.node(place), place))

    def result(self, value: "Value", element: str, *extents: int, name: str | None = None) -> None:
        """Declare a result and its type; a single one is called `out` unless it is named."""
        place = self._places.here()
        label = self._name(name, place) if name is not None else None
        self._results.append((ast.Result(label, _type(element, extents, place)), value.node(place)))

    def graph(self) -> TensorGraph:
        """Check and lower the program; raises `DiagnosticError` with places in the Python files."""
        module = self._module(self._places.here())
        problems = check(module, visible(module))
        if problems:
            raise DiagnosticError(tuple(problems), dict(self._places.sources))
        return lower(module, self.name, {})

    def _module(self, place: Span) -> ast.Module:
        results = tuple(result for result, _ in self._results)
        body = (*self._body, ast.Return(tuple(value for _, value in self._results), place))
        name = ast.Name(self.name, place)
        program = ast.Program(name, tuple(self._parameters), results=results, body=body, span=place)
        sources = dict(self._places.sources)
        source = sources.pop(place.source)
        modules = [ast.Module(other, (), (), ()) for other in sources.values()]
        modules += [self.functions] if self.functions is not None else []
        said = (self.semantics,) if self.semantics is not None else ()
        semantics = tuple(ast.Semantics(ast.Name(text, place), place) for text in said)
        return ast.Module(source, (), (), (program,), modules=tuple(modules), semantics=semantics)

    def _parameter(self, name: str, mode: ast.Mode, element: str, extents: tuple[int, ...], finite: bool) -> "Value":
        place = self._places.here()
        type, label = _type(element, extents, place), self._name(name, place)
        promise = place if finite else None
        self._parameters.append(ast.Parameter(label, mode, type=type, default=None, span=place, finite=promise))
        return Value(self, name)

    def _name(self, text: str, place: Span) -> ast.Name:
        if not _NAME.fullmatch(text):
            diagnostic = Diagnostic("E0102", f"`{text}` is not a name", (Label(place),))
            raise DiagnosticError((diagnostic,), dict(self._places.sources))
        return ast.Name(text, place)

    def _assign(self, build: Callable[[Span], ast.Expression], results: int = 1) -> "tuple[Value, ...]":
        """Add a statement for the expression at the caller's place, which gives `results` values."""
        place = self._places.here()
        names = tuple(f"%{self._values + number}" for number in range(results))  # no name of a parameter
        self._values += results
        self._body.append(ast.Assign(tuple(ast.Name(name, place) for name in names), build(place), place))
        return tuple(Value(self, name) for name in names)


@dataclass(eq=False, slots=True)
class Value:
    """A tensor of a program. Operators are those of NumPy, with `&`, `|` and `~` for bools."""

    program: Program
    name: str

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def node(self, place: Span) -> ast.Expression:
        return ast.Name(self.name, place)

    def _binary(self, op: _Op, left: Operand, right: Operand) -> "Value":
        def build(place: Span) -> ast.Expression:
            return ast.Binary(op, _node(left, place), right=_node(right, place), span=place)

        return self.program._assign(build)[0]

    def _unary(self, op: _Unary) -> "Value":
        return self.program._assign(lambda place: ast.Unary(op, self.node(place), place))[0]

    def __add__(self, other: Operand) -> "Value":
        return self._binary(_Op.ADD, self, other)

    def __radd__(self, other: Operand) -> "Value":
        return self._binary(_Op.ADD, other, self)

    def __sub__(self, other: Operand) -> "Value":
        return self._binary(_Op.SUB, self, other)

    def __rsub__(self, other: Operand) -> "Value":
        return self._binary(_Op.SUB, other, self)

    def __mul__(self, other: Operand) -> "Value":
        return self._binary(_Op.MUL, self, other)

    def __rmul__(self, other: Operand) -> "Value":
        return self._binary(_Op.MUL, other, self)

    def __truediv__(self, other: Operand) -> "Value":
        return self._binary(_Op.DIV, self, other)

    def __rtruediv__(self, other: Operand) -> "Value":
        return self._binary(_Op.DIV, other, self)

    def __mod__(self, other: Operand) -> "Value":
        return self._binary(_Op.MOD, self, other)

    def __matmul__(self, other: "Value") -> "Value":
        return self._binary(_Op.MATMUL, self, other)

    def __lt__(self, other: Operand) -> "Value":
        return self._binary(_Op.LT, self, other)

    def __le__(self, other: Operand) -> "Value":
        return self._binary(_Op.LE, self, other)

    def __gt__(self, other: Operand) -> "Value":
        return self._binary(_Op.GT, self, other)

    def __ge__(self, other: Operand) -> "Value":
        return self._binary(_Op.GE, self, other)

    def __eq__(self, other: Operand) -> "Value":  # type: ignore[override]
        return self._binary(_Op.EQ, self, other)

    def __ne__(self, other: Operand) -> "Value":  # type: ignore[override]
        return self._binary(_Op.NE, self, other)

    def __and__(self, other: Operand) -> "Value":
        return self._binary(_Op.AND, self, other)

    def __or__(self, other: Operand) -> "Value":
        return self._binary(_Op.OR, self, other)

    def __invert__(self) -> "Value":
        return self._unary(_Unary.NOT)

    def __neg__(self) -> "Value":
        return self._unary(_Unary.NEG)

    def __bool__(self) -> bool:
        """Refuse to choose in Python what is known only when the program runs."""
        place = self.program._places.here()
        message = "the condition of `if` is true or false, known at compile time"
        helps = ("`std.where(condition, a, b)` decides for each element",)
        diagnostic = Diagnostic("E0331", message, (Label(place, "this is a tensor"),), helps=helps)
        raise DiagnosticError((diagnostic,), dict(self.program._places.sources))

    def __getitem__(self, items: "Item | tuple[Item, ...]") -> "Value":
        each = items if isinstance(items, tuple) else (items,)

        def build(place: Span) -> ast.Expression:
            return ast.Subscript(self.node(place), tuple(_item(item, place) for item in each), place)

        return self.program._assign(build)[0]

    @property
    def T(self) -> "Value":
        """The last two axes swapped."""
        return self.program._assign(lambda place: ast.Attribute(self.node(place), ast.Name("T", place), place))[0]


class Functions:
    """Every function of the language by its name: those built in, the standard library, those of `Program.functions`.

    `std.split(x, 2, axis=1, results=2)` gives as many values as `results` says.
    """

    def __getattr__(self, name: str) -> "Callable[..., Value]":
        def call(*arguments: Operand, **options: Option) -> Value:
            (value,) = self.several(name, 1, *arguments, **options)
            return value

        return call

    def several(self, name: str, results: int, *arguments: Operand, **options: Option) -> tuple[Value, ...]:
        """Call a function that has several results."""
        program = next(part.program for part in (*arguments, *options.values()) if isinstance(part, Value))

        def build(place: Span) -> ast.Expression:
            keywords = tuple(ast.Keyword(ast.Name(key, place), _node(value, place)) for key, value in options.items())
            given = tuple(_node(argument, place) for argument in arguments)
            return ast.Call(ast.Name(name, place), given, keywords=keywords, span=place)

        return program._assign(build, results)


std = Functions()


def _type(element: str, extents: tuple[int, ...], place: Span) -> ast.Type:
    return ast.Type(ast.Name(element, place), tuple(ast.Literal(extent, place) for extent in extents), place)


def _node(value: Option, place: Span) -> ast.Expression:
    if isinstance(value, Value):
        return value.node(place)
    if isinstance(value, tuple):
        return ast.Tuple(tuple(ast.Literal(item, place) for item in value), place)
    return ast.Literal(value, place)


def _item(item: Item, place: Span) -> ast.Item:
    if isinstance(item, EllipsisType):
        return ast.Rest(place)
    if isinstance(item, slice):
        start, stop, step = (
            ast.Literal(b, place) if b is not None else None for b in (item.start, item.stop, item.step)
        )
        return ast.SliceItem(start, stop, step=step, span=place)
    return _node(item, place)
