"""The same partitions on a Dask cluster: the same report, and what happens when parts of it die."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("distributed", reason="the extra onnxbound[distributed] is not installed")

from onnxbound import Settings
from onnxbound.analysis.analyze import analyze
from onnxbound.errors import DeviceError, ModelError, UsageError
from onnxbound.run.cluster import Cluster
from onnxbound.run.folder import RunFolder
from tests.run.test_folder import SETTINGS, case, require_equal

__all__ = ["case"]

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
ONE_THREAD = Settings(probes=2, measured=300, threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster("local:2") as found:
        yield found


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_the_report_is_that_of_one_machine(case: Any, cluster: Cluster, engine: Any) -> None:
    settings = Settings(probes=2, measured=300, threads=1, engine=engine)
    require_equal(analyze(*case, settings, executor=cluster), analyze(*case, settings))


def test_a_test_set_is_counted_there_too(case: Any, cluster: Cluster) -> None:
    network, rows = case
    there = analyze(network, rows, ONE_THREAD, test_rows=rows, executor=cluster)
    assert there.data.test_error == there.data.train_error
    assert there.tool.executor == "dask"


def test_an_error_of_a_worker_is_the_users_error(cluster: Cluster) -> None:
    work = Failing()
    assert list(cluster.map(work, [])) == []
    with pytest.raises(ModelError, match="no such thing") as caught:
        list(cluster.map(work, one_partition()))
    assert caught.value.problems[0].where == "here"


class Failing:
    """Work, and its own recipe, that fails as the package fails."""

    def run(self, stage: str, inputs: Any) -> Any:
        from onnxbound.errors import Problem

        raise ModelError("model-mismatch", "no such thing", [Problem("here", "why", "do")])

    def recipe(self) -> "Failing":
        return self

    build = recipe

    def __repr__(self) -> str:
        return "Failing"


class Dying(Failing):
    """Work that takes its worker with it."""

    def run(self, stage: str, inputs: Any) -> Any:
        os._exit(1)

    def __repr__(self) -> str:
        return "Dying"


class DyingOnce(Failing):
    """Work that takes its worker with it the first time, as a file remembers."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def run(self, stage: str, inputs: Any) -> Any:
        if not self._file.exists():
            self._file.write_text("")
            os._exit(1)
        return {"sum": inputs["x"].sum(keepdims=True)}

    def __repr__(self) -> str:
        return f"DyingOnce({self._file})"


def one_partition(count: int = 1) -> Any:
    from onnxbound.run.partitions import Partition

    return [(Partition("stage", k, k, k + 1), {"x": np.arange(k + 3)}) for k in range(count)]


def test_a_lost_worker_is_survived(tmp_path: Path) -> None:
    with Cluster("local:2") as cluster:
        found = dict(cluster.map(DyingOnce(tmp_path / "died"), one_partition(12)))
    assert (tmp_path / "died").exists()
    assert sorted(partition.number for partition in found) == list(range(12))
    assert all(values["sum"][0] == sum(range(p.number + 3)) for p, values in found.items())


def test_work_that_kills_every_worker_is_an_error() -> None:
    with Cluster("local:2") as cluster, pytest.raises(DeviceError) as caught:
        list(cluster.map(Dying(), one_partition()))
    assert (caught.value.code, caught.value.exit_code) == ("cluster-unavailable", 5)


def test_a_scheduler_that_goes_away_is_an_error_and_the_run_goes_on_elsewhere(case: Any, tmp_path: Path) -> None:
    script = "from distributed.cli.dask_scheduler import main; main()"
    folder = tmp_path / "scheduler"
    folder.mkdir()
    known = folder / "known.json"
    scheduler = subprocess.Popen(
        [sys.executable, "-c", script, "--port", "0", "--scheduler-file", known, "--no-dashboard"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not known.exists() or not known.read_text():
            assert scheduler.poll() is None
            time.sleep(0.05)
        address = json.loads(known.read_text())["address"]
        with Cluster(address) as cluster, RunFolder(tmp_path / "run", resume=False) as run:
            scheduler.kill()
            scheduler.wait()
            with pytest.raises(DeviceError) as caught:
                analyze(*case, SETTINGS, executor=cluster, run=run)
        assert caught.value.code == "cluster-unavailable"
    finally:
        scheduler.kill()
        scheduler.wait()


def test_a_client_that_has_given_up_is_an_error() -> None:
    with Cluster("local:1") as cluster:
        cluster._client.close()
        with pytest.raises(DeviceError) as caught:
            list(cluster.map(Failing(), one_partition()))
    assert caught.value.code == "cluster-unavailable"


@pytest.mark.parametrize("address", ["local:0", "local:", "local:x"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError):
        Cluster(address)


def test_nobody_there() -> None:
    with pytest.raises(DeviceError) as caught:
        Cluster("tcp://127.0.0.1:9")
    assert caught.value.code == "cluster-unavailable"
