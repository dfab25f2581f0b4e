"""Rules of guards, of cbs that are checked, and of operands whose zeros count."""

import pytest

from compiler.program.assembly import parse_image
from compiler.program.check import check_image, violations
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
CHECKED = _TEXT.replace('0x4000 stream "y"', '0x4000 stream "y" finite checked')


@pytest.mark.parametrize(
    "text", [_TEXT, GUARDED, CHECKED, _TEXT.replace("kernel1(cb0[0])", "kernel1(cb0[0]) zeros [0]")]
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
        (_TEXT, "kernel1(cb0[0])", "kernel1(cb0[0]) zeros [1]", "zeros are looked for in operands [1], of 1"),
    ],
)
def test_each_broken_rule_is_named(text: str, old: str, new: str, message: str) -> None:
    assert old in text
    found = list(violations(with_routes(parse_image(text.replace(old, new, 1)))))
    assert any(message in violation for violation in found), found
