"""The traffic of programs that walk over tables, counted from the image, is what the emulator counted."""

import numpy as np

from compiler.numerics import DType
from emulator import run
from runtime.testing.table_image import table_image
from runtime.view.routes import Link, link_table
from runtime.view.traffic import traffic
from runtime.view.turns import Turns, with_turns


def test_flits_of_every_link_are_those_of_the_run() -> None:
    image = table_image()
    links = link_table(image)
    (counted,) = traffic(image, links)
    (epoch,) = run(image, {"x": np.zeros((64, 96), DType.BF16.numpy)}).profile.epochs
    carried = {Link(link.noc, link.src, link.dst): link.flits for link in epoch.links}
    assert {link: int(n) for link, n in zip(links.links, counted.link_flits, strict=True) if n} == carried


def test_turns_of_a_thread_with_tables() -> None:
    first = table_image().epochs[0].programs[0]
    turns = {type(instruction).__name__: turns for instruction, _, turns in with_turns(first.read)}
    assert turns["Read"] == Turns(3, (), (5, 0, 3))
    assert turns["Reserve"].times == 3
    assert {turns.times for _, _, turns in with_turns(first.compute)} == {3}
    assert {turns.times for _, _, turns in with_turns(first.write)} == {3, 1}
