"""Run an image: memories filled, epochs one after the other, outputs fetched."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compiler.diagnostics import Diagnostic, DiagnosticError
from compiler.program.image import Image, Role, Tensor
from emulator.epoch import L1, Epoch
from emulator.faults import UninitializedRead
from emulator.kernels.compile import Compiler
from emulator.layout import Dram
from emulator.profile import EpochProfile, Profile
from emulator.recording import EpochRecording, Recording

FED = (Role.INPUT, Role.WEIGHT, Role.STATE)


@dataclass(frozen=True, slots=True)
class RunResult:
    """The outputs by name, and where the time went."""

    outputs: dict[str, NDArray[Any]]
    profile: Profile
    recording: Recording | None = None
    """What happened when, if that was asked for."""


def run(
    image: Image, tensors: Mapping[str, NDArray[Any]], cache: Path | None = None, *, record: bool = False
) -> RunResult:
    """Run `image` on `tensors`: every input, weight and state by name, in its type and
    shape. The outputs hold the new values of states under their names.

    `cache` is a folder for compiled tile kernels; without one they are compiled anew. With `record` the result tells
    what happened when, at some cost in time and memory. Raises `DiagnosticError` (E0514 a tensor is missing, E0515 one
    is unknown, E0516 one has the wrong type, E0517 the wrong shape, E0518 what is computed breaks a promise) and
    `emulator.faults.Fault`.
    """
    check_fed(image, tensors)
    dram = Dram.for_image(image)
    for tensor in image.tensors:
        if tensor.role in FED:
            dram.store(tensor, tensors[tensor.name])
        elif tensor.role is Role.CONSTANT:
            dram.store(tensor, constant_array(tensor))
    compiler, l1 = _compiler(cache), L1.for_image(image)
    epochs: list[EpochProfile] = []
    recordings: list[EpochRecording] = []
    for number in range(len(image.epochs)):
        start = epochs[-1].end + image.machine.core.launch if epochs else 0
        epoch, recorded = Epoch.prepare(image, number, dram, l1, compiler, record).run(start)
        epochs.append(epoch)
        recordings += [recorded] if recorded is not None else []
    profile = Profile(image.machine.clock_ghz, tuple(epochs), image.origins)
    outputs = {t.name: _fetch(t, dram, profile) for t in image.tensors if t.role is Role.OUTPUT}
    return RunResult(outputs, profile, Recording(tuple(recordings)) if record else None)


_COMPILERS: dict[Path | None, Compiler] = {}


def _compiler(cache: Path | None) -> Compiler:
    """One compiler per cache folder and process: kernels are compiled or loaded once."""
    return _COMPILERS.setdefault(cache, Compiler(cache))


def constant_array(tensor: Tensor) -> NDArray[Any]:
    """The array of a constant."""
    return np.frombuffer(tensor.data, tensor.dtype.numpy).reshape(tensor.shape)


def _fetch(tensor: Tensor, dram: Dram, profile: Profile) -> NDArray[Any]:
    page = dram.unwritten(tensor)
    if page >= 0:
        text = f"page {page} of output `{tensor.name}` was never written"
        raise UninitializedRead(text, len(profile.epochs) - 1, profile.makespan)
    return dram.fetch(tensor)


def check_fed(image: Image, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Raise `DiagnosticError` unless `tensors` are exactly the inputs and weights of the image."""
    declared = {tensor.name: tensor for tensor in image.tensors if tensor.role in FED}
    found = [
        Diagnostic("E0515", f"`{image.name}` has no input or weight `{name}`")
        for name in tensors
        if name not in declared
    ]
    for name, tensor in declared.items():
        found += _mismatches(image, tensor, tensors.get(name))
    if found:
        raise DiagnosticError(tuple(found))


def _mismatches(image: Image, tensor: Tensor, array: NDArray[Any] | None) -> list[Diagnostic]:
    expected = f"{tensor.dtype.value}{list(tensor.shape)}"
    if array is None:
        return [Diagnostic("E0514", f"`{image.name}` needs `{tensor.name}`, {expected}")]
    if array.dtype != tensor.dtype.numpy:
        return [Diagnostic("E0516", f"`{tensor.name}` is {expected}, but the array holds {array.dtype}")]
    if array.shape != tensor.shape:
        return [Diagnostic("E0517", f"`{tensor.name}` is {expected}, but the array has shape {list(array.shape)}")]
    return []
