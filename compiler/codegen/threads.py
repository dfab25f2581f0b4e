"""The code of a core's three threads, by the shape of its stage: a box, or lists of blocks."""

from compiler.codegen.bodies import KernelTable
from compiler.codegen.compute import compute_code
from compiler.codegen.frame import BoxFrame, Names
from compiler.codegen.move import read_code, write_code
from compiler.codegen.plan import StagePlan
from compiler.codegen.ragged import RaggedFrame
from compiler.codegen.ragged_compute import ragged_compute_code
from compiler.codegen.ragged_move import ragged_read_code, ragged_write_code
from compiler.partition.nest import Workload
from compiler.program.image import CircularBuffer, CoreProgram
from compiler.target import Machine


def core_program(
    machine: Machine,
    workload: Workload,
    names: Names,
    plan: StagePlan,
    core: int,
    buffers: tuple[CircularBuffer, ...],
    kernels: KernelTable,
) -> CoreProgram:
    """Return what virtual core `core` of a stage runs; kernels that it uses are added to `kernels`."""
    origin = 2 * plan.stage.nest
    if plan.stage.deal:
        lists = RaggedFrame(machine, workload, names, plan, core)
        codes = (
            ragged_read_code(lists, origin),
            ragged_compute_code(lists, kernels, origin, origin + 1),
            ragged_write_code(lists, origin),
        )
    else:
        frame = BoxFrame(machine, workload, names, plan, core)
        codes = (
            read_code(frame, origin),
            compute_code(frame, kernels, origin, origin + 1),
            write_code(frame, origin),
        )
    return CoreProgram(plan.cores[core], buffers, *codes)
