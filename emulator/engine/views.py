"""The tables as native code sees them: bare pointers.

In Python a `State` is a tuple of NumPy arrays. Handing these to every function of the engine would mean some three
hundred native arguments per call and a minute of compilation. So the entry gets the address of a list of addresses,
one per table, and this module teaches numba a type `StateType` for it: `s.threads[thread, PC]` becomes a load of the
table's address, one multiplication by a constant, and a load. There is no check of bounds.
"""

import operator
from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_getattr, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_getattr_generic, models, register_model

from emulator.engine.schema import SCHEMA

_ELEMENTS = {1: (types.uint8, ir.IntType(8)), 4: (types.int32, ir.IntType(32)), 8: (types.int64, ir.IntType(64))}
_WORD = ir.IntType(64)


class StateType(types.Type):
    """The address of the list of addresses."""

    def __init__(self) -> None:
        super().__init__(name="State")


class TableType(types.Type):
    """The address of a table of `columns` columns of int64."""

    def __init__(self, columns: int) -> None:
        super().__init__(name=f"Table({columns})")
        self.columns = columns


class VectorType(types.Type):
    """The address of elements of `size` bytes, one after the other; a row of a table is one as well."""

    def __init__(self, size: int) -> None:
        super().__init__(name=f"Vector({size})")
        self.size = size


@register_model(StateType)
@register_model(TableType)
@register_model(VectorType)
class _Pointer(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.PointerType(_WORD))


def _view_type(attribute: str) -> types.Type | None:
    for table in SCHEMA:
        if table.name == attribute:
            return TableType(table.columns) if table.columns else VectorType(table.size)
    return None


@infer_getattr
class _StateAttribute(AttributeTemplate):
    key = StateType

    def generic_resolve(self, _: Any, attribute: str) -> types.Type | None:
        return _view_type(attribute)


@lower_getattr_generic(StateType)
def _attribute(context: Any, builder: ir.IRBuilder, kind: Any, value: ir.Value, attribute: str) -> ir.Value:
    slot = [table.name for table in SCHEMA].index(attribute)
    address = builder.load(builder.gep(value, [_WORD(slot)]))
    address.set_metadata("invariant.load", builder.module.add_metadata([]))
    return builder.inttoptr(address, ir.PointerType(_WORD))


def _item_type(table: types.Type, index: types.Type) -> types.Type | None:
    if isinstance(table, VectorType) and isinstance(index, types.Integer):
        return _ELEMENTS[table.size][0]
    if isinstance(table, TableType):
        return types.int64 if isinstance(index, types.BaseTuple) else VectorType(8)
    return None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Any, keywords: Any) -> Any:
        item = _item_type(args[0], args[1])
        return signature(item, args[0], args[1]) if item is not None else None


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Any, keywords: Any) -> Any:
        item = _item_type(args[0], args[1])
        return signature(types.none, args[0], args[1], item) if item is not None else None


def _word(context: Any, builder: ir.IRBuilder, value: ir.Value, kind: types.Type) -> ir.Value:
    return context.cast(builder, value, kind, types.int64)


def _cell(context: Any, builder: ir.IRBuilder, table: Any, indices: Any, values: Any) -> ir.Value:
    """The address of a cell, in words, of a table."""
    row, column = (
        _word(context, builder, part, kind)
        for part, kind in zip(cgutils.unpack_tuple(builder, values[1]), indices, strict=True)
    )
    flat = builder.add(builder.mul(row, _WORD(table.columns)), column)
    return builder.gep(values[0], [flat])


@lower_builtin(operator.getitem, TableType, types.BaseTuple)
def _get_cell(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    return builder.load(_cell(context, builder, sig.args[0], sig.args[1], values))


@lower_builtin(operator.setitem, TableType, types.BaseTuple, types.Any)
def _set_cell(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    builder.store(values[2], _cell(context, builder, sig.args[0], sig.args[1], values))
    return context.get_dummy_value()


@lower_builtin(operator.getitem, TableType, types.Integer)
def _get_row(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    row = _word(context, builder, values[1], sig.args[1])
    return builder.gep(values[0], [builder.mul(row, _WORD(sig.args[0].columns))])


def _element(context: Any, builder: ir.IRBuilder, vector: Any, index: Any, values: Any) -> ir.Value:
    pointer = builder.bitcast(values[0], ir.PointerType(_ELEMENTS[vector.size][1]))
    return builder.gep(pointer, [_word(context, builder, values[1], index)])


@lower_builtin(operator.getitem, VectorType, types.Integer)
def _get_element(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    return builder.load(_element(context, builder, sig.args[0], sig.args[1], values))


@lower_builtin(operator.setitem, VectorType, types.Integer, types.Any)
def _set_element(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
    builder.store(values[2], _element(context, builder, sig.args[0], sig.args[1], values))
    return context.get_dummy_value()


@intrinsic
def _state_at(context: Any, address: Any) -> Any:
    """The state whose list of addresses is at `address`."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        return builder.inttoptr(values[0], ir.PointerType(_WORD))

    return StateType()(types.int64), generate


@intrinsic
def _copy_bytes(context: Any, dst: Any, dst_start: Any, src: Any, src_start: Any, size: Any) -> Any:
    """Copy `size` bytes from one vector of bytes to another."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        byte = ir.PointerType(ir.IntType(8))
        to = builder.gep(builder.bitcast(values[0], byte), [values[1]])
        source = builder.gep(builder.bitcast(values[2], byte), [values[3]])
        cgutils.raw_memcpy(builder, to, source, values[4], 1)
        return context.get_dummy_value()

    words = (types.int64, types.int64)
    return types.void(dst, types.int64, src, *words), generate


@intrinsic
def _fill_bytes(context: Any, dst: Any, start: Any, size: Any, value: Any) -> Any:
    """Set `size` bytes of a vector of bytes to `value`."""

    def generate(context: Any, builder: ir.IRBuilder, sig: Any, values: Any) -> ir.Value:
        to = builder.gep(builder.bitcast(values[0], ir.PointerType(ir.IntType(8))), [values[1]])
        cgutils.memset(builder, to, values[2], builder.trunc(values[3], ir.IntType(8)))
        return context.get_dummy_value()

    return types.void(dst, types.int64, types.int64, types.int64), generate


state_at = cast(Callable[[int], Any], _state_at)
copy_bytes = cast(Callable[[Any, int, Any, int, int], None], _copy_bytes)
fill_bytes = cast(Callable[[Any, int, int, int], None], _fill_bytes)
