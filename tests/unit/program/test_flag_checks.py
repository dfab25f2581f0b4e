"""Rules of guards, of cbs that are checked, and of operands whose zeros count."""

from dataclasses import replace

import pytest

from compiler.program.assembly import parse_image, print_image
from compiler.program.check import check_image, violations
from compiler.program.image import UnicastRoute
from runtime.testing.sample_image import sample_text, with_routes

_TEXT = sample_text().replace(" ; #1", "")
_GATE = """\
reserve cb2 1
      read cb2[0], t3[i0], noc0
      barrier
      push cb2 1
      wait cb2 1
      probe v3, cb2[0]
      pop cb2 1
      read cb0[0], t3[i0], noc0 guard v3"""
GUARDED = _TEXT.replace("read cb0[0], t3[i0], noc0", _GATE).replace(
    '0x4000 stream "y"', '0x4000 stream "y"\n  cb cb2 bf16 x 1 at 0x5000 stream "gate"'
)
_SENSED = """\
reserve cb2 1
      fetch v1, table0
      sense cb2[0], t5[v1], noc1
      barrier
      read cb2[0], t5[v1], noc1
      barrier
      push cb2 1
      wait cb2 1
      pop cb2 1
      reserve cb0 1
      read cb0[0], t3[i0], noc0"""
SENSED = (
    _TEXT.replace("reserve cb0 1\n      read cb0[0], t3[i0], noc0", _SENSED)
    .replace('0x4000 stream "y"', '0x4000 stream "y"\n  cb cb2 bf16 x 1 at 0x5000 stream "kept"')
    .replace(
        "  thread read\n    loop 4\n      await",
        "  thread read\n    table table0\n    | 2 0 3 1\n    loop 4\n      await",
    )
    .replace("      write t2[i0], cb1[0], noc1", "      write t2[i0], cb1[0], noc1\n      write t5[i0], cb1[0], noc1")
    .replace("map map0", 'tensor t5 "k" bf16[64, 64] temporary dram 0x2000 flagged\nmap map0')
)
"""The last core writes its tiles to `k` as well, and senses there."""
CHECKED = _TEXT.replace('0x4000 stream "y"', '0x4000 stream "y" finite checked')


@pytest.mark.parametrize(
    "text", [_TEXT, GUARDED, SENSED, CHECKED, _TEXT.replace("kernel1(cb0[0])", "kernel1(cb0[0]) zeros [0]")]
)
def test_what_is_sound(text: str) -> None:
    check_image(with_routes(parse_image(text)))


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (GUARDED, "probe v3", "probe v4", "is guarded by v3, which is not set before"),
        (GUARDED, "guard v3", "guard v16", "there is no variable v16"),
        (GUARDED, "probe v3, cb2[0]", "probe v3, cb2[7]", "the page of cb2 takes values from 7 to 7"),
        (
            CHECKED,
            '0x3000 stream "h"',
            '0x3000 stream "h" finite checked',
            "cb0 is checked, but nothing is packed to it",
        ),
        (CHECKED, "finite checked", "checked", "checked for a promise that is not made"),
        (SENSED, "dram 0x2000 flagged", "dram 0x2000", "t5 keeps no flags"),
        (SENSED, "read cb1[i0], t1", "sense cb1[i0], t1", "t1 keeps no flags"),
        (SENSED, "| 2 0 3 1", "| 2 0 4 1", "the page of t5 takes values from 0 to 4"),
        (SENSED, "sense cb2[0]", "sense cb2[1]", "the page of cb2 takes values from 1 to 1"),
        (SENSED, "sense cb2[0]", "sense cb9[0]", "there is no cb9"),
        (SENSED, "sense cb2[0], t5[v1], noc1", "sense cb2[0], t5[v1], noc2", "there is no NoC 2"),
        (SENSED, "gather cb0[0], t0 by", "gather cb0[0], t5 by", "t5 keeps flags for whole pages"),
        (SENSED, "reduce d1", "sense cb1[0], t5[i0], noc0\n      reduce d1", "does not run on thread compute"),
        (SENSED, "write t5[i0]", "write t2[i0]", "tensor t5 keeps flags, but nobody writes it"),
        (SENSED, "output dram 0x1000", "output dram 0x1000 flagged", "flags are kept only of temporaries in DRAM"),
        (SENSED, "ready 4\n", "ready 4 flagged\n", "flags are kept only of temporaries in DRAM"),
        # With a word for each of its 4 pages, one per channel, `k` is longer.
        (SENSED, "output dram 0x1000", "output dram 0x2800", "`k` and `y` overlap in DRAM at 0x2800"),
        (_TEXT, "kernel1(cb0[0])", "kernel1(cb0[0]) zeros [1]", "zeros are looked for in operands [1], of 1"),
    ],
)
def test_each_broken_rule_is_named(text: str, old: str, new: str, message: str) -> None:
    assert old in text
    found = list(violations(with_routes(parse_image(text.replace(old, new, 1)))))
    assert any(message in violation for violation in found), found


@pytest.mark.parametrize(("noc", "missing"), [(0, 0), (1, 8)])
def test_a_sense_needs_its_routes(noc: int, missing: int) -> None:
    """To the channel of each page and back; here nothing else goes between the last core and DRAM on NoC 1."""
    text = SENSED.replace("cb1[0], noc1", "cb1[0], noc0").replace("t5[v1], noc1", "t5[v1], noc0")
    image = with_routes(parse_image(text.replace("sense cb2[0], t5[v1], noc0", f"sense cb2[0], t5[v1], noc{noc}")))
    (epoch,) = image.epochs
    core, channels = image.machine.cores[2], image.machine.dram.channels
    between = {(a, b) for c in channels for a, b in ((core, c), (c, core))}
    routes = tuple(
        r for r in epoch.routes if r.noc == 0 or not isinstance(r, UnicastRoute) or (r.src, r.dst) not in between
    )
    found = [*violations(replace(image, epochs=(replace(epoch, routes=routes),)))]
    assert len(found) == missing
    assert all("there is no route for" in text and "NoC 1" in text for text in found)


def test_flagged_tensors_print_and_parse() -> None:
    image = parse_image(SENSED)
    assert image.tensors[5].flagged
    assert parse_image(print_image(image)) == image
