"""Sixteen lanes at a time: a thin layer over llvmlite's builder that keeps kernels readable.

No fast-math flag is ever set, so every operation rounds as IEEE 754 says, in the order that is written.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from llvmlite import ir

Value: TypeAlias = ir.Value

LANES = 16
I1, I8, I16, I32, I64 = (ir.IntType(bits) for bits in (1, 8, 16, 32, 64))
F32, F64 = ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()

_SUFFIX = {"float": "f32", "double": "f64"}


def vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, LANES)


def splat(element: ir.Type, value: float | int) -> ir.Constant:
    """A constant in all lanes."""
    kind = float if element in (F32, F64) else int
    return ir.Constant(vector(element), [kind(value)] * LANES)


def f64(value: float) -> ir.Constant:
    return splat(F64, value)


def f32(value: float) -> ir.Constant:
    return splat(F32, value)


def i32(value: int) -> ir.Constant:
    return splat(I32, value)


class Lanes:
    """Emits vector code at the end of the builder's block."""

    def __init__(self, builder: ir.IRBuilder) -> None:
        self.b = builder

    def broadcast(self, scalar: Value) -> Value:
        """A scalar in all lanes."""
        undefined = ir.Constant(vector(scalar.type), ir.Undefined)
        single = self.b.insert_element(undefined, scalar, I32(0))
        return self.b.shuffle_vector(single, undefined, ir.Constant(vector(I32), [0] * LANES))

    def intrinsic(self, name: str, *values: Value) -> Value:
        """Call an intrinsic whose operands and result have one type."""
        kind = values[0].type
        full = f"{name}.v{LANES}{_SUFFIX[str(kind.element)]}"
        module = self.b.module
        if full not in module.globals:
            ir.Function(module, ir.FunctionType(kind, [kind] * len(values)), full)
        return self.b.call(module.globals[full], values)

    def fma(self, a: Value, b: Value, c: Value) -> Value:
        return self.intrinsic("llvm.fma", a, b, c)

    def polynomial(self, x: Value, coefficients: Sequence[float]) -> Value:
        """Horner's rule; the coefficient of the highest power comes first."""
        result: Value = f64(coefficients[0])
        for coefficient in coefficients[1:]:
            result = self.fma(result, x, f64(coefficient))
        return result

    def bits(self, x: Value, element: ir.Type) -> Value:
        """The same bits as lanes of another type of the same width."""
        return self.b.bitcast(x, vector(element))

    def is_nan(self, x: Value) -> Value:
        return self.b.fcmp_unordered("uno", x, x)

    def round_to_bf16(self, x: Value) -> Value:
        """f32 lanes rounded to the nearest bf16, ties to even; NaN stays NaN (made quiet)."""
        b = self.b
        bits = self.bits(x, I32)
        odd = b.and_(b.lshr(bits, i32(16)), i32(1))
        nearest = b.add(bits, b.add(odd, i32(0x7FFF)))
        quiet = b.or_(bits, i32(0x00400000))
        kept = b.and_(b.select(self.is_nan(x), quiet, nearest), i32(-0x10000))
        return self.bits(kept, F32)


def counted(builder: ir.IRBuilder, count: int, name: str) -> "Loop":
    """`with counted(b, 32, "row") as row:` emits a loop of a fixed number of iterations."""
    return Loop(builder, count, name)


class Loop:
    """A counted loop; leaving the `with` block closes it and goes on after it."""

    def __init__(self, builder: ir.IRBuilder, count: int, name: str) -> None:
        self.b, self.count, self.name = builder, count, name

    def __enter__(self) -> Value:
        before = self.b.block
        self.body = self.b.append_basic_block(self.name)
        self.b.branch(self.body)
        self.b.position_at_end(self.body)
        self.index = self.b.phi(I64)
        self.index.add_incoming(I64(0), before)
        return self.index

    def __exit__(self, *_: Any) -> None:
        following = self.b.add(self.index, I64(1))
        self.index.add_incoming(following, self.b.block)
        after = self.b.append_basic_block(self.name + "_end")
        self.b.cbranch(self.b.icmp_signed("<", following, I64(self.count)), self.body, after)
        self.b.position_at_end(after)


def kernel_function(module: ir.Module, name: str) -> tuple[ir.IRBuilder, Value]:
    """Declare `void name(int64 *arguments)`; return a builder in its body, and the arguments."""
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER]), name)
    return ir.IRBuilder(function.append_basic_block()), function.args[0]


def argument(builder: ir.IRBuilder, arguments: Value, index: int) -> Value:
    """Argument `index`, an integer."""
    slot = builder.gep(arguments, [I64(index)], source_etype=I64)
    return builder.load(slot, typ=I64)


def pointer_argument(builder: ir.IRBuilder, arguments: Value, index: int) -> Value:
    """Argument `index`, an address."""
    return builder.inttoptr(argument(builder, arguments, index), POINTER)


def load(builder: ir.IRBuilder, kind: ir.Type, base: Value, element: ir.Type, index: Value) -> Value:
    """A value of type `kind` at `base[index]`, counted in `element`s; nothing is assumed about alignment."""
    address = builder.gep(base, [index], source_etype=element)
    return builder.load(address, typ=kind, align=1)


def store(builder: ir.IRBuilder, value: Value, base: Value, element: ir.Type, index: Value) -> None:
    """Store `value` at `base[index]`, counted in `element`s."""
    builder.store(value, builder.gep(base, [index], source_etype=element), align=1)
