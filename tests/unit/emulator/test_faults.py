"""A broken program stops the run, and the text says where and why."""

from dataclasses import replace

import numpy as np
import pytest

from compiler.diagnostics import DiagnosticError
from compiler.numerics import DType
from compiler.numerics.expr import identity
from compiler.program import instructions as ins
from compiler.program.image import CircularBuffer, CoreSet, Epoch, Kernel, Operand, Role
from compiler.program.instructions import ZERO, Affine
from compiler.target import load_machine
from emulator import Deadlock, SoftwareFault, UninitializedRead, run
from tests.unit.emulator.handmade import Handmade, Program

MACHINE = load_machine("mesh_4x4")
BASE = MACHINE.l1_base
CB = CircularBuffer(BASE, 2, DType.F32, name="pages of x")
X = np.ones((32, 64), np.float32)
READ = ins.Read(0, ZERO, 0, Affine(0, ()), 0)
FULL = (ins.Reserve(0, 1), READ, ins.Barrier(), ins.Push(0, 1))


def broken(
    read: tuple[ins.Instruction, ...] = (),
    write: tuple[ins.Instruction, ...] = (),
    compute: tuple[ins.Instruction, ...] = (),
    routes: bool = True,
) -> Handmade:
    h = Handmade(MACHINE, kernels=[Kernel(identity(DType.F32), (Operand(DType.F32),))])
    h.dram("x", DType.F32, X.shape, Role.INPUT)
    h.dram("t", DType.F32, X.shape, Role.TEMPORARY)
    h.epoch([Program(3, [CB], read, write, compute)], [CoreSet((3, 4), False)])
    if not routes:
        h.epochs[0] = Epoch(h.epochs[0].programs, h.epochs[0].core_sets, ())
    return h


CASES = {
    "only 0 are reserved": broken((READ,)),
    "page 1 of cb 0 (`pages of x`) is written": broken((ins.Reserve(0, 1), replace(READ, offset=Affine(1)))),
    "only 0 were waited for": broken((*FULL, ins.Write(0, ZERO, 1, ZERO, 1))),
    "2 pages of cb 0 (`pages of x`) are pushed": broken((ins.Reserve(0, 1), ins.Push(0, 2))),
    "1 pages of cb 0 (`pages of x`) are popped": broken(FULL, (ins.Pop(0, 1),)),
    "`x` has no page 2": broken((ins.Reserve(0, 1), replace(READ, page=Affine(2)))),
    "no route on NoC 0": broken((ins.Reserve(0, 1), READ), routes=False),
    "3 pages are asked of cb 0": broken((ins.Reserve(0, 3),)),
    "there is no semaphore": broken((ins.SemInc(Affine(-1), 0, 1, 0),)),
}


@pytest.mark.parametrize("text", CASES)
def test_broken_rules(text: str) -> None:
    with pytest.raises(SoftwareFault) as caught:
        run(CASES[text].image(), {"x": X})
    assert text in str(caught.value)
    assert caught.value.category == "SoftwareFault"
    assert caught.value.cores == (3,)
    assert "core 3 at (4, 0)" in str(caught.value)
    assert "of stage `stage`" in str(caught.value)


def test_reading_a_page_that_was_pushed_but_never_written() -> None:
    h = broken((ins.Reserve(0, 1), ins.Push(0, 1)), (ins.Wait(0, 1), ins.Write(0, ZERO, 1, ZERO, 1)))
    with pytest.raises(UninitializedRead, match="L1 of core 3 at \\(4, 0\\) was never written at address"):
        run(h.image(), {"x": X})


def test_reading_dram_that_was_never_written() -> None:
    h = broken((ins.Reserve(0, 1), replace(READ, tensor=1), ins.Barrier()))
    with pytest.raises(UninitializedRead, match="DRAM channel 0 was never written"):
        run(h.image(), {"x": X})


def test_pages_are_invalid_once_reserved_again() -> None:
    """The ring comes round to a page whose old bytes are still there, but nothing new was written."""
    again = (ins.Reserve(0, 1), ins.Push(0, 1))
    h = broken(
        (*FULL, *FULL, *again), (ins.Wait(0, 1), ins.Pop(0, 1)) * 2 + (ins.Wait(0, 1), ins.Write(0, ZERO, 1, ZERO, 1))
    )
    with pytest.raises(UninitializedRead):
        run(h.image(), {"x": X})


def test_an_output_that_nobody_wrote() -> None:
    h = broken()
    h.tensors[1] = replace(h.tensors[1], role=Role.OUTPUT)
    with pytest.raises(UninitializedRead, match="page 0 of output `t`"):
        run(h.image(), {"x": X})


def test_a_deadlock_names_every_blocked_thread_and_what_it_waits_for() -> None:
    h = broken(
        (*FULL, *FULL, ins.Reserve(0, 1)),
        (ins.SemWait(Affine(7), 2),),
        (ins.Wait(0, 2), ins.SemWait(Affine(9), 1)),
    )
    with pytest.raises(Deadlock) as caught:
        run(h.image(), {"x": X})
    text = str(caught.value)
    assert "read thread of core 3 at (4, 0), instruction 8 `Reserve(cb=0, pages=1)`" in text
    assert "waits for space for 1 pages of cb 0 (`pages of x`), which holds 2 of 2" in text
    assert "waits for semaphore 7 to reach 2; it is 0" in text
    assert caught.value.cycle > 0


@pytest.mark.parametrize(
    ("fed", "code"),
    [
        ({}, "E0514"),
        ({"x": X, "z": X}, "E0515"),
        ({"x": X.astype(np.float64)}, "E0516"),
        ({"x": X.T.copy()}, "E0517"),
    ],
)
def test_wrong_tensors(fed: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]], code: str) -> None:
    with pytest.raises(DiagnosticError) as caught:
        run(broken().image(), fed)
    assert code in [diagnostic.code for diagnostic in caught.value.diagnostics]
