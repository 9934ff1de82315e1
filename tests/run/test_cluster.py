"""The same partitions on a Dask cluster: the same report, and what happens when parts of it die."""

import io
import json
import logging
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("distributed", reason="the extra distributed is not installed")

from onnxbound import Settings
from onnxbound.analysis.analyze import analyze
from onnxbound.errors import DeviceError, ModelError
from onnxbound.run.cluster import Cluster, _without_tracebacks
from onnxbound.run.folder import RunFolder
from tests.run.test_folder import SETTINGS, case, require_equal
from tests.run.works import Dying, DyingOnce, Failing, Summing, parts, require_sums

__all__ = ["case"]

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
ONE_THREAD = Settings(probes=2, measured=300, threads=1)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    from distributed import LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0") as local,
        Cluster(local.scheduler_address) as found,
    ):
        yield found


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_the_report_is_that_of_one_machine(case: Any, cluster: Cluster, engine: Any) -> None:
    settings = Settings(probes=2, measured=300, threads=1, engine=engine)
    require_equal(analyze(*case, settings, executor=cluster), analyze(*case, settings))


def test_a_test_set_is_counted_there_too(case: Any, cluster: Cluster) -> None:
    network, rows = case
    test = rows.sample(rows.count // 2, 0)
    there = analyze(network, rows, ONE_THREAD, test_rows=test, executor=cluster)
    here = analyze(network, rows, ONE_THREAD, test_rows=test)
    assert there.data.test_error == here.data.test_error
    assert there.test_errors is not None
    assert here.test_errors is not None
    assert there.test_errors.tolist() == here.test_errors.tolist()
    assert there.tool.executor == "dask"


def test_an_error_of_a_worker_is_the_users_error(cluster: Cluster) -> None:
    assert list(cluster.map(Failing(), [])) == []
    with pytest.raises(ModelError, match="no such thing") as caught:
        list(cluster.map(Failing(), parts()))
    assert caught.value.problems[0].where == "here"


def test_a_lost_worker_is_survived(cluster: Cluster, tmp_path: Path) -> None:
    require_sums(cluster.map(DyingOnce(tmp_path / "died"), parts(12)), range(12))
    assert (tmp_path / "died").exists()


def test_work_that_kills_every_worker_is_an_error(cluster: Cluster) -> None:
    with pytest.raises(DeviceError) as caught:
        list(cluster.map(Dying(), parts()))
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


def test_a_client_that_has_given_up_is_an_error(cluster: Cluster) -> None:
    with Cluster(cluster._address) as other:
        other._client.close()
        with pytest.raises(DeviceError) as caught:
            list(other.map(Summing(), parts()))
    assert caught.value.code == "cluster-unavailable"


def test_nobody_there() -> None:
    with pytest.raises(DeviceError) as caught:
        Cluster("tcp://127.0.0.1:9")
    assert caught.value.code == "cluster-unavailable"


def test_dask_prints_no_tracebacks_of_its_own() -> None:
    """It logs the loss of a scheduler with them; afterwards its loggers are as they were."""
    logger, stream = logging.getLogger("distributed.client"), io.StringIO()
    handler = logging.StreamHandler(stream)  # of the kind that Dask adds where nobody else has one
    logger.addHandler(handler)
    try:
        with _without_tracebacks():
            logger.error("inside")
        logger.error("outside")
    finally:
        logger.removeHandler(handler)
    assert stream.getvalue() == "outside\n"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is nothing to make a certificate with")
def test_only_holders_of_a_certificate_reach_a_cluster_with_tls(tmp_path: Path) -> None:
    from dask import config
    from distributed import LocalCluster, Security

    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*words, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    files = {"tls_ca_file": certificate, "require_encryption": True}
    for role in ("scheduler", "worker", "client"):
        files |= {f"tls_{role}_cert": certificate, f"tls_{role}_key": key}
    mine = {"ca-file": certificate, "client.cert": certificate, "client.key": key}
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0", protocol="tls://",
        security=Security(**files),
    ) as local:  # fmt: skip
        assert local.scheduler_address.startswith("tls://")
        with pytest.raises(DeviceError) as caught:
            Cluster(local.scheduler_address)
        assert caught.value.code == "cluster-unavailable"
        with (
            config.set({f"distributed.comm.tls.{name}": file for name, file in mine.items()}),
            Cluster(local.scheduler_address) as cluster,
        ):
            require_sums(cluster.map(Summing(), parts(3)), range(3))
