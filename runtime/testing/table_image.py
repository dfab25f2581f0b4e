"""A small image written by hand whose programs walk over tables: three cores of `mesh_4x4`.

Only pages 0, 2, 3 and 5 of `x` and of its absolute values `h` live. Cores 0 and 1 hold the pages of `h` that they are
dealt, one by one; their programs go through groups of pages of which some are empty. Core 2 looks at all pages of `h`
but one, in an order of its own, and writes them to `y`; page 4 of `y` does not live.
"""

from compiler.program.assembly import parse_image
from compiler.program.image import Image
from compiler.target import load_machine, machine_text
from runtime.testing.sample_image import with_routes

LIVE = (0, 2, 3, 5)
"""Of the six pages of `x` and `h`."""
WRITTEN = (0, 1, 2, 3, 5)
"""Of `y`."""

_TABLES = """\
origin #0 "walk"
tensor t0 "x" bf16[64, 96] input dram 0x0 live [2, 3]:b4
tensor t1 "y" bf16[64, 96] output dram 0x1000 live [2, 3]:f4
tensor t2 "h" bf16[64, 96] temporary shard epoch 0 ways [] owners [0, 1] cb 1 ready 4 pages [[5, 0, 3], [2]] \
live [2, 3]:b4
kernel kernel0(bf16)
  %0 = arg.bf16 0
  %1 = abs.bf16 %0
"""

_OWNER = """\
  cb cb0 bf16 x 2 at 0x3000 stream "x"
  cb cb1 bf16 x {total} at 0x5000 shard "h"
  thread read
    table table0
    | {groups}
    table table1
    | {pages}
    loop 3
      fetch v0, table0
      loop v0
        fetch v1, table1
        reserve cb0 1
        read cb0[0], t0[v1], noc0
        barrier
        push cb0 1
      end
    end
  thread compute
    table table0
    | {groups}
    loop 3
      fetch v2, table0
      wait cb0 v2
      reserve cb1 v2
      loop v2
        map d0, kernel0(cb0[i1])
        pack cb1[i1], d0
      end
      push cb1 v2
      pop cb0 v2
    end
  thread write
    loop {total}
      wait cb1 1
      sem.inc set0, s[{ready}] += 1, noc1
      pop cb1 1
    end
    barrier
"""

_READER = """\
  cb cb0 bf16 x 2 at 0x3000 stream "h"
  cb cb1 bf16 x 2 at 0x4000 stream "y"
  thread read
    table table0
    | 3 1 0 2 5
    loop 5
      fetch v0, table0
      await t2[v0]
      reserve cb0 1
      read cb0[0], t2[v0], noc0
      barrier
      push cb0 1
    end
  thread compute
    loop 5
      wait cb0 1
      reserve cb1 1
      map d0, kernel0(cb0[0])
      pack cb1[0], d0
      push cb1 1
      pop cb0 1
    end
  thread write
    table table0
    | 3 1 0 2 5
    loop 5
      fetch v15, table0
      wait cb1 1
      write t1[v15], cb1[0], noc1
      barrier
      pop cb1 1
    end
"""


def table_text() -> str:
    """The assembly of the image, without routes."""
    machine = "".join(f"| {line}\n" for line in machine_text(load_machine("mesh_4x4")).split("\n"))
    first = _OWNER.format(total=3, groups="2 0 1", pages="5 0 3", ready=4)
    second = _OWNER.format(total=1, groups="0 1 0", pages="2", ready=5)
    programs = f"epoch 0\nset set0 list [2]\ncores 0\n{first}cores 1\n{second}cores 2\n{_READER}"
    code = "\n".join(_with_origin(line) for line in programs.splitlines())
    return f'image "tables"\nmachine\n{machine}{_TABLES}{code}\n'


def _with_origin(line: str) -> str:
    instruction = line.startswith("    ") and not line.startswith(("    table", "    |"))
    return f"{line} ; #0" if instruction else line


def table_image() -> Image:
    """The image, with routes between all positions that it needs."""
    return with_routes(parse_image(table_text()))
