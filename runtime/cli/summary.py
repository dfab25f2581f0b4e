"""What a run, a check and an image look like as tables and as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from compiler.numerics.layout import page_bytes
from compiler.program.image import Code, CoreProgram, Image, Role
from runtime.cli.terminal import Table, number
from runtime.feed import Array
from runtime.reference import Comparison
from runtime.report import RunReport
from runtime.units import amount

SHOWN = 10
"""Rows of the longer tables."""


def outputs_table(outputs: Mapping[str, Array]) -> Table:
    rows = tuple(
        (name, f"{array.dtype}{list(array.shape)}", *(f"{value:.6g}" for value in _spread(array)))
        for name, array in outputs.items()
    )
    return Table("Outputs", ("name", "type", "least", "mean", "greatest"), rows, numeric=(2, 3, 4))


def outputs_document(outputs: Mapping[str, Array]) -> dict[str, Any]:
    return {name: _output(array) for name, array in outputs.items()}


def _output(array: Array) -> dict[str, Any]:
    least, mean, greatest = (value if np.isfinite(value) else None for value in _spread(array))
    return {
        "shape": list(array.shape),
        "dtype": str(array.dtype),
        "least": least,
        "mean": mean,
        "greatest": greatest,
    }


def _spread(array: Array) -> tuple[float, float, float]:
    wide = array.astype(np.float64)
    with np.errstate(invalid="ignore"):
        return float(wide.min()), float(wide.mean()), float(wide.max())


def report_tables(report: RunReport) -> tuple[Table, ...]:
    return (_figures(report), _resources(report), _stalls(report), _lines(report))


def report_document(report: RunReport) -> dict[str, Any]:
    return asdict(report)


def _figures(report: RunReport) -> Table:
    rows = (
        ("makespan", f"{number(report.makespan)} cycles", f"{report.microseconds:.1f} us"),
        ("lower bound", f"{number(report.bound)} cycles", f"set by {report.bound_resource}; {report.ratio:.2f} x it"),
        ("bottleneck", report.bottleneck, f"busy {report.bottleneck_share:.0%} of the time"),
        ("compute", f"{report.utilization:.1%}", f"of {report.cores} cores over the makespan"),
        ("DRAM", amount(report.dram_read_bytes + report.dram_written_bytes),
         f"{amount(report.dram_read_bytes)} read, {amount(report.dram_written_bytes)} written"),
        ("NoC", amount(report.noc_bytes), "summed over all links"),
    )  # fmt: skip
    return Table("Run", ("", "", ""), rows, numeric=(1,))


def _resources(report: RunReport) -> Table:
    rows = tuple((name, f"{share:.1%}") for name, share in report.resources)
    return Table("Busy, the busiest of each kind", ("resource", "share"), rows, numeric=(1,))


def _stalls(report: RunReport) -> Table:
    rows = tuple(
        (stall.thread, stall.reason, number(stall.cycles), f"{stall.share:.1%}") for stall in report.stalls[:SHOWN]
    )
    return Table("Top stalls, mean per core", ("thread", "waits for", "cycles", "of makespan"), rows, numeric=(2, 3))


def _lines(report: RunReport) -> Table:
    rows = tuple(
        (line.place, number(line.math), number(line.busy), number(line.stalled), line.text.strip()[:60])
        for line in report.lines[:SHOWN]
    )
    return Table("Core cycles by source line", ("line", "math", "busy", "stalled", "source"), rows, numeric=(1, 2, 3))


def check_table(comparisons: Mapping[str, Comparison]) -> Table:
    rows = tuple(
        (name, f"{each.difference:.3g}", f"{each.bound:.3g}", _verdict(each)) for name, each in comparisons.items()
    )
    return Table("Check against NumPy", ("output", "difference", "bound", "verdict"), rows, numeric=(1, 2))


def _verdict(each: Comparison) -> str:
    at = f"[{', '.join(map(str, each.worst))}]"
    if each.ok:
        return f"ok, closest to its bound at {at}" if each.difference else "ok"
    return f"{number(each.mismatches)} differ, the worst at {at}: {each.emulated:.6g}, not {each.reference:.6g}"


def check_document(comparisons: Mapping[str, Comparison]) -> dict[str, Any]:
    return {name: asdict(each) for name, each in comparisons.items()}


def image_tables(image: Image) -> tuple[Table, ...]:
    rows = (
        ("machine", image.machine.name),
        ("epochs", str(len(image.epochs))),
        ("cores", f"{cores_used(image)} of {len(image.machine.cores)}"),
        ("instructions", f"{number(instructions(image))}, at most {most_instructions(image)} on a core"),
        ("L1", f"at most {amount(most_l1(image))} on a core, of {amount(image.machine.l1_available)}"),
        ("lower bound", f"{number(max((cycles for _, cycles in image.bound), default=0))} cycles"),
    )
    tensors = tuple(
        (tensor.name, tensor.role.value, f"{tensor.dtype.value}{list(tensor.shape)}")
        for tensor in image.tensors
        if tensor.role in (Role.INPUT, Role.WEIGHT, Role.STATE, Role.OUTPUT)
    )
    return (
        Table(f"Image of `{image.name}`", ("", ""), rows),
        Table("Tensors", ("name", "role", "type"), tensors),
    )


def image_document(image: Image) -> dict[str, Any]:
    return {
        "program": image.name,
        "machine": image.machine.name,
        "epochs": len(image.epochs),
        "cores": cores_used(image),
        "instructions": instructions(image),
        "most_instructions_per_core": most_instructions(image),
        "most_l1_bytes_per_core": most_l1(image),
        "bound": dict(image.bound),
        "tensors": [
            {"name": t.name, "role": t.role.value, "dtype": t.dtype.value, "shape": list(t.shape)}
            for t in image.tensors
            if t.role in (Role.INPUT, Role.WEIGHT, Role.STATE, Role.OUTPUT)
        ],
    }


def _programs(image: Image) -> list[CoreProgram]:
    return [program for epoch in image.epochs for program in epoch.programs]


def cores_used(image: Image) -> int:
    return len({program.core for program in _programs(image)})


def instructions(image: Image) -> int:
    return sum(map(_length, _programs(image)))


def most_instructions(image: Image) -> int:
    return max(map(_length, _programs(image)), default=0)


def _length(program: CoreProgram) -> int:
    codes: tuple[Code, ...] = (program.read, program.compute, program.write)
    return sum(len(code.instructions) for code in codes)


def most_l1(image: Image) -> int:
    """Return the bytes between the start of a core's free L1 and the end of its last buffer, the most of any core."""
    ends = (
        buffer.address + buffer.capacity * page_bytes(buffer.dtype)
        for program in _programs(image)
        for buffer in program.buffers
    )
    return max(ends, default=image.machine.l1_base) - image.machine.l1_base
