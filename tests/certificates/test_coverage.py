"""How often a statement is false: counted over many draws of the rows."""

from decimal import Decimal
from functools import cache

import numpy as np
from scipy.special import bdtr

from onnxbound.certificates.statement import Statement

REPEATS = 4000
ROWS = 100
DELTA = Decimal("0.2")
BITS = (3, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4)
"""Lengths of the codes of a finite class, of Kraft sum 1."""


@cache
def bound(errors: int, bits: int) -> float:
    return float(Statement("compressed", ROWS, errors, bits, DELTA, 10, 10).bound)


def violations(true_errors: np.ndarray, bits: tuple[int, ...], seed: int) -> int:
    """Draws in which some network of the class errs more often on new rows than its statement says."""
    random = np.random.Generator(np.random.Philox(seed))
    errors = random.binomial(ROWS, true_errors, size=(REPEATS, len(bits)))
    table = np.array([[bound(k, b) for k in range(ROWS + 1)] for b in sorted(set(bits))])
    row = np.searchsorted(sorted(set(bits)), bits)
    return int(np.sum((true_errors > table[row, errors]).any(axis=1)))


def test_a_class_is_covered_whichever_network_is_chosen() -> None:
    """Independent networks, so the union bound is nearly met; the adversary takes any whose statement is false.

    With probability of violation at most delta, more than this many in REPEATS draws happen once in 10^4 runs.
    """
    assert sum(2.0**-b for b in BITS) <= 1
    allowed = next(k for k in range(REPEATS) if bdtr(k, REPEATS, float(DELTA)) > 1 - 1e-4)
    for seed, level in enumerate((0.1, 0.3, 0.5)):
        found = violations(np.full(len(BITS), level), BITS, seed)
        assert 0 < found <= allowed, level


def test_one_network_is_covered_and_not_much_more() -> None:
    """Without bits the statement is false in nearly delta of the draws: it is no wider than it must be."""
    found = [violations(np.array([level]), (0,), 5) / REPEATS for level in (0.1, 0.2, 0.3, 0.4, 0.5)]
    assert 0.7 * float(DELTA) < np.mean(found)
    assert max(found) <= float(DELTA) + 4 * np.sqrt(0.16 / REPEATS)


def test_a_free_choice_is_not_covered() -> None:
    """The same class with no bits paid: the statements fail far more often than delta, so the count matters."""
    found = violations(np.full(len(BITS), 0.1), (0,) * len(BITS), 1) / REPEATS
    assert found > 3 * float(DELTA)
