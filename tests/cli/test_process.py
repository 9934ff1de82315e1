"""What only a process of its own shows: signals, pipes, imports."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import write_rows
from tests.nets import random_mlp
from tests.oracle.models import FIXTURES

COMMAND = [sys.executable, "-m", "onnxbound"]
HANGING = 600
"""Seconds after which a process is not merely slow."""


def environment() -> dict[str, str]:
    root = str(Path(__file__).parents[2])
    return os.environ | {"PYTHONPATH": root}


def long_run(tmp_path: Path) -> list[str]:
    """A run of some minutes."""
    x = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 3), np.uint8)
    data = tmp_path / "rows.npz"
    np.savez(data, x=x, y=np.arange(2000) % 10)
    model = str(FIXTURES / "cifar10_cnn.onnx")
    return ["analyze", model, "--data", str(data), "--layout", "nhwc", "--scale", "1/255", "--measured", "all"]


def heed_interrupts() -> None:
    """A job in the background of a shell ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_work(process: subprocess.Popen[str], seconds: float) -> None:
    """Until a process has computed for so long, however busy the machine is; where nobody counts, twice that time."""
    counts = Path(f"/proc/{process.pid}/stat")
    if not counts.exists():
        time.sleep(2 * seconds)
    while counts.exists() and process.poll() is None:
        user, system = map(int, counts.read_text().rpartition(")")[2].split()[11:13])
        if user + system >= seconds * os.sysconf("SC_CLK_TCK"):
            break
        time.sleep(0.1)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
@pytest.mark.parametrize("number, as_json", [(signal.SIGINT, True), (signal.SIGTERM, False)])
def test_interruption(tmp_path: Path, number: int, as_json: bool) -> None:
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    arguments = [*long_run(tmp_path), "--probes", "exact", "--samples", str(outputs / "samples.npz")]
    process = subprocess.Popen(
        [*COMMAND, *arguments, *(["--json"] if as_json else [])],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts,
    )  # fmt: skip
    with process:
        try:
            wait_for_work(process, 4)
            assert process.poll() is None, process.communicate()
            process.send_signal(number)
            out, err = process.communicate(timeout=HANGING)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "Interrupted" in err
    assert "Traceback" not in err
    assert "nothing was written" in err
    assert not list(outputs.iterdir())
    if as_json:
        assert json.loads(out)["code"] == "interrupted"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_model_that_is_tried_goes_with_the_process(tmp_path: Path, name: str) -> None:
    """A signal while a compressed net lies beside its place: it is neither there nor in its place afterwards."""
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    (tmp_path / "outputs").mkdir()
    code = (
        "import os, signal, sys, time\n"
        "from onnxbound.__main__ import main\n"
        "from onnxbound.run.model_output import Staged\n"
        "write = Staged.write\n"
        "def stopped(self, model):\n"
        f"    write(self, model); assert self.path.exists(); os.kill(os.getpid(), signal.{name}); time.sleep(60)\n"
        "Staged.write = stopped\n"
        f"signal.signal(signal.{name}, signal.default_int_handler if '{name}' == 'SIGINT' else signal.SIG_DFL)\n"
        "main()"
    )
    words = ["compress", model, "--data", data, "--method", "svd", "--rank", "2", "-o", tmp_path / "outputs" / "o.onnx"]
    command = [sys.executable, "-c", code, *map(str, words)]
    found = subprocess.run(command, check=False, env=environment(), capture_output=True, text=True)
    assert found.returncode == 130, found.stderr
    assert "Interrupted" in found.stderr
    assert not list((tmp_path / "outputs").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
@pytest.mark.parametrize("kind", ["ImportError", "MemoryError"])
def test_a_library_that_makes_another_error_of_a_signal(tmp_path: Path, kind: str) -> None:
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    code = (
        "import os, signal\n"
        "from onnxbound.__main__ import main\n"
        "from onnxbound.run import installation\n"
        "def interrupted(_):\n"
        "    try: os.kill(os.getpid(), signal.SIGTERM)\n"
        f"    except KeyboardInterrupt as error: raise {kind}('import interrupted') from error\n"
        "installation.import_module = interrupted\n"
        "main()"
    )
    command = [sys.executable, "-c", code, "analyze", str(model), "--data", str(data)]
    found = subprocess.run(command, check=False, env=environment(), capture_output=True, text=True)
    assert found.returncode == 130, found.stderr
    assert "Interrupted" in found.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")
@pytest.mark.parametrize("times", [1, 2])
def test_a_signal_waits_for_the_end_of_an_import(tmp_path: Path, times: int) -> None:
    """But not the second one."""
    lines = ["import os, signal, time", *times * ["os.kill(os.getpid(), signal.SIGTERM)"], "time.sleep(0.3)"]
    (tmp_path / "imported.py").write_text("\n".join([*lines, "print('whole')"]))
    code = (
        "import time\n"
        "from onnxbound.cli.signals import heed_signals\n"
        "heed_signals()\n"
        "try: import imported; time.sleep(60)\n"
        "except KeyboardInterrupt: print('interrupted')"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], check=True, env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert found.stdout.split() == ["whole", "interrupted"][times - 1 :]
    assert not found.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows kills in another way")
def test_killed_and_resumed(tmp_path: Path) -> None:
    """kill -9 in the middle, twice; the run that is resumed gives what an uninterrupted one gives, bit for bit."""
    arguments = [*long_run(tmp_path)[:-2], "--measured", "300", "--probes", "1", "--threads", "1", "--engine", "numpy"]
    kept = [*COMMAND, *arguments, "--run", str(tmp_path / "run"), "--resume"]

    def parts() -> int:
        return sum(1 for _ in (tmp_path / "run").glob("*/*.npz"))

    for _ in range(2):
        before = parts()
        with subprocess.Popen(kept, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            while process.poll() is None and parts() < before + 2:
                time.sleep(0.01)
            process.kill()
        assert process.returncode == -signal.SIGKILL
    samples = [tmp_path / "resumed.npz", tmp_path / "whole.npz"]
    for command, file in zip((kept, [*COMMAND, *arguments]), samples, strict=True):
        subprocess.run([*command, "--samples", str(file)], check=True, env=environment(), capture_output=True)
    with np.load(samples[0]) as resumed, np.load(samples[1]) as whole:
        for name in whole:
            np.testing.assert_array_equal(resumed[name], whole[name])


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells only")
def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    model, data = random_mlp(tmp_path / "net.onnx", [6, 5, 4]), write_rows(tmp_path / "rows.npz")
    line = (
        f'{sys.executable} -m onnxbound analyze {model} --data {data} --json -q | head -c 10; echo "${{PIPESTATUS[0]}}"'
    )
    found = subprocess.run(["bash", "-c", line], check=True, env=environment(), capture_output=True, text=True)
    assert found.stdout.startswith('{\n  "schem')
    assert found.stdout.endswith("0\n")
    assert found.stderr == ""


@pytest.mark.parametrize("argument", ["--version", "--help"])
def test_start_up_imports_nothing_heavy(argument: str) -> None:
    code = (
        "import sys; from onnxbound.cli.app import run; run([sys.argv[1]]);"
        "print(sorted({'numpy', 'scipy', 'onnx', 'onnxruntime'} & sys.modules.keys()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, argument], check=True, env=environment(), capture_output=True, text=True
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_no_python_api_name_is_missing() -> None:
    import onnxbound

    for name in onnxbound.__all__:
        assert getattr(onnxbound, name) is not None
    with pytest.raises(AttributeError, match="frobnicate"):
        _ = onnxbound.frobnicate
