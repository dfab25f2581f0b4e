"""Check what can be said about a module without sizes: names, arguments, results, recursion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from compiler.diagnostics import Diagnostic, Label, Span
from compiler.frontend import ast
from compiler.frontend.catalog import (
    ATTRIBUTES,
    BUILTINS,
    CONST,
    CONSTANTS,
    DTYPES,
    PAIRWISE,
    SCAN,
    SEMANTICS,
    SINGLE_RESULT,
    SPLIT,
    Builtin,
    counted,
)
from compiler.frontend.context import did_you_mean
from compiler.frontend.reduction import REDUCTIONS


def check(module: ast.Module, library: Mapping[str, ast.Function]) -> list[Diagnostic]:
    """Return every problem of names in `module`, which may call those of `library`, in the order of the text."""
    checker = _Checker(module, library)
    checker.module()
    return sorted(checker.problems, key=lambda problem: problem.labels[0].span)


@dataclass(frozen=True, slots=True)
class _Visible:
    """An expression and the indices that may stand in it."""

    node: ast.Item
    indices: frozenset[str]


class _Checker:
    """Walks one module and collects problems."""

    def __init__(self, module: ast.Module, library: Mapping[str, ast.Function]) -> None:
        self.tree = module
        self.functions = {**library, **{function.name.text: function for function in module.functions}}
        self.dims = {dim.name.text: dim.name.span for dim in module.dims}
        self.variables: frozenset[str] = frozenset()
        """Type variables of the definition at hand: called, they cast."""
        self.own: list[ast.Function] = []
        """The functions of the file, those inside of others too."""
        self.calls: dict[Span, list[tuple[ast.Name, ast.Function]]] = {}
        """What each of them calls, by its place."""
        self.problems: list[Diagnostic] = []

    def report(self, code: str, message: str, *labels: Label, helps: Sequence[str] = ()) -> None:
        self.problems.append(Diagnostic(code, message, labels, helps=tuple(helps)))

    def module(self) -> None:
        for kind, names in (
            ("size", [dim.name for dim in self.tree.dims]),
            ("function", [function.name for function in self.tree.functions]),
            ("program", [program.name for program in self.tree.programs]),
        ):
            self.distinct(kind, names)
        self.semantics()
        known: set[str] = set()
        for dim in self.tree.dims:
            self.expression(dim.value, known)
            known.add(dim.name.text)
        for statement in self.tree.asserts:
            self.expression(statement.condition, known)
        for function in self.tree.functions:
            self.function(function)
        for program in self.tree.programs:
            self.definition(program, set())
        self.recursion()

    def semantics(self) -> None:
        for item in self.tree.semantics:
            if item.name.text not in SEMANTICS:
                helps = (*did_you_mean(item.name.text, SEMANTICS), f"there is only `{SEMANTICS[0]}`")
                message = f"there are no semantics `{item.name.text}`"
                self.report("E0213", message, Label(item.name.span), helps=helps)
        self.distinct("semantics", [item.name for item in self.tree.semantics])
        if self.tree.semantics and not self.tree.programs:
            message = "`semantics` says what programs mean, but there is none in this file"
            helps = ("say it in the files of the programs that call these functions",)
            self.report("E0213", message, Label(self.tree.semantics[0].span), helps=helps)

    def distinct(self, kind: str, names: Sequence[ast.Name]) -> None:
        first: dict[str, Span] = {}
        for name in names:
            if name.text in first:
                message = f"the {kind} `{name.text}` is defined twice"
                self.report("E0203", message, Label(name.span), Label(first[name.text], "first defined here"))
            first.setdefault(name.text, name.span)

    def function(self, function: ast.Function) -> None:
        if function.name.text in BUILTINS:
            message = f"`{function.name.text}` is built in and cannot be defined"
            self.report("E0203", message, Label(function.name.span), helps=("choose another name",))
        self.definition(function, {name.text for name in function.type_variables})
        self.type_variables(function)

    def definition(self, item: ast.Function | ast.Program, variables: set[str]) -> None:
        """Check a definition, first the functions inside of it, which are known there only."""
        outer = self.functions
        inner = ast.inner_functions(item.body)
        self.distinct("function", [function.name for function in inner])
        self.functions = {**outer, **{function.name.text: function for function in inner}}
        for function in inner:
            self.function(function)
        if isinstance(item, ast.Function):
            called = ((call, self.functions.get(call.text)) for call in _calls(item))
            self.own.append(item)
            self.calls[item.span] = [(call, target) for call, target in called if target is not None]
        self.alone(item, variables)
        self.functions = outer

    def alone(self, item: ast.Function | ast.Program, variables: set[str]) -> None:
        self.variables = frozenset(variables)
        self.distinct("parameter", [parameter.name for parameter in item.parameters])
        self.distinct("result", [result.name for result in item.results if result.name is not None])
        sizes = set(self.dims)
        if isinstance(item, ast.Function):
            sizes |= _inferred(item.parameters)
        scope = sizes | {parameter.name.text for parameter in item.parameters if _is_const(parameter)}
        for parameter in item.parameters:
            self.parameter(item, parameter, scope)
            if parameter.name.text in sizes and not _is_const(parameter):
                labels = [Label(self.dims[n], "a size") for n in (parameter.name.text,) if n in self.dims]
                message = f"the parameter `{parameter.name.text}` has the name of a size"
                self.report("E0211", message, Label(parameter.name.span), *labels)
        for result in item.results:
            self.type_node(result.type, scope)
            if isinstance(item, ast.Program):
                self.no_rest(result.type)
        self.body(item, sizes)

    def type_variables(self, function: ast.Function) -> None:
        used = {parameter.type.element.text for parameter in function.parameters}
        for name in function.type_variables:
            if name.text not in used:
                message = f"nothing tells the element type `{name.text}`: no parameter has it"
                self.report("E0205", message, Label(name.span))

    def parameter(self, item: ast.Function | ast.Program, parameter: ast.Parameter, scope: set[str]) -> None:
        self.mode(item, parameter)
        if _is_const(parameter) and isinstance(item, ast.Function):
            if parameter.type.extents:
                message = f"a `{CONST}` parameter is a number and has no axes"
                self.report("E0205", message, Label(parameter.type.span))
        else:
            self.type_node(parameter.type, scope)
        if parameter.default is not None:
            self.expression(parameter.default, set(self.dims))
            if not _is_const(parameter):
                message, helps = "only a number can have a default", (f"declare it as `{CONST}`",)
                self.report("E0209", message, Label(parameter.default.span), helps=helps)

    def mode(self, item: ast.Function | ast.Program, parameter: ast.Parameter) -> None:
        if isinstance(item, ast.Program) and parameter.mode is None:
            message = f"the parameter `{parameter.name.text}` of a program is neither `input`, `weight` nor `state`"
            name, element = parameter.name.text, parameter.type.element.text
            helps = (
                f"`{name}: input {element}[...]` is fed at every run, `{name}: weight {element}[...]` stays",
                f"`{name}: state {element}[...]` stays too, until the program assigns to it",
            )
            self.report("E0112", message, Label(parameter.span), helps=helps)
        if isinstance(item, ast.Function) and parameter.finite is not None:
            message = f"the parameter `{parameter.name.text}` of a function cannot be `finite`"
            where = "promise it where the tensor is fed: at an input, a weight or a state of the program"
            self.report("E0112", message, Label(parameter.finite), helps=(where,))
        if isinstance(item, ast.Function) and parameter.mode is not None:
            message = f"the parameter `{parameter.name.text}` of a function cannot be `{parameter.mode.value}`"
            self.report("E0112", message, Label(parameter.span), helps=("only parameters of a program are",))
        if isinstance(item, ast.Program):
            self.no_rest(parameter.type)
            if parameter.mode is ast.Mode.STATE and parameter.name.text in _result_names(item):
                message = f"the state `{parameter.name.text}` and a result have the same name"
                self.report("E0203", message, Label(parameter.span), helps=("rename one of them",))

    def no_rest(self, type: ast.Type) -> None:
        for extent in type.extents:
            if isinstance(extent, ast.Rest):
                message = "the shapes of a program are known, but `...` leaves axes open"
                self.report("E0305", message, Label(extent.span), helps=("name the extents",))

    def type_node(self, type: ast.Type, scope: set[str]) -> None:
        element = type.element
        if element.text not in DTYPES and element.text not in self.variables:
            helps = did_you_mean(element.text, {*DTYPES, *self.variables})
            helps += (f"the element types are {', '.join(DTYPES)}",)
            self.report("E0205", f"`{element.text}` is not an element type", Label(element.span), helps=helps)
        rests = [extent for extent in type.extents if isinstance(extent, ast.Rest)]
        if len(rests) > 1:
            self.report("E0204", "`...` stands twice in one shape", Label(rests[1].span))
        for extent in type.extents:
            self.expression(extent, scope, hint="a size is a `dim`, or stands alone as an extent of a parameter")

    def body(self, item: ast.Function | ast.Program, sizes: set[str]) -> None:
        scope = sizes | {parameter.name.text for parameter in item.parameters}
        for number, statement in enumerate(item.body):
            self.statement(statement, scope, sizes)
            if isinstance(statement, ast.Return) and number + 1 < len(item.body):
                after = Label(item.body[number + 1].span, "this is never computed")
                self.report("E0113", "`return` is not the last statement", Label(statement.span), after)
        if not any(isinstance(statement, ast.Return) for statement in item.body):
            helps = ("end the body with `return ...`",)
            self.report("E0113", f"`{item.name.text}` returns nothing", Label(item.name.span), helps=helps)
        for statement in ast.statements(item.body):
            if isinstance(statement, ast.Return) and statement not in item.body:
                helps = ("assign to a name in every branch, and return it after the last",)
                self.report("E0113", "`return` stands inside of another statement", Label(statement.span), helps=helps)
        for statement in item.body:
            if isinstance(statement, ast.Return) and len(statement.values) != len(item.results):
                values, results = counted(len(statement.values), "value"), counted(len(item.results), "result")
                message = f"`return` has {values}, but `{item.name.text}` declares {results}"
                place = Label(item.results[0].type.span, "declared here")
                self.report("E0113", message, Label(statement.span), place)

    def statement(self, statement: ast.Statement, scope: set[str], sizes: set[str]) -> None:
        if isinstance(statement, ast.Assign | ast.IndexAssign | ast.Return):
            for number in ast.hint_numbers(statement):
                self.expression(number, scope)
        match statement:
            case ast.Return(values):
                for value in values:
                    self.expression(value, scope)
            case ast.Assign(targets, value):
                self.expression(value, scope)
                self.several(targets, value)
                self.targets(targets, scope, sizes)
            case ast.IndexAssign():
                self.index_assign(statement, scope)
                self.targets([statement.target], scope, sizes)
            case ast.For(name, range, body, condition=condition):
                self.expression(range, scope)
                inner = scope | {name.text}
                if condition is not None:
                    self.expression(condition, inner)
                    self.block(body, inner, sizes | {name.text})
                    return
                self.block(body, inner, sizes | {name.text})
                scope |= inner if name.text in scope else inner - {name.text}
            case ast.While(condition, limit, body):
                self.expression(condition, scope)
                self.expression(limit, scope)
                self.block(body, set(scope), sizes)
            case ast.If(condition, body, otherwise):
                self.expression(condition, scope)
                for branch in (body, otherwise):
                    inner = set(scope)
                    self.block(branch, inner, sizes)
                    scope |= inner
            case ast.Assert(condition):
                self.expression(condition, scope)
            case ast.Function():
                pass  # checked before the body it stands in

    def index_assign(self, statement: ast.IndexAssign, scope: set[str]) -> None:
        """Check subscripts and value; a bare name without a value is an index."""
        items = statement.items
        names = [item for item in items if ast.is_index(item, scope)]
        self.indices(names, sum(isinstance(item, ast.Rest) for item in items), statement.span)
        fresh = frozenset(name.text for name in names)
        places = [item for item in items if not isinstance(item, ast.Rest) and item not in names]
        sound = [self.place(place, scope, fresh) for place in places]
        if places and all(sound) and statement.target.text not in scope:
            message = f"`{statement.target.text}` has no value of which these elements could be changed"
            labels = Label(statement.target.span), Label(places[0].span, "this is no new index")
            self.report("E0201", message, *labels, helps=("an index runs over all elements: `y[i, j] = ...`",))
        self.expression(statement.value, scope, fresh)

    def place(self, place: ast.Item, scope: set[str], fresh: frozenset[str]) -> bool:
        """Check a place on a left side; False if it depends on the indices there."""
        used = [node for node in ast.walk(place) if isinstance(node, ast.Name) and node.text in fresh - scope]
        if used:
            message = f"the index `{used[0].text}` stands inside of an expression on the left side"
            helps = ("the left side has bare indices: `c[i, j] = ...`",)
            self.report("E0204", message, Label(place.span), helps=helps)
            return False
        self.expression(place, scope)
        return True

    def block(self, body: Sequence[ast.Statement], scope: set[str], sizes: set[str]) -> None:
        for statement in body:
            self.statement(statement, scope, sizes)

    def targets(self, targets: Sequence[ast.Name], scope: set[str], sizes: set[str]) -> None:
        for target in targets:
            if target.text in sizes:
                labels = [Label(self.dims[target.text], "a size")] if target.text in self.dims else []
                message = f"`{target.text}` is a size and cannot be assigned"
                self.report("E0211", message, Label(target.span), *labels, helps=("choose another name",))
            scope.add(target.text)

    def several(self, targets: Sequence[ast.Name], value: ast.Expression) -> None:
        function = self.functions.get(value.function.text) if isinstance(value, ast.Call) else None
        if isinstance(value, ast.Call) and value.function.text in (SCAN, SPLIT):
            return  # how many results it has may have to be computed
        results = len(function.results) if function is not None else 1
        if results != len(targets):
            message = (
                f"{counted(len(targets), 'name')} on the left side, {counted(results, 'result')} on the right side"
            )
            self.report("E0209", message, Label(targets[0].span), Label(value.span))

    def indices(self, names: Sequence[ast.Name], rests: int, span: Span) -> None:
        seen: set[str] = set()
        for name in names:
            if name.text in seen:
                self.report("E0204", f"the index `{name.text}` is introduced twice", Label(name.span))
            seen.add(name.text)
        if rests > 1:
            self.report("E0204", "`...` stands twice on the left side", Label(span))

    def expression(
        self, root: ast.Item, scope: set[str], indices: frozenset[str] = frozenset(), hint: str = ""
    ) -> None:
        """Check a tree, in a loop: it may lean left to any depth. `hint` helps where a name is unknown."""
        stack = [_Visible(root, indices)]
        while stack:
            visible = stack.pop()
            inner = visible.indices
            match visible.node:
                case ast.Name():
                    self.name(visible.node, scope | inner, root, hint)
                case ast.Call():
                    self.call(visible.node)
                case ast.Attribute(_, name) if name.text not in ATTRIBUTES:
                    helps = ("the only attribute is `.T`; functions are called: `f(x)`",)
                    self.report("E0210", f"there is no attribute `{name.text}`", Label(name.span), helps=helps)
                case ast.Subscript(ast.Name(text), _, span) if text in inner:
                    helps = ("rename the index",)
                    self.report("E0204", f"`{text}` is an index here, not a tensor", Label(span), helps=helps)
                case ast.Reduction():
                    self.reduction(visible.node)
                    inner |= {name.text for name in visible.node.indices}
            stack += [
                _Visible(child, inner) for child in ast.children(visible.node) if not _is_scanned(child, visible.node)
            ]

    def name(self, name: ast.Name, scope: set[str], root: ast.Item, hint: str) -> None:
        if name.text in scope or name.text in CONSTANTS:
            return
        ended = any(isinstance(n, ast.Reduction) and name.text in [i.text for i in n.indices] for n in ast.walk(root))
        if name.text in self.functions or name.text in BUILTINS:
            helps: tuple[str, ...] = (f"`{name.text}` is a function; call it: `{name.text}(...)`",)
        elif ended:
            helps = (f"the reduction over `{name.text}` ends before a `+` or `-`; put its body in parentheses",)
        else:
            helps = did_you_mean(name.text, scope | {*CONSTANTS, "true", "false"}) or ((hint,) if hint else ())
        self.report("E0201", f"`{name.text}` is not defined", Label(name.span), helps=helps)

    def reduction(self, node: ast.Reduction) -> None:
        if node.kind.text not in REDUCTIONS:
            message = f"`{node.kind.text}` is not a reduction"
            helps = (f"the reductions are {', '.join(REDUCTIONS)}; or is an operator missing after `)`?",)
            self.report("E0204", message, Label(node.kind.span), helps=helps)
        self.indices(node.indices, 0, node.span)

    def call(self, node: ast.Call) -> None:
        name = node.function.text
        if name in self.variables:
            self.builtin(node, BUILTINS["f32"])
        elif name in BUILTINS:
            self.builtin(node, BUILTINS[name])
            if name == SCAN and node.arguments:
                self.scanned(node.arguments[0])
        elif name in self.functions:
            self.arguments(node, self.functions[name])
        else:
            helps = did_you_mean(name, {*self.functions, *BUILTINS})
            self.report("E0202", f"there is no function `{name}`", Label(node.function.span), helps=helps)
        self.distinct("argument", [keyword.name for keyword in node.keywords])

    def scanned(self, function: ast.Expression) -> None:
        if not isinstance(function, ast.Name) or function.text not in self.functions:
            helps = did_you_mean(function.text, self.functions) if isinstance(function, ast.Name) else ()
            message = "the first argument of `scan` is the name of a function written in the language"
            self.report("E0202", message, Label(function.span), helps=helps)

    def builtin(self, node: ast.Call, builtin: Builtin) -> None:
        given = len(node.arguments)
        if not builtin.minimum <= given <= builtin.maximum:
            message = f"`{node.function.text}` takes {builtin.arguments}, but is given {given}"
            helps = ("name the axis: `axis=1`",) if "axis" in builtin.keywords and given > 1 else ()
            self.report("E0209", message, Label(node.span), helps=helps)
        for keyword in node.keywords:
            if keyword.name.text not in builtin.keywords:
                self.unknown_keyword(node, keyword, builtin.keywords)
            elif given > 1 and node.function.text in PAIRWISE:
                message = f"`{node.function.text}` of two arguments compares them and has no `{keyword.name.text}`"
                self.report("E0209", message, Label(keyword.name.span))

    def unknown_keyword(self, node: ast.Call, keyword: ast.Keyword, known: Sequence[str]) -> None:
        helps = did_you_mean(keyword.name.text, known) or ("`==` compares, `=` names an argument",)
        message = f"`{node.function.text}` has no argument `{keyword.name.text}`"
        self.report("E0209", message, Label(keyword.name.span), helps=helps)

    def arguments(self, node: ast.Call, function: ast.Function) -> None:
        names = [parameter.name.text for parameter in function.parameters]
        declared = Label(function.span, "declared here")
        labels = [] if function.span.source.startswith("<") else [declared]
        if len(node.arguments) > len(names):
            message = f"`{node.function.text}` takes {counted(len(names))}, but is given {len(node.arguments)}"
            self.report("E0209", message, Label(node.span), *labels)
            return
        given = set(names[: len(node.arguments)])
        for keyword in node.keywords:
            if keyword.name.text not in names:
                self.unknown_keyword(node, keyword, names)
            elif keyword.name.text in given:
                message = f"the argument `{keyword.name.text}` is given twice"
                self.report("E0209", message, Label(keyword.name.span), *labels)
            given.add(keyword.name.text)
        missing = [p.name.text for p in function.parameters if p.name.text not in given and p.default is None]
        if missing:
            names_text = ", ".join(f"`{name}`" for name in missing)
            message = f"the call of `{node.function.text}` lacks {names_text}"
            self.report("E0209", message, Label(node.span), *labels)

    def recursion(self) -> None:
        """Report each function that calls itself, directly or through others, once per cycle."""
        calls = self.calls
        done: set[Span] = set()
        for root in self.own:
            stack = [(root, iter(calls[root.span]))] if root.span not in done else []
            while stack:
                function, pending = stack[-1]
                way = [entry.span for entry, _ in stack]
                call, target = next(pending, (None, function))
                if call is None:
                    done.add(function.span)
                    stack.pop()
                elif target.span in way:
                    names = [entry.name.text for entry, _ in stack[way.index(target.span) :]]
                    cycle = " → ".join(f"`{step}`" for step in [*names, call.text])
                    helps = ("functions are written out where they are called, so none can call itself",)
                    self.report(
                        "E0206", f"functions call each other in a circle: {cycle}", Label(call.span), helps=helps
                    )
                elif target.span in calls and target.span not in done:
                    stack.append((target, iter(calls[target.span])))


def _result_names(program: ast.Program) -> set[str]:
    if len(program.results) == 1 and program.results[0].name is None:
        return {SINGLE_RESULT}
    plain = enumerate(program.results)
    return {result.name.text if result.name is not None else f"{SINGLE_RESULT}{n}" for n, result in plain}


def _is_scanned(part: ast.Item, node: ast.Item) -> TypeGuard[ast.Name]:
    """Whether `part` is the function that a call of `scan` names."""
    if not isinstance(node, ast.Call) or node.function.text != SCAN or not isinstance(part, ast.Name):
        return False
    return part is node.arguments[0]


def _is_const(parameter: ast.Parameter) -> bool:
    return parameter.type.element.text == CONST


def _inferred(parameters: Sequence[ast.Parameter]) -> set[str]:
    """The sizes that a call infers: names that are a whole extent of a parameter."""
    return {extent.text for p in parameters for extent in p.type.extents if isinstance(extent, ast.Name)}


def _calls(function: ast.Function) -> Iterator[ast.Name]:
    for statement in ast.statements(function.body):
        for value in ast.expressions(statement):
            for node in ast.walk(value):
                if isinstance(node, ast.Call):
                    yield node.function
                    yield from (part for part in node.arguments[:1] if _is_scanned(part, node))
