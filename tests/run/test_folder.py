"""A run that is kept, interrupted, damaged, fought over, and changed."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound import Preprocessing, Settings, load, open_rows
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.result import Report
from onnxbound.data.rows import Rows
from onnxbound.errors import OutputError, RunError
from onnxbound.graph.network import Network
from onnxbound.run.executor import Executor
from onnxbound.run.folder import RunFolder
from onnxbound.run.partitions import Arrays, Partition, Work
from tests.nets import random_mlp

SETTINGS = Settings(probes=2, measured=300)
COUNT = 3000


@pytest.fixture
def case(tmp_path: Path) -> tuple[Network, Rows]:
    return write_case(tmp_path)


def write_case(folder: Path) -> tuple[Network, Rows]:
    network = load(random_mlp(folder / "net.onnx", [6, 5, 4]))
    x = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
    np.savez(folder / "rows.npz", x=x, y=np.arange(COUNT) % 4)
    return network, open_rows(folder / "rows.npz", network, Preprocessing())


class Counting(Executor):
    """This process; counts partitions, and stops after some."""

    name = "local"

    def __init__(self, most: int = 10**9) -> None:
        self.seen: list[tuple[str, int]] = []
        self._most = most

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        for partition, arrays in inputs:
            if len(self.seen) == self._most:
                raise KeyboardInterrupt
            self.seen.append((partition.stage, partition.number))
            yield partition, work.run(partition.stage, arrays)


class Backwards(Counting):
    """Finishes partitions in the opposite order."""

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        yield from reversed(list(super().map(work, inputs)))


def require_equal(one: Report, two: Report) -> None:
    """Bit for bit, but for what tells of time and place."""
    for name, values in one.samples.items():
        np.testing.assert_array_equal(values, two.samples[name])
    first, second = one.to_json(), two.to_json()
    first.pop("tool")
    second.pop("tool")
    assert first == second


def finish(case: tuple[Network, Rows], path: Path, executor: Executor, **options: bool) -> Report:
    with RunFolder(path, resume=options.get("resume", False)) as folder:
        return analyze(*case, SETTINGS, run=folder, executor=executor)


PARTITIONS = [("forward", 0), ("forward", 1), ("forward", 2), *(("measure", k) for k in range(5))]


@pytest.mark.parametrize("stop", range(len(PARTITIONS)))
def test_a_resumed_run_computes_what_was_missing_and_gives_the_same(
    case: tuple[Network, Rows], tmp_path: Path, stop: int
) -> None:
    first, second = Counting(stop), Counting()
    with pytest.raises(KeyboardInterrupt):
        finish(case, tmp_path / "run", first)
    report = finish(case, tmp_path / "run", second, resume=True)
    assert first.seen + second.seen == PARTITIONS
    require_equal(report, analyze(*case, SETTINGS))


def test_the_order_in_which_partitions_finish_does_not_matter(case: tuple[Network, Rows]) -> None:
    require_equal(analyze(*case, SETTINGS, executor=Backwards()), analyze(*case, SETTINGS))


def test_weights_outside_the_model_belong_to_the_run(case: tuple[Network, Rows], tmp_path: Path) -> None:
    model = onnx.load(case[0].path)
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    finish((load(tmp_path / "outside.onnx"), case[1]), tmp_path / "run", Counting())
    weights = np.fromfile(tmp_path / "weights", np.float32) * np.float32(1.001)
    weights.tofile(tmp_path / "weights")
    with pytest.raises(RunError) as caught:
        finish((load(tmp_path / "outside.onnx"), case[1]), tmp_path / "run", Counting(), resume=True)
    assert (caught.value.code, caught.value.problems[0].where) == ("run-changed", "model")


def test_a_run_is_not_begun_twice(case: tuple[Network, Rows], tmp_path: Path) -> None:
    finish(case, tmp_path / "run", Counting())
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path / "run", resume=False)
    assert (caught.value.code, caught.value.exit_code) == ("run-exists", 6)
    assert "`resume`" in caught.value.problems[0].do


def test_resuming_nothing_begins(case: tuple[Network, Rows], tmp_path: Path) -> None:
    executor = Counting()
    finish(case, tmp_path / "run", executor, resume=True)
    assert executor.seen == PARTITIONS


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", resume=True):
        with pytest.raises(RunError) as caught:
            RunFolder(tmp_path / "run", resume=True)
        assert caught.value.code == "run-locked"
    RunFolder(tmp_path / "run", resume=True).__exit__(None, None, None)


@pytest.mark.parametrize("change", ["seed", "form", "model", "data", "labels", "engine"])
def test_a_run_of_something_else_is_not_continued(case: tuple[Network, Rows], tmp_path: Path, change: str) -> None:
    finish(case, tmp_path / "run", Counting())
    network, rows = case
    settings = SETTINGS
    if change == "seed":
        settings = Settings(probes=2, measured=300, seed=1)
    elif change == "form":
        settings = Settings(probes=2, measured=300, form="linear")
    elif change == "engine":
        settings = Settings(probes=2, measured=300, engine="onnxruntime")
    elif change == "model":
        network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4], seed=1))
    else:
        x = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
        x[7, 2] += change == "data"
        np.savez(tmp_path / "other.npz", x=x, y=(np.arange(COUNT) + (change == "labels")) % 4)
        rows = open_rows(tmp_path / "other.npz", network, Preprocessing())
    with RunFolder(tmp_path / "run", resume=True) as folder, pytest.raises(RunError) as caught:
        analyze(network, rows, settings, run=folder)
    assert caught.value.code == "run-changed"
    expected = {"seed": "settings", "form": "settings", "labels": "data"}.get(change, change)
    assert [problem.where for problem in caught.value.problems] == [expected]


def test_batches_stay_as_they_were_begun(case: tuple[Network, Rows], tmp_path: Path) -> None:
    before = finish(case, tmp_path / "run", Counting())
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    less = Settings(probes=2, measured=300, memory=310 << 20)
    with RunFolder(tmp_path / "run", resume=True) as folder:
        executor = Counting()
        require_samples = analyze(*case, less, run=folder, executor=executor).samples
    assert executor.seen == []
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == manifest
    np.testing.assert_array_equal(require_samples["jacobian_norm"], before.samples["jacobian_norm"])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing" / "run", tmp_path / "file"):
        with pytest.raises((OutputError, RunError)) as caught:
            RunFolder(path, resume=False)
        assert caught.value.exit_code == 6
