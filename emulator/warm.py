"""Compile the event engine into numba's cache, so that no run has to wait for it: `python -m emulator.warm`."""

from compiler.program.image import Epoch, Image
from compiler.target.load import load_machine
from emulator.device import run


def warm() -> None:
    """Run an image that does nothing."""
    run(Image("warm", load_machine("mesh_4x4"), (), (), (), (Epoch((), (), ()),), ()), {})


if __name__ == "__main__":
    warm()
