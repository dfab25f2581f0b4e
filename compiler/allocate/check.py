"""Judge an allocation. Shares no code with the allocator."""

from compiler.allocate.problem import AllocateProblem, AllocateSolution, Buffer
from compiler.diagnostics import InternalError


def check(problem: AllocateProblem, solution: AllocateSolution) -> None:
    """Raise `InternalError` unless every buffer is aligned, inside its arena and alone in its bytes while it lives,
    and the peaks are as stated."""
    if len(solution.addresses) != len(problem.buffers) or len(solution.peaks) != len(problem.arenas):
        raise InternalError("allocate: the solution has not one address per buffer and one peak per arena")
    for number in range(len(problem.arenas)):
        placed = [
            (address, buffer)
            for address, buffer in zip(solution.addresses, problem.buffers, strict=True)
            if buffer.arena == number
        ]
        _check_bounds(problem, number, placed)
        _check_overlap(placed)
        _check_peak(problem, solution, number, placed)


def _check_bounds(problem: AllocateProblem, number: int, placed: list[tuple[int, Buffer]]) -> None:
    arena = problem.arenas[number]
    for address, buffer in placed:
        if address % arena.alignment:
            raise InternalError(f"allocate: `{buffer.name}` at {address} is not aligned to {arena.alignment}")
        if address < arena.base or address + buffer.nbytes > arena.base + arena.size:
            raise InternalError(f"allocate: `{buffer.name}` at {address} leaves {arena.name}")


def _check_overlap(placed: list[tuple[int, Buffer]]) -> None:
    """Sweep over addresses, comparing each buffer with those that end above its start."""
    below: list[tuple[int, Buffer]] = []
    for address, buffer in sorted((pair for pair in placed if pair[1].nbytes), key=lambda pair: pair[0]):
        below = [(start, other) for start, other in below if start + other.nbytes > address]
        for start, other in below:
            if buffer.start <= other.end and other.start <= buffer.end:
                raise InternalError(f"allocate: `{other.name}` at {start} and `{buffer.name}` at {address} overlap")
        below.append((address, buffer))


def _check_peak(
    problem: AllocateProblem, solution: AllocateSolution, number: int, placed: list[tuple[int, Buffer]]
) -> None:
    arena = problem.arenas[number]
    peak = max((address + buffer.nbytes for address, buffer in placed), default=arena.base) - arena.base
    if peak != solution.peaks[number]:
        raise InternalError(f"allocate: stated peak {solution.peaks[number]} of {arena.name}, recomputed {peak}")
