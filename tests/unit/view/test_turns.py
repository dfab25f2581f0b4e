"""The traffic of programs that walk over tables, counted from the image, is what the emulator counted."""

import numpy as np
import pytest

from compiler.ir import GraphBuilder, TensorType
from compiler.numerics import DType
from compiler.pipeline import compile_graph
from compiler.target import load_machine
from emulator import run
from runtime.testing.table_image import table_image
from runtime.view.routes import Link, link_table
from runtime.view.traffic import StreamKind, traffic
from runtime.view.turns import Turns, with_turns
from tests.unit.emulator.flagging import MACHINE
from tests.unit.emulator.relaying import Relay, sensed, values


def test_flits_of_every_link_are_those_of_the_run() -> None:
    image = table_image()
    links = link_table(image)
    (counted,) = traffic(image, links)
    (epoch,) = run(image, {"x": np.zeros((64, 96), DType.BF16.numpy)}).profile.epochs
    carried = {Link(link.noc, link.src, link.dst): link.flits for link in epoch.links}
    assert {link: int(n) for link, n in zip(links.links, counted.link_flits, strict=True) if n} == carried


def test_flags_of_pages_that_are_all_stored() -> None:
    """Senses, and the words that are written behind pages."""
    kinds = ["live", "infinite", "negative"]
    relay = Relay(MACHINE)
    relay.start(len(kinds))
    relay.compute(kinds)
    relay.copy((*sensed(0), *sensed(1, 2)), len(kinds))
    image = relay.image()
    links = link_table(image)
    epochs = run(image, {"x": values(kinds)}).profile.epochs
    for counted, epoch in zip(traffic(image, links), epochs, strict=True):
        carried = {Link(link.noc, link.src, link.dst): link.flits for link in epoch.links}
        assert {link: int(n) for link, n in zip(links.links, counted.link_flits, strict=True) if n} == carried


@pytest.mark.parametrize("machine", ["mesh_4x4", "wormhole_n150"])
def test_rows_that_are_taken_are_counted(machine: str) -> None:
    """All rows lie in one page for each tile column, so it does not matter which of them are taken."""
    builder = GraphBuilder("lookup")
    table = builder.input("x", TensorType((32, 70), DType.BF16))
    builder.output("y", builder.take(table, builder.input("i", TensorType((1, 96), DType.I32)), 96))
    image = compile_graph(builder.build(), load_machine(machine)).image
    fed = {"x": np.zeros((32, 70), DType.BF16.numpy), "i": np.arange(96, dtype=np.int32)[None] * 5 % 32}
    links = link_table(image)
    (counted,), (epoch,) = traffic(image, links), run(image, fed).profile.epochs
    carried = {Link(link.noc, link.src, link.dst): link.flits for link in epoch.links}
    assert {link: int(n) for link, n in zip(links.links, counted.link_flits, strict=True) if n} == carried
    (taken,) = (s for s in counted.streams if s.name.kind is StreamKind.GATHER)
    assert taken.name.tensor == 0


def test_turns_of_a_thread_with_tables() -> None:
    first = table_image().epochs[0].programs[0]
    turns = {type(instruction).__name__: turns for instruction, _, turns in with_turns(first.read)}
    assert turns["Read"] == Turns(3, (), (5, 0, 3))
    assert turns["Reserve"].times == 3
    assert {turns.times for _, _, turns in with_turns(first.compute)} == {3}
    assert {turns.times for _, _, turns in with_turns(first.write)} == {3, 1}
