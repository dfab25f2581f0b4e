"""Images written by hand, with routes from a plain dimension-order walk."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from compiler.numerics import DType
from compiler.program.image import (
    CircularBuffer,
    Code,
    CoreProgram,
    CoreSet,
    DramPlace,
    Epoch,
    Hop,
    Image,
    IndexMap,
    Kernel,
    MulticastRoute,
    Origin,
    Role,
    Route,
    Tensor,
    UnicastRoute,
)
from compiler.program.instructions import Instruction
from compiler.target import Coord, Machine, Topology


def seq(*items: Instruction) -> tuple[Instruction, ...]:
    """Instructions one after the other."""
    return items


def walk(machine: Machine, noc: int, src: Coord, dst: Coord) -> tuple[Hop, ...]:
    """The dimension-order route, link by link."""
    network = machine.nocs[noc]
    here, hops = src, []
    for axis in network.order:
        while getattr(here, axis) != getattr(dst, axis):
            size = machine.columns if axis == "x" else machine.rows
            delta = network.x_step if axis == "x" else network.y_step
            if network.topology is Topology.MESH:
                delta = 1 if getattr(dst, axis) > getattr(here, axis) else -1
            moved = (getattr(here, axis) + delta) % size
            there = Coord(moved, here.y) if axis == "x" else Coord(here.x, moved)
            hops.append(Hop(here, there, 0))
            here = there
    return tuple(hops)


def tree(machine: Machine, noc: int, src: Coord, members: Iterable[Coord]) -> tuple[Hop, ...]:
    """The union of the routes to all members, each link once."""
    hops: dict[tuple[Coord, Coord], Hop] = {}
    for member in members:
        for hop in walk(machine, noc, src, member):
            hops.setdefault((hop.src, hop.dst), hop)
    return tuple(hops.values())


def all_routes(machine: Machine, cores: Sequence[int], sets: Sequence[CoreSet]) -> tuple[Route, ...]:
    """Routes between every pair of `cores` and DRAM channels, on both NoCs, and the trees of every core."""
    places = {machine.cores[core] for core in cores} | set(machine.dram.channels)
    places |= {machine.cores[member] for core_set in sets for member in core_set.cores}
    ordered = sorted(places)
    routes: list[Route] = []
    for noc in (0, 1):
        for src in ordered:
            routes += [UnicastRoute(noc, src, dst, walk(machine, noc, src, dst)) for dst in ordered]
        for number, core_set in enumerate(sets):
            if not core_set.multicast:
                continue
            for core in cores:
                src = machine.cores[core]
                members = [machine.cores[m] for m in core_set.cores if m != core]
                routes.append(MulticastRoute(noc, src, number, tree(machine, noc, src, members)))
    return tuple(routes)


@dataclass
class Program:
    """What one core runs."""

    core: int
    buffers: Sequence[CircularBuffer] = ()
    read: Sequence[Instruction] = ()
    write: Sequence[Instruction] = ()
    compute: Sequence[Instruction] = ()

    def built(self) -> CoreProgram:
        return CoreProgram(self.core, tuple(self.buffers), _code(self.read), _code(self.compute), _code(self.write))


def _code(instructions: Sequence[Instruction]) -> Code:
    return Code(tuple(instructions), (0,) * len(instructions))


@dataclass
class Handmade:
    """An image in the making."""

    machine: Machine
    tensors: list[Tensor] = field(default_factory=list)
    kernels: list[Kernel] = field(default_factory=list)
    index_maps: list[IndexMap] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    base: int = 0

    def dram(self, name: str, dtype: DType, shape: tuple[int, ...], role: Role, data: bytes = b"") -> int:
        """Add a tensor in DRAM; return its number."""
        self.tensors.append(Tensor(name, dtype, shape, role, DramPlace(self.base), data))
        self.base += 1 << 20
        return len(self.tensors) - 1

    def epoch(self, programs: Sequence[Program], sets: Sequence[CoreSet] = ()) -> None:
        """Add an epoch with all routes that its cores could need."""
        ordered = sorted(programs, key=lambda program: program.core)
        routes = all_routes(self.machine, [program.core for program in ordered], sets)
        self.epochs.append(Epoch(tuple(p.built() for p in ordered), tuple(sets), routes))

    def image(self) -> Image:
        return Image(
            name="handmade",
            machine=self.machine,
            tensors=tuple(self.tensors),
            index_maps=tuple(self.index_maps),
            kernels=tuple(self.kernels),
            epochs=tuple(self.epochs),
            origins=(Origin("stage", None),),
        )
