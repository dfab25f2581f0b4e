"""The stages of an image, read off its programs: where each runs, what it computes, and what it reads and writes."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from compiler.diagnostics import Span
from compiler.ir.printer import print_expr
from compiler.numerics import TileGrid
from compiler.numerics.layout import page_bytes
from compiler.program.image import CbKind, Code, CoreProgram, DramPlace, Image, ShardPlace
from compiler.program.instructions import Gather, Instruction, Map, Matmul, Read, Reduce, Take, Write
from compiler.program.pages import channel_bytes
from runtime.view.turns import with_turns


@dataclass(frozen=True, slots=True)
class BufferView:
    """A circular buffer of one core. `bytes` is what it takes of L1."""

    name: str
    address: int
    pages: int
    bytes: int
    shard: bool


@dataclass(frozen=True, slots=True)
class StageView:
    """What the cores of one epoch run under one name.

    `number` is its index in `ViewModel.stages`, `letter` tells it from the others of its epoch. `spans` are the places
    in the source that its instructions come from, the main one first. Tensors are numbers of `Image.tensors`.
    `buffers[i]` are those of `cores[i]`.
    """

    number: int
    name: str
    letter: str
    epoch: int
    spans: tuple[Span, ...]
    cores: tuple[int, ...]
    work: tuple[str, ...]
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    buffers: tuple[tuple[BufferView, ...], ...]
    instructions: int

    @property
    def l1_bytes(self) -> int:
        """L1 of the core that needs most."""
        return max((sum(buffer.bytes for buffer in each) for each in self.buffers), default=0)


def stages_of(image: Image) -> tuple[StageView, ...]:
    """Return all stages, epoch by epoch, in the order of their first origins."""
    found: list[StageView] = []
    for number, epoch in enumerate(image.epochs):
        groups: defaultdict[int, list[CoreProgram]] = defaultdict(list)
        for program in epoch.programs:
            groups[_first_origin(program)].append(program)
        for index, (_, programs) in enumerate(sorted(groups.items())):
            found.append(_stage(image, len(found), number, index, programs))
    return tuple(found)


def _codes(program: CoreProgram) -> tuple[Code, ...]:
    return (program.read, program.compute, program.write)


def _first_origin(program: CoreProgram) -> int:
    """The least origin of its instructions, which is what the whole program is for; -1 for an empty program."""
    return min((origin for code in _codes(program) for origin in code.origins), default=-1)


def _stage(image: Image, number: int, epoch: int, index: int, programs: list[CoreProgram]) -> StageView:
    first, origin = programs[0], _first_origin(programs[0])
    reads = {
        i.tensor: None for program in programs for i in _instructions(program) if isinstance(i, Read | Gather | Take)
    }
    writes = {i.tensor: None for program in programs for i in _instructions(program) if isinstance(i, Write)}
    cores = tuple(program.core for program in programs)
    shards = (
        tensor
        for tensor, each in enumerate(image.tensors)
        if isinstance(each.place, ShardPlace) and each.place.epoch == epoch and set(each.place.owners) & set(cores)
    )
    return StageView(
        number=number,
        name=image.origins[origin].stage if origin >= 0 else "nothing",
        letter=letter(index),
        epoch=epoch,
        spans=_spans(image, first),
        cores=cores,
        work=tuple(_work(image, first)),
        reads=tuple(reads),
        writes=(*writes, *shards),
        buffers=tuple(tuple(_buffers(program)) for program in programs),
        instructions=max(sum(len(code.instructions) for code in _codes(program)) for program in programs),
    )


def _spans(image: Image, program: CoreProgram) -> tuple[Span, ...]:
    """The places of its instructions, each once, that of the first origin first."""
    origins = sorted({origin for code in _codes(program) for origin in code.origins})
    spans = (image.origins[origin].span for origin in origins)
    return tuple(dict.fromkeys(span for span in spans if span is not None))


def letter(index: int) -> str:
    """A, B, ... Z, AA, AB, ..."""
    text = chr(ord("A") + index % 26)
    return text if index < 26 else letter(index // 26 - 1) + text


def _instructions(program: CoreProgram) -> Iterator[Instruction]:
    for code in (program.read, program.write):
        yield from code.instructions


def _buffers(program: CoreProgram) -> Iterator[BufferView]:
    for buffer in program.buffers:
        size = buffer.capacity * page_bytes(buffer.dtype)
        yield BufferView(buffer.name, buffer.address, buffer.capacity, size, buffer.kind is CbKind.SHARD)


def _work(image: Image, program: CoreProgram) -> Iterator[str]:
    """What a core computes, a line per distinct instruction with how often it runs: products and reductions first."""
    totals: dict[tuple[bool, str], int] = {}
    for instruction, _, turns in with_turns(program.compute):
        text = _describe(image, instruction)
        if text is not None and turns.times:
            key = (isinstance(instruction, Map), text)
            totals[key] = totals.get(key, 0) + turns.times
    for (_, text), times in sorted(totals.items(), key=lambda item: item[0][0]):
        yield f"{text}, {times} times a core" if times > 1 else f"{text}, once a core"
    if not totals and any(isinstance(i, Gather) for i in program.read.instructions):
        yield "gather elements"
    if not totals and any(isinstance(i, Take) for i in program.read.instructions):
        yield "take rows"


def _describe(image: Image, instruction: Instruction) -> str | None:
    match instruction:
        case Matmul(rows=rows, columns=columns, inner=inner, dtype=dtype):
            return f"multiply {rows} x {inner} by {inner} x {columns} tiles of {dtype.value}"
        case Map(kernel=kernel):
            return f"map {print_expr(image.kernels[kernel].expr)}"
        case Reduce(combine=combine, axis=axis):
            return f"reduce {combine.value} over {axis.value}"
        case _:
            return None


@dataclass(frozen=True, slots=True)
class TensorView:
    """A tensor of the image and who uses it. `dram` is its base and bytes on each channel, None if it lives in L1."""

    number: int
    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str
    bytes: int
    dram: tuple[int, int] | None
    readers: tuple[int, ...]
    writers: tuple[int, ...]
    epochs: tuple[int, int]
    """First and last epoch that touches it; inputs and weights are there from the first one on."""


def tensors_of(image: Image, stages: tuple[StageView, ...]) -> tuple[TensorView, ...]:
    """Return every tensor of the image, in order."""
    readers: defaultdict[int, list[int]] = defaultdict(list)
    writers: defaultdict[int, list[int]] = defaultdict(list)
    for stage in stages:
        for tensor in stage.reads:
            readers[tensor].append(stage.number)
        for tensor in stage.writes:
            writers[tensor].append(stage.number)
    return tuple(
        _tensor(image, number, tuple(readers[number]), tuple(writers[number]), stages)
        for number in range(len(image.tensors))
    )


def _tensor(
    image: Image, number: int, readers: tuple[int, ...], writers: tuple[int, ...], stages: tuple[StageView, ...]
) -> TensorView:
    tensor = image.tensors[number]
    grid_pages = TileGrid(tensor.shape).pages
    size = page_bytes(tensor.dtype)
    dram = None
    if isinstance(tensor.place, DramPlace):
        dram = (tensor.place.base, channel_bytes(image.machine, tensor.dtype, grid_pages, tensor.flagged))
    touched = [stages[stage].epoch for stage in (*readers, *writers)] or [0]
    first = min(touched) if writers else 0
    last = len(image.epochs) - 1 if tensor.role.value == "output" else max(touched)
    return TensorView(
        number,
        tensor.name,
        tensor.dtype.value,
        tensor.shape,
        tensor.role.value,
        bytes=grid_pages * size,
        dram=dram,
        readers=readers,
        writers=writers,
        epochs=(first, last),
    )
