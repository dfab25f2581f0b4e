"""Values of offsets and homes of pages against running the loops, one turn after the other."""

from itertools import product
from math import prod

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compiler.numerics import DType, TileGrid
from compiler.program.check import block_pages
from compiler.program.image import DramPlace, IndexMap, Role, ShardPlace, Tensor
from compiler.program.instructions import Affine
from compiler.program.pages import Scope, gathered_pages, owner_numbers, residues_of, span_of, values_of

_COUNTS = st.lists(st.integers(1, 5), min_size=3, max_size=3)


@given(constant=st.integers(-9, 9), coefficients=st.lists(st.integers(-9, 9), max_size=3), counts=_COUNTS)
@settings(deadline=None, max_examples=80)
def test_values_of_an_offset(constant: int, coefficients: list[int], counts: list[int]) -> None:
    value = Affine(constant, tuple(coefficients))
    turns = product(*(range(count) for count in counts))
    taken = {constant + sum(c * t for c, t in zip(coefficients, turn, strict=False)) for turn in turns}
    scope = Scope(tuple(counts))
    assert values_of(value, scope).tolist() == sorted(taken)
    assert (span_of(value, scope).least, span_of(value, scope).greatest) == (min(taken), max(taken))
    assert residues_of(value, scope, 4) == {v % 4 for v in taken}


@given(dims=st.tuples(*[st.integers(1, 5)] * 3), data=st.data())
@settings(deadline=None, max_examples=80)
def test_every_page_of_a_shard_has_one_owner_and_one_place(dims: tuple[int, ...], data: st.DataObject) -> None:
    ways = tuple(data.draw(st.sampled_from(_ways(extent))) for extent in dims)
    shape = (dims[0], 32 * dims[1], 32 * dims[2])
    place = ShardPlace(0, ways, tuple(range(prod(ways))), 0, 0)
    tensor = Tensor("h", DType.BF16, shape, Role.TEMPORARY, place)
    owners, inside = owner_numbers(tensor, place, np.arange(prod(dims)))
    found = sorted(zip(owners.tolist(), inside.tolist(), strict=True))
    sizes = [block_pages(dims, ways, index) for index in range(prod(ways))]
    assert found == [(owner, page) for owner, size in enumerate(sizes) for page in range(size)]


def _ways(extent: int) -> list[int]:
    return [ways for ways in range(1, extent + 1) if (ways - 1) * -(-extent // ways) < extent]


@given(
    rows=st.integers(1, 40),
    columns=st.integers(1, 40),
    steps=st.tuples(*[st.tuples(st.integers(-2, 2), st.integers(-2, 2))] * 2),
    base=st.tuples(st.integers(-3, 50), st.integers(-3, 50)),
)
@settings(deadline=None, max_examples=30)
def test_pages_that_a_gather_needs(
    rows: int, columns: int, steps: tuple[tuple[int, int], ...], base: tuple[int, int]
) -> None:
    extents = (50, 45)
    source = Tensor("x", DType.F32, extents, Role.INPUT, DramPlace(0))
    index_map = IndexMap((rows, columns), (rows, columns), base, steps, extents)
    needed = set()
    for i, j in product(range(rows), range(columns)):
        y, x = (b + s[0] * i + s[1] * j for b, s in zip(base, steps, strict=True))
        if 0 <= y < extents[0] and 0 <= x < extents[1]:
            result = i // 32 * TileGrid((rows, columns)).dims[1] + j // 32
            needed.add((result, y // 32 * TileGrid(extents).dims[1] + x // 32))
    results, pages = gathered_pages(index_map, source)
    assert set(zip(results.tolist(), pages.tolist(), strict=True)) == needed
