"""The syntax tree, typed: what the text says, before names, sizes and types are looked at.

Every node carries the span of the text it stands for. Nesting is limited by the parser (`MAX_NESTING`), except along
the left operands of `Binary`: a chain `a + b + c` of any length leans left, and whoever walks a tree goes down that
side in a loop.
"""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, TypeGuard

from compiler.diagnostics import Source, Span


class Mode(Enum):
    """How a program gets a parameter."""

    INPUT = "input"
    WEIGHT = "weight"
    STATE = "state"


class UnaryOperator(Enum):
    NEG = "-"
    NOT = "not"


class BinaryOperator(Enum):
    ADD = "+"
    SUB = "-"
    MUL = "*"
    DIV = "/"
    MOD = "%"
    MATMUL = "@"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    EQ = "=="
    NE = "!="
    AND = "and"
    OR = "or"


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Literal:
    """A number as written, or `true` or `false`."""

    value: int | float | bool
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    op: UnaryOperator
    operand: "Expression"
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    op: BinaryOperator
    left: "Expression"
    right: "Expression"
    span: Span


@dataclass(frozen=True, slots=True)
class Keyword:
    """`name = value` among the arguments of a call."""

    name: Name
    value: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    function: Name
    arguments: tuple["Expression", ...]
    keywords: tuple[Keyword, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Rest:
    """`...`: the axes that are not named."""

    span: Span


@dataclass(frozen=True, slots=True)
class SliceItem:
    """`start : stop : step` between brackets."""

    start: "Expression | None"
    stop: "Expression | None"
    step: "Expression | None"
    span: Span


@dataclass(frozen=True, slots=True)
class Subscript:
    base: "Expression"
    items: tuple["Item", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    base: "Expression"
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Reduction:
    """`sum(i, j) body`: combine the body over every value of the indices."""

    kind: Name
    indices: tuple[Name, ...]
    body: "Expression"
    span: Span


@dataclass(frozen=True, slots=True)
class Tuple:
    items: tuple["Expression", ...]
    span: Span


Expression: TypeAlias = Name | Literal | Unary | Binary | Call | Subscript | Attribute | Reduction | Tuple
Item: TypeAlias = Expression | SliceItem | Rest


@dataclass(frozen=True, slots=True)
class Type:
    """`element[extents]`; without brackets a scalar."""

    element: Name
    extents: tuple[Expression | Rest, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Parameter:
    name: Name
    mode: Mode | None
    type: Type
    default: Expression | None
    span: Span
    finite: Span | None = None
    """Where `finite` stands: the promise that no element is NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Result:
    name: Name | None
    type: Type


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a statement's hints: `on cores(4, 8)` is word `on` with two numbers, `prefer` has none.

    `choice` is the name in `fidelity(hifi2)` and `accumulate(f32)`.
    """

    word: str
    numbers: tuple[Expression, ...]
    span: Span
    choice: Name | None = None


@dataclass(frozen=True, slots=True)
class Assign:
    """`a = value`, or `a, b = call` of a function with several results."""

    targets: tuple[Name, ...]
    value: Expression
    span: Span
    hints: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexAssign:
    """`target[i, j] = value`: one element for every value of the indices.

    A name that has a value before, a number, a slice: all that is no fresh index is a place, and the statement changes
    only the elements there.
    """

    target: Name
    items: tuple[Item, ...]
    value: Expression
    span: Span
    hints: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class Return:
    values: tuple[Expression, ...]
    span: Span
    hints: tuple[Clause, ...] = ()


@dataclass(frozen=True, slots=True)
class For:
    """`for name in start:stop:step while condition { ... }`, written out when it is compiled; the span is that of the
    head. With a condition it is a `While` whose turns have numbers."""

    name: Name
    range: SliceItem
    body: tuple["Statement", ...]
    span: Span
    condition: Expression | None = None


@dataclass(frozen=True, slots=True)
class While:
    """`while condition limit turns { ... }`: turns that are not taken change nothing; the span is that of the head."""

    condition: Expression
    limit: Expression
    body: tuple["Statement", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    """`if condition { ... } else { ... }`, decided when it is compiled; `else if` is an `If` alone in `otherwise`."""

    condition: Expression
    body: tuple["Statement", ...]
    otherwise: tuple["Statement", ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Assert:
    """`assert condition, "message"`: what sizes must obey."""

    condition: Expression
    message: str | None
    span: Span


Statement: TypeAlias = "Assign | IndexAssign | Return | For | While | If | Assert | Function"


@dataclass(frozen=True, slots=True)
class Import:
    """`import folder.name`: the functions of the file `folder/name.mesh`."""

    path: tuple[Name, ...]
    span: Span

    def __str__(self) -> str:
        return ".".join(part.text for part in self.path)


@dataclass(frozen=True, slots=True)
class Semantics:
    """`semantics name`: what operations mean in the programs of the file."""

    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Dim:
    """A named size and the value it has unless the user gives another."""

    name: Name
    value: Expression


@dataclass(frozen=True, slots=True)
class Function:
    """`fn name(...) -> ... { ... }`, in a file or in a body; in a body it is known there only."""

    name: Name
    type_variables: tuple[Name, ...]
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Program:
    name: Name
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Module:
    """One source text: its definitions, each kind in the order of the text.

    `modules` are those of `imports`, in the same order, once they are found.
    """

    source: Source
    dims: tuple[Dim, ...]
    functions: tuple[Function, ...]
    programs: tuple[Program, ...]
    imports: tuple[Import, ...] = ()
    modules: tuple["Module", ...] = ()
    semantics: tuple[Semantics, ...] = ()
    asserts: tuple[Assert, ...] = ()
    """What the sizes must obey."""


def children(node: Item | Keyword) -> Iterator[Item]:
    """The parts of `node` that are expressions, slices or ellipses, in the order of the text."""
    match node:
        case Unary():
            yield node.operand
        case Binary():
            yield from (node.left, node.right)
        case Call():
            yield from node.arguments
            yield from (keyword.value for keyword in node.keywords)
        case Subscript():
            yield node.base
            yield from node.items
        case Attribute():
            yield node.base
        case Reduction():
            yield node.body
        case Tuple():
            yield from node.items
        case SliceItem():
            yield from (part for part in (node.start, node.stop, node.step) if part is not None)
        case _:
            return


def walk(node: Item, enter: Callable[[Item], bool] = lambda node: True) -> Iterator[Item]:
    """Every node of the tree under `node`, itself first, each before its parts; those of `enter` false are left out."""
    stack = [node]
    while stack:
        current = stack.pop()
        if enter(current):
            yield current
            stack.extend(reversed(list(children(current))))


def statements(body: Sequence[Statement]) -> Iterator[Statement]:
    """Every statement of a body, those inside of others too, in the order of the text."""
    for statement in body:
        yield statement
        if isinstance(statement, For | While | If):
            yield from statements(statement.body)
        if isinstance(statement, If):
            yield from statements(statement.otherwise)


def expressions(statement: Statement) -> tuple[Item, ...]:
    """The expressions of one statement, without those of statements inside of it."""
    match statement:
        case Assign(_, value):
            return (value, *hint_numbers(statement))
        case IndexAssign(_, items, value):
            return (value, *items, *hint_numbers(statement))
        case Return(values):
            return (*values, *hint_numbers(statement))
        case For(_, range, condition=condition):
            return (range,) if condition is None else (range, condition)
        case While(condition, limit):
            return (condition, limit)
        case If(condition) | Assert(condition):
            return (condition,)
        case Function():
            return ()


def is_index(item: Item, known: Container[str]) -> TypeGuard[Name]:
    """Whether an item of a left side introduces an index: a bare name without a value in `known`."""
    return isinstance(item, Name) and item.text not in known


def hint_numbers(statement: Assign | IndexAssign | Return) -> tuple[Expression, ...]:
    """The numbers in the hints of a statement."""
    return tuple(number for clause in statement.hints for number in clause.numbers)


def inner_functions(body: Sequence[Statement]) -> tuple[Function, ...]:
    """The functions that are defined directly in a body."""
    return tuple(statement for statement in body if isinstance(statement, Function))


def all_functions(definitions: Sequence[Function | Program]) -> Iterator[Function]:
    """The functions among definitions and inside of them, each after those inside of it."""
    for definition in definitions:
        yield from all_functions(inner_functions(definition.body))
        if isinstance(definition, Function):
            yield definition


def targets(body: Sequence[Statement]) -> Iterator[Name]:
    """The names that a body assigns."""
    for statement in statements(body):
        if isinstance(statement, Assign):
            yield from statement.targets
        elif isinstance(statement, IndexAssign):
            yield statement.target
