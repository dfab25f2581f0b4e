"""One epoch on the engine: tables in, profile out."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from compiler.program import image as im
from compiler.program.instructions import Loop
from compiler.target import Machine
from emulator import profile as pf
from emulator.encode import Code, encode_programs, keeps_flags, table
from emulator.engine import columns as c
from emulator.engine.loop import run_events
from emulator.engine.state import Bytes, State, Table
from emulator.kernels.compile import Compiler
from emulator.layout import (
    ZEROS,
    Dram,
    Lists,
    Network,
    buffer_tables,
    constants,
    most_packets,
    network_tables,
    position_number,
    set_tables,
    tensor_tables,
    zeros_at,
)
from emulator.recorder import LOG_ROWS, Recorder
from emulator.recording import EpochRecording
from emulator.stops import fault_of

TILE_ELEMENTS = 1024
GRANULE = c.GRANULE


@dataclass(frozen=True, slots=True)
class L1:
    """The L1 of all cores, and which granules have been written."""

    memory: Bytes
    written: Bytes

    @classmethod
    def for_image(cls, image: im.Image) -> "L1":
        size = zeros_at(image.machine) + ZEROS
        return cls(np.zeros(size, np.uint8), np.zeros(size // GRANULE + 1, np.uint8))


@dataclass(frozen=True, slots=True)
class Epoch:
    """An epoch ready to run."""

    image: im.Image
    number: int
    code: Code
    network: Network
    state: State
    recorder: Recorder | None

    @classmethod
    def prepare(cls, image: im.Image, number: int, dram: Dram, l1: L1, compiler: Compiler, record: bool) -> "Epoch":
        machine, epoch = image.machine, image.epochs[number]
        lists = Lists()
        index_maps = {i: lists.add_map(index_map) for i, index_map in enumerate(image.index_maps)}
        code = encode_programs(image, epoch, index_maps)
        network = network_tables(machine, epoch)
        l1.written[:] = 0
        l1.written[zeros_at(machine) // GRANULE :] = 1
        slack, flags = most_packets(machine, epoch, code), keeps_flags(image)
        senses = any(tensor.flagged for tensor in image.tensors)
        tables = {
            **_fresh_tables(image, slack),
            **_code_tables(code, compiler),
            **_place_tables(image, number, dram, lists),
            **_network_tables(network),
            "constants": constants(
                machine, dram.stride, len(network.links), slack, len(epoch.core_sets), flags, senses
            ),
            "log": np.zeros((LOG_ROWS + slack if record else 0, c.LOG_COLUMNS), np.int64),
            "l1": l1.memory,
            "l1_written": l1.written,
            "l1_flags": _page_flags(machine, len(l1.written)) if flags else np.zeros(1, np.uint8),
            "dram": dram.memory,
            "dram_written": dram.written,
        }
        state = State(**tables)
        state.control[c.LOG_ROWS] = len(state.log)
        _set_addresses(state)
        _start_threads(state, epoch, code)
        rows = (len(network.links), len(state.channels), sum(len(program.buffers) for program in epoch.programs))
        recorder = Recorder(*rows, code.origins) if record else None
        return cls(image, number, code, network, _grown(state, 4 * slack + 1024), recorder)

    def run(self, start: int) -> tuple[pf.EpochProfile, EpochRecording | None]:
        """Run to the end; `start` is the cycle at which the programs begin. Raises `Fault`."""
        state = self.state
        run_events(state)
        while state.control[c.STATUS] == c.GROW:
            state.control[c.STATUS] = c.RUN
            self._drain(state)
            if not _has_packets(state):
                state = _grown(state, 2 * len(state.packets))
            run_events(state)
        self._drain(state)
        blocked = [t for t in self.code.starts if state.threads[t, c.STATE] != c.DONE]
        if state.control[c.STATUS] != c.RUN or blocked:
            raise fault_of(self.image, self.number, self.code, state, blocked)
        profile = profile_of(self.image, self.code, self.network, state, start)
        return profile, self._recording(state, profile.cycles)

    def _drain(self, state: State) -> None:
        """Move the log into the recording."""
        if self.recorder is not None:
            self.recorder.take(state.log[: state.control[c.LOG_SIZE]])
            state.control[c.LOG_SIZE] = 0

    def _recording(self, state: State, length: int) -> EpochRecording | None:
        if self.recorder is None:
            return None
        used = [row for row in range(len(self.network.links)) if state.resources[row, c.FLITS]]
        finish = [int(state.threads[thread, c.FINISH]) for thread in sorted(self.code.starts)]
        return self.recorder.result(length, used, finish)


def _page_flags(machine: Machine, granules: int) -> Bytes:
    """No flags but those of what stands for pages that are not stored."""
    flags = np.zeros(granules, np.uint8)
    flags[zeros_at(machine) // GRANULE] = c.ZERO | c.FINITE | c.BARE
    return flags


def _fresh_tables(image: im.Image, slack: int) -> dict[str, Any]:
    """Tables that start empty."""
    machine = image.machine
    cores, registers = len(machine.cores), machine.compute.dst_tiles
    operands = max((len(kernel.operands) for kernel in image.kernels), default=0)
    return {
        "control": np.zeros(c.CONTROL_COLUMNS, np.int64),
        "heap": np.zeros((4 * slack + 1024, c.HEAP_COLUMNS), np.int64),
        "packets": np.zeros((0, c.PACKET_COLUMNS), np.int64),
        "payload": np.zeros(0, np.uint8),
        "payload_flags": np.zeros(0, np.uint8),
        "threads": np.zeros((3 * cores, c.THREAD_COLUMNS), np.int64),
        "cycles": np.zeros((3 * cores, c.CYCLE_COLUMNS), np.int64),
        "semaphores": np.zeros(cores * machine.semaphores, np.int64),
        "unordered": np.zeros((6 * cores * cores, c.UNORDERED_COLUMNS), np.int64),
        "channels": np.zeros((len(machine.dram.channels), c.CHANNEL_COLUMNS), np.int64),
        "streams": np.zeros((len(image.tensors) + 1, c.STREAM_COLUMNS), np.int64),
        "arguments": np.zeros(8 + 2 * registers + operands, np.int64),
        "registers": np.zeros(cores * registers * TILE_ELEMENTS, np.int32),
        "register_flags": np.zeros(cores * registers, np.uint8),
        # One tile per left operand of a product, one for the right one, one that stays zero.
        "scratch": np.zeros((registers + 2) * TILE_ELEMENTS, np.float32),
    }


def _code_tables(code: Code, compiler: Compiler) -> dict[str, Any]:
    """Instructions and the native code that they call."""
    return {
        "code": table(code.rows, c.CODE_COLUMNS),
        "spent": np.zeros((len(code.rows) + 1, c.SPENT_COLUMNS), np.int64),
        "affines": table(code.affines, c.AFFINE_COLUMNS),
        "tables": table(code.tables, c.TABLE_COLUMNS),
        "values": np.array(code.values or [0], np.int64),
        "operands": table(code.operands, c.OPERAND_COLUMNS),
        "kernels": np.array(compiler.addresses(code.kernels) or [0], np.int64),
    }


def _place_tables(image: im.Image, number: int, dram: Dram, lists: Lists) -> dict[str, Any]:
    """Tensors, cbs and core sets: what instructions name."""
    machine, epoch = image.machine, image.epochs[number]
    tensors, pages = tensor_tables(image, number, dram, lists)
    buffers, first_buffer = buffer_tables(machine, epoch)
    sets, members = set_tables(epoch)
    return {
        "tensors": tensors,
        "pages": pages,
        "lists": np.array(lists.items or [0], np.int64),
        "buffers": buffers,
        "first_buffer": first_buffer,
        "sets": sets,
        "members": members,
        "position": np.array([position_number(machine, coord) for coord in machine.cores], np.int64),
    }


def _network_tables(network: Network) -> dict[str, Any]:
    return {
        "unicast": network.unicast,
        "multicast": network.multicast,
        "trees": network.trees,
        "resources": np.zeros((len(network.links) + network.ports, c.RESOURCE_COLUMNS), np.int64),
    }


def _set_addresses(state: State) -> None:
    state.control[c.FREE_PACKET] = -1
    state.control[c.L1_ADDRESS] = state.l1.ctypes.data
    state.control[c.REGISTER_ADDRESS] = state.registers.ctypes.data
    state.control[c.ARGUMENT_ADDRESS] = state.arguments.ctypes.data
    state.control[c.SCRATCH_ADDRESS] = state.scratch.ctypes.data


def _start_threads(state: State, epoch: im.Epoch, code: Code) -> None:
    """Schedule the first step of every thread that has a program."""
    state.threads[:, c.STATE] = c.DONE
    state.threads[:, c.NEEDS_OF] = -1
    ordered = sorted(code.starts.items())
    for order, (thread, first) in enumerate(ordered):
        state.threads[thread, c.PC] = first
        state.threads[thread, c.STATE] = c.READY
        state.heap[order] = (0, order, c.THREAD_STEP, thread, 0)
    state.control[c.HEAP_SIZE] = state.control[c.SEQUENCE] = len(ordered)


def _grown(state: State, rows: int) -> State:
    """The same state with room for `rows` packets and as many more events."""
    old = len(state.packets)
    packets = np.zeros((rows, c.PACKET_COLUMNS), np.int64)
    packets[:old] = state.packets
    packets[old:, c.NEXT_FREE] = np.arange(old + 1, rows + 1)
    packets[-1, c.NEXT_FREE] = state.control[c.FREE_PACKET]
    payload = np.empty(rows * int(state.constants[c.PACKET_BYTES]), np.uint8)
    payload[: len(state.payload)] = state.payload
    flags = np.zeros(len(payload) // GRANULE if state.constants[c.FLAGS] else 1, np.uint8)
    flags[: len(state.payload_flags)] = state.payload_flags
    heap = np.zeros((len(state.heap) + 2 * rows, c.HEAP_COLUMNS), np.int64)
    heap[: len(state.heap)] = state.heap
    state.control[c.FREE_PACKET] = old
    state.control[c.FREE_PACKETS] += rows - old
    state.control[c.HEAP_ROWS] = len(heap)
    return state._replace(packets=packets, payload=payload, payload_flags=flags, heap=heap)


def _has_packets(state: State) -> bool:
    """Whether what stopped the engine was not a lack of packets or of room for events."""
    slack = state.constants[c.SLACK]
    events = state.control[c.HEAP_ROWS] - state.control[c.HEAP_SIZE]
    return bool(state.control[c.FREE_PACKETS] >= slack and events >= slack)


def profile_of(image: im.Image, code: Code, network: Network, state: State, start: int) -> pf.EpochProfile:
    """Collect the counters of a finished epoch."""
    length = int(max(state.control[c.NOW], state.control[c.LAST]))
    cores = sorted({thread // 3 for thread in code.starts})
    return pf.EpochProfile(
        start=start,
        end=start + length,
        threads=tuple(_thread(state, thread, length) for thread in sorted(code.starts)),
        pipes=tuple(_pipes(state, core) for core in cores),
        links=tuple(
            pf.LinkProfile(noc, src, dst, int(state.resources[row, c.FLITS]))
            for row, (noc, src, dst) in enumerate(network.links)
            if state.resources[row, c.FLITS]
        ),
        channels=tuple(
            pf.ChannelProfile(i, *_ints(row[[c.READ_BYTES, c.WRITE_BYTES, c.REQUESTS]]))
            for i, row in enumerate(state.channels)
        ),
        tensors=tuple(
            pf.TensorProfile(tensor.name, *_ints(row))
            for tensor, row in zip(image.tensors, state.streams, strict=False)
            if row.any()
        ),
        origins=_origins(code, state),
        tiles=pf.TileOperations(*_ints(state.control[c.TILE_OPS : c.TILE_OPS + 4])),
        skipped=pf.TileOperations(*_ints(state.control[c.SKIPPED_OPS : c.SKIPPED_OPS + 4])),
        spared=pf.Spared(*_ints(state.control[c.BARE_PACKETS : c.LEFT_WRITES + 1])),
        events=int(state.control[c.EVENTS]),
    )


def _ints(row: Table) -> tuple[int, ...]:
    return tuple(int(value) for value in row)


def _thread(state: State, thread: int, length: int) -> pf.ThreadProfile:
    cycles = list(_ints(state.cycles[thread, : len(pf.REASONS)]))
    cycles[c.IDLE] = length - sum(cycles[: c.IDLE])
    return pf.ThreadProfile(thread // 3, pf.THREAD_NAMES[thread % 3], tuple(cycles))


def _pipes(state: State, core: int) -> pf.PipeProfile:
    row = state.cycles[3 * core + 2]
    return pf.PipeProfile(core, *_ints(row[[c.UNPACK_BUSY, c.MATH_BUSY, c.PACK_BUSY]]))


def _origins(code: Code, state: State) -> tuple[pf.OriginProfile, ...]:
    totals: dict[tuple[int, str], list[int]] = {}
    for row, (origin, instruction) in enumerate(zip(code.origins, code.instructions, strict=True)):
        spent = _ints(state.spent[row])
        if instruction is None or isinstance(instruction, Loop) or not any(spent):
            continue
        total = totals.setdefault((origin, type(instruction).__name__), [0, 0, 0, 0])
        for column, value in enumerate(spent):
            total[column] += value
    return tuple(pf.OriginProfile(*key, *total) for key, total in sorted(totals.items()))
