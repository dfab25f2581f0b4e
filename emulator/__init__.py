"""Run images: event engine, networks, memories, threads and tile kernels."""

from emulator.device import RunResult, run
from emulator.faults import Deadlock, EmulatorBug, Fault, SoftwareFault, Unimplemented, UninitializedRead
from emulator.profile import Profile

__all__ = [
    "Deadlock",
    "EmulatorBug",
    "Fault",
    "Profile",
    "RunResult",
    "SoftwareFault",
    "Unimplemented",
    "UninitializedRead",
    "run",
]
