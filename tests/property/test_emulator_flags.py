"""Programs drawn at random give the same values whether their instructions look at flags or not."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.numerics import DType
from compiler.program import instructions as ins
from compiler.program.instructions import ZERO, Affine, CbTile, DstTile
from tests.unit.emulator.flagging import COPY, MULTIPLY, Array, Staged, same

REGISTERS = 4
PAGES = 3
"""Of each of two inputs."""
WHOLE = ins.Mask(32, ZERO, 32, ZERO)
SPECIAL = (0.0, -0.0, 1.0, np.nan, np.inf, 1e-45, -2.5)


@dataclass(frozen=True)
class Drawn:
    """Instructions that may look at flags, and what they do without."""

    flagged: tuple[ins.Instruction, ...]
    plain: tuple[ins.Instruction, ...]


def tiles() -> st.SearchStrategy[Array]:
    """Tiles of zeros more often than not, with some elements of any kind."""
    rest = st.sampled_from((0.0, 0.0, -0.0, 1.5))
    places = st.lists(st.tuples(st.integers(0, 1023), st.sampled_from(SPECIAL)), max_size=2)
    return st.builds(_tile, rest, places)


def _tile(rest: float, places: Sequence[tuple[int, float]]) -> Array:
    flat = np.full(1024, rest, np.float32)
    for place, value in places:
        flat[place] = value
    return flat.reshape(32, 32)


REGISTER = st.integers(0, REGISTERS - 1)
PAGE = st.builds(lambda k, number: CbTile(2 * k + 1, Affine(number)), st.integers(0, 1), st.integers(0, PAGES - 1))
OPERAND = PAGE | st.builds(DstTile, REGISTER)


@st.composite
def matmuls(draw: st.DrawFn) -> Drawn:
    rows, columns = draw(st.sampled_from([(1, 1), (2, 1), (1, 2), (2, 2), (1, 3), (3, 1)]))
    inner = draw(st.integers(1, 2 if max(rows, columns) < 3 else 1))
    first = draw(st.integers(0, REGISTERS - rows * columns))
    a_row, a_inner, b_inner, b_column = draw(st.tuples(*[st.integers(0, 1)] * 4))
    transposes = draw(st.tuples(st.booleans(), st.booleans()))
    block = (first, 1, ZERO, a_row, a_inner, 3, ZERO, b_inner, b_column, rows, columns, inner)
    plain = ins.Matmul(*block, DType.F32, *transposes, draw(st.booleans()))
    plain = replace(plain, annihilates=draw(st.booleans()))
    return Drawn((replace(plain, skip_a=draw(st.booleans()), skip_b=draw(st.booleans())),), (plain,))


@st.composite
def maps(draw: st.DrawFn) -> Drawn:
    """A copy of zero is zero, and so is the product with a finite number: here that of a register full of ones."""
    dst = draw(REGISTER)
    if draw(st.booleans()):
        plain = ins.Map(COPY, dst, (draw(OPERAND),))
        return Drawn((replace(plain, zeros=(0,)),), (plain,))
    other = draw(REGISTER)
    plain = ins.Map(MULTIPLY, dst, (draw(PAGE), DstTile(other)))
    ones = ins.Fill(other, DType.F32, 1.0)
    return Drawn((ones, replace(plain, zeros=(0,))), (ones, plain))


@st.composite
def others(draw: st.DrawFn) -> Drawn:
    kind = draw(st.sampled_from(("fill", "reduce", "pack")))
    at: ins.Instruction
    if kind == "fill":
        at = ins.Fill(draw(REGISTER), DType.F32, draw(st.sampled_from((0.0, -0.0, 1.0, 2.0))))
    elif kind == "reduce":
        axis = draw(st.sampled_from((ins.ReduceAxis.NONE, ins.ReduceAxis.ROWS)))
        dst = draw(REGISTER)
        source = draw(REGISTER.filter(lambda k: k != dst))
        at = ins.Reduce(draw(st.sampled_from(list(ins.Combine))), axis, DType.F32, dst, source, WHOLE)
    else:
        at = ins.Pack(draw(REGISTER), 4, Affine(draw(st.integers(0, REGISTERS - 1))), draw(st.booleans()), None)
    return Drawn((at,), (at,))


@given(
    left=st.lists(tiles(), min_size=PAGES, max_size=PAGES),
    right=st.lists(tiles(), min_size=PAGES, max_size=PAGES),
    steps=st.lists(matmuls() | maps() | others(), min_size=1, max_size=8),
)
@settings(max_examples=100)
def test_looking_at_flags_changes_no_value(left: list[Array], right: list[Array], steps: list[Drawn]) -> None:
    begin = [ins.Fill(k, DType.F32, 0.0) for k in range(REGISTERS)]
    clear = [ins.Pack(k, 4, Affine(k), False, None) for k in range(REGISTERS)]
    end = [ins.Pack(k, 4, Affine(k), True, None) for k in range(REGISTERS)]
    inputs = {"a": np.concatenate(left, axis=1), "b": np.concatenate(right, axis=1)}
    results = []
    for choose in ("flagged", "plain"):
        chosen = [at for step in steps for at in getattr(step, choose)]
        compute = (*begin, *clear, *chosen, *end)
        results.append(Staged(inputs, compute, shape=(32, 32 * REGISTERS)).run())
    flagged, plain = results
    assert same(flagged.outputs["y"], plain.outputs["y"])
    every, left_out = flagged.profile.tiles + flagged.profile.skipped, plain.profile.skipped
    assert every == plain.profile.tiles + left_out
    assert (left_out.products, left_out.maps) == (0, 0)
