"""Rules of instructions and cbs that deal with flags: what is asked for was set, what is promised is looked at."""

from collections.abc import Iterator

from compiler.program.image import Code, CoreProgram
from compiler.program.instructions import Fetch, Map, Matmul, Pack, Probe, Read


def check_flags(program: CoreProgram) -> Iterator[str]:
    """Sentences about one core.

    - the variable of a guard is set by an instruction of the same thread that comes before it;
    - what goes into a cb that is checked is packed: nobody else sees the elements.
    """
    for name, code in (("read", program.read), ("compute", program.compute), ("write", program.write)):
        yield from (f"{name}: {text}" for text in _unset_guards(code))
    packed = {at.cb for at in program.compute.instructions if isinstance(at, Pack)}
    for number, buffer in enumerate(program.buffers):
        if buffer.checked and number not in packed:
            yield f"cb{number} is checked, but nothing is packed to it"


def _unset_guards(code: Code) -> Iterator[str]:
    known: set[int] = set()
    for index, at in enumerate(code.instructions):
        if isinstance(at, Probe | Fetch):
            known.add(at.variable)
        elif isinstance(at, Read | Matmul | Map) and at.guard != -1 and at.guard not in known:
            yield f"instruction {index} is guarded by v{at.guard}, which is not set before"
