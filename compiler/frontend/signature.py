"""Match arguments with parameters: infer element types and sizes of a call, and check the results."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from compiler.diagnostics import DiagnosticError, Label
from compiler.frontend import ast
from compiler.frontend.catalog import CONST, DTYPES
from compiler.frontend.context import Context
from compiler.frontend.elementwise import convert
from compiler.frontend.values import Number, Operand, Tensor, Value
from compiler.ir import TensorType
from compiler.numerics import DType

Evaluate = Callable[[ast.Expression], int]


@dataclass(slots=True)
class Signature:
    """What the arguments of one call have fixed so far; `fixed` are the sizes of the module."""

    ctx: Context
    evaluate: Evaluate
    fixed: Mapping[str, int]
    sizes: dict[str, int] = field(default_factory=dict)
    dtypes: dict[str, DType] = field(default_factory=dict)
    rest: tuple[int, ...] | None = None
    reasons: dict[str, str] = field(default_factory=dict)

    def bind(self, function: ast.Function, operands: dict[str, Operand]) -> dict[str, Value]:
        """Return the values of the parameters and fill in sizes and types; raises E0306, E0312 and E0313."""
        tensors = [p for p in function.parameters if p.type.element.text != CONST]
        self._numbers(operands)
        for parameter in tensors:
            self._element(function, parameter, operands[parameter.name.text])
        for parameter in tensors:
            self._names(function, parameter, operands[parameter.name.text])
        values = {name: operand.value for name, operand in operands.items()}
        for parameter in function.parameters:
            operand = operands[parameter.name.text]
            if parameter.type.element.text == CONST:
                self._const(function, parameter, operand)
            elif isinstance(operand.value, Number):
                values[parameter.name.text] = self._scalar(function, parameter, operand)
        return values

    def check_extents(self, function: ast.Function, operands: dict[str, Operand]) -> None:
        """Check the extents that are computed from other sizes, once those are known."""
        for parameter in function.parameters:
            operand = operands[parameter.name.text]
            if isinstance(operand.value, Tensor) and parameter.type.element.text != CONST:
                wanted = self.shape(parameter.type)
                if wanted != operand.value.shape:
                    raise self._refused(function, parameter, operand)

    def shape(self, type: ast.Type) -> tuple[int, ...]:
        """The extents of a type, now that all sizes are known."""
        shape: list[int] = []
        for extent in type.extents:
            shape += (self.rest or ()) if isinstance(extent, ast.Rest) else (self.evaluate(extent),)
        return tuple(shape)

    def dtype(self, type: ast.Type) -> DType:
        name = type.element.text
        return self.dtypes[name] if name in self.dtypes else DTYPES[name]

    def check_result(self, declared: ast.Result, operand: Operand, name: str) -> Value:
        """Return the value of a result, checked against its declared type; raises E0307 or E0313."""
        expected = TensorType(self.shape(declared.type), self.dtype(declared.type))
        value = operand.value
        if isinstance(value, Number) and not expected.shape:
            return convert(self.ctx, operand, expected.dtype, operand.span)
        if isinstance(value, Tensor) and value.shape == expected.shape and value.dtype is expected.dtype:
            return value
        written = self.ctx.text(declared.type.span)
        sizes = f" ({written} here)" if written != str(expected) else ""
        same_shape = isinstance(value, Tensor) and value.shape == expected.shape
        raise self.ctx.error(
            "E0307",
            f"`{name}` returns {value}, but {expected} is declared",
            Label(operand.span, f"this is {value}"),
            Label(declared.type.span, f"declared as {expected}{sizes}"),
            helps=(f"cast it: `{expected.dtype.value}(...)`",) if same_shape else (),
        )

    def _numbers(self, operands: dict[str, Operand]) -> None:
        """A number among the arguments can be an extent of the other parameters."""
        for name, operand in operands.items():
            number = operand.value.value if isinstance(operand.value, Number) else None
            if isinstance(number, int) and not isinstance(number, bool):
                self.sizes[name] = number
                self.reasons[name] = f"{name} = {operand.value}, an argument"

    def _element(self, function: ast.Function, parameter: ast.Parameter, operand: Operand) -> None:
        if not isinstance(operand.value, Tensor):
            return
        name, found = parameter.type.element.text, operand.value.dtype
        is_variable = any(variable.text == name for variable in function.type_variables)
        if is_variable and name not in self.dtypes:
            self.dtypes[name] = found
            self.reasons[name] = f"{name} is {found.value}, from argument `{parameter.name.text}`"
        elif found is not (self.dtypes[name] if is_variable else DTYPES[name]):
            raise self._refused(function, parameter, operand)

    def _names(self, function: ast.Function, parameter: ast.Parameter, operand: Operand) -> None:
        """Infer the sizes that stand alone as an extent, and the axes that `...` stands for."""
        extents = parameter.type.extents
        value = operand.value
        if isinstance(value, Number):
            if extents:
                raise self._refused(function, parameter, operand)
            return
        position = next((n for n, extent in enumerate(extents) if isinstance(extent, ast.Rest)), None)
        covered = value.rank - len(extents) + 1 if position is not None else 0
        if covered < 0 or (position is None and len(extents) != value.rank):
            raise self._refused(function, parameter, operand)
        if position is not None:
            self._rest(function, parameter, operand, value.shape[position : position + covered])
        axes = [*range(position), *range(position + covered, value.rank)] if position is not None else range(value.rank)
        plain = [extent for extent in extents if not isinstance(extent, ast.Rest)]
        for extent, axis in zip(plain, axes, strict=True):
            if isinstance(extent, ast.Name) and not self._agrees(extent.text, value.shape[axis], parameter):
                raise self._refused(function, parameter, operand)

    def _agrees(self, name: str, extent: int, parameter: ast.Parameter) -> bool:
        if name in self.fixed:
            self.reasons[name] = f"{name} = {self.fixed[name]} is a size of the module"
            return self.fixed[name] == extent
        if name not in self.sizes:
            self.sizes[name] = extent
            self.reasons[name] = f"{name} = {extent}, from argument `{parameter.name.text}`"
        return self.sizes[name] == extent

    def _rest(self, function: ast.Function, parameter: ast.Parameter, operand: Operand, shape: tuple[int, ...]) -> None:
        if self.rest is None:
            self.rest = shape
            self.reasons["..."] = f"`...` is [{', '.join(map(str, shape))}], from argument `{parameter.name.text}`"
        elif self.rest != shape:
            raise self._refused(function, parameter, operand)

    def _const(self, function: ast.Function, parameter: ast.Parameter, operand: Operand) -> None:
        if not isinstance(operand.value, Number):
            message = f"`{parameter.name.text}` of `{function.name.text}` is a number known at compile time"
            found = Label(operand.span, f"this is {operand.value}, a tensor")
            raise self.ctx.error("E0306", message, found, Label(parameter.span, "declared here"))

    def _scalar(self, function: ast.Function, parameter: ast.Parameter, operand: Operand) -> Value:
        name = parameter.type.element.text
        if name not in self.dtypes and name not in DTYPES:
            message = f"nothing tells the element type `{name}` of `{parameter.name.text}`"
            helps = (f"give the number a type: `f32({operand.value})`",)
            raise self.ctx.error("E0313", message, Label(operand.span), Label(parameter.span), helps=helps)
        return convert(self.ctx, operand, self.dtype(parameter.type), operand.span)

    def _refused(self, function: ast.Function, parameter: ast.Parameter, operand: Operand) -> DiagnosticError:
        declared = self.ctx.text(parameter.type.span)
        used = {
            node.text for extent in parameter.type.extents for node in ast.walk(extent) if isinstance(node, ast.Name)
        }
        used |= {parameter.type.element.text}
        used |= {"..." for extent in parameter.type.extents if isinstance(extent, ast.Rest)}
        return self.ctx.error(
            "E0306",
            f"`{function.name.text}` takes {declared} for `{parameter.name.text}`, but is given {operand.value}",
            Label(operand.span, f"this is {operand.value}"),
            Label(parameter.type.span, f"{declared} is expected"),
            notes=[reason for name, reason in self.reasons.items() if name in used],
            helps=self._cast(parameter, operand),
        )

    def _cast(self, parameter: ast.Parameter, operand: Operand) -> Sequence[str]:
        name = parameter.type.element.text
        dtype = self.dtypes.get(name, DTYPES.get(name))
        if dtype is None or isinstance(operand.value, Number) or operand.value.dtype is dtype:
            return ()
        return (f"cast it: `{dtype.value}(...)`",)
