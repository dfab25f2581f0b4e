"""Run loop nests tile by tile, without a machine: an oracle for whatever rewrites a workload.

Tiles are combined in one order, in f32 or i32, so leaving out iterations that change nothing changes no bit.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from compiler.numerics import TILE, DType, TileGrid
from compiler.numerics.evaluate import Array, evaluate_expr, multiply_annihilating
from compiler.numerics.fidelity import LEFT_LOW_BITS, RIGHT_LOW_BITS, Part, take_part
from compiler.partition.nest import Access, ContractBody, GatherBody, MapBody, Nest, ReduceBody, TakeBody, Workload
from compiler.program.image import IndexMap, Role, Spread
from compiler.program.instructions import Combine, ReduceAxis

Tiles = Array
"""Pages `[pages, TILE, TILE]` of a tensor."""


def to_tiles(values: Array) -> Tiles:
    """Cut a tensor into its pages, zeros outside of it."""
    grid = TileGrid(values.shape)
    *lead, rows, columns = grid.matrix_shape
    *_, tile_rows, tile_columns = grid.dims
    count = int(np.prod(lead))
    padded = np.zeros((count, tile_rows * TILE, tile_columns * TILE), values.dtype)
    padded[:, :rows, :columns] = values.reshape(count, rows, columns)
    return padded.reshape(count, tile_rows, TILE, tile_columns, TILE).swapaxes(2, 3).reshape(-1, TILE, TILE)


def from_tiles(tiles: Tiles, shape: tuple[int, ...]) -> Array:
    """The inverse of `to_tiles`."""
    grid = TileGrid(shape)
    *lead, rows, columns = grid.matrix_shape
    *_, tile_rows, tile_columns = grid.dims
    split = tiles.reshape(int(np.prod(lead)), tile_rows, tile_columns, TILE, TILE).swapaxes(2, 3)
    return split.reshape(-1, tile_rows * TILE, tile_columns * TILE)[:, :rows, :columns].reshape(shape)


def inside(shape: tuple[int, ...]) -> Array:
    """Which elements of the pages of a tensor belong to it."""
    return to_tiles(np.ones(shape, np.bool_))


def run(
    workload: Workload, tensors: Mapping[str, Array], amend: Callable[[int, Tiles], Tiles] = lambda number, tiles: tiles
) -> tuple[Tiles, ...]:
    """Return the pages of every storage after all nests.

    Only live iterations run, and pages that are not live hold zeros. `amend` may change the pages of a storage once
    they are known, before anybody reads them.
    """
    pages: list[Tiles] = []
    for number, storage in enumerate(workload.storages):
        if storage.role is Role.CONSTANT and storage.producer < 0:
            values: Array = np.frombuffer(storage.data, storage.dtype.numpy).reshape(storage.shape)
        elif storage.role in (Role.INPUT, Role.WEIGHT, Role.STATE):
            values = tensors[storage.name]
        else:
            values = np.zeros(storage.shape, storage.dtype.numpy)
        pages.append(amend(number, _living(workload, number, to_tiles(values))) if storage.producer < 0 else values)
    for nest in workload.nests:
        result = run_nest(workload, nest, pages)
        pages[nest.out] = amend(nest.out, _living(workload, nest.out, result))
    return tuple(pages)


def _living(workload: Workload, number: int, tiles: Tiles) -> Tiles:
    live = workload.storages[number].live
    if live is None:
        return tiles
    return np.where(live.array.reshape(-1, 1, 1), tiles, np.zeros((), tiles.dtype))


def run_nest(workload: Workload, nest: Nest, pages: Sequence[Tiles]) -> Tiles:
    """Compute all pages of a nest's result; those without a live iteration are what is left of nothing."""
    live = np.ones(nest.space, np.bool_) if nest.live is None else nest.live.array
    with np.errstate(all="ignore"):
        match nest.body:
            case GatherBody(index_map):
                source = nest.operands[0].storage
                result = _gather(index_map, from_tiles(pages[source], workload.storages[source].shape).reshape(-1))
            case TakeBody() as body:
                result = _take(nest, body, pages)
            case MapBody(expr):
                result = evaluate_expr(expr, _operands(nest, nest.operands, pages, ()))
            case ReduceBody() as body:
                result = _reduce(nest, body, pages, live)
            case ContractBody() as body:
                result = _contract(nest, body, pages, live)
    result = np.broadcast_to(result, (*nest.out_dims, TILE, TILE)).reshape(-1, TILE, TILE)
    return np.where(inside(nest.shape), result, np.zeros((), result.dtype))


def _operands(nest: Nest, accesses: Sequence[Access], pages: Sequence[Tiles], at: tuple[int, ...]) -> list[Array]:
    """Tiles of operands for all tiles of the result, at one point of the reduced axes (the first if none is given)."""
    rank = len(nest.out_dims)
    found = []
    for access in accesses:
        number = np.full(
            (1,) * rank, access.offset + sum(s * t for s, t in zip(access.strides[rank:], at, strict=False))
        )
        for axis in range(rank):
            steps = access.strides[axis] * np.arange(nest.out_dims[axis])
            number = number + steps.reshape(*(1,) * axis, -1, *(1,) * (rank - 1 - axis))
        found.append(_spread(pages[access.storage][number], access.spread))
    return found


def _take(nest: Nest, body: TakeBody, pages: Sequence[Tiles]) -> Tiles:
    """Rows by number, page by page of the result."""
    index, source = nest.operands
    rows = np.zeros((*nest.out_dims, TILE, TILE), pages[source.storage].dtype)
    for at in np.ndindex(*nest.out_dims):
        where, first = (a.offset + sum(s * t for s, t in zip(a.strides, at, strict=True)) for a in (index, source))
        numbers = pages[index.storage][where]
        for row, number in enumerate((numbers[0] if body.across else numbers[:, 0]).tolist()):
            if 0 <= number < body.extent:
                rows[(*at, row)] = pages[source.storage][first + number // TILE * body.step, number % TILE]
    return rows


def _spread(tiles: Array, spread: Spread) -> Array:
    match spread:
        case Spread.NONE:
            return tiles
        case Spread.ROW:
            return tiles[..., :1, :]
        case Spread.COLUMN:
            return tiles[..., :, :1]
        case Spread.SCALAR:
            return tiles[..., :1, :1]
        case Spread.TRANSPOSE:
            return tiles.swapaxes(-1, -2)


_NEUTRAL: Mapping[Combine, float] = {Combine.SUM: 0, Combine.PROD: 1, Combine.MAX: -np.inf, Combine.MIN: np.inf}
_COMBINE: Mapping[Combine, np.ufunc] = {
    Combine.SUM: np.add,
    Combine.PROD: np.multiply,
    Combine.MAX: np.maximum,
    Combine.MIN: np.minimum,
}


def _reduce(nest: Nest, body: ReduceBody, pages: Sequence[Tiles], live: Array) -> Array:
    kind = body.body.dtype.numpy
    neutral = np.asarray(_NEUTRAL[body.combine])
    if not body.body.dtype.is_float:
        neutral = np.clip(neutral, -(2**31), 2**31 - 1)
    neutral = neutral.astype(kind)
    total = np.full((*nest.out_dims, TILE, TILE), neutral, kind)
    axes = {ReduceAxis.ROWS: (-2,), ReduceAxis.COLUMNS: (-1,), ReduceAxis.BOTH: (-2, -1), ReduceAxis.NONE: ()}[
        body.axis
    ]
    for at in np.ndindex(nest.reduced):
        term = evaluate_expr(body.body, _operands(nest, nest.operands[: body.body_operands], pages, at))
        term = np.where(_taking_part(nest, body, at), term, neutral)
        part = _COMBINE[body.combine].reduce(term, axis=axes, keepdims=True, dtype=kind)
        if not axes:
            part = term
        total = np.where(_at(nest, live, at), _COMBINE[body.combine](total, part), total)
    extra = _operands(nest, nest.operands[body.body_operands :], pages, ())
    return evaluate_expr(body.epilogue, [total.astype(kind), *extra])


def _at(nest: Nest, live: Array, at: tuple[int, ...]) -> Array:
    flat = live.reshape(*nest.out_dims, -1)
    place = int(np.ravel_multi_index(at, nest.reduced)) if at else 0
    return flat[..., place].reshape(*nest.out_dims, 1, 1)


def _taking_part(nest: Nest, body: ReduceBody, at: tuple[int, ...]) -> Array:
    """Elements of the domain's tiles that lie inside the domain."""
    rank = len(nest.out_dims)
    found = np.ones((1,) * (rank + 2), np.bool_)
    for axis, extent, place in ((body.row_axis, body.rows, rank), (body.column_axis, body.columns, rank + 1)):
        shape = [1] * (rank + 2)
        if axis >= rank:
            tile: Array = np.asarray(at[axis - rank])
        else:
            shape[axis] = nest.out_dims[axis]
            tile = np.arange(nest.out_dims[axis]).reshape(shape)
        lane = [1] * (rank + 2)
        lane[place] = TILE
        found = found & (tile * TILE + np.arange(TILE).reshape(lane) < extent)
    return found


def _contract(nest: Nest, body: ContractBody, pages: Sequence[Tiles], live: Array) -> Array:
    kind = np.dtype(np.float32) if body.dtype.is_float else np.dtype(np.int32)
    total = np.zeros((*nest.out_dims, TILE, TILE), kind)
    for at in np.ndindex(nest.reduced):
        a, b = _operands(nest, nest.operands[:2], pages, at)
        a, b = (a.swapaxes(-1, -2) if body.transpose_a else a), (b.swapaxes(-1, -2) if body.transpose_b else b)
        total = np.where(_at(nest, live, at), total + _product(body, a.astype(kind), b.astype(kind)), total)
    return evaluate_expr(body.epilogue, [total, *_operands(nest, nest.operands[2:], pages, ())])


def _product(body: ContractBody, a: Array, b: Array) -> Array:
    """Elements one by one, so that NaN and infinities arise where they should."""
    multiply = multiply_annihilating if body.annihilates else np.multiply
    total: Array = np.zeros((), a.dtype)
    for left, right in body.fidelity.passes if body.dtype is not DType.I32 else ((Part.WHOLE, Part.WHOLE),):
        x = a if left is Part.WHOLE else take_part(a, left, LEFT_LOW_BITS)
        y = b if right is Part.WHOLE else take_part(b, right, RIGHT_LOW_BITS)
        total = total + np.add.reduce(multiply(x[..., :, :, None], y[..., None, :, :]), axis=-2, dtype=a.dtype)
    return total


def _gather(index_map: IndexMap, source: Array) -> Array:
    count = int(np.prod(index_map.digits))
    digits = np.indices(index_map.digits).reshape(len(index_map.digits), count)
    number, within = np.zeros(count, np.int64), np.ones(count, np.bool_)
    for base, steps, extent in zip(index_map.base, index_map.steps, index_map.extents, strict=True):
        coordinate = np.full(count, base)
        for step, digit in zip(steps, digits, strict=True):
            coordinate += step * digit
        within &= (coordinate >= 0) & (coordinate < extent)
        number = number * extent + coordinate
    found = np.where(within, source[np.where(within, number, 0)], np.zeros((), source.dtype))
    return to_tiles(found.reshape(index_map.shape)).reshape(*TileGrid(index_map.shape).dims, TILE, TILE)
