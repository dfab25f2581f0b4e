"""What a program was promised about the tensors that it is fed, checked on the arrays."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import TILE, TileGrid
from compiler.numerics.masks import TileMask
from runtime.errors import bad_input
from runtime.feed import Array, Declared


class Promised(Declared, Protocol):
    """What a program also relies on, see `compiler.program.image.Tensor`."""

    @property
    def live(self) -> TileMask | None: ...
    @property
    def finite(self) -> bool: ...


def check_promises(tensor: Promised, array: Array, origin: str = "the array") -> None:
    """Raise E0528 when `array`, of the declared shape and type, is not what was promised; `origin` names it."""
    if tensor.finite and tensor.dtype.is_float:
        _check_finite(tensor, array, origin)
    if tensor.live is not None:
        _check_zeros(tensor, array, origin)


def within_promise(tensor: Promised, array: Array) -> Array:
    """Return `array` with zeros where the program was compiled for zeros."""
    if tensor.live is None:
        return array
    alive = _elements(tensor.live, tensor.shape)
    return np.where(alive, array, np.zeros((), array.dtype))


def _check_finite(tensor: Promised, array: Array, origin: str) -> None:
    finite = np.isfinite(array.astype(np.float32))
    if finite.all():
        return
    at = tuple(int(i) for i in np.argwhere(~finite)[0])
    count = int(finite.size - finite.sum())
    raise bad_input(
        "E0528",
        f"`{tensor.name}` is promised to be finite, but element {list(at)} of {origin} is {float(array[at])}",
        notes=[f"{count} of {finite.size} elements are NaN or infinite"],
        helps=[
            "feed finite numbers, for example through `numpy.nan_to_num`",
            f"or leave out `finite` at `{tensor.name}` in the program, or `--assume-finite`, and compile again",
        ],
    )


def _check_zeros(tensor: Promised, array: Array, origin: str) -> None:
    assert tensor.live is not None
    wrong = ~_elements(tensor.live, tensor.shape) & np.asarray(array != 0)
    if not wrong.any():
        return
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    tile = [index // TILE if axis >= len(at) - 2 else index for axis, index in enumerate(at)]
    dead = int((~tensor.live.array).sum())
    raise bad_input(
        "E0528",
        f"the image was compiled for a `{tensor.name}` that is zero in tile {tile}, but element {list(at)} of {origin} "
        f"is {array[at]}",
        notes=[f"{dead} of {tensor.live.array.size} tiles of `{tensor.name}` were known to be zero"],
        helps=[f"feed the values of `{tensor.name}` that the program was compiled for, or compile it for these"],
    )


def _elements(live: TileMask, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Which elements of a tensor of this shape lie in live tiles."""
    matrix = TileGrid(shape).matrix_shape
    spread = live.array.repeat(TILE, axis=-2).repeat(TILE, axis=-1)
    return np.asarray(spread[..., : matrix[-2], : matrix[-1]].reshape(shape))
