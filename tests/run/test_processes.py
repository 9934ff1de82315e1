"""The same partitions in processes on this machine: the same report, and what happens when parts of it die."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from onnxbound import Settings
from onnxbound.analysis.analyze import analyze
from onnxbound.errors import DeviceError, ModelError, UsageError
from onnxbound.run.cluster import exposure, open_cluster
from onnxbound.run.folder import RunFolder
from onnxbound.run.processes import Processes
from tests.cli.command import write_rows
from tests.cli.test_process import COMMAND, environment, heed_interrupts
from tests.nets import random_mlp
from tests.run.test_folder import case, require_equal
from tests.run.works import Dying, DyingOnce, Failing, Summing, parts, require_sums

__all__ = ["case"]


@pytest.fixture(scope="module")
def processes() -> Iterator[Processes]:
    with Processes(2) as found:
        yield found


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_the_report_is_that_of_one_process(case: Any, processes: Processes, engine: Any, tmp_path: Path) -> None:
    network, rows = case
    test = rows.sample(rows.count // 2, 0)
    settings = Settings(probes=2, measured=300, threads=1, engine=engine)
    with RunFolder(tmp_path / "run", resume=False) as run:
        there = analyze(network, rows, settings, test_rows=test, executor=processes, run=run)
    require_equal(there, analyze(network, rows, settings, test_rows=test))
    assert there.tool.executor == "processes"


def test_an_error_of_a_process_is_the_users_error_and_the_others_go_on(processes: Processes) -> None:
    assert list(processes.map(Failing(), [])) == []
    with pytest.raises(ModelError, match="no such thing") as caught:
        list(processes.map(Failing(), parts(3)))
    assert caught.value.problems[0].where == "here"
    require_sums(processes.map(Summing(), parts(5)), range(5))


def test_answers_that_nobody_waited_for_are_not_taken_for_others(processes: Processes) -> None:
    work = Summing()
    found = processes.map(work, parts(9))
    next(found)
    found.close()  # type: ignore[attr-defined]
    require_sums(processes.map(work, parts(4, start=20)), range(20, 24))


def test_a_lost_process_is_survived(processes: Processes, tmp_path: Path) -> None:
    require_sums(processes.map(DyingOnce(tmp_path / "died"), parts(12)), range(12))
    assert (tmp_path / "died").exists()


def test_work_that_kills_every_process_is_an_error(processes: Processes) -> None:
    with pytest.raises(DeviceError) as caught:
        list(processes.map(Dying(), parts()))
    assert (caught.value.code, caught.value.exit_code) == ("cluster-unavailable", 5)


@pytest.mark.parametrize("address", ["local:0", "local:", "local:x"])
def test_addresses_that_are_none(address: str) -> None:
    with pytest.raises(UsageError, match="`cluster`"):
        open_cluster(address)


def test_who_may_run_code_is_said() -> None:
    assert exposure("local:2") == exposure("tls://scheduler:8786") == []
    assert "can run code as you" in exposure("tcp://scheduler:8786")[0]


def children(process: int) -> list[int]:
    """Processes whose parent a process is, and theirs."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], check=False, capture_output=True, text=True)
    direct = [int(line) for line in listed.stdout.split()]
    return direct + [child for parent in direct for child in children(parent)]


def alive(process: int) -> bool:
    state = Path(f"/proc/{process}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_processes_and_their_copies_of_the_model_go_with_their_parent(tmp_path: Path, name: str) -> None:
    model, data = random_mlp(tmp_path / "net.onnx", [6, 50, 4]), write_rows(tmp_path / "rows.npz", 20_000)
    (tmp_path / "tmp").mkdir()
    words = ["analyze", model, "--data", data, "--cluster", "local:2", "--measured", "all", "--probes", "exact", "-q"]
    command = [*COMMAND, *map(str, words)]
    with subprocess.Popen(
        command, env=environment() | {"TMPDIR": str(tmp_path / "tmp")}, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
    ) as parent:  # fmt: skip
        try:
            while parent.poll() is None and not list((tmp_path / "tmp").glob("onnxbound-scratch-*")):
                time.sleep(0.02)
            started = children(parent.pid)
            assert started
            # Ctrl-C reaches the whole group.
            os.kill(parent.pid, signal.SIGKILL) if name == "SIGKILL" else os.killpg(parent.pid, getattr(signal, name))
            _, err = parent.communicate(timeout=60)
        finally:
            parent.kill()
    for _ in range(600):
        if not any(map(alive, started)):
            break
        time.sleep(0.1)
    assert not any(map(alive, started))
    assert "Traceback" not in err
    assert parent.returncode == (-signal.SIGKILL if name == "SIGKILL" else 130)
    assert not list((tmp_path / "tmp").glob("onnxbound-scratch-*"))
