"""What test rows promise: simulated a thousand times on nets whose drop is known."""

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest

from onnxbound.bounds.paired_drop import accuracy_drop_limit
from onnxbound.compressors.guarantee import Changed, foreseen, limit_of, put_to_the_test
from onnxbound.compressors.paired_logits import PairedLogits

ROWS, MAX_DROP, TIMES = 300, 0.03, 1000


def changed_rows(rows: int, worse: int, better: int) -> PairedLogits:
    before, after = np.ones(rows), np.ones(rows)
    after[:worse] = -1
    before[worse : worse + better] = -1
    return PairedLogits(before, after, before, before, before)


def test_what_test_rows_would_guarantee_is_foreseen() -> None:
    changed = Changed.of(changed_rows(5000, 20, 5))
    assert changed.drop == 0.003
    assert foreseen(changed, 0, 0.003, 0.05) == 0.003
    assert foreseen(changed, 10_000, 0.003, 0.05) == accuracy_drop_limit(42, 10, 10_000, 0.05)
    assert foreseen(changed, 100, 0.003, 0.05) == 0.003  # so few rows guarantee nothing, however few change


@cache
def limit(worse: int, better: int) -> float:
    return accuracy_drop_limit(worse, better, ROWS, 0.05)


def wrong(rates: Sequence[tuple[float, float]]) -> int:
    """How often of a thousand times what is said of the chosen net is not so; rates are those of worse and better."""
    random, count = np.random.default_rng(0), 0
    drops = {net: worse - better for net, (worse, better) in enumerate(rates)}
    for _ in range(TIMES):
        row = random.random(ROWS)  # the same rows for all nets: where a small net errs a smaller one does

        def tested(net: int, row: np.ndarray = row) -> Changed:
            worse, better = (int(np.sum(each)) for each in (row < rates[net][0], row > 1 - rates[net][1]))
            return Changed(ROWS, worse, better, (worse - better) / ROWS, limit(worse, better))

        chosen, tests = put_to_the_test(tuple(drops), tested, MAX_DROP)
        count += drops[chosen] > limit_of(tests, MAX_DROP)
    return count


@pytest.mark.parametrize(
    "rates",
    [
        [(0.04, 0.01 - 1e-9)],
        [(0.01, 0.0), (0.04, 0.01 - 1e-9)],
        [(0.004, 0.0), (0.03, 0.012), (0.0301, 0.0), (0.06, 0.02)],
        [(0.0, 0.0), (0.02, 0.0), (0.05, 0.019), (0.2, 0.1)],
        [(0.04, 0.01 - 1e-9), (0.1, 0.06)],
    ],
)
def test_wrong_in_at_most_five_of_a_hundred(rates: list[tuple[float, float]]) -> None:
    """One net, and several in a row of which the first whose drop is too large is barely so."""
    assert wrong(rates) <= 0.05 * TIMES


def test_the_simulation_could_tell() -> None:
    """The limit of the chosen net alone would be wrong too often: it was chosen by the same rows."""
    assert wrong([(0.04, 0.01 - 1e-9)]) > 0.02 * TIMES


def test_limits_after_several_tests() -> None:
    seen = [Changed(100, 0, 0, 0.0, each) for each in (0.01, 0.03, 0.02, 0.04)]
    assert put_to_the_test(range(4), seen.__getitem__, 0.03) == (2, seen)
    assert put_to_the_test(range(3), seen.__getitem__, 0.03) == (2, seen[:3])
    assert limit_of(seen, 0.03) == 0.03
    assert limit_of(seen[:1], 0.03) == 0.01
    assert limit_of([seen[2], seen[0]], 0.03) == 0.02
    assert limit_of(seen[3:], 0.03) == 0.04
