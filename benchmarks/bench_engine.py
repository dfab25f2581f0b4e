"""Speed of the emulator itself: events per second, tile arithmetic, start-up.

    python -m benchmarks.bench_engine

Prints one JSON document. Times are the best of a few runs on one thread.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.numerics import DType
from compiler.program import instructions as ins
from compiler.program.image import (
    CircularBuffer,
    Code,
    CoreProgram,
    DramPlace,
    Epoch,
    Hop,
    Image,
    Origin,
    Role,
    Tensor,
    UnicastRoute,
)
from compiler.program.instructions import ZERO, Affine
from compiler.target import Coord, Machine, load_machine
from emulator import run

RUNS = 5
START_UP = (
    "import time; t = time.perf_counter(); import emulator.warm; emulator.warm.warm(); print(time.perf_counter() - t)"
)


def walk(machine: Machine, noc: int, src: Coord, dst: Coord) -> tuple[Hop, ...]:
    """The dimension-order route on a torus."""
    network = machine.nocs[noc]
    steps = {"x": (network.x_step, 0), "y": (0, network.y_step)}
    here, hops = src, []
    for axis in network.order:
        while getattr(here, axis) != getattr(dst, axis):
            dx, dy = steps[axis]
            there = Coord((here.x + dx) % machine.columns, (here.y + dy) % machine.rows)
            hops.append(Hop(here, there, 0))
            here = there
    return tuple(hops)


def image(machine: Machine, tensors: list[Tensor], programs: list[CoreProgram]) -> Image:
    """One epoch, with the routes between its cores and all DRAM channels."""
    cores = [machine.cores[program.core] for program in programs]
    pairs = [(a, b) for core in cores for d in machine.dram.channels for a, b in ((core, d), (d, core))]
    routes = tuple(UnicastRoute(noc, a, b, walk(machine, noc, a, b)) for noc in (0, 1) for a, b in sorted(set(pairs)))
    return Image("bench", machine, tuple(tensors), (), (), (Epoch(tuple(programs), (), routes),), (Origin("", None),))


def code(*instructions: ins.Instruction) -> Code:
    return Code(instructions, (0,) * len(instructions))


def copying(pages: int) -> tuple[Image, dict[str, NDArray[Any]]]:
    """All cores of a Wormhole copy `pages` pages each from DRAM to DRAM, four reads in flight."""
    machine = load_machine("wormhole_n150")
    cores = len(machine.cores)
    shape = (32, 32 * pages * cores)
    x = Tensor("x", DType.BF16, shape, Role.INPUT, DramPlace(0))
    y = Tensor("y", DType.BF16, shape, Role.OUTPUT, DramPlace(1 << 28))
    programs = []
    for core in range(cores):
        page, slot = Affine(core * pages, (4, 1)), Affine(0, (0, 1))
        reads = (ins.Loop(pages // 4), ins.Reserve(0, 4), ins.Loop(4), ins.Read(0, slot, 0, page, 0), ins.End())
        writes = (ins.Loop(pages // 4), ins.Wait(0, 4), ins.Loop(4), ins.Write(0, slot, 1, page, 1), ins.End())
        read = code(*reads, ins.Barrier(), ins.Push(0, 4), ins.End())
        write = code(*writes, ins.Barrier(), ins.Pop(0, 4), ins.End())
        programs.append(CoreProgram(core, (CircularBuffer(machine.l1_base, 8, DType.BF16),), read, Code(), write))
    return image(machine, [x, y], programs), {"x": np.ones(shape, DType.BF16.numpy)}


def multiplying(times: int) -> tuple[Image, dict[str, NDArray[Any]]]:
    """One core multiplies 2 x 2 x 2 tiles of bf16 again and again."""
    machine = load_machine("wormhole_n150")
    x = Tensor("x", DType.BF16, (64, 64), Role.INPUT, DramPlace(0))
    y = Tensor("y", DType.F32, (64, 64), Role.OUTPUT, DramPlace(1 << 20))
    each = Affine(0, (1,))
    read = code(ins.Reserve(0, 4), ins.Loop(4), ins.Read(0, each, 0, each, 0), ins.End(), ins.Barrier(), ins.Push(0, 4))
    block = ins.Matmul(0, 0, ZERO, 2, 1, 0, ZERO, 2, 1, 2, 2, 2, DType.BF16, False, False, True)
    packs = [ins.Pack(i, 1, Affine(i), False, None) for i in range(4)]
    compute = code(ins.Wait(0, 4), ins.Reserve(1, 4), ins.Loop(times), block, ins.End(), *packs, ins.Push(1, 4))
    write = code(ins.Wait(1, 4), ins.Loop(4), ins.Write(1, each, 1, each, 1), ins.End(), ins.Barrier())
    base = machine.l1_base
    buffers = (CircularBuffer(base, 4, DType.BF16), CircularBuffer(base + 8192, 4, DType.F32))
    program = CoreProgram(0, buffers, read, compute, write)
    return image(machine, [x, y], [program]), {"x": np.ones((64, 64), DType.BF16.numpy)}


def best(function: Callable[[], Any]) -> tuple[float, Any]:
    """The shortest of some runs, in seconds, and the last result."""
    result, shortest = None, float("inf")
    for _ in range(RUNS):
        start = time.perf_counter()
        result = function()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest, result


def measure() -> dict[str, float]:
    """All figures."""
    copy_image, copy_tensors = copying(64)
    few_image, few_tensors = copying(4)
    slow, many = best(lambda: run(copy_image, copy_tensors))
    base, few = best(lambda: run(few_image, few_tensors))
    product_image, product_tensors = multiplying(4000)
    seconds, product = best(lambda: run(product_image, product_tensors))
    start_up = subprocess.run([sys.executable, "-c", START_UP], capture_output=True, text=True, check=True).stdout
    return {
        "copy_seconds": slow,
        "copy_events": many.profile.events,
        "events_per_second": many.profile.events / slow,
        "events_per_second_without_start": (many.profile.events - few.profile.events) / (slow - base),
        "start_of_72_cores_seconds": base,
        "matmul_gflops": product.profile.tiles.products * 2 * 32**3 / seconds / 1e9,
        "cached_start_up_seconds": float(start_up),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(), indent=2) + "\n")
