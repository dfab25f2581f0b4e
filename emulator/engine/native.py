"""Typed access to numba: the decorators that the engine uses, and calls of native code by address."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])


def jit(function: F) -> F:
    """Compile as a part of the engine."""
    return cast(F, njit(error_model="numpy", no_cpython_wrapper=True)(function))


def inlined(function: F) -> F:
    """Compile as a part of the engine, always inlined: for what is on the path of every event."""
    return cast(F, njit(error_model="numpy", no_cpython_wrapper=True, forceinline=True)(function))


def merged(function: F) -> F:
    """Compile as a part of its one caller: for functions that stand alone only to be read."""
    return cast(F, njit(error_model="numpy", inline="always")(function))


def entry(function: F) -> F:
    """Compile as an entry of the engine, and keep the native code in numba's cache on disk."""
    return cast(F, njit(error_model="numpy", cache=True, nogil=True)(function))


@intrinsic
def _call(context: Any, address: Any, arguments: Any) -> Any:
    def generate(context: Any, builder: ir.IRBuilder, signature: Any, values: list[ir.Value]) -> ir.Value:
        pointer = ir.PointerType(ir.IntType(64))
        function = builder.inttoptr(values[0], ir.FunctionType(ir.VoidType(), [pointer]).as_pointer())
        builder.call(function, [builder.inttoptr(values[1], pointer)])
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@inlined
def call(address: int, arguments: int) -> None:
    """Call the `void(int64 *)` function at `address` with the array at `arguments`."""
    _call(address, arguments)
