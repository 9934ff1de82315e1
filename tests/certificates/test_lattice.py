"""Levels that are chosen together: against plain rounding, against trying everything, and at the ends of the price."""

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound.certificates.lattice import Lattice, descended, rounded_in_order
from onnxbound.certificates.prices import prices
from onnxbound.compressors.second_order import compensation
from onnxbound.results import Float64Array


def problem(size: int, seed: int, price: float) -> tuple[Float64Array, Float64Array, Lattice]:
    """Correlated entries in two tensors of different steps."""
    generator = np.random.Generator(np.random.Philox(seed))
    root = generator.normal(size=(size, size)) + 2 * generator.normal(size=(size, 1))
    wanted = generator.normal(size=size)
    tensor = np.arange(size) * 2 // size
    step = np.where(tensor == 0, 0.5, 0.8)
    return wanted, root.T @ root / size + 0.05 * np.eye(size), on_lattice(np.rint(wanted / step), step, tensor, price)


def on_lattice(levels: Float64Array, step: Float64Array, tensor: NDArray[np.int64], price: float) -> Lattice:
    """Two vectors with prices that fit some levels."""
    whole = levels.astype(np.int64)
    parts = [whole[tensor == t].reshape(-1, 1, 1, 1) for t in (0, 1)]
    return Lattice(step, tensor, prices(parts), price)


def descent(
    start: NDArray[np.int64], wanted: Float64Array, curvature: Float64Array, lattice: Lattice, sweeps: int = 20
) -> NDArray[np.int64]:
    """From some levels, of a divergence that is least at `wanted`."""
    return descended(start, curvature @ (lattice.step * start - wanted), curvature, lattice, sweeps)


def test_better_than_rounding_and_never_worse_after_descent() -> None:
    """On the mean of ten problems; single ones may go the other way before the descent."""
    ratios = []
    for seed in range(10):
        wanted, curvature, lattice = problem(120, seed, 0.002)
        plain = np.rint(wanted / lattice.step).astype(np.int64)
        ordered = rounded_in_order(wanted, compensation(curvature), lattice)
        refined = descent(ordered, wanted, curvature, lattice)
        costs = [lattice.cost(levels, wanted, curvature) for levels in (plain, ordered, refined)]
        assert costs[2] <= costs[1]
        np.testing.assert_array_equal(descent(refined, wanted, curvature, lattice, 1), refined)
        ratios.append((costs[1] / costs[0], costs[2] / costs[0]))
    in_order, after_descent = np.mean(ratios, axis=0)
    assert in_order < 0.6
    assert after_descent < 0.6


@pytest.mark.parametrize("seed", range(5))
def test_close_to_the_best_of_all(seed: int) -> None:
    """With six entries and levels -2 .. 2 everything can be tried."""
    wanted, curvature, lattice = problem(6, seed, 0.05)
    best = min(lattice.cost(np.array(levels), wanted, curvature) for levels in product(range(-2, 3), repeat=6))
    found = descent(rounded_in_order(wanted, compensation(curvature), lattice), wanted, curvature, lattice)
    assert lattice.cost(found, wanted, curvature) <= 1.25 * best


def test_ends_of_the_price() -> None:
    """With no price and a fine step the weights stay; with a high one nothing remains but the cheapest level."""
    wanted, curvature, lattice = problem(40, 1, 0.0)
    fine = on_lattice(np.rint(wanted / 0.1), np.full(40, 0.1), lattice.tensor, 0.0)
    compensating = compensation(curvature)
    assert np.abs(0.1 * rounded_in_order(wanted, compensating, fine) - wanted).max() < 1
    assert fine.cost(rounded_in_order(wanted, compensating, fine), wanted, curvature) < 0.1
    dear = on_lattice(np.zeros(40), lattice.step, lattice.tensor, 1e6)
    assert not rounded_in_order(wanted, compensating, dear).any()
