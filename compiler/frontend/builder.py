"""Write programs in Python: values with NumPy's operators, lowered exactly like a text.

    p = Program("layer")
    x, w = p.input("x", "bf16", 64, 784), p.weight("w", "bf16", 784, 10)
    p.result(std.softmax(x @ w, axis=1), "bf16", 64, 10)
    graph = p.graph()

Every operation becomes a statement of a syntax tree, whose place is the caller's expression; so messages point into the
Python file, and a value that is used twice is computed once. Shapes and types are checked by `graph`.

Index notation is that of the language; what holds an index becomes a part of the statement that assigns it:

    i, j, k = p.indices("i j k")
    y = p.tensor()
    y[i, j] = std.sum(k)(x[i, k] * w[k, j])

As there, an assignment to places that are no new indices changes some elements: `y[0, 2:4] = 1.0`, `state[now] = row`.
"""

import linecache
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import PurePath
from types import EllipsisType, FrameType
from typing import NoReturn, TypeAlias

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span
from compiler.frontend import ast
from compiler.frontend.library import visible
from compiler.frontend.lower import lower
from compiler.frontend.names import check
from compiler.frontend.reduction import REDUCTIONS
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
    _open: bool = False
    """Whether every operation is a part of an expression: the condition of a loop is computed anew in each turn."""

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
        """Make `value` that of a state, from here on and in the next run; or of what a `loop` hands on."""
        place = self._places.here()
        self._body.append(ast.Assign((ast.Name(state.name, place),), value.node(place), place))

    def indices(self, names: str) -> "tuple[Value, ...]":
        """Indices for index notation, by their names, which blanks or commas part."""
        place = self._places.here()
        words = [self._name(word, place).text for word in names.replace(",", " ").split()]
        return tuple(Value(self, f"%{word}", partial(ast.Name, f"%{word}"), (word,)) for word in words)

    def tensor(self) -> "Value":
        """A value that the first assignment to its elements defines: `y[i, j] = ...`."""
        self._values += 1
        return Value(self, f"%{self._values - 1}")

    def loop(self, condition: "Callable[[], Value]", limit: int) -> AbstractContextManager[None]:
        """Take the turns of a `while` as long as `condition()` holds: `update` in its body changes a value."""
        place = self._places.here()
        self._open = True
        holds = condition().node(place)
        self._open = False
        return self._turns(holds, ast.Literal(limit, place), place)

    @contextmanager
    def _turns(self, condition: ast.Expression, limit: ast.Literal, place: Span) -> Iterator[None]:
        outer, self._body = self._body, []
        yield
        self._body = [*outer, ast.While(condition, limit, body=tuple(self._body), span=place)]

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

    def _refuse(self, code: str, message: str, *helps: str) -> NoReturn:
        """Raise a diagnostic at the caller's place."""
        diagnostic = Diagnostic(code, message, (Label(self._places.here()),), helps=helps)
        raise DiagnosticError((diagnostic,), dict(self._places.sources))

    def _bodiless(self, name: str) -> Callable[[Span], ast.Expression]:
        """What stands for a reduction without a body: nothing, which is an error."""

        def build(place: Span) -> ast.Expression:
            self._refuse("E0108", f"the reduction `std.{name}(...)` lacks its body: `std.{name}(k)(x[k])`")

        return build

    def _name(self, text: str, place: Span) -> ast.Name:
        if not _NAME.fullmatch(text):
            diagnostic = Diagnostic("E0102", f"`{text}` is not a name", (Label(place),))
            raise DiagnosticError((diagnostic,), dict(self._places.sources))
        return ast.Name(text, place)

    def call(self, name: str, *arguments: Operand, **options: Option) -> "Value":
        """Call a function of the language without a value among its arguments, such as `iota`."""
        return self._call(name, 1, arguments, options)[0]

    def _call(
        self, name: str, results: int, arguments: Sequence[Operand], options: Mapping[str, Option]
    ) -> "tuple[Value, ...]":
        indices = [part for part in arguments if isinstance(part, Value) and part.over and part.name.startswith("%")]
        if name in REDUCTIONS and indices and len(indices) == len(arguments) and not options:
            over = tuple(word for index in indices for word in index.over)
            return (Value(self, name, self._bodiless(name), over),)

        def build(place: Span) -> ast.Expression:
            keywords = tuple(ast.Keyword(ast.Name(key, place), _node(value, place)) for key, value in options.items())
            given = tuple(_node(argument, place) for argument in arguments)
            return ast.Call(ast.Name(name, place), given, keywords=keywords, span=place)

        return self._assign(build, (*arguments, *options.values()), results)

    def _assign(
        self, build: Callable[[Span], ast.Expression], operands: "Iterable[object]", results: int = 1
    ) -> "tuple[Value, ...]":
        """Add a statement for the expression at the caller's place, which gives `results` values; none if an operand
        holds an index."""
        place = self._places.here()
        if self._open or any(isinstance(operand, Value) and operand.build is not None for operand in operands):
            if results != 1:
                self._refuse("E0209", f"a call with {results} results stands alone, without indices")
            return (Value(self, "", build),)
        names = tuple(f"%{self._values + number}" for number in range(results))  # no name of a parameter
        self._values += results
        self._body.append(ast.Assign(tuple(ast.Name(name, place) for name in names), build(place), place))
        return tuple(Value(self, name) for name in names)


@dataclass(eq=False, slots=True)
class Value:
    """A tensor of a program. Operators are those of NumPy, with `&`, `|` and `~` for bools.

    With `build` it is a part of an expression in index notation, written where it is assigned. `over` are the indices
    of an index itself, or of a reduction that waits for its body.
    """

    program: Program
    name: str
    build: Callable[[Span], ast.Expression] | None = None
    over: tuple[str, ...] = ()

    __array_ufunc__ = None
    __hash__ = object.__hash__

    def node(self, place: Span) -> ast.Expression:
        return ast.Name(self.name, place) if self.build is None else self.build(place)

    def __call__(self, body: Operand) -> "Value":
        """The reduction `std.sum(k)(body)` of index notation."""
        kind = self.name
        if not self.over or kind.startswith("%"):
            self.program._refuse("E0202", "only a reduction such as `std.sum(k)` is called with a body")

        def build(place: Span) -> ast.Expression:
            indices = tuple(ast.Name(f"%{word}", place) for word in self.over)
            return ast.Reduction(ast.Name(kind, place), indices, body=_node(body, place), span=place)

        return Value(self.program, "", build)

    def __setitem__(self, items: "Item | tuple[Item, ...]", value: Operand) -> None:
        """Define elements by index notation, or change those at some places."""
        place = self.program._places.here()
        each = items if isinstance(items, tuple) else (items,)
        if self.build is not None:
            self.program._refuse("E0204", "what is assigned to is a tensor, not an expression with indices")
        left = tuple(_item(item, place) for item in each)
        target = ast.Name(self.name, place)
        self.program._body.append(ast.IndexAssign(target, left, value=_node(value, place), span=place))

    def _binary(self, op: _Op, left: Operand, right: Operand) -> "Value":
        def build(place: Span) -> ast.Expression:
            return ast.Binary(op, _node(left, place), right=_node(right, place), span=place)

        return self.program._assign(build, (left, right))[0]

    def _unary(self, op: _Unary) -> "Value":
        return self.program._assign(lambda place: ast.Unary(op, self.node(place), place), (self,))[0]

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
        message = "the condition of `if` is true or false, known at compile time"
        self.program._refuse("E0331", message, "`std.where(condition, a, b)` decides for each element")

    def __getitem__(self, items: "Item | tuple[Item, ...]") -> "Value":
        each = items if isinstance(items, tuple) else (items,)

        def build(place: Span) -> ast.Expression:
            return ast.Subscript(self.node(place), tuple(_item(item, place) for item in each), place)

        return self.program._assign(build, (self, *each))[0]

    @property
    def T(self) -> "Value":
        """The last two axes swapped."""

        def build(place: Span) -> ast.Expression:
            return ast.Attribute(self.node(place), ast.Name("T", place), place)

        return self.program._assign(build, (self,))[0]


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
        given = (*arguments, *options.values())
        program = next((part.program for part in given if isinstance(part, Value)), None)
        if program is None:
            helps = (f"ask the program for it: `p.call({name!r}, ...)`",)
            message = f"nothing among the arguments tells which program `std.{name}` belongs to"
            raise DiagnosticError((Diagnostic("E0209", message, (), helps=helps),), {})
        return program._call(name, results, arguments, options)


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
            _node(bound, place) if bound is not None else None for bound in (item.start, item.stop, item.step)
        )
        return ast.SliceItem(start, stop, step=step, span=place)
    return _node(item, place)
