"""Parse a text into the typed syntax tree."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Source, Span
from compiler.frontend import ast
from compiler.frontend.lalr import Part as _Part
from compiler.frontend.lalr import Token, Tree
from compiler.frontend.syntax import parse_tree, without_collection

MAX_NESTING = 64
"""Levels of parentheses, calls, subscripts and signs in one expression."""
_MAX_DIGITS = 18
_Node = TypeVar("_Node")


def parse(source: Source) -> ast.Module:
    """Return the syntax tree of `source`; raises `DiagnosticError` with every syntax error found."""
    if source.text.isspace() or not source.text:
        place = Span(source.name, 1, 1, 1, 2)
        raise DiagnosticError((Diagnostic("E0102", "the file is empty", (Label(place),)),), {source.name: source})
    converter = _Converter(source)
    with without_collection():
        module = converter.module(parse_tree(source))
    if converter.problems:
        raise DiagnosticError(tuple(converter.problems), {source.name: source})
    return module


class _TooDeep(Exception):
    """Carries the place where an expression is nested beyond the limit."""


class _Converter:
    """Turns lark's trees into nodes, collecting what the grammar alone cannot refuse."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.problems: list[Diagnostic] = []
        self.depth = 0
        self.blocks = 0
        self.handlers: dict[str, Callable[[Tree], ast.Expression]] = {
            "unary": self.unary,
            "expression": self.chain,
            "conjunction": self.chain,
            "comparison": self.chain,
            "additive": self.chain,
            "product": self.chain,
            "subscript": self.subscript,
            "attribute": self.attribute,
            "call": self.call,
            "reduction": self.reduction,
            "tuple": self.tuple_node,
        }

    def module(self, tree: Tree) -> ast.Module:
        dims: list[ast.Dim] = []
        functions: list[ast.Function] = []
        programs: list[ast.Program] = []
        imports: list[ast.Import] = []
        semantics: list[ast.Semantics] = []
        asserts: list[ast.Assert] = []
        for item in _trees(tree):
            if item.data == "imports":
                imports += [self.path(path) for path in _trees(item)]
            elif item.data == "semantics":
                semantics.append(ast.Semantics(self.name(item.children[0]), self.span(item)))
            elif item.data == "assert":
                asserts.append(self.assertion(item))
            elif item.data == "dims":
                dims += [self.dim(dim) for dim in _trees(item)]
            elif item.data == "function":
                functions.append(self.function(item))
            else:
                programs.append(self.program(item))
        return ast.Module(
            self.source,
            tuple(dims),
            tuple(functions),
            tuple(programs),
            tuple(imports),
            semantics=tuple(semantics),
            asserts=tuple(asserts),
        )

    def path(self, tree: Tree) -> ast.Import:
        return ast.Import(tuple(self.name(token) for token in tree.children), self.span(tree))

    def dim(self, tree: Tree) -> ast.Dim:
        name, value = tree.children
        return ast.Dim(self.name(name), self.root(value))

    def function(self, tree: Tree) -> ast.Function:
        name, variables, parameters, results, block = tree.children
        return ast.Function(
            self.name(name),
            tuple(self.name(token) for token in variables.children) if isinstance(variables, Tree) else (),
            self.parameters(parameters),
            results=self.results(results),
            body=self.block(block),
            span=self.header(tree, results),
        )

    def program(self, tree: Tree) -> ast.Program:
        name, parameters, results, block = tree.children
        return ast.Program(
            self.name(name),
            self.parameters(parameters),
            results=self.results(results),
            body=self.block(block),
            span=self.header(tree, results),
        )

    def header(self, tree: Tree, results: _Part) -> Span:
        """The definition without its body."""
        start, end = self.span(tree), self.span(results)
        return Span(start.source, start.line, start.column, end.end_line, end.end_column)

    def parameters(self, tree: _Part) -> tuple[ast.Parameter, ...]:
        return tuple(self.parameter(part) for part in _trees(tree)) if isinstance(tree, Tree) else ()

    def parameter(self, tree: Tree) -> ast.Parameter:
        name, mode, type, finite, default = tree.children
        return ast.Parameter(
            self.name(name),
            ast.Mode(str(mode)) if mode is not None else None,
            type=self.type_node(type),
            default=self.root(default) if default is not None else None,
            span=self.span(tree),
            finite=self.span(finite) if finite is not None else None,
        )

    def results(self, tree: _Part) -> tuple[ast.Result, ...]:
        return tuple(self.result(part) for part in _trees(tree))

    def result(self, tree: Tree) -> ast.Result:
        name, type = tree.children
        return ast.Result(self.name(name) if name is not None else None, self.type_node(type))

    def type_node(self, tree: _Part) -> ast.Type:
        assert isinstance(tree, Tree)
        element, extents = tree.children
        items = tuple(self.extent(part) for part in extents.children) if isinstance(extents, Tree) else ()
        return ast.Type(self.name(element), items, self.span(tree))

    def extent(self, part: _Part) -> ast.Expression | ast.Rest:
        return ast.Rest(self.span(part)) if _is_rest(part) else self.root(part)

    def block(self, tree: _Part) -> tuple[ast.Statement, ...]:
        return tuple(self.nested(part) for part in _trees(tree))

    def nested(self, tree: Tree) -> ast.Statement:
        """A statement; those nested too deeply inside each other are reported, and stand for nothing."""
        self.blocks += 1
        if self.blocks > MAX_NESTING:
            self.too_deep("statements are", self.span(tree))
            node: ast.Statement = ast.Return((), self.span(tree))
        else:
            node = self.statement(tree)
        self.blocks -= 1
        return node

    def statement(self, tree: Tree) -> ast.Statement:
        span = self.span(tree)
        if tree.data == "return":
            *values, hints = tree.children
            return ast.Return(tuple(self.root(part) for part in values), span, self.hints(hints))
        if tree.data == "function":
            return self.function(tree)
        if tree.data in ("for", "while", "if", "assert"):
            return self.control(tree, span)
        target, *indices, value, hints = tree.children
        clauses = self.hints(hints)
        if tree.data == "assign":
            assert isinstance(target, Tree)
            names = tuple(self.name(token) for token in target.children)
            return ast.Assign(names, self.root(value), span=span, hints=clauses)
        items = tuple(self.place(part) for part in indices)
        return ast.IndexAssign(self.name(target), items, value=self.root(value), span=span, hints=clauses)

    def hints(self, tree: _Part) -> tuple[ast.Clause, ...]:
        if not isinstance(tree, Tree):
            return ()
        clauses = []
        for part in tree.children:
            if isinstance(part, Tree):
                clauses.append(self.clause(part))
            elif part is not None:
                clauses.append(ast.Clause(str(part), (), self.span(part)))
        return tuple(clauses)

    def clause(self, tree: Tree) -> ast.Clause:
        if tree.data in ("fidelity", "accumulate"):
            return ast.Clause(str(tree.data), (), self.span(tree), self.name(tree.children[0]))
        return ast.Clause(str(tree.data), tuple(self.root(number) for number in tree.children), self.span(tree))

    def control(self, tree: Tree, span: Span) -> ast.Statement:
        """A statement that is written out once sizes are known."""
        if tree.data == "for":
            name, start, stop, step, condition, block = tree.children
            stride = self.root(step) if step is not None else None
            range = ast.SliceItem(self.root(start), self.root(stop), stride, span=self.between(start, step or stop))
            going_on = self.root(condition) if condition is not None else None
            head = self.between(tree, condition or step or stop)
            return ast.For(self.name(name), range, body=self.block(block), span=head, condition=going_on)
        if tree.data == "while":
            condition, limit, block = tree.children
            head = self.between(tree, limit)
            return ast.While(self.root(condition), self.root(limit), body=self.block(block), span=head)
        if tree.data == "if":
            condition, block, otherwise = tree.children
            other: tuple[ast.Statement, ...] = ()
            if isinstance(otherwise, Tree):
                other = (self.nested(otherwise),) if otherwise.data == "if" else self.block(otherwise)
            head = self.between(tree, condition)
            return ast.If(self.root(condition), self.block(block), otherwise=other, span=head)
        return self.assertion(tree)

    def assertion(self, tree: Tree) -> ast.Assert:
        condition, text = tree.children
        return ast.Assert(self.root(condition), str(text)[1:-1] if text is not None else None, self.span(tree))

    def between(self, first: _Part, last: _Part) -> Span:
        """From the beginning of one part to the end of another."""
        start, end = self.span(first), self.extent_of(last)
        return Span(start.source, start.line, start.column, end.end_line, end.end_column)

    def root(self, part: _Part) -> ast.Expression:
        """Convert a whole expression; one nested too deeply is reported, and stands for 0."""
        return self.bounded(lambda: self.expression(part))

    def place(self, part: _Part) -> ast.Item:
        """A subscript on the left side, as `root`."""
        return self.bounded(lambda: self.item(part))

    def bounded(self, convert: Callable[[], _Node]) -> _Node | ast.Literal:
        self.depth = 0
        try:
            return convert()
        except _TooDeep as error:
            (span,) = error.args
            self.too_deep("the expression is", span, "name a part of it in a statement of its own")
            return ast.Literal(0, span)

    def too_deep(self, what: str, span: Span, *helps: str) -> None:
        message = f"{what} nested more than {MAX_NESTING} levels deep"
        self.problems.append(Diagnostic("E0106", message, (Label(span),), helps=helps))

    def expression(self, part: _Part) -> ast.Expression:
        if isinstance(part, Token):
            return self.name(part) if part.type == "NAME" else self.literal(part)
        assert part is not None
        if self.depth >= MAX_NESTING:
            raise _TooDeep(self.span(part))
        self.depth += 1
        node = self.handlers[part.data](part)
        self.depth -= 1
        return node

    def literal(self, token: Token) -> ast.Literal:
        span = self.span(token)
        if token.type in ("TRUE", "FALSE"):
            return ast.Literal(token.type == "TRUE", span)
        if token.type == "DECIMAL":
            return ast.Literal(float(token), span)
        if len(token) <= _MAX_DIGITS:
            return ast.Literal(int(token), span)
        message = f"an integer of {len(token)} digits is too large"
        helps = (f"at most {_MAX_DIGITS} digits are possible; write a decimal number such as `1e30`",)
        self.problems.append(Diagnostic("E0107", message, (Label(span),), helps=helps))
        return ast.Literal(0, span)

    def unary(self, tree: Tree) -> ast.Expression:
        token, operand = tree.children
        node = self.expression(operand)
        if token == "-" and isinstance(node, ast.Literal) and not isinstance(node.value, bool):
            return ast.Literal(-node.value, self.span(tree))
        return ast.Unary(ast.UnaryOperator(str(token)), node, self.span(tree))

    def chain(self, tree: Tree) -> ast.Expression:
        """Fold `a op b op c ...` from the left."""
        first, *rest = tree.children
        node = self.expression(first)
        start = self.span(tree)
        for token, operand in zip(rest[::2], rest[1::2], strict=True):
            right = self.expression(operand)
            end = self.extent_of(operand)
            span = Span(start.source, start.line, start.column, end.end_line, end.end_column)
            node = ast.Binary(ast.BinaryOperator(str(token)), node, right, span)
        return node

    def subscript(self, tree: Tree) -> ast.Subscript:
        base, *items = tree.children
        return ast.Subscript(self.expression(base), tuple(self.item(part) for part in items), self.span(tree))

    def item(self, part: _Part) -> ast.Item:
        if _is_rest(part):
            return ast.Rest(self.span(part))
        if not isinstance(part, Tree) or part.data != "slice":
            return self.expression(part)
        start, stop, step = (self.expression(bound) if bound is not None else None for bound in part.children)
        return ast.SliceItem(start, stop, step, self.span(part))

    def attribute(self, tree: Tree) -> ast.Attribute:
        base, name = tree.children
        return ast.Attribute(self.expression(base), self.name(name), self.span(tree))

    def call(self, tree: Tree) -> ast.Call:
        function, *arguments = (part for part in tree.children if part is not None)
        positional: list[ast.Expression] = []
        keywords: list[ast.Keyword] = []
        for part in arguments:
            if isinstance(part, Tree) and part.data == "keyword":
                name, value = part.children
                keywords.append(ast.Keyword(self.name(name), self.expression(value)))
            else:
                positional.append(self.expression(part))
        self.check_order(positional, keywords)
        return ast.Call(self.name(function), tuple(positional), tuple(keywords), self.span(tree))

    def check_order(self, positional: Sequence[ast.Expression], keywords: Sequence[ast.Keyword]) -> None:
        """Named arguments come last."""
        if positional and keywords and keywords[0].name.span < positional[-1].span:
            labels = (Label(positional[-1].span), Label(keywords[0].name.span, "named"))
            message = "an argument without a name follows one with a name"
            self.problems.append(Diagnostic("E0102", message, labels))

    def reduction(self, tree: Tree) -> ast.Expression:
        head, body = tree.children
        call = self.expression(head)
        assert isinstance(call, ast.Call)
        indices = tuple(argument for argument in call.arguments if isinstance(argument, ast.Name))
        value = self.expression(body)
        if call.keywords or not indices or len(indices) != len(call.arguments):
            helps = (
                f"a product is written with `*`; a reduction names its indices only: `{call.function.text}(i, j) ...`",
            )
            message = f"an operator is expected after `{call.function.text}(...)`"
            self.problems.append(Diagnostic("E0102", message, (Label(value.span),), helps=helps))
        return ast.Reduction(call.function, indices, value, self.span(tree))

    def tuple_node(self, tree: Tree) -> ast.Tuple:
        return ast.Tuple(tuple(self.expression(part) for part in tree.children), self.span(tree))

    def name(self, token: _Part) -> ast.Name:
        assert isinstance(token, Token)
        return ast.Name(str(token), self.span(token))

    def extent_of(self, part: _Part) -> Span:
        """The span of `part` with the parentheses around it."""
        return self.stretch(part, part.end) if isinstance(part, Tree) else self.span(part)

    def span(self, part: _Part) -> Span:
        return self.stretch(part, part.last if isinstance(part, Tree) else part)

    def stretch(self, part: _Part, last: _Part) -> Span:
        """From the beginning of `part` to the end of a token."""
        first = part.first if isinstance(part, Tree) else part
        assert isinstance(first, Token)
        assert isinstance(last, Token)
        return Span(self.source.name, first.line, first.column, last.line, last.column + len(last))


def _trees(part: _Part) -> list[Tree]:
    """The subtrees of a rule that has nothing else."""
    assert isinstance(part, Tree)
    return [child for child in part.children if isinstance(child, Tree)]


def _is_rest(part: _Part) -> bool:
    return isinstance(part, Token) and part.type == "ELLIPSIS"
