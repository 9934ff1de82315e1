"""The loss that a search lowers, and a network on a lattice settled to second order."""

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound.certificates.judge import Judge, errors_of
from onnxbound.certificates.loss import Loss
from onnxbound.certificates.prices import nearest_levels
from onnxbound.certificates.settling import Settling, _promising
from onnxbound.certificates.space import Point, Space
from onnxbound.certificates.task import Task
from onnxbound.codec.network_code import rounded_step
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.results import Float64Array

STEP = 0.6


def space_of(task: Task) -> Space:
    return Space(task.network, task.described, None, Preprocessing())


def coarse(space: Space) -> Point:
    """The trained net, each entry rounded by itself."""
    steps = np.full(len(space.starts), rounded_step(STEP))
    return Point(nearest_levels(space.trained, steps[space.tensor]), steps, 0.5)


def entropy(task: Task, space: Space, loss: Loss, at: Float64Array, places: NDArray[np.int64]) -> float:
    """By the logits of onnxruntime, in float64."""
    steps = np.full(len(space.starts), 2.0**-20)
    logits = task.outputs.logits(space.tensors(np.rint(at / steps[0]).astype(np.int64), steps), places)
    logits = logits / loss._temperature
    chosen = logits[np.arange(len(places)), task.labels[places]]
    return float(np.mean(np.log(np.exp(logits).sum(axis=1)) - chosen))


def test_the_slope_is_that_of_the_cross_entropy(task: Task) -> None:
    """Over more rows than a part has, along random directions, by differences."""
    space = space_of(task)
    loss = Loss(space, task.outputs, task.logits, task.wanted)
    places = np.arange(0, 3000, 3)
    slope = loss.slope(space.trained, places)
    random = np.random.default_rng(5)
    for _ in range(3):
        direction = random.normal(size=slope.size)
        h = 2.0**-9
        values = [entropy(task, space, loss, space.trained + k * h * direction, places) for k in (-1, 1)]
        assert slope @ direction == pytest.approx((values[1] - values[0]) / (2 * h), rel=0.01, abs=1e-4)


def test_rounds_lower_the_bound(task: Task) -> None:
    """From a net that was rounded coarsely: fewer errors or bits, and never a worse network by what judges."""
    space = space_of(task)
    loss = Loss(space, task.outputs, task.logits, task.wanted)
    judge = Judge.of(task.outputs, task.labels, 0.05, task.logits, np.arange(3000))
    settling = Settling(space, loss, judge, 3000, np.random.Generator(np.random.Philox(2)))
    at = coarse(space)
    bounds = [judge.worth(space, at.levels, at.steps, np.inf)]
    for _ in range(4):
        at = settling.round(at)
        bounds.append(judge.worth(space, at.levels, at.steps, np.inf))
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[-1] < 0.9 * bounds[0]
    before, after = (
        errors_of(task.outputs.logits(space.tensors(p.levels, p.steps)), task.labels) for p in (coarse(space), at)
    )
    assert after < before


def test_nothing_to_settle(task: Task) -> None:
    """Where no row matters the network stays what it is."""
    space = space_of(task)
    loss = Loss(space, task.outputs, task.logits, np.full(3000, -1))
    judge = Judge.of(task.outputs, task.labels, 0.05, task.logits, np.arange(3000))
    at = coarse(space)
    assert Settling(space, loss, judge, 100, np.random.default_rng(1)).round(at) is at


def test_which_entries_may_move(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are not 0 come first, and zeros by their slope."""
    monkeypatch.setattr("onnxbound.certificates.settling._ENTRIES", 4)
    levels, slope = np.array([0, 1, 0, -2, 0, 0]), np.array([0.1, 0.0, -3.0, 0.2, 2.0, 0.0])
    np.testing.assert_array_equal(_promising(levels, slope), [1, 2, 3, 4])
    monkeypatch.setattr("onnxbound.certificates.settling._ENTRIES", 1)
    np.testing.assert_array_equal(_promising(levels, slope), [3])
