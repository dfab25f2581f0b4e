"""What a run took, and where the time went."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from compiler.diagnostics import Span
from compiler.program.image import Origin
from compiler.target.machine import Coord

REASONS = ("busy", "cb reserve", "cb wait", "semaphore", "await", "barrier", "order", "pipe", "idle")
"""What a thread does with its cycles. `order`: a packet held back so as not to overtake another; `pipe`: a compute
instruction held back because math or pack is busy; `idle`: before the launch or after the end of the program."""

THREAD_NAMES = ("read", "write", "compute")


@dataclass(frozen=True, slots=True)
class ThreadProfile:
    """Cycles of one thread in one epoch, in the order of `REASONS`; they add up to the length of the epoch."""

    core: int
    thread: str
    cycles: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PipeProfile:
    """Busy cycles of the overlapping parts of a core's data path in one epoch."""

    core: int
    unpack: int
    math: int
    pack: int


@dataclass(frozen=True, slots=True)
class LinkProfile:
    """Flits that crossed a link in one epoch."""

    noc: int
    src: Coord
    dst: Coord
    flits: int


@dataclass(frozen=True, slots=True)
class ChannelProfile:
    """What one DRAM channel did in one epoch."""

    channel: int
    read_bytes: int
    written_bytes: int
    requests: int


@dataclass(frozen=True, slots=True)
class OriginProfile:
    """What the instructions of one origin (`Image.origins`) took on all cores of one epoch, by instruction kind.

    `busy` and `stalled` are cycles of the threads; `math` is what the instructions kept math busy, which goes on while
    the thread is at later instructions.
    """

    origin: int
    instruction: str
    times: int
    busy: int
    stalled: int
    math: int = 0


@dataclass(frozen=True, slots=True)
class TensorProfile:
    """Bytes of a tensor that were read and written over the networks in one epoch."""

    tensor: str
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True)
class TileOperations:
    """Tiles multiplied, mapped, reduced and packed."""

    products: int = 0
    maps: int = 0
    reductions: int = 0
    packs: int = 0

    def __add__(self, other: "TileOperations") -> "TileOperations":
        return TileOperations(
            self.products + other.products,
            self.maps + other.maps,
            self.reductions + other.reductions,
            self.packs + other.packs,
        )


@dataclass(frozen=True, slots=True)
class Spared:
    """What was not sent because of flags.

    `headers` packets of a zero or dead page were a header alone; `reads` of pages were left out by their guard or
    because of flags in DRAM, `writes` because DRAM took the flags alone. `payload_bytes` is what all of them would have
    carried, `flits` the crossings of links that the payload of headers would have taken, and that of pages for which
    flags in DRAM stand.
    """

    headers: int = 0
    reads: int = 0
    payload_bytes: int = 0
    flits: int = 0
    writes: int = 0

    def __add__(self, other: "Spared") -> "Spared":
        return Spared(
            self.headers + other.headers,
            self.reads + other.reads,
            self.payload_bytes + other.payload_bytes,
            self.flits + other.flits,
            self.writes + other.writes,
        )


@dataclass(frozen=True, slots=True)
class EpochProfile:
    """One epoch; `start` and `end` are cycles since the start of the first one, `start` after the launch. `tiles` are
    the operations that were executed, `skipped` those that flags have spared."""

    start: int
    end: int
    threads: tuple[ThreadProfile, ...]
    pipes: tuple[PipeProfile, ...]
    links: tuple[LinkProfile, ...]
    channels: tuple[ChannelProfile, ...]
    tensors: tuple[TensorProfile, ...]
    origins: tuple[OriginProfile, ...]
    tiles: TileOperations
    events: int
    skipped: TileOperations = TileOperations()
    spared: Spared = Spared()

    @property
    def cycles(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the cycles of a run went. Equal inputs give equal profiles.

    `origins` are those of the image, so that `OriginProfile.origin` leads back to a stage and a source span. Only
    cores that have a program in an epoch, and links that carried a flit, are listed.
    """

    clock_ghz: float
    epochs: tuple[EpochProfile, ...]
    origins: tuple[Origin, ...]

    @property
    def makespan(self) -> int:
        """Cycles from the start of the first epoch's programs to the end of the last one's."""
        return self.epochs[-1].end - self.epochs[0].start if self.epochs else 0

    @property
    def events(self) -> int:
        return sum(epoch.events for epoch in self.epochs)

    @property
    def tiles(self) -> TileOperations:
        """Tile operations of all epochs."""
        return sum((epoch.tiles for epoch in self.epochs), TileOperations())

    @property
    def skipped(self) -> TileOperations:
        """Tile operations that flags have spared."""
        return sum((epoch.skipped for epoch in self.epochs), TileOperations())

    @property
    def spared(self) -> Spared:
        """What was not sent because of flags."""
        return sum((epoch.spared for epoch in self.epochs), Spared())

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists, strings and numbers, for `json.dumps`."""
        epochs = [asdict(epoch) for epoch in self.epochs]
        return {
            "clock_ghz": self.clock_ghz,
            "makespan": self.makespan,
            "events": self.events,
            "tiles": asdict(self.tiles),
            "skipped": asdict(self.skipped),
            "spared": asdict(self.spared),
            "reasons": list(REASONS),
            "epochs": epochs,
            "origins": [asdict(origin) for origin in self.origins],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Profile":
        """The inverse of `to_json`; raises `KeyError`, `TypeError` or `ValueError` for anything else."""
        if tuple(document["reasons"]) != REASONS:
            raise ValueError("its reasons of stalls are not those of this version")
        return _record(cls, document)


T = TypeVar("T")


def _record(cls: type[T], document: Mapping[str, Any]) -> T:
    """A dataclass from the dictionary that `asdict` made of it."""
    hints = get_type_hints(cls)
    return cls(**{item.name: _value(hints[item.name], document[item.name]) for item in fields(cls)})  # type: ignore[arg-type]


def _value(hint: Any, value: Any) -> Any:
    if get_origin(hint) is tuple:
        return tuple(_value(get_args(hint)[0], item) for item in value)
    if hint == Span | None:
        return None if value is None else _record(Span, value)
    if is_dataclass(hint):
        return _record(hint, value)  # type: ignore[arg-type]
    if not isinstance(value, hint if hint is not float else (int, float)):
        raise TypeError(f"{value!r} is not of type {hint.__name__}")
    return value
