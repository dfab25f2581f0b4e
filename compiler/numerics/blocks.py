"""Block floats: 16 elements side by side in a row share an 8-bit exponent.

An element of a block with exponent `e` is a sign and a magnitude of `bits` bits (7, 3 or 1): the value
`magnitude * 2**(e - 126 - bits)`. There is no hidden bit: the largest element of a block has the top bit set, the
others lose what lies below its step. These are the formats Bfp8_b, Bfp4_b and Bfp2_b of tt-metal
(tech_reports/data_formats), and rounding is that of its host: the exponent is that of the largest element, magnitudes
are rounded to nearest, ties to even, and one that would need another bit becomes all ones. Blocks begin at multiples of
16 along the last axis; in a tensor whose last axis is no multiple of it, what is missing counts as 0.

Choices of our own: a zero is never negative. In a block with the exponent 255 an element with the top bit alone is an
infinity and a larger magnitude NaN; a block of bfp2 has no bit to tell them apart, so both become NaN. What is finite
in such a block is rounded with the step of its exponent, which leaves next to nothing of it.

In a page the 64 exponents come first, two per row of the tile; then the elements row by row, the first one in the low
bits of its byte, its sign above its magnitude. (tt-metal orders both by faces, which changes no size.)
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 16
"""Elements that share an exponent."""

MAX_EXPONENT = 255

Floats = NDArray[np.float32]


def infinity_magnitude(bits: int) -> int:
    """The magnitude that means infinity where the exponent is `MAX_EXPONENT`; anything above it means NaN."""
    return 1 << (bits - 1) if bits > 1 else 0


def nan_magnitude(bits: int) -> int:
    """The magnitude that is written for NaN."""
    return 3 << (bits - 2) if bits > 1 else 1


def exponents_of(values: NDArray[Any]) -> NDArray[np.int64]:
    """The shared exponent of every block: float32 `[..., BLOCK]` to `[...]`."""
    fields = np.ascontiguousarray(values, np.float32).view(np.uint32) >> 23 & 0xFF
    return np.asarray(fields.max(axis=-1), np.int64)


def encode(values: NDArray[Any], bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the exponents `[...]` and the elements' codes `[..., BLOCK]` of float32 `values [..., BLOCK]`."""
    exponents = exponents_of(values)
    sizes = np.abs(np.where(np.isfinite(values), values, 0).astype(np.float64))
    scaled = np.rint(np.ldexp(sizes, (126 + bits - exponents)[..., None]))
    magnitudes = np.minimum(scaled, (1 << bits) - 1).astype(np.int64)
    magnitudes = np.where(np.isinf(values), max(1, infinity_magnitude(bits)), magnitudes)
    magnitudes = np.where(np.isnan(values), nan_magnitude(bits), magnitudes)
    negative = np.signbit(values) & (magnitudes > 0)
    return exponents, magnitudes | negative.astype(np.int64) << bits


def decode(exponents: NDArray[np.int64], codes: NDArray[np.int64], bits: int) -> Floats:
    """Return the float32 values of codes; the inverse of `encode`."""
    magnitudes = codes & ((1 << bits) - 1)
    steps = (exponents - 126 - bits)[..., None]
    with np.errstate(over="ignore"):
        sizes = np.ldexp(magnitudes.astype(np.float64), steps).astype(np.float32)
    last = (exponents == MAX_EXPONENT)[..., None]
    sizes = np.where(last & (magnitudes > infinity_magnitude(bits)), np.float32(np.nan), sizes)
    result: Floats = np.where(codes >> bits, -sizes, sizes)
    return result


def round_blocks(values: NDArray[Any], bits: int) -> Floats:
    """Round float32 values of any shape, blocks along the last axis."""
    blocks = split(values)
    return join(decode(*encode(blocks, bits), bits), values.shape)


def split(values: NDArray[Any]) -> NDArray[Any]:
    """Cut the last axis into blocks `[..., BLOCK]`, zeros filling the last one."""
    rows = values.reshape(*values.shape[:-1], values.shape[-1] if values.ndim else 1)
    missing = -rows.shape[-1] % BLOCK
    padded = np.pad(rows, [*((0, 0) for _ in rows.shape[:-1]), (0, missing)])
    return padded.reshape(*rows.shape[:-1], -1, BLOCK)


def join(blocks: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """The inverse of `split`, for an array of `shape`."""
    columns = shape[-1] if shape else 1
    rows = blocks.reshape(*blocks.shape[:-2], -1)[..., :columns]
    return rows.reshape(shape)


def pack_pages(tiles: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Return the bytes `[pages, ...]` of tiles `[pages, rows, columns]`."""
    exponents, codes = encode(split(tiles), bits)
    width = bits + 1
    places = np.arange(8 // width) * width
    grouped = codes.reshape(len(tiles), -1, 8 // width) << places
    packed = np.bitwise_or.reduce(grouped, axis=-1)
    return np.concatenate([exponents.reshape(len(tiles), -1), packed], axis=1).astype(np.uint8)


def unpack_pages(pages: NDArray[np.uint8], rows: int, columns: int, bits: int) -> Floats:
    """Return the float32 tiles `[pages, rows, columns]`; the inverse of `pack_pages`."""
    count, width = rows * columns // BLOCK, bits + 1
    places = np.arange(8 // width) * width
    codes = pages[:, count:, None].astype(np.int64) >> places & ((1 << width) - 1)
    exponents = pages[:, :count].astype(np.int64)
    return decode(exponents, codes.reshape(len(pages), count, BLOCK), bits).reshape(len(pages), rows, columns)
