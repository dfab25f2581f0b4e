"""What happened when: stalls with their causes, packets, and how busy links, channels and buffers were over time."""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]

STALL_COLUMNS = ("begin", "end", "thread", "reason", "origin", "cause", "cause_time", "tensor")
"""A thread number is `3 * core + index in THREAD_NAMES`, a reason an index in `REASONS`. Thread `cause` ended the stall
by what it pushed, popped or issued at `cause_time`; `tensor` is a number of `Image.tensors` if a packet of that tensor
ended it, else -1."""

PACKET_COLUMNS = ("begin", "end", "thread", "kind", "noc", "src", "dst", "bytes", "tensor")
"""From the source NIU to the last byte at the destination. `src` and `dst` are positions, `y * columns + x`; `kind` is
an index in `PACKET_KINDS`; `thread` is the one that asked for it. The bytes of a request are those asked for."""

PACKET_KINDS = ("read request", "read answer", "write to DRAM", "write to L1", "increment", "acknowledgement")


@dataclass(frozen=True, slots=True, eq=False)
class EpochRecording:
    """One epoch. Times are cycles since its start; window `w` is `[w * window, (w + 1) * window)`."""

    window: int
    links: Ints
    """Flits that crossed, by link (as in `EpochProfile.links`) and window."""
    channels: Ints
    """Busy cycles, by DRAM channel and window."""
    fills: Ints
    """Most pages that had been pushed and not popped, by circular buffer (core by core) and window."""
    finish: Ints
    """When each thread (as in `EpochProfile.threads`) came to its end."""
    stalls: Ints
    """Rows of `STALL_COLUMNS`, in the order in which they ended."""
    packets: Ints
    """Rows of `PACKET_COLUMNS`, in the order of arrival."""
    packets_left_out: int
    """Later ones, beyond the limit."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; tables as text (see `pack_table`)."""
        tables = {name: pack_table(getattr(self, name)) for name in _TABLES}
        return {"window": self.window, "packets_left_out": self.packets_left_out} | tables

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "EpochRecording":
        """The inverse of `to_json`; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        tables = {name: unpack_table(document[name]) for name in _TABLES}
        return cls(window=int(document["window"]), packets_left_out=int(document["packets_left_out"]), **tables)


_TABLES = ("links", "channels", "fills", "finish", "stalls", "packets")


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A run, epoch by epoch. Recording changes neither bytes nor cycles."""

    epochs: tuple[EpochRecording, ...]

    def to_json(self) -> dict[str, Any]:
        return {"epochs": [epoch.to_json() for epoch in self.epochs]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Recording":
        """The inverse of `to_json`; raises what `EpochRecording.from_json` raises."""
        return cls(tuple(EpochRecording.from_json(epoch) for epoch in document["epochs"]))


def pack_table(table: Ints) -> dict[str, Any]:
    """Columns one after the other, each as differences from row to row, as int64, deflated, in base 64."""
    columns = table.reshape(len(table), int(np.prod(table.shape[1:]))).T
    differences = np.diff(columns, axis=1, prepend=0).astype("<i8")
    data = zlib.compress(differences.tobytes(), 6)
    return {"shape": list(table.shape), "data": base64.b64encode(data).decode()}


def unpack_table(packed: Mapping[str, Any]) -> Ints:
    """The inverse of `pack_table`; raises `ValueError` for what it cannot have written."""
    shape = tuple(int(extent) for extent in packed["shape"])
    try:
        data = zlib.decompress(base64.b64decode(packed["data"], validate=True))
    except zlib.error as error:
        raise ValueError(str(error)) from error
    columns = np.frombuffer(data, "<i8").reshape(-1, shape[0]) if shape[0] else np.zeros((0, 0), np.int64)
    return np.ascontiguousarray(np.cumsum(columns, axis=1).T).reshape(shape).astype(np.int64)
