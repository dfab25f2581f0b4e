"""What was left out of a program: before the run, according to its loop nests, and in the run, according to the
machine; and what that saved against the same program unpruned."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from compiler.numerics import TileGrid
from compiler.numerics.layout import page_bytes
from compiler.partition.nest import GatherBody, Nest, Storage, TakeBody, Workload
from compiler.partition.tiling import tile
from compiler.pipeline import Compiled
from compiler.program.image import Image
from emulator.profile import Profile, TileOperations
from runtime.feed import Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What compilation left out. Operations are tiles multiplied, mapped or reduced, that is iterations of loop nests;
    bytes are those of the tensors in memory."""

    all_operations: int
    operations: int
    all_bytes: int
    bytes: int

    @property
    def nothing(self) -> bool:
        return self.operations == self.all_operations and self.bytes == self.all_bytes


def planned(compiled: Compiled) -> Planned:
    """Return what pruning left out when a program was compiled."""
    return difference(tile(compiled.graph), compiled.pruned.workload)


def difference(before: Workload, after: Workload) -> Planned:
    """Compare the loop nests of a program before and after pruning."""
    return Planned(
        all_operations=sum(map(_operations, before.nests)),
        operations=sum(map(_operations, after.nests)),
        all_bytes=sum(map(_bytes, before.storages)),
        bytes=sum(map(_bytes, after.storages)),
    )


def _operations(nest: Nest) -> int:
    if isinstance(nest.body, GatherBody | TakeBody):
        return 0
    return prod(nest.space) if nest.live is None else nest.live.count


def _bytes(storage: Storage) -> int:
    pages = TileGrid(storage.shape).pages if storage.live is None else storage.live.count
    return pages * page_bytes(storage.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a run took, summed over cores and epochs. `l1_bytes` is the room of the circular buffers."""

    tile_operations: int
    noc_flits: int
    dram_bytes: int
    l1_bytes: int
    cycles: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """What the machine left out of a run because of flags, summed over cores and epochs; see `emulator.profile.Spared`
    and `TileOperations`."""

    operations: int
    """Tile operations that were done."""
    skipped_operations: int
    headers: int
    reads: int
    writes: int
    payload_bytes: int
    flits: int

    @property
    def nothing(self) -> bool:
        return not (self.skipped_operations or self.headers or self.reads or self.writes)


def left_out(profile: Profile) -> LeftOut:
    """Return what the flags spared in a run."""
    spared = profile.spared
    return LeftOut(
        operations=_total(profile.tiles),
        skipped_operations=_total(profile.skipped),
        headers=spared.headers,
        reads=spared.reads,
        writes=spared.writes,
        payload_bytes=spared.payload_bytes,
        flits=spared.flits,
    )


def _total(tiles: TileOperations) -> int:
    """Packs are left aside: they follow from the others."""
    return tiles.products + tiles.maps + tiles.reductions


def work(image: Image, profile: Profile) -> Work:
    """Return what a run of `image` took."""
    channels = [channel for epoch in profile.epochs for channel in epoch.channels]
    programs = [program for epoch in image.epochs for program in epoch.programs]
    return Work(
        tile_operations=_total(profile.tiles),
        noc_flits=sum(link.flits for epoch in profile.epochs for link in epoch.links),
        dram_bytes=sum(channel.read_bytes + channel.written_bytes for channel in channels),
        l1_bytes=sum(cb.capacity * page_bytes(cb.dtype) for program in programs for cb in program.buffers),
        cycles=profile.makespan,
    )


def same_values(a: Mapping[str, Array], b: Mapping[str, Array]) -> bool:
    """Whether all arrays are equal bit for bit, but for the sign of zeros; any NaN equals any other."""
    return a.keys() == b.keys() and all(np.array_equal(_wide(a[name]), _wide(b[name]), equal_nan=True) for name in a)


def _wide(array: Array) -> Array:
    """The same values in a type that NumPy compares."""
    return array.astype(np.float64)
