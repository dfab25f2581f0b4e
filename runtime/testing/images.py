"""Images drawn at random. They are well formed as values, but most of them could not run."""

from dataclasses import fields, is_dataclass, replace
from enum import Enum
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from compiler.numerics import DType, ScalarNode, ScalarOp
from compiler.program.image import Code, CoreProgram, CoreSet, Epoch, Image, Route
from compiler.program.instructions import VARIABLES, Affine, Instruction
from compiler.target import Machine, load_machine, preset_names

_MACHINES = tuple(load_machine(name) for name in preset_names())
_NUMBERS = st.integers(0, 40) | st.integers(-3, 1 << 40)
_FLOATS = st.floats(allow_nan=False)
_PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: _NUMBERS,
    bool: st.booleans(),
    float: _FLOATS,
    str: st.text(max_size=6),
    bytes: st.binary(max_size=100),
    type(None): st.none(),
}


def any_images() -> st.SearchStrategy[Image]:
    """Images of every shape, whose programs ascend by core in each epoch."""
    return _values(Image)


def any_instructions() -> st.SearchStrategy[Any]:
    """Instructions of every kind."""
    return _values(Instruction)


def _values(hint: Any) -> st.SearchStrategy[Any]:
    """Values of a type, by its form: fields of a dataclass, members of an enum, parts of a tuple."""
    special = _special(hint)
    if special is not None:
        return special
    args = get_args(hint)
    if get_origin(hint) is tuple:
        return _tuples(args)
    if get_origin(hint) in (Union, UnionType):
        return st.one_of([_values(arg) for arg in args])
    if is_dataclass(hint):
        return _records(hint)
    return st.sampled_from(list(hint)) if issubclass(hint, Enum) else _PLAIN[hint]


def _records(cls: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(cls)
    return st.builds(cls, **{item.name: _values(hints[item.name]) for item in fields(cls)})


def _tuples(args: tuple[Any, ...]) -> st.SearchStrategy[tuple[Any, ...]]:
    if args[1:] == (Ellipsis,):
        return st.lists(_values(args[0]), max_size=3).map(tuple)
    return st.tuples(*(_values(arg) for arg in args))


def _special(hint: Any) -> st.SearchStrategy[Any] | None:
    if hint is Machine:
        return st.sampled_from(_MACHINES)
    if hint is Affine:
        return st.builds(_affine, _NUMBERS, st.lists(_NUMBERS, max_size=3), st.just(-1) | st.integers(0, VARIABLES))
    if hint is ScalarNode:
        return _nodes()
    if hint is Code:
        tables = st.lists(st.lists(_NUMBERS, max_size=30).map(tuple), max_size=2).map(tuple)
        return st.builds(_code, st.lists(_values(Instruction), max_size=4), st.none() | st.integers(0, 3), tables)
    if hint is Epoch:
        programs, sets, routes = (st.lists(_values(part), max_size=3) for part in (CoreProgram, CoreSet, Route))
        return st.builds(_epoch, programs, sets, routes, st.permutations(range(100)))
    return None


def _affine(constant: int, coefficients: list[int], variable: int) -> Affine:
    while coefficients and coefficients[-1] == 0:
        coefficients = coefficients[:-1]
    return Affine(constant, tuple(coefficients), variable)


def _nodes() -> st.SearchStrategy[ScalarNode]:
    """Nodes with either arguments or a value."""
    kind = (st.sampled_from(ScalarOp), st.sampled_from(DType))
    args = st.lists(st.integers(0, 9), min_size=1, max_size=3).map(tuple)
    return st.builds(ScalarNode, *kind, args) | st.builds(ScalarNode, *kind, st.just(()), _FLOATS | _NUMBERS)


def _code(instructions: list[Instruction], origin: int | None, tables: tuple[tuple[int, ...], ...]) -> Code:
    return Code(tuple(instructions), () if origin is None else (origin,) * len(instructions), tables)


def _epoch(programs: list[CoreProgram], sets: list[CoreSet], routes: list[Route], cores: list[int]) -> Epoch:
    """Half of the cores run what the core before them runs, so that programs are shared."""
    numbered = [(core, programs[core % len(programs)]) for core in sorted(cores[: 2 * len(programs)])]
    return Epoch(tuple(replace(program, core=core) for core, program in numbered), tuple(sets), tuple(routes))
