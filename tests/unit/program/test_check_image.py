"""`check_image` accepts a sound image, and names the violated rule of every broken one."""

from dataclasses import replace

import pytest

from compiler.diagnostics import DiagnosticError
from compiler.program.assembly import parse_image, print_image
from compiler.program.check import check_image, violations
from compiler.program.image import Image
from runtime.testing.sample_image import sample_image, sample_text, with_routes


def test_the_sample_is_sound_and_prints_and_parses() -> None:
    image = sample_image()
    check_image(image)
    assert parse_image(print_image(image)) == image


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("dram 0x800\n", "dram 0x0\n", "overlap in DRAM at 0x0"),
        ("dram 0x1000\n", "dram 0x800\n", "overlap in DRAM at 0x800"),
        ("dram 0x1000\n", "dram 0xfffff00\n", "outside a DRAM channel"),
        ("dram 0x1000\n", "dram 0x1008\n", "not aligned to 32"),
        ('t1 "w" bf16[64, 64]', 't1 "x" bf16[64, 64]', "2 tensors that are fed or fetched are called `x`"),
        ('t1 "w" bf16[64, 64]', 't1 "w" bf16[0, 64]', "has an extent below 1"),
        ("| 0100000002000000\n", "| 01000000\n", "4 bytes of data instead of 8"),
        ("ways [2, 1]", "ways [3, 1]", "do not cut pages"),
        ("owners [0, 1]", "owners [0, 0]", "distinct owners"),
        ("owners [0, 1]", "owners [0, 2]", "core 2, has no cb2"),
        ("owners [0, 1]", "owners [0, 99]", "the machine has cores 0 to 15"),
        ("ready 4", "ready 255", "semaphores 255 to 256 are not all there"),
        ("cb 2 ready 4", "cb 1 ready 4", "is not a shard of 2 pages of bf16"),
        ("shard epoch 0", "shard epoch 1", "there is no epoch 1"),
        ("digits [64, 64]", "digits [64, 63]", "do not count the elements"),
        ("base [0, 0]", "base [0]", "not of one length"),
        ("%1 = abs.bf16 %0", "%1 = abs.bf16 %1", "an argument is not an earlier node"),
        ("%1 = abs.bf16 %0", "%1 = abs.f32 %0", "arguments of types bf16 do not give f32"),
        ("%0 = arg.bf16 0", "%0 = arg.bf16 1", "there is no operand 1"),
        ("%0 = arg.bf16 0", "%0 = arg.i32 0", "operand 0 is bf16, not i32"),
        ("multicast [0, 1]", "multicast [0, 2]", "[1] are left out"),
        ("list [2]", "list [2, 2]", "not distinct cores"),
        ("cores 2", "cores 16", "a core that the machine does not have"),
        ('cb0 bf16 x 2 at 0x3000 stream "x"', 'cb0 bf16 x 4 at 0x3000 stream "x"', "cb0 and cb1 overlap at 0x4000"),
        ('cb0 bf16 x 2 at 0x3000 stream "x"', 'cb0 bf16 x 2 at 0x0 stream "x"', "outside the L1 of programs"),
        ('cb0 bf16 x 2 at 0x3000 stream "x"', 'cb0 bf16 x 2 at 0x3001 stream "x"', "not aligned to 16"),
        ('cb0 bf16 x 2 at 0x3000 stream "x"', 'cb0 bf16 x 0 at 0x3000 stream "x"', "capacity of 0 pages"),
        ('cb0 bf16 x 2 at 0x3000 stream "x"', 'cb0 f32 x 1 at 0x3000 stream "x"', "cb0 holds f32, not bf16"),
        ("loop 4\n      read", "loop 5\n      read", "takes values from 0 to 4, allowed are 0 to 3"),
        ("loop 4\n      read", "loop 0\n      read", "a loop runs at least once"),
        ("read cb1[i0], t1[i0]", "read cb1[i0], t1[i1]", "2 coefficients in 1 loops"),
        ("read cb1[i0], t1[i0]", "read cb7[i0], t1[i0]", "there is no cb7"),
        ("read cb1[i0], t1[i0]", "read cb1[i0], t9[i0]", "there is no tensor t9"),
        ("read cb1[i0], t1[i0], noc0", "read cb1[i0], t1[i0], noc2", "there is no NoC 2"),
        ("read cb1[i0], t1[i0]", "read cb1[i0], t4[0]", "cb1 holds bf16, not i32"),
        ("read cb1[i0], t1[i0], noc0", "pop cb0 1", "cb0 has more than one consumer"),
        ("read cb1[i0], t1[i0], noc0", "fill d0 f32 0.0", "does not run on thread read"),
        ("    barrier\n    sem.wait", "    end\n    sem.wait", "no loop is open"),
        ("    barrier\n    sem.wait", "    loop 2\n    sem.wait", "1 loops are not closed"),
        ("sem.wait s[0] >= 1", "sem.wait s[0] >= 0", "an amount of 0"),
        ("sem.wait s[0] >= 1", "sem.wait s[256] >= 1", "the semaphore takes values from 256"),
        ("multicast set0, cb1[0] x 4", "multicast set0, cb1[0] x 5", "takes values from 0 to 0, allowed are 0 to -1"),
        ("multicast set0, cb1[0] x 4", "multicast set9, cb1[0] x 4", "there is no core set 9"),
        ("multicast set0, cb1[0] x 4", "multicast set2, cb1[0] x 4", "core 2 has no ring like cb1"),
        ("sem.inc set1", "sem.inc set7", "there is no core set 7"),
        ("t0 by map0[i0 + 2]", "t0 by map0[i0 + 3]", "takes values from 3 to 4"),
        ("t0 by map0", "t0 by map1", "there is no map1"),
        ("matmul d0 bf16 1x2x1", "matmul d0 f32 1x2x1", "operands of bf16 and bf16 are not multiplied as f32"),
        ("matmul d0 bf16 1x2x1", "matmul d3 bf16 1x2x1", "registers 3 to 4; a core has 0 to 3"),
        ("cb1[i0*2; 0, 1]", "cb1[i0*3; 0, 1]", "takes values from 0 to 3, allowed are 0 to 2"),
        ("map d0, kernel0(d0)", "map d0, kernel2(d0)", "there is no kernel2"),
        ("map d0, kernel0(d0)", "map d0, kernel0()", "0 operands; kernel0 has 1"),
        ("map d0, kernel1(cb0[0])", "map d0, kernel1(d0)", "register 0 holds f32, i32 or bool, not bf16"),
        ("pack cb2[0], d0", "pack cb2[0], d0 accumulate", "to which nothing is added in place"),
        ("pack cb2[0], d0", "pack cb2[2], d0", "the page of cb2 takes values from 2 to 2"),
        ("write t2[i0]", "write t0[i0]", "t0 is input and is not written"),
        ("write t2[i0]", "write t3[i0]", "t3 is not in DRAM"),
        ("await t3[i0]", "await t2[i0]", "t2 is not in L1"),
        (
            "await t3[i0]",
            "sem.wait s[4] >= 1\n      await t3[i0]",
            "semaphore 4 announces pages of t3 and serves sem.wait",
        ),
        ("max f32 rows mask(64, 0", "max bf16 rows mask(64, 0", "registers hold f32 or i32, not bf16"),
        ("max f32 rows mask(64, 0", "max f32 rows mask(0, 0", "a mask of 0 rows"),
        ("fill d0 f32 0.0", "fill d0 i32 0.5", "0.5 is no value of type i32"),
    ],
)
def test_each_broken_rule_is_named(old: str, new: str, message: str) -> None:
    text = sample_text()
    assert old in text
    image = parse_image(text.replace(old, new, 1))
    found = list(violations(_routed(image)))
    assert any(message in violation for violation in found), found
    with pytest.raises(DiagnosticError) as error:
        check_image(_routed(image))
    assert [d.code for d in error.value.diagnostics] == ["E0511"]


def _routed(image: Image) -> Image:
    """With routes, unless what is broken leaves no way to make any."""
    cores = [core for epoch in image.epochs for core_set in epoch.core_sets for core in core_set.cores]
    cores += [program.core for epoch in image.epochs for program in epoch.programs]
    return with_routes(image) if max(cores) < len(image.machine.cores) else image


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("route noc0 1,0 -> 0,0: >0,0\n", "", "no route for requests on NoC 0 from (1, 0) to (0, 0)"),
        ("route noc0 0,3 -> 1,0: >1,3/6 >1,2 >1,1 >1,0\n", "", "no route for answers on NoC 0 from (0, 3) to (1, 0)"),
        ("route noc0 1,0 -> set0: >2,0/4\n", "", "no route for multicasts on NoC 0 from (1, 0) to core set 0"),
        ("route noc0 1,0 -> 2,0: >2,0/6\n", "", "no route for answers on NoC 0 from (1, 0) to (2, 0)"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >0,1\n", "there is no link from (1, 0) to (0, 1)"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >0,0/99\n", "there is no virtual channel 99"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >1,1\n", "it ends at (1, 1)"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: 2,0>1,0 >0,0\n", "it jumps from (1, 0) to (2, 0)"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >2,0 >1,0 >0,0\n", "it passes a router twice"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >0,0/4\n", "a unicast is a request"),
        ("route noc0 1,0 -> 0,0: >0,0\n", "route noc0 1,0 -> 0,0: >0,0\n" * 2, "2 routes for requests on NoC 0"),
        ("route noc0 1,0 -> set0: >2,0/4\n", "route noc0 1,0 -> set0: >1,1/4\n", "it misses cores [1]"),
        ("route noc0 1,0 -> set0: >2,0/4\n", "route noc0 1,0 -> set0: >2,0\n", "not all of class 2"),
        ("route noc0 1,0 -> set0: >2,0/4\n", "route noc0 1,0 -> set0: >2,0/4 >1,0\n", "it reaches (1, 0) twice"),
        ("route noc0 1,0 -> set0: >2,0/4\n", "route noc0 1,0 -> set8: >2,0/4\n", "there is no core set 8"),
        ("route noc0 1,0 -> 1,0:\n", "route noc3 1,0 -> 1,0:\n", "there is no NoC 3"),
    ],
)
def test_each_broken_route_is_named(old: str, new: str, message: str) -> None:
    text = print_image(sample_image())
    assert old in text
    found = list(violations(parse_image(text.replace(old, new, 1))))
    assert any(message in violation for violation in found), found


def test_programs_are_held_against_the_budget_of_the_core() -> None:
    image = sample_image()
    small = replace(image, machine=replace(image.machine, program_instructions=20, circular_buffers=2))
    found = list(violations(small))
    assert any("instructions; a core has room for 20" in text for text in found)
    assert any("3 cbs; a core has 2" in text for text in found)


def test_a_long_list_is_cut_short() -> None:
    image = sample_image()
    far = replace(image, machine=replace(image.machine, program_instructions=1, l1_reserved_bytes=65_536))
    with pytest.raises(DiagnosticError) as error:
        check_image(far)
    (diagnostic,) = error.value.diagnostics
    assert len(diagnostic.notes) <= 12
