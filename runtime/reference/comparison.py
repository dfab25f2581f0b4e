"""Hold computed values against the reference and its bounds."""

from dataclasses import dataclass

import numpy as np

from compiler.numerics.evaluate import Array


@dataclass(frozen=True, slots=True)
class Comparison:
    """How `emulated` compares with the reference.

    `worst` is the index of the wrong element that is off most, or, when none does, of the one that uses most of
    it; the numbers that follow are that element's.
    """

    ok: bool
    mismatches: int
    worst: tuple[int, ...]
    reference: float
    emulated: float
    difference: float
    bound: float


def compare(reference: Array, bound: Array, emulated: Array) -> Comparison:
    """Compare elementwise: equal (NaN equals NaN, -0 equals 0), or apart by at most `bound`.

    All three have the same, non-empty shape; `reference` and `emulated` may have any element type.
    """
    expected, found = reference.astype(np.float64), emulated.astype(np.float64)
    with np.errstate(invalid="ignore"):
        difference = np.abs(found - expected)
    equal = (found == expected) | (np.isnan(found) & np.isnan(expected))
    difference = np.where(equal, 0.0, np.where(np.isnan(difference), np.inf, difference))
    wrong = ~equal & ~(difference <= bound)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        share = np.where(equal | np.isposinf(bound), 0.0, difference / bound)
    score = np.where(wrong, difference, -1.0) if wrong.any() else share
    at = tuple(int(i) for i in np.unravel_index(int(np.argmax(score)), score.shape))
    numbers = (float(part[at]) for part in (expected, found, difference, np.broadcast_to(bound, expected.shape)))
    return Comparison(not wrong.any(), int(wrong.sum()), at, *numbers)
