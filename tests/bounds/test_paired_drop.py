"""The limit of the drop in accuracy: held against every outcome of small experiments, none drawn at random."""

from math import comb

import numpy as np
import pytest

from onnxbound.bounds.paired_drop import _Outcomes, accuracy_drop_limit


def _probability(w: int, b: int, rows: int, p: float, q: float) -> float:
    return comb(rows, w) * comb(rows - w, b) * p**w * q**b * (1 - p - q) ** (rows - w - b)


@pytest.mark.parametrize(("rows", "delta"), [(6, 0.05), (11, 0.1), (9, 0.0005)])
def test_wrong_no_more_often_than_delta(rows: int, delta: float) -> None:
    limits = {(w, b): accuracy_drop_limit(w, b, rows, delta) for w in range(rows + 1) for b in range(rows + 1 - w)}
    worst = 0.0
    for p in np.linspace(0, 1, 41):
        for q in np.linspace(0, 1 - p, 21):
            q = max(float(q), 0.0)
            wrong = sum(_probability(*seen, rows, p, q) for seen, limit in limits.items() if limit < p - q)
            worst = max(worst, wrong)
    assert delta / 4 < worst <= delta


def test_more_harm_is_never_a_smaller_limit() -> None:
    limits = np.array([[accuracy_drop_limit(w, b, 40) for b in (0, 3)] for w in (0, 1, 2, 6)])
    assert (np.diff(limits, axis=0) > 0).all()


@pytest.mark.parametrize(("worse", "better"), [(0, 0), (3, 1), (1, 4), (9, 9)])
def test_the_set_is_that_of_the_order(worse: int, better: int) -> None:
    rows, z, p, q = 18, 1.645, 0.2, 0.15

    def place(w: int, b: int) -> float:
        return w - b + z * float(np.sqrt(w + b + z * z / 2))

    inside = [
        (w, b) for w in range(rows + 1) for b in range(rows + 1 - w) if place(w, b) <= place(worse, better) + 1e-6
    ]
    assert (worse, better) in inside
    exact = sum(_probability(w, b, rows, p, q) for w, b in inside)
    assert _Outcomes.up_to(worse, better, rows, z).probability(p, q) == pytest.approx(exact, abs=2e-9)


def test_sharper_than_two_limits_of_single_rates() -> None:
    """110 rows worse and 90 better of 10,000: two Clopper-Pearson limits at delta / 2 give 0.60 points."""
    assert 0.0043 < accuracy_drop_limit(110, 90, 10_000) < 0.0047


@pytest.mark.parametrize("worse", [0, 4])
def test_one_sided_changes_are_nearly_the_binomial_limit(worse: int) -> None:
    """Where no row improves, the limit of a plain proportion is what is left."""
    rows, at = 500, accuracy_drop_limit(worse, 0, 500)
    tail = sum(comb(rows, k) * at**k * (1 - at) ** (rows - k) for k in range(worse + 1))
    assert 0.035 < tail < 0.05


def test_extremes() -> None:
    assert accuracy_drop_limit(30, 0, 30) == 1
    assert accuracy_drop_limit(0, 30, 30) < -0.8
    with pytest.raises(ValueError, match="not 20, 11 and 30"):
        accuracy_drop_limit(20, 11, 30)
    assert accuracy_drop_limit(1, 1, 30, 1e-6) > accuracy_drop_limit(1, 1, 30, 1e-3)
    for delta in (0.0, 1.0):
        with pytest.raises(ValueError, match="delta"):
            accuracy_drop_limit(1, 1, 30, delta)
