"""The state of one lowering: the graph under construction, and how places in the source become spans and errors."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from math import inf

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Severity, Source, Span
from compiler.frontend.values import Axis, AxisKey, Index, Tensor
from compiler.ir.builder import GraphBuilder
from compiler.ir.graph import Kind, Reshape, Slice, TensorType, Transpose, Window
from compiler.ir.hints import Hint
from compiler.numerics import DType, ScalarOp
from compiler.numerics.fidelity import Fidelity

_SHORT = 3
"""Letters of a word that must fit another more closely to be taken for it."""
MAX_STATEMENTS = 20_000
"""Statements of one program with all its calls written out."""
MAX_LEVELS = 128
"""Expressions and calls inside each other, all functions on the way together; it bounds the depth of our own stack."""


@dataclass(slots=True)
class Asked:
    """A fidelity, and whether some product has got it."""

    fidelity: Fidelity
    met: bool = False


class _Builder(GraphBuilder):
    """Tells the user where a tensor would be moved whose elements share exponents."""

    def __init__(self, name: str, ctx: "Context") -> None:
        super().__init__(name)
        self._ctx = ctx

    def add(self, kind: Kind, inputs: Sequence[int], type: TensorType, span: Span | None = None) -> int:
        if type.dtype.is_block and span is not None and isinstance(kind, Reshape | Transpose | Slice | Window):
            raise self._ctx.error(
                "E0311",
                f"elements of {type.dtype.value} share exponents with their neighbors, and cannot be moved",
                Label(span, f"this moves a {self.type(inputs[0])}"),
                helps=("cast it first: `bf16(...)` keeps every value",),
            )
        return super().add(kind, inputs, type, span)


@dataclass(slots=True)
class Context:
    """Mutable on purpose: one value lives from the first to the last statement of a program.

    `site` is the user's call while a library function is written out: every operation then belongs to that call.
    """

    name: str
    sources: Mapping[str, Source]
    site: Span | None = None
    calls: list[tuple[str, Span]] = field(default_factory=list)
    rest_order: float = inf
    statements: int = 0
    levels: int = 0
    warnings: dict[Diagnostic, None] = field(default_factory=dict)
    """In the order of the text, each once."""
    fidelity: "Asked | None" = None
    """What the statement at hand asks of its products of bf16."""
    annihilates: bool = False
    """Whether a product with a factor 0 is 0, whatever the other factor is (`semantics zero_annihilates`)."""
    hints: dict[Hint, None] = field(default_factory=dict)
    """Those of statements written out so far, each once."""
    builder: GraphBuilder = field(init=False)
    _orders: int = 0

    def __post_init__(self) -> None:
        self.builder = _Builder(self.name, self)

    def span(self, span: Span) -> Span:
        """Where the graph says that `span` is."""
        return self.site or span

    def text(self, span: Span) -> str:
        """The source text of `span`, on one line."""
        lines = self.sources[span.source].text.split("\n")[span.line - 1 : span.end_line]
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return " ".join(" ".join(lines).split())

    def next_order(self) -> int:
        """A rank after all ranks so far."""
        self._orders += 1
        return self._orders

    def key(self, axis: Axis) -> AxisKey:
        """Sort key of an axis in results."""
        return axis.order if isinstance(axis, Index) else (self.rest_order, axis)

    def tensor(self, id: int, axes: Sequence[Axis]) -> Tensor:
        return Tensor(id, self.builder.type(id), tuple(axes))

    def multiplication(self, dtype: DType) -> ScalarOp:
        """What a product of elements is in this program; an i32 knows no other."""
        return ScalarOp.MULZ if self.annihilates and dtype.is_float else ScalarOp.MUL

    @contextmanager
    def inside(self, name: str, call: Span, is_library: bool) -> Iterator[None]:
        """Write out a call of `name`: its own index order, its operations at the user's call if it is a library's."""
        saved = self.site, self.rest_order, self.levels
        self.levels += 1
        self.rest_order = inf
        if is_library and self.site is None:
            self.site = call
        self.calls.append((name, call))
        try:
            yield
        finally:
            self.calls.pop()
            self.site, self.rest_order, self.levels = saved

    def error(
        self, code: str, message: str, *labels: Label, notes: Sequence[str] = (), helps: Sequence[str] = ()
    ) -> DiagnosticError:
        """Return a diagnostic to raise; one about the inside of a library function is told at the user's call."""
        diagnostic = Diagnostic(code, message, labels, tuple(notes), tuple(helps))
        if self.site is not None:
            diagnostic = self._at_call(diagnostic, self.site)
        elif self.calls and labels:
            name, call = self.calls[-1]
            if call not in [label.span for label in labels]:
                diagnostic = replace(diagnostic, labels=(*labels, Label(call, f"in this call of `{name}`")))
        return DiagnosticError((diagnostic,), self.sources)

    def warn(self, code: str, message: str, *labels: Label, helps: Sequence[str] = ()) -> None:
        """Note a warning; one about the inside of a library function is not the user's."""
        if self.site is None:
            self.warnings[Diagnostic(code, message, labels, helps=tuple(helps), severity=Severity.WARNING)] = None

    def _at_call(self, diagnostic: Diagnostic, site: Span) -> Diagnostic:
        name = next(name for name, call in self.calls if call == site)
        inner = [label for label in diagnostic.labels if is_library(label.span)]
        outer = [label for label in diagnostic.labels if not is_library(label.span)]
        first = Label(site, f"in this call of `{name}`")
        note = (f"found while `{name}` of the standard library was written out, at {inner[0].span}",) if inner else ()
        labels = (first, *(label for label in outer if label.span != site))
        helps = tuple(help.replace("cast it:", "cast the argument:") for help in diagnostic.helps)
        return replace(diagnostic, labels=labels, notes=(*diagnostic.notes, *note), helps=helps)


def is_library(span: Span) -> bool:
    """True for a place in a file of ours, false for one in a file of the user's."""
    return span.source.startswith("<")


def did_you_mean(word: str, known: Sequence[str] | set[str] | Mapping[str, object]) -> tuple[str, ...]:
    """A help that proposes the known word closest to `word`, if one is close."""
    close = get_close_matches(word, sorted(known), 1, cutoff=0.6 if len(word) > _SHORT else 0.75)
    return (f"did you mean `{close[0]}`?",) if close else ()
