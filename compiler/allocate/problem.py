"""What an allocator is asked and what it answers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arena:
    """A memory: addresses from `base` to `base + size`, every buffer aligned to `alignment`."""

    name: str
    base: int
    size: int
    alignment: int


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes needed in arena number `arena` from time `start` to time `end`, both included."""

    name: str
    arena: int
    nbytes: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class AllocateProblem:
    arenas: tuple[Arena, ...]
    buffers: tuple[Buffer, ...]


@dataclass(frozen=True, slots=True)
class AllocateSolution:
    """An address per buffer, and per arena the bytes between its base and the highest byte used."""

    addresses: tuple[int, ...]
    peaks: tuple[int, ...]
