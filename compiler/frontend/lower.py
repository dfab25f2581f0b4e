"""Lower a program of a module to a tensor graph, every call written out."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from compiler.diagnostics import Diagnostic, DiagnosticError, Label, Span
from compiler.frontend import ast
from compiler.frontend.arranging import split
from compiler.frontend.calls import call_builtin, misplaced
from compiler.frontend.catalog import BUILTINS, CONSTANTS, SCAN, SINGLE_RESULT, SPLIT, ZERO_ANNIHILATES
from compiler.frontend.context import MAX_LEVELS, MAX_STATEMENTS, Context, did_you_mean, is_library
from compiler.frontend.contraction import matmul, reduce_product
from compiler.frontend.control import failed_assertion, loop_range, truth, unassigned
from compiler.frontend.elementwise import convert, elementwise
from compiler.frontend.frames import Frame, Scope
from compiler.frontend.hints import asked_fidelity, hint_of
from compiler.frontend.library import library, reachable, settings, visible
from compiler.frontend.loops import after_turn, carried, going_on, limit_of, rank_of
from compiler.frontend.options import extent_of, tensor_operand
from compiler.frontend.recurrence import scan
from compiler.frontend.reduction import REDUCTIONS, Fold, check_indices, reduce
from compiler.frontend.shapes import Item, Rest, collect, settle, transpose
from compiler.frontend.signature import Signature
from compiler.frontend.subscripts import Subscripts
from compiler.frontend.syntax import without_collection
from compiler.frontend.updates import update
from compiler.frontend.values import Index, Number, Operand, Poisoned, Tensor, Value
from compiler.ir import State, TensorGraph, TensorType
from compiler.numerics import ScalarOp

MAX_ERRORS = 20
_UNARY = {ast.UnaryOperator.NEG: ScalarOp.NEG, ast.UnaryOperator.NOT: ScalarOp.NOT}
_BINARY = {op: ScalarOp[op.name] for op in ast.BinaryOperator if op is not ast.BinaryOperator.MATMUL}


def lower(
    module: ast.Module,
    program: str | None,
    sizes: Mapping[str, int],
    warn: Callable[[Diagnostic], None] = lambda warning: None,
) -> TensorGraph:
    """Return the graph of `program` (None: the only one), with `sizes` in place of the values of `dim`s: those of
    `module` by their names, those of an imported file as `file.NAME`.

    Raises `DiagnosticError` with what is wrong in each statement, one diagnostic per cause. Calls `warn` with what is
    right but doubtful.
    """
    with without_collection():
        return _lowered(module, program, sizes, warn)


def _lowered(
    module: ast.Module, program: str | None, sizes: Mapping[str, int], warn: Callable[[Diagnostic], None]
) -> TensorGraph:
    modules = reachable(module)
    chosen = _choose(module, program)
    sources = {part.source.name: part.source for part in (*modules.values(), library())}
    annihilates = any(item.name.text == ZERO_ANNIHILATES for item in module.semantics)
    ctx = Context(chosen.name.text, sources, annihilates=annihilates)
    given = settings(module, sizes)
    scopes = {name: Scope(visible(part), _dims(part, ctx, given.get(name, {}))) for name, part in modules.items()}
    scopes[library().source.name] = Scope(visible(library()), {})
    Lowering(ctx, scopes).program(chosen)
    for warning in ctx.warnings:
        warn(warning)
    return ctx.builder.build([part.source for part in modules.values()], tuple(ctx.hints))


def _choose(module: ast.Module, program: str | None) -> ast.Program:
    names = {p.name.text: p for p in module.programs}
    if program is None and len(names) == 1:
        return module.programs[0]
    if program in names:
        return names[program]
    labels = tuple(Label(p.name.span) for p in module.programs)
    listed = ", ".join(f"`{name}`" for name in names)
    helps: tuple[str, ...] = (f"choose one of {listed}",) if names else ("add `program name(...) -> ... { ... }`",)
    message = f"`{module.source.name}` defines {len(names) or 'no'} program{'' if len(names) == 1 else 's'}"
    if program is not None:
        message, labels = f"there is no program `{program}` in `{module.source.name}`", ()
        helps = (*did_you_mean(program, names), *helps)
    diagnostic = Diagnostic("E0207", message, labels, helps=helps)
    raise DiagnosticError((diagnostic,), {module.source.name: module.source})


def _dims(module: ast.Module, ctx: Context, sizes: Mapping[str, int]) -> dict[str, int]:
    """The value of every `dim`; raises E0208 for an unknown size, E0312 for one that is not positive and E0330 for
    values that an `assert` of the file refuses."""
    known = {dim.name.text for dim in module.dims}
    problems = []
    for name in sizes:
        if name not in known:
            helps = did_you_mean(name, known) or (f"the sizes are {', '.join(sorted(known))}" if known else "none is",)
            problems.append(Diagnostic("E0208", f"there is no size `{name}` in `{module.source.name}`", helps=helps))
    if problems:
        raise DiagnosticError(tuple(problems), ctx.sources)
    values: dict[str, int] = {}
    for dim in module.dims:
        operand = Operand(Number(sizes.get(dim.name.text, 0)), dim.name.span)
        if dim.name.text not in sizes:
            frame = Frame(scope := Scope({}, values), scope.constants())
            operand = Lowering(ctx, {}).operand(dim.value, frame)
        values[dim.name.text] = extent_of(ctx, operand)
    _check_sizes(module, ctx, values)
    return values


def _check_sizes(module: ast.Module, ctx: Context, values: Mapping[str, int]) -> None:
    """Raise E0330 for the first `assert` of a file that its sizes break."""
    frame = Frame(scope := Scope({}, values), scope.constants())
    lowering = Lowering(ctx, {})
    for statement in module.asserts:
        lowering.statement(statement, frame)


class Lowering:
    """Walks the statements of one program and of the functions that it calls."""

    def __init__(self, ctx: Context, scopes: Mapping[str, Scope]) -> None:
        self.ctx = ctx
        self.scopes = scopes
        """By the name of the source."""
        self.within: dict[Span, Scope] = {}
        """What functions inside of others see, by their place."""
        self.problems: list[Diagnostic] = []
        self.subscripts = Subscripts(ctx, self.operand)

    def program(self, program: ast.Program) -> None:
        scope = self.entered(program, self.scopes[program.span.source])
        frame = Frame(scope, scope.constants())
        signature = Signature(self.ctx, lambda extent: self.extent(extent, frame), scope.dims)
        for parameter in program.parameters:
            type = TensorType(signature.shape(parameter.type), signature.dtype(parameter.type))
            builder = self.ctx.builder
            modes = {ast.Mode.INPUT: builder.input, ast.Mode.WEIGHT: builder.weight, ast.Mode.STATE: builder.state}
            assert parameter.mode is not None
            finite = parameter.finite is not None
            id = modes[parameter.mode](parameter.name.text, type, parameter.span, finite=finite)
            frame.values[parameter.name.text] = self.ctx.tensor(id, range(len(type.shape)))
        try:
            self.results(program, self.body(program.body, frame), signature)
            for parameter in program.parameters:
                if parameter.mode is ast.Mode.STATE:
                    self.keep(parameter, frame, signature)
        except Poisoned:
            pass
        except DiagnosticError as error:
            self.problems += error.diagnostics
        if self.problems:
            distinct = {(p.code, p.message, p.labels[:1]): p for p in reversed(self.problems)}
            found = sorted(distinct.values(), key=lambda p: self.problems.index(p))
            raise DiagnosticError(tuple(found[:MAX_ERRORS]), self.ctx.sources)

    def entered(self, definition: ast.Function | ast.Program, scope: Scope) -> Scope:
        """What the body of a definition sees that itself sees `scope`: also the functions inside of it."""
        inner = {function.name.text: function for function in ast.inner_functions(definition.body)}
        scope = replace(scope, functions={**scope.functions, **inner}) if inner else scope
        self.within.update((function.span, scope) for function in inner.values())
        return scope

    def results(self, program: ast.Program, values: Sequence[Operand], signature: Signature) -> None:
        for number, (declared, operand) in enumerate(zip(program.results, values, strict=True)):
            value = signature.check_result(declared, operand, program.name.text)
            assert isinstance(value, Tensor)
            plain = SINGLE_RESULT + (str(number) if len(values) > 1 else "")
            name = declared.name.text if declared.name is not None else plain
            self.ctx.builder.output(name, settle(self.ctx, value, operand.span))

    def keep(self, state: ast.Parameter, frame: Frame, signature: Signature) -> None:
        """The last value that a program gives to the name of a state is the state's next value; raises E0307."""
        value, name = frame.values[state.name.text], state.name.text
        if value is None:
            raise Poisoned
        declared = TensorType(signature.shape(state.type), signature.dtype(state.type))
        if not isinstance(value, Tensor) or (value.shape, value.dtype) != (declared.shape, declared.dtype):
            message = f"the state `{name}` is {declared}, but its last value is {value}"
            raise self.ctx.error("E0307", message, Label(state.span, "declared here"))
        kind = self.ctx.builder.kind(value.id)
        untouched = value.axes == tuple(range(value.rank)) and isinstance(kind, State) and kind.name == name
        if not untouched:
            self.ctx.builder.output(name, settle(self.ctx, value, state.span))

    def body(self, body: Sequence[ast.Statement], frame: Frame) -> list[Operand]:
        """Run the statements, of which the last returns. Raises `Poisoned` without a result."""
        *statements, last = body
        assert isinstance(last, ast.Return)
        self.block(statements, frame)
        try:
            self.count(last)
            with self.hinted(last, frame):
                return [self.operand(value, frame) for value in last.values]
        except DiagnosticError as error:
            self.problems += error.diagnostics
            raise Poisoned from None

    def block(self, body: Sequence[ast.Statement], frame: Frame) -> None:
        """Run statements; a wrong one is noted and poisons its names."""
        for statement in body:
            levels = self.ctx.levels
            try:
                self.count(statement)
                with self.hinted(statement, frame):
                    self.statement(statement, frame)
            except (DiagnosticError, Poisoned) as error:
                self.ctx.levels = levels
                if isinstance(error, DiagnosticError):
                    self.problems += error.diagnostics
                frame.values.update((target.text, None) for target in ast.targets([statement]))

    def count(self, statement: ast.Statement) -> None:
        self.ctx.statements += 1
        if self.ctx.statements > MAX_STATEMENTS:
            message = f"the program has more than {MAX_STATEMENTS} statements when its calls are written out"
            raise self.ctx.error("E0212", message, Label(statement.span))

    @contextmanager
    def hinted(self, statement: ast.Statement, frame: Frame) -> Iterator[None]:
        """Note the hints of a statement, and let its fidelity hold while it is written out."""
        hint = hint_of(self.ctx, statement, lambda number: self.operand(number, frame))
        if hint is not None:
            self.ctx.hints[hint] = None
        asked = asked_fidelity(self.ctx, statement)
        if asked is None:
            yield
            return
        outer, self.ctx.fidelity = self.ctx.fidelity, asked[0]
        try:
            yield
        finally:
            self.ctx.fidelity = outer
        if not asked[0].met:
            raise self.ctx.error("E0209", "no product of bf16 to apply this to", Label(asked[1]))

    def statement(self, statement: ast.Statement, frame: Frame) -> None:
        match statement:
            case ast.IndexAssign(target):
                frame.values[target.text] = self.index_assign(statement, frame)
            case ast.Assign((target,), value):
                frame.values[target.text] = self.expression(value, frame)
            case ast.Assign(targets, value):
                assert isinstance(value, ast.Call)
                found = self.call(value, frame)
                if len(found) != len(targets):
                    message = f"{len(targets)} names on the left side, {len(found)} results on the right side"
                    raise self.ctx.error("E0209", message, Label(targets[0].span), Label(value.span))
                for target, operand in zip(targets, found, strict=True):
                    frame.values[target.text] = operand.value
            case ast.For():
                self.loop(statement, frame)
            case ast.While(condition, limit):
                turns = range(limit_of(self.ctx, self.operand(limit, frame)))
                self.repeat(statement, condition, turns, frame)
            case ast.If(condition, body, otherwise, span):
                chosen = truth(self.ctx, self.operand(condition, frame), "`if`")
                self.nested(body if chosen else otherwise, frame, span)
            case ast.Function():
                pass  # written out where it is called
            case ast.Assert(condition, message):
                if not truth(self.ctx, self.operand(condition, frame), "`assert`"):
                    raise failed_assertion(self.ctx, statement, message, self.known_sizes(condition, frame))

    def loop(self, statement: ast.For, frame: Frame) -> None:
        """Write out the body for each value of the name, which ends with the loop; stop after one with an error."""
        name, noted = statement.name.text, len(self.problems)
        outer = {name: frame.values[name]} if name in frame.values else {}
        parts = (statement.range.start, statement.range.stop, statement.range.step)
        numbers = loop_range(self.ctx, [self.operand(part, frame) if part else None for part in parts])
        if statement.condition is not None:
            self.repeat(statement, statement.condition, numbers, frame)
        else:
            for number in numbers:
                frame.values[name] = Number(number)
                self.count(statement)
                self.nested(statement.body, frame, statement.span)
                if len(self.problems) > noted:
                    break
        frame.values.pop(name, None)
        frame.values |= outer

    def repeat(
        self, statement: ast.For | ast.While, condition: ast.Expression, numbers: Iterable[int], frame: Frame
    ) -> None:
        """Write out turns that end with `condition`; what a body assigns that has no value before ends with a turn."""
        handed, noted = carried(self.ctx, statement, frame.values), len(self.problems)
        alive: Value | None = None
        for number in numbers:
            if isinstance(statement, ast.For):
                frame.values[statement.name.text] = Number(number)
            rank = rank_of(frame.values[name] for name in handed)
            alive = going_on(self.ctx, alive, self.operand(condition, frame), rank)
            if alive == Number(False):
                break
            self.count(statement)
            before = dict(frame.values)
            self.nested(statement.body, frame, statement.span)
            if len(self.problems) > noted:
                break
            for name, span in handed.items():
                old, new = before[name], frame.values[name]
                if old is not None and new is not None:
                    turn = Operand(alive, condition.span), Operand(old, statement.span)
                    frame.values[name] = after_turn(self.ctx, *turn, Operand(new, span), name)
            for name in frame.values.keys() - before.keys():
                del frame.values[name]

    def nested(self, body: Sequence[ast.Statement], frame: Frame, span: Span) -> None:
        self.deeper(span)
        self.block(body, frame)
        self.ctx.levels -= 1

    def known_sizes(self, node: ast.Expression, frame: Frame) -> dict[str, Number]:
        """The numbers that the names in an expression stand for."""
        names = dict.fromkeys(part.text for part in ast.walk(node) if isinstance(part, ast.Name))
        values = {name: frame.values.get(name) for name in names if name not in CONSTANTS}
        return {name: value for name, value in values.items() if isinstance(value, Number)}

    def index_assign(self, statement: ast.IndexAssign, frame: Frame) -> Value:
        if any(not isinstance(item, ast.Rest) and not ast.is_index(item, frame.values) for item in statement.items):
            return self.update(statement, frame)
        saved = self.ctx.rest_order
        targets: list[Index | Rest] = []
        for item in statement.items:
            order = self.ctx.next_order()
            if isinstance(item, ast.Name):
                targets.append(Index(item.text, (order, 0), item.span))
            else:
                targets.append(Rest())
                self.ctx.rest_order = order
        indices = [target for target in targets if isinstance(target, Index)]
        try:
            value = self.expression(statement.value, self.scope(frame, indices, statement.value))
        finally:
            self.ctx.rest_order = saved
        known = [index for index in indices if index.extent is not None] if isinstance(value, Tensor) else []
        check_indices(self.ctx, indices, known, "on the right side")
        return collect(self.ctx, Operand(value, statement.value.span), targets, statement.span)

    def update(self, statement: ast.IndexAssign, frame: Frame) -> Value:
        """`index_assign` where some item is a place: the other elements stay as they are."""
        old = tensor_operand(self.ctx, "[...] =", self.operand(statement.target, frame))
        indices: list[Index] = []
        chosen: dict[Index, Operand] = {}
        items: list[Item] = []
        for node in statement.items:
            order = (self.ctx.next_order(), 0)
            if ast.is_index(node, frame.values):
                found: Item | Operand = Item(index := Index(node.text, order, node.span), node.span)
                indices.append(index)
            else:
                found = self.subscripts.item(node, frame)
            if isinstance(found, Operand):
                chosen[hidden := Index("", order, node.span)] = found
                found = Item(hidden, node.span)
            items.append(found)

        def evaluate() -> Operand:
            return self.operand(statement.value, self.scope(frame, indices, statement.value))

        return update(self.ctx, old, items, chosen, evaluate=evaluate, span=statement.span)

    def scope(self, frame: Frame, indices: Sequence[Index], where: ast.Expression) -> Frame:
        """A frame in which `indices` can be used, sharing its values with `frame`."""
        return replace(
            frame,
            indices=frame.indices | {index.name: index for index in indices},
            scopes=frame.scopes | dict.fromkeys(indices, where),
        )

    def operand(self, node: ast.Expression, frame: Frame) -> Operand:
        return Operand(self.expression(node, frame), node.span)

    def expression(self, node: ast.Expression, frame: Frame) -> Value:
        """The value of an expression."""
        self.deeper(node.span)
        value = self.node(node, frame)
        self.ctx.levels -= 1
        return value

    def deeper(self, span: Span) -> None:
        self.ctx.levels += 1
        if self.ctx.levels > MAX_LEVELS:
            message = f"expressions and calls are nested more than {MAX_LEVELS} levels deep"
            helps = ("name a part of it in a statement of its own",)
            raise self.ctx.error("E0106", message, Label(span), helps=helps)

    def node(self, node: ast.Expression, frame: Frame) -> Value:
        match node:
            case ast.Name():
                return self.name(node, frame)
            case ast.Literal(value):
                return Number(value)
            case ast.Unary(op, operand, span):
                return elementwise(self.ctx, _UNARY[op], [self.operand(operand, frame)], span)
            case ast.Binary():
                return self.binary(node, frame)
            case ast.Call():
                return self.single(node, frame)
            case ast.Subscript(base, items, span):
                return self.subscripts.value(base, items, node, frame)
            case ast.Attribute(base, _, span):
                return transpose(self.ctx, tensor_operand(self.ctx, ".T", self.operand(base, frame)), None, span)
            case ast.Reduction():
                return self.reduction(node, frame)
            case ast.Tuple():
                raise misplaced(self.ctx, node)

    def name(self, node: ast.Name, frame: Frame) -> Value:
        if node.text in frame.indices:
            return self.index_value(frame.indices[node.text], node, frame)
        if node.text not in frame.values:
            raise unassigned(self.ctx, node)
        value = frame.values[node.text]
        if value is None:
            raise Poisoned
        return value

    def index_value(self, index: Index, node: ast.Name, frame: Frame) -> Tensor:
        """The index itself as an i32; its extent must follow from a subscript of a named tensor."""
        if index.extent is None:
            self.subscripts.find_extent(index, frame)
        if index.extent is None:
            check_indices(self.ctx, [index], (), "beside its use as a value")
        id = self.ctx.builder.iota((index.extent or 1,), 0, self.ctx.span(node.span))
        return self.ctx.tensor(id, (index,))

    def binary(self, node: ast.Binary, frame: Frame) -> Value:
        """Operators from the left, in a loop: a chain may be long."""
        chain = [node]
        while isinstance(chain[-1].left, ast.Binary):
            chain.append(chain[-1].left)
        left = self.operand(chain[-1].left, frame)
        for step in reversed(chain):
            right = self.operand(step.right, frame)
            if step.op is ast.BinaryOperator.MATMUL:
                left = Operand(matmul(self.ctx, left, right, step.span), step.span)
            else:
                left = Operand(elementwise(self.ctx, _BINARY[step.op], [left, right], step.span), step.span)
        return left.value

    def extent(self, node: ast.Expression, frame: Frame) -> int:
        return extent_of(self.ctx, self.operand(node, frame))

    def reduction(self, node: ast.Reduction, frame: Frame) -> Tensor:
        fold = REDUCTIONS[node.kind.text]
        indices = [Index(name.text, (self.ctx.next_order(), 0), name.span, reduced=True) for name in node.indices]
        inner = self.scope(frame, indices, node.body)
        body = node.body
        if fold in (Fold.SUM, Fold.MEAN) and isinstance(body, ast.Binary) and body.op is ast.BinaryOperator.MUL:
            left, right = self.operand(body.left, inner), self.operand(body.right, inner)
            if isinstance(left.value, Tensor) and isinstance(right.value, Tensor):
                check_indices(self.ctx, indices, (*left.value.axes, *right.value.axes), "in the reduction")
                return reduce_product(self.ctx, fold, left, right, summed=indices, span=node.span)
            value = elementwise(self.ctx, ScalarOp.MUL, [left, right], body.span)
        else:
            value = self.expression(body, inner)
        check_indices(self.ctx, indices, value.axes if isinstance(value, Tensor) else (), "in the reduction")
        return reduce(self.ctx, fold, Operand(value, body.span), indices, span=node.span)

    def single(self, node: ast.Call, frame: Frame) -> Value:
        function = frame.scope.functions.get(node.function.text)
        found = [] if function is not None and len(function.results) > 1 else self.call(node, frame)
        if len(found) != 1:
            message = f"`{node.function.text}` has several results"
            helps = ("assign them to as many names in a statement of its own: `a, b = ...`",)
            raise self.ctx.error("E0209", message, Label(node.span), helps=helps)
        return found[0].value

    def call(self, node: ast.Call, frame: Frame) -> list[Operand]:
        name = node.function.text
        if name == SCAN:
            return self.scan(node, frame)
        operands = [self.operand(argument, frame) for argument in node.arguments]
        if name in frame.dtypes:
            return [Operand(convert(self.ctx, operands[0], frame.dtypes[name], node.span), node.span)]
        if name in BUILTINS:
            options = {keyword.name.text: self.option(keyword.value, frame) for keyword in node.keywords}
            if name == SPLIT:
                first = tensor_operand(self.ctx, name, operands[0])
                return split(self.ctx, first, operands[1], options, node.span)
            return [Operand(call_builtin(self.ctx, name, operands, options, node.span), node.span)]
        function = frame.scope.functions[name]
        names = [parameter.name.text for parameter in function.parameters]
        given = dict(zip(names, operands, strict=False))
        given |= {keyword.name.text: self.operand(keyword.value, frame) for keyword in node.keywords}
        return self.write_out(function, given, node)

    def scan(self, node: ast.Call, frame: Frame) -> list[Operand]:
        called, *rest = node.arguments
        assert isinstance(called, ast.Name)
        function = frame.scope.functions[called.text]
        carried = [self.operand(argument, frame) for argument in rest]
        options = {keyword.name.text: self.option(keyword.value, frame) for keyword in node.keywords}

        def call(given: dict[str, Operand]) -> list[Operand]:
            return self.write_out(function, given, node)

        return scan(self.ctx, function, carried, options, call=call, span=node.span)

    def option(self, node: ast.Expression, frame: Frame) -> list[Operand]:
        nodes = node.items if isinstance(node, ast.Tuple) else (node,)
        return [self.operand(item, frame) for item in nodes]

    def write_out(self, function: ast.Function, given: dict[str, Operand], node: ast.Call) -> list[Operand]:
        """Lower a call of a function that is written in the language, and return its results."""
        scope = self.entered(function, self.within.get(function.span, self.scopes[function.span.source]))
        callee = Frame(scope, scope.constants())
        for parameter in function.parameters:
            if parameter.name.text not in given and parameter.default is not None:
                given[parameter.name.text] = self.operand(parameter.default, callee)
        signature = Signature(self.ctx, lambda extent: self.extent(extent, callee), scope.dims)
        values = signature.bind(function, given)
        callee.dtypes = signature.dtypes
        callee.values |= {name: Number(extent) for name, extent in signature.sizes.items()}
        callee.values |= values
        signature.check_extents(function, given)
        with self.ctx.inside(function.name.text, node.span, is_library(function.span)):
            returned = self.body(function.body, callee)
            pairs = zip(function.results, returned, strict=True)
            return [Operand(signature.check_result(r, value, function.name.text), node.span) for r, value in pairs]
