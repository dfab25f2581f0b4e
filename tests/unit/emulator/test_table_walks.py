"""Programs that walk over tables: bytes, cycles, and the counts that the proof of tokens predicts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from compiler.diagnostics import DiagnosticError
from compiler.numerics import DType, to_pages
from compiler.numerics.masks import TileMask
from compiler.program.assembly import parse_image
from compiler.program.image import Image
from compiler.program.tokens import check_tokens
from emulator import run
from emulator.engine import columns as c
from emulator.epoch import L1, Epoch
from emulator.faults import Deadlock, SoftwareFault, UninitializedRead
from emulator.kernels.compile import Compiler
from emulator.layout import Dram
from emulator.profile import EpochProfile
from runtime.testing.sample_image import with_routes
from runtime.testing.table_image import LIVE, WRITTEN, table_image, table_text

PAGE = 2048
"""Bytes of a page of bf16."""


def _x() -> NDArray[Any]:
    return np.random.default_rng(0).normal(size=(64, 96)).astype(DType.BF16.numpy)


def _pages(array: NDArray[Any]) -> list[bytes]:
    return [page.tobytes() for page in to_pages(array, DType.BF16)]


def _epoch_of(image: Image) -> EpochProfile:
    return run(image, {"x": _x()}).profile.epochs[0]


def test_pages_are_walked_over_and_those_that_do_not_live_are_zeros() -> None:
    x = _x()
    result = run(table_image(), {"x": x})
    expected = [page if number in LIVE else bytes(PAGE) for number, page in enumerate(_pages(np.abs(x)))]
    assert _pages(result.outputs["y"]) == expected


def test_what_does_not_live_is_neither_stored_nor_read_nor_written() -> None:
    epoch = _epoch_of(table_image())
    assert sum(channel.read_bytes for channel in epoch.channels) == len(LIVE) * PAGE
    assert sum(channel.written_bytes for channel in epoch.channels) == len(WRITTEN) * PAGE


def test_a_page_that_lives_and_is_not_written_is_missed() -> None:
    text = table_text().replace("live [2, 3]:f4", "live [2, 3]:fc")
    with pytest.raises(UninitializedRead, match="page 4 of output `y`"):
        run(with_routes(parse_image(text)), {"x": _x()})


def _program(tables: dict[str, list[list[int]]], lines: dict[str, list[str]], capacity: int = 4) -> Image:
    """One core of the sample's machine: threads with tables."""
    text = table_text()
    head = text[: text.index("\nepoch 0") + 1]
    code = [f'epoch 0\ncores 0\n  cb cb0 bf16 x {capacity} at 0x3000 stream "x"']
    for thread, body in lines.items():
        code.append(f"  thread {thread}")
        for number, values in enumerate(tables.get(thread, [])):
            code += [f"    table table{number}", f"    | {' '.join(map(str, values))}"] if values else []
        code += [f"    {line} ; #0" for line in body]
    image = parse_image(head + "\n".join(code) + "\n")
    return with_routes(replace(image, tensors=image.tensors[:1]))


def _busy(image: Image, thread: str) -> int:
    return next(t.cycles[c.BUSY] for t in _epoch_of(image).threads if t.thread == thread)


@given(groups=st.lists(st.integers(0, 3), min_size=1, max_size=5))
@settings(deadline=None, max_examples=12)
def test_cycles_of_fetches_and_of_loops_that_may_be_empty(groups: list[int]) -> None:
    body = [f"loop {len(groups)}", "fetch v0, table0", "loop v0", "fetch v1, table1", "end", "end"]
    if not sum(groups):
        body.remove("fetch v1, table1")
    image = _program({"read": [groups, [7] * sum(groups)]}, {"read": body})
    core = image.machine.core
    loads = len(groups) + sum(groups)
    turns = len(groups) + sum(max(1, count) for count in groups)
    assert _busy(image, "read") == loads * core.table_load + turns * core.loop


def test_a_page_that_is_not_stored_takes_the_time_of_the_own_l1_and_no_link() -> None:
    body = ["reserve cb0 1", "read cb0[0], t0[{page}], noc0", "barrier", "push cb0 1"]
    rest = ["wait cb0 1", "pop cb0 1"]
    dead, live = (
        _epoch_of(_program({}, {"read": [line.format(page=page) for line in body], "write": rest})) for page in (1, 0)
    )
    assert dead.links == ()
    assert sum(channel.requests for channel in dead.channels) == 0
    machine = table_image().machine
    noc = machine.noc
    flits = -(-PAGE // noc.flit_bytes)
    assert flits < dead.cycles < live.cycles
    assert live.links


def test_a_table_that_has_no_more_values_stops_the_run() -> None:
    image = _program({"read": [[1, 2]]}, {"read": ["loop 3", "fetch v0, table0", "end"]})
    with pytest.raises(SoftwareFault, match="the table has no more values"):
        _epoch_of(image)


def _walk(kind: tuple[str, str], groups: list[int]) -> list[str]:
    first, second = kind
    return [f"loop {len(groups)}", "fetch v3, table0", f"{first} cb0 v3", f"{second} cb0 v3", "end"]


_GROUPS = st.lists(st.integers(0, 4), min_size=1, max_size=6)


@given(filled=_GROUPS, drained=_GROUPS)
@settings(deadline=None, max_examples=60)
def test_the_engine_counts_as_the_proof_does(filled: list[int], drained: list[int]) -> None:
    lines = {"read": _walk(("reserve", "push"), filled), "compute": _walk(("wait", "pop"), drained)}
    image = _program({"read": [filled], "compute": [drained]}, lines)
    dram = Dram.for_image(image)
    epoch = Epoch.prepare(image, 0, dram, L1.for_image(image), Compiler(), False)
    try:
        check_tokens(image)
        code = ""
    except DiagnosticError as error:
        code = error.diagnostics[0].code
    if code == "E0512":
        with pytest.raises(Deadlock):
            epoch.run(0)
        return
    epoch.run(0)
    assert epoch.state.buffers[0, c.WRITTEN_TO] == sum(filled)
    assert epoch.state.buffers[0, c.READ_TO] == sum(drained)
    assert (code == "E0513") == (sum(filled) != sum(drained))


def test_dealt_pages_of_another_order_are_found_where_they_are() -> None:
    text = table_text().replace("pages [[5, 0, 3], [2]]", "pages [[3, 5, 0], [2]]").replace("| 5 0 3", "| 3 5 0")
    x = _x()
    again = run(with_routes(parse_image(text)), {"x": x}).outputs["y"]
    assert _pages(again) == _pages(run(table_image(), {"x": x}).outputs["y"])


def test_constants_that_do_not_live_need_no_bytes() -> None:
    image = table_image()
    live = TileMask.of(np.zeros((2, 3), np.bool_))
    dram = Dram.for_image(image)
    dram.store(replace(image.tensors[0], live=live), _x())
    assert not dram.written.any()
