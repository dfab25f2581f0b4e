"""The profile adds up, leads back to instructions, and is the same every time."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from compiler.numerics import DType, Expr, ScalarNode, ScalarOp
from compiler.program import instructions as ins
from compiler.program.image import CircularBuffer, Image, Kernel, Operand, Role
from compiler.program.instructions import ZERO, Affine, CbTile
from compiler.target import Machine, load_machine
from emulator import Profile, run
from tests.unit.emulator.handmade import Handmade, Program

MACHINE = load_machine("mesh_4x4")
PAGES = 12


def image(machine: Machine = MACHINE) -> Image:
    """Every core maps its share of a tensor through exp, in pages of bf16."""
    h = Handmade(machine)
    x = h.dram("x", DType.BF16, (32, 32 * PAGES * 16), Role.INPUT)
    y = h.dram("y", DType.BF16, (32, 32 * PAGES * 16), Role.OUTPUT)
    nodes = (ScalarNode(ScalarOp.ARG, DType.BF16), ScalarNode(ScalarOp.EXP, DType.BF16, (0,)))
    h.kernels.append(Kernel(Expr(nodes), (Operand(DType.BF16),)))
    base = machine.l1_base
    buffers = [CircularBuffer(base, 2, DType.BF16), CircularBuffer(base + 8192, 2, DType.BF16)]
    programs = []
    for core in range(16):
        page = Affine(core * PAGES, (1,))
        read = (ins.Reserve(0, 1), ins.Read(0, ZERO, x, page, 0), ins.Barrier(), ins.Push(0, 1))
        middle = (ins.Wait(0, 1), ins.Reserve(1, 1), ins.Map(0, 0, (CbTile(0, ZERO),)), ins.Pop(0, 1))
        after = (ins.Pack(0, 1, ZERO, False, None), ins.Push(1, 1))
        write = (ins.Wait(1, 1), ins.Write(1, ZERO, y, page, 1), ins.Barrier(), ins.Pop(1, 1))
        loop = ins.Loop(PAGES)
        programs.append(
            Program(
                core, buffers, [loop, *read, ins.End()], [loop, *write, ins.End()], [loop, *middle, *after, ins.End()]
            )
        )
    h.epoch(programs)
    return h.image()


def fed() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    x = np.random.default_rng(0).standard_normal((32, 32 * PAGES * 16)).astype(DType.BF16.numpy)
    return {"x": x}


@pytest.fixture(scope="module")
def profile() -> Profile:
    return run(image(), fed()).profile


def test_cycles_of_every_thread_add_up(profile: Profile) -> None:
    (epoch,) = profile.epochs
    assert len(epoch.threads) == 3 * 16
    assert all(sum(thread.cycles) == epoch.cycles for thread in epoch.threads)
    assert all(min(thread.cycles) >= 0 for thread in epoch.threads)


def test_bytes_and_tiles_are_counted(profile: Profile) -> None:
    (epoch,) = profile.epochs
    total = 16 * PAGES * 2048
    assert {t.tensor: (t.read_bytes, t.written_bytes) for t in epoch.tensors} == {"x": (total, 0), "y": (0, total)}
    assert sum(c.read_bytes for c in epoch.channels) == sum(c.written_bytes for c in epoch.channels) == total
    assert (profile.tiles.maps, profile.tiles.packs, profile.tiles.products) == (16 * PAGES, 16 * PAGES, 0)


def test_flits_of_a_link_fit_into_the_makespan_and_are_conserved(profile: Profile) -> None:
    """What crosses all links is the length of every route times the flits of its packets."""
    (epoch,) = profile.epochs
    assert max(link.flits for link in epoch.links) <= epoch.cycles
    page_flits, header = 1 + 2048 // 32, 1
    expected = 0
    for core in MACHINE.cores:
        for _ in (0, 1):
            for channel in MACHINE.dram.channels:
                hops = 2 * (abs(core.x - channel.x) + abs(core.y - channel.y))
                expected += hops // 2 * (page_flits + header) * PAGES // len(MACHINE.dram.channels)
    assert sum(link.flits for link in epoch.links) == expected


def test_origins_count_what_ran(profile: Profile) -> None:
    (epoch,) = profile.epochs
    counts = {o.instruction: o.times for o in epoch.origins}
    assert counts["Map"] == counts["Read"] == counts["Write"] == 16 * PAGES
    assert sum(o.busy for o in epoch.origins if o.instruction == "Map") > 0


def test_it_becomes_json(profile: Profile) -> None:
    found = json.loads(json.dumps(profile.to_json()))
    assert found["makespan"] == profile.makespan > 0
    assert found["events"] == profile.events


def test_two_runs_are_the_same() -> None:
    first, second = run(image(), fed()), run(image(), fed())
    assert first.profile == second.profile
    assert first.outputs["y"].tobytes() == second.outputs["y"].tobytes()


SCRIPT = """
import hashlib, json
from tests.unit.emulator.test_profile import fed, image
from emulator import run
result = run(image(), fed())
print(hashlib.sha256(json.dumps(result.profile.to_json()).encode() + result.outputs["y"].tobytes()).hexdigest())
"""


def test_hash_seed_changes_nothing() -> None:
    root = Path(__file__).parents[3]
    found = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=root,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(root), "HOME": str(Path.home())},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(found) == 1


@pytest.mark.parametrize("seed", range(6))
def test_outputs_do_not_depend_on_timing(seed: int) -> None:
    """Every latency and bandwidth changed at random: another makespan, the same bytes."""
    rng = np.random.default_rng(seed)

    def some(low: int, high: int) -> int:
        return int(rng.integers(low, high))

    noc = replace(
        MACHINE.noc,
        **{name: some(1, 60) for name in ("hop", "niu", "read_issue", "write_issue", "read_overhead", "packet_gap")},
        max_packet_flits=some(3, 80),
    )
    dram = replace(MACHINE.dram, bytes_per_cycle=float(rng.uniform(0.5, 60)), access=some(0, 500))
    compute = replace(MACHINE.compute, pack_bytes=some(1, 128), unpack_bytes=some(1, 128))
    machine = replace(MACHINE, noc=noc, dram=dram, compute=compute)
    changed, plain = run(image(machine), fed()), run(image(), fed())
    assert changed.outputs["y"].tobytes() == plain.outputs["y"].tobytes()
    assert changed.profile.makespan != plain.profile.makespan
