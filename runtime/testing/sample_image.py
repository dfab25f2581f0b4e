"""A small image written by hand: four cores of `mesh_4x4`, every kind of instruction but the ones nobody needs here.

Cores 0 and 1 multiply the two rows of blocks of `x` (core 1: of its transpose) by `w`, which core 0 reads and passes on
by multicast; each keeps its row of the product as a shard. Core 2 reads the shards as they are announced, and writes
their absolute values to `y`.
"""

from dataclasses import replace
from itertools import pairwise

from compiler.program.assembly import parse_image
from compiler.program.image import Epoch, Hop, Image, MulticastRoute, Route, UnicastRoute
from compiler.target import Coord, Machine, load_machine, machine_text

_REQUEST, _MULTICAST, _ANSWER = 0, 4, 6

TABLES = """\
origin #0 "product" at "sample" 1:1-1:6
origin #1 "absolute" at "sample" 2:1-2:6
tensor t0 "x" bf16[64, 64] input dram 0x0
tensor t1 "w" bf16[64, 64] weight dram 0x800
tensor t2 "y" bf16[64, 64] output dram 0x1000
tensor t3 "h" bf16[64, 64] temporary shard epoch 0 ways [2, 1] owners [0, 1] cb 2 ready 4
tensor t4 "c" i32[2] constant dram 0x1800
| 0100000002000000
map map0 shape [64, 64] digits [64, 64] base [0, 0] steps [[0, 1], [1, 0]] extents [64, 64]
kernel kernel0(f32)
  %0 = arg.f32 0
  %1 = cast.bf16 %0
  %2 = cast.f32 %1
kernel kernel1(bf16)
  %0 = arg.bf16 0
  %1 = abs.bf16 %0
"""

_BUFFERS = """\
  cb cb0 bf16 x 2 at 0x3000 stream "x"
  cb cb1 bf16 x 4 at 0x4000 stream "w"
  cb cb2 bf16 x 2 at 0x6000 shard "h"
"""

_PRODUCT = """\
  thread compute
    wait cb1 4 ; #0
    reserve cb2 2 ; #0
    fill d0 f32 0.0 ; #0
    fill d1 f32 0.0 ; #0
    loop 2 ; #0
      wait cb0 1 ; #0
      matmul d0 bf16 1x2x1, cb0[0; 0, 0], cb1[i0*2; 0, 1] ; #0
      pop cb0 1 ; #0
    end ; #0
    map d0, kernel0(d0) ; #0
    map d1, kernel0(d1) ; #0
    pack cb2[0], d0 ; #0
    pack cb2[1], d1 ; #0
    push cb2 2 ; #0
    pop cb1 4 ; #0
  thread write
    wait cb2 2
    sem.inc set2, s[{ready}] += 2, noc1
    barrier
    pop cb2 2
"""

PROGRAMS = f"""\
epoch 0
set set0 multicast [0, 1]
set set1 list [0]
set set2 list [2]
cores 0
{_BUFFERS}  thread read
    reserve cb1 4
    loop 4
      read cb1[i0], t1[i0], noc0
    end
    barrier
    sem.wait s[0] >= 1
    multicast set0, cb1[0] x 4, noc0
    sem.inc set0, s[1] += 1, noc0
    push cb1 4
    loop 2
      reserve cb0 1
      read cb0[0], t0[i0], noc0
      barrier
      push cb0 1
    end
{_PRODUCT.format(ready=4)}cores 1
{_BUFFERS}  thread read
    reserve cb1 4
    sem.inc set1, s[0] += 1, noc0
    sem.wait s[1] >= 1
    push cb1 4
    loop 2
      reserve cb0 1
      gather cb0[0], t0 by map0[i0 + 2], noc0
      barrier
      push cb0 1
    end
{_PRODUCT.format(ready=5)}cores 2
  cb cb0 bf16 x 2 at 0x3000 stream "h"
  cb cb1 bf16 x 2 at 0x4000 stream "y"
  thread read
    loop 4
      await t3[i0]
      reserve cb0 1
      read cb0[0], t3[i0], noc0
      barrier
      push cb0 1
    end
  thread compute
    loop 4 ; #1
      wait cb0 1 ; #1
      reserve cb1 1 ; #1
      map d0, kernel1(cb0[0]) ; #1
      reduce d1, d0, max f32 rows mask(64, 0; 64, 0) ; #1
      pack cb1[0], d0 mask(64, 0; 64, 0) ; #1
      push cb1 1 ; #1
      pop cb0 1 ; #1
    end ; #1
  thread write
    loop 4
      wait cb1 1
      write t2[i0], cb1[0], noc1
      barrier
      pop cb1 1
    end
"""


def sample_text() -> str:
    """The assembly of the sample, without routes."""
    machine = "".join(f"| {line}\n" for line in machine_text(load_machine("mesh_4x4")).split("\n"))
    return f'image "sample"\nmachine\n{machine}source "sample"\n| c[i, j]\n| abs(c)\n{TABLES}{PROGRAMS}'


def sample_image() -> Image:
    """The sample, with routes between all positions that it needs."""
    return with_routes(parse_image(sample_text()))


def with_routes(image: Image) -> Image:
    """`image`, on a mesh, with routes x first between its cores and to and from DRAM; multicast trees along rows."""
    machine = image.machine
    return replace(image, epochs=tuple(replace(epoch, routes=_routes(machine, epoch)) for epoch in image.epochs))


def _routes(machine: Machine, epoch: Epoch) -> tuple[Route, ...]:
    cores = [machine.cores[program.core] for program in epoch.programs]
    pairs = [(a, b) for a in cores for b in cores if a != b]
    pairs += [pair for a in cores for b in machine.dram.channels for pair in ((a, b), (b, a))]
    routes: list[Route] = [UnicastRoute(noc, core, core, ()) for noc in (0, 1) for core in cores]
    for noc in (0, 1):
        for src, dst in pairs:
            routes += [UnicastRoute(noc, src, dst, _hops(src, dst, vc)) for vc in (_REQUEST, _ANSWER)]
        for targets, core_set in enumerate(epoch.core_sets):
            if core_set.multicast:
                members = [machine.cores[core] for core in core_set.cores]
                farthest = max(members, key=lambda coord: coord.x)
                routes.append(MulticastRoute(noc, members[0], targets, _hops(members[0], farthest, _MULTICAST)))
    return tuple(routes)


def _hops(src: Coord, dst: Coord, vc: int) -> tuple[Hop, ...]:
    path = [src]
    while path[-1] != dst:
        at = path[-1]
        right, down = (dst.x > at.x) - (dst.x < at.x), (dst.y > at.y) - (dst.y < at.y)
        path.append(Coord(at.x + right, at.y) if right else Coord(at.x, at.y + down))
    return tuple(Hop(a, b, vc) for a, b in pairwise(path))
