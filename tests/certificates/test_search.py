"""The parts of the search: what rows tolerate, the space of parameters, and codes that are worth what is said."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

import onnxbound
from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certificates.judge import Judge, chernoff_bound
from onnxbound.certificates.loss import Loss
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.rounding import temperatures
from onnxbound.certificates.search import search, turns
from onnxbound.certificates.space import Space
from onnxbound.certificates.task import Effort, Found, Targets, Task
from onnxbound.certificates.thinning import Thinning
from onnxbound.codec.describe import Description, describe
from onnxbound.codec.network_code import decode, encode, rounded_step
from onnxbound.codec.tensors import Levels
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.linear.gradient import parameters
from onnxbound.linear.linearisation import linearise
from onnxbound.stability.collect import Progress


def opened(described: Description) -> bytes:
    """The architecture with its tensors as inputs."""
    architecture = described.architecture
    return architecture.model(open_holes=range(len(architecture.holes))).SerializeToString()


def test_temperatures() -> None:
    """Half the gap, no less than half of a low quantile, and nothing to protect where the net errs."""
    logits = np.array([[9.0, 1.0, 0.0], [0.0, 4.0, 1.0], [5.0, 4.9, 0.0], [1.0, 2.0, 3.0]])
    found = temperatures(logits, np.array([0, 1, 0, 0]))
    floor = np.quantile([8, 3, 0.1, 1], 0.1 + 1.5 / 4) / 2
    np.testing.assert_allclose(found, [4, max(1.5, floor), floor, np.inf])


@pytest.mark.parametrize(("errors", "bits"), [(0, 100), (840, 5800), (15_000, 16_000), (60_000, 5)])
def test_the_estimate_is_close_to_the_bound(errors: int, bits: int) -> None:
    """Chernoff's is never the smaller one, and close enough to choose by."""
    exact = float(error_bound(errors, 60_000, bits, Decimal("0.05")))
    assert exact <= chernoff_bound(errors / 60_000, 60_000, bits, 0.05) + 1e-6
    assert chernoff_bound(errors / 60_000, 60_000, bits, 0.05) == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize("name", ["cifar10_cnn", "cifar10_resnet", "mnist_mlp"])
@pytest.mark.parametrize("with_prior", [False, True])
def test_one_vector_is_the_network_and_its_code(name: str, with_prior: bool) -> None:
    """The network with moved parameters, in NumPy, and what a decoder fills in, through onnxruntime, agree."""
    network = onnxbound.load(f"fixtures/{name}.onnx")
    described = describe(network)
    random = np.random.default_rng(2)
    prior = None
    if with_prior:
        shift = {
            k: v + random.normal(scale=0.01, size=v.shape).astype(np.float32) for k, v in described.tensors.items()
        }
        prior = {k: shift[k] if k in described.parameters else v for k, v in described.tensors.items()}
    space = Space(network, described, prior, Preprocessing())
    assert space.trained.size == sum(described.tensors[name].size for name in described.parameters)
    if not with_prior:
        np.testing.assert_array_equal(space.trained, parameters(network.cast(np.float32)))
    steps = np.array([rounded_step(s) for s in np.maximum.reduceat(np.abs(space.trained), space.starts) / 7 + 1e-3])
    levels = np.rint(space.trained / steps[space.tensor]).astype(np.int64)
    assert all(isinstance(part, Levels) for part in space.code(levels, steps).parts)
    rows = random.normal(size=(9, *network.input_shape)).astype(np.float32)
    moved = space.network(levels * steps[space.tensor])
    expected = linearise(moved, rows, [moved.output]).values[moved.output]
    tensors = space.tensors(levels, steps)
    from onnxruntime import InferenceSession

    (found,) = InferenceSession(opened(described)).run(None, {"input": rows, **tensors})
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_rows_are_counted_no_further_than_needed(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Above what is enough a candidate is left early, and below it has the estimate of all rows."""
    logits = task.outputs.logits(task.described.tensors)
    places = np.arange(0, 3000, 2)
    monkeypatch.setattr("onnxbound.certificates.judge._BLOCK_ROWS", 100)
    judge = Judge.of(task.outputs, task.labels, 0.05, logits, places)
    np.testing.assert_array_equal(np.sort(np.concatenate(judge.blocks)), places)
    random, counted = np.random.default_rng(5), []
    plain = task.outputs.logits
    monkeypatch.setattr(Outputs, "logits", lambda _, tensors, some: counted.append(len(some)) or plain(tensors, some))
    for scale in (0.02, 0.1, 0.5):
        moved = {
            k: v * (1 + random.normal(scale=scale, size=v.shape)).astype(np.float32)
            for k, v in task.described.tensors.items()
        }
        errors = np.sum(plain(moved, places).argmax(axis=1) != task.labels[places])
        whole = judge.estimated_bound(moved, 40)
        assert whole == chernoff_bound(errors / 1500, 3000, 40, 0.05)
        assert judge.estimated_bound(moved, 40, whole + 1e-9) == whole
        counted.clear()
        assert 0.8 * whole <= judge.estimated_bound(moved, 40, 0.8 * whole) <= whole
        assert sum(counted) < 1000


WEIGHTS, ENTRIES = 6 * 5 + 5 * 4, 6 + 5 + 5 + 4
"""Of the net below; entries of the activations before and after the gate."""

EFFORT = Effort(runs=2, batches=200, work=10**12, rounds=3, settled=2, parameters=0, rows=1000)


def found_by(task: Task, effort: Effort = EFFORT, progress: Progress = lambda *_: None) -> list[Found]:
    return list(search(task, effort, np.random.Generator(np.random.Philox(3)), progress))


@pytest.mark.parametrize("largest", [0, 1000])
def test_codes_are_worth_what_is_said(task: Task, largest: int) -> None:
    """Each decodes to itself, has these errors and this bound; the last is far better than the net as it is."""
    told: list[tuple[str, int, int]] = []
    every = found_by(task, replace(EFFORT, parameters=largest), lambda *said: told.append(said))
    done = [each[1] for each in told]
    assert done[0] == 0
    assert done == sorted(done)
    assert told[-1][1] == told[-1][2] <= told[0][2]
    assert all(each[0] == "search" and each[1] <= each[2] for each in told)
    assert [found.round for found in every] == list(range(1, len(every) + 1))
    assert every[0].rounds == turns(task, replace(EFFORT, parameters=largest))
    assert all(found.rounds >= len(every) for found in every)
    for found in every:
        assert encode(decode(found.data)) == found.data
        logits = task.outputs.logits(decode(found.data).tensors())
        assert np.sum(logits.argmax(axis=1) != task.labels) == found.errors
        assert found.bound == error_bound(found.errors, 3000, 8 * len(found.data), Decimal("0.05"))
    whole = error_bound(0, 3000, 32 * task.network.parameters, Decimal("0.05"))
    assert min(found.bound for found in every) < whole / 2


@pytest.mark.parametrize("better", ["runs", "rounds"])
def test_the_better_way_goes_on(better: str, task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once both are tried, thinning for one whole run; a network of more parameters is only thinned."""

    def way(name: str, count: int) -> Callable[[Any], Iterator[Found]]:
        def every(_: Any) -> Iterator[Found]:
            for _ in range(count):
                made.append(name)
                yield cast("Found", SimpleNamespace(bound=Decimal("0.1" if name == better else "0.2")))

        return every

    made: list[str] = []
    counts = {"short_runs": 2, "runs": 4, "rounds": 5, "settled": 2}
    for name, count in counts.items():
        monkeypatch.setattr(f"onnxbound.certificates.search._Ground.{name}", way(name, count))
    effort = replace(EFFORT, parameters=task.network.parameters)
    found_by(task, effort)
    rest = ["runs"] * 3 + ["settled"] * 2 if better == "runs" else ["rounds"] * 4
    assert made == ["short_runs"] * 2 + ["runs", "rounds"] + rest
    made.clear()
    found_by(task, replace(effort, parameters=task.network.parameters - 1))
    assert made == ["short_runs"] * 2 + ["runs"] * 4 + ["settled"] * 2


def test_a_run_is_as_long_as_the_work_allows(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """No longer than asked for, no shorter than a short one; of few rows where a run could have few batches."""
    asked: list[tuple[int, int]] = []
    plain = Thinning.run

    def run(self: Thinning, batches: int, price: float, coarse: float) -> Any:
        asked.append((batches, self._batch))
        return plain(self, batches // 10, price, coarse)

    monkeypatch.setattr(Thinning, "run", run)
    per_row = WEIGHTS + 150 * ENTRIES
    monkeypatch.setattr("onnxbound.certificates.search._UPDATE", 0)
    for rows, batches in (
        (10**9, (800, 256)),
        (700 * 256, (700, 256)),
        (500 * 256, (800, 128)),
        (200 * 256, (800, 64)),
        (100 * 256, (400, 64)),
        (0, (180, 64)),
    ):
        asked.clear()
        found_by(task, replace(EFFORT, batches=800, work=rows * per_row))
        assert asked[-2:] == [batches] * 2
        assert set(asked[:-2]) == {(180, batches[1])}


def test_a_seed_gives_one_result(task: Task) -> None:
    assert [found.data for found in found_by(task)] == [found.data for found in found_by(task)]


@pytest.mark.parametrize("targets", ["outputs", "labels"])
def test_labels_are_seen_only_where_it_is_asked_for(
    task: Task, targets: Targets, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the network errs on does not matter, or is learnt."""
    own = task.labels
    confused = np.where(np.random.default_rng(4).random(own.size) < 0.1, (own + 1) % 4, own)
    seen = []
    plain = Loss.__init__

    def init(self: Loss, *given: Any) -> None:
        seen.append(given[3])
        plain(self, *given)

    monkeypatch.setattr(Loss, "__init__", init)
    found_by(replace(task, labels=confused, right=own == confused, targets=targets))
    expected = confused if targets == "labels" else np.where(own == confused, own, -1)
    for wanted in seen:
        np.testing.assert_array_equal(wanted, expected)


@pytest.mark.parametrize("largest", [0, 1000])
@pytest.mark.parametrize("price", [1.5, 1e6])
@pytest.mark.parametrize("turn", [0, 1])
def test_nothing_to_keep_and_nothing_left(
    task: Task, largest: int, price: float, turn: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a net that is never right, and of one that is too dear to keep at all, there is a code too."""
    monkeypatch.setattr("onnxbound.certificates.search._PRICE", price)
    asked = replace(task, labels=(task.labels + turn) % 4, right=np.full(3000, turn == 0))
    every = found_by(asked, replace(EFFORT, batches=100, parameters=largest, rows=200))
    assert len(every) >= 3
    assert all(encode(decode(found.data)) == found.data for found in every)


def test_a_thin_network_decides_as_wanted(task: Task) -> None:
    """For other classes than its own on all rows that matter, with few parameters left."""
    space = Space(task.network, task.described, None, Preprocessing())
    logits = task.outputs.logits(task.described.tensors)
    wanted = np.where(np.arange(3000) % 5 == 0, -1, (task.labels + 1) % 4)
    generator = np.random.Generator(np.random.Philox(3))
    loss = Loss(space, task.outputs, logits, wanted)
    *_, (levels, steps) = Thinning(space, loss, 256, generator).run(400, 3.0, 0.6)
    assert 0 < np.count_nonzero(levels) < 0.8 * levels.size
    assert all(rounded_step(step) == step for step in steps)
    matters = wanted >= 0
    decided = task.outputs.logits(space.tensors(levels, steps)).argmax(axis=1)
    assert np.mean(decided[matters] == wanted[matters]) > 0.9


def test_effort_rises() -> None:
    levels = [Effort.of(level) for level in range(1, 10)]
    names = ("batches", "work", "parameters", "rows")
    assert all(getattr(a, name) < getattr(b, name) for a, b in pairwise(levels) for name in names)
    assert [level.runs for level in levels] == [1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert [level.rounds for level in levels] == [1, 1, 2, 3, 4, 5, 6, 7, 8]
