"""stdout and stderr that are full, closed, slow, unbuffered, or of an encoding that lacks characters."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound.cli.streams import STAND_IN
from tests.cli.test_process import COMMAND, environment
from tests.nets import random_mlp

pytestmark = pytest.mark.skipif(os.name == "nt", reason="POSIX shells and devices only")
LONG = ("explain", "onnxbound.report/1")
"""Prints some 40,000 bytes."""


def run(*arguments: str, unbuffered: str = "", **options: Any) -> "subprocess.CompletedProcess[Any]":
    """A command in a process of its own."""
    variables = environment() | {"PYTHONUNBUFFERED": unbuffered}
    usual = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": variables}
    return subprocess.run([*COMMAND, *arguments], check=False, **usual | options)


def in_a_shell(redirection: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A command with streams as a shell redirects them."""
    line = f'exec "$@" {redirection}'
    words = ["bash", "-c", line, "bash", *COMMAND, *arguments]
    return subprocess.run(words, check=False, env=environment(), capture_output=True, text=True)


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_mlp(tmp_path_factory.mktemp("net") / "net.onnx", [6, 5, 4])


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments, unbuffered", [(("analyze", "--help"), ""), (LONG, ""), (LONG, "1")])
def test_a_full_disk_behind_stdout(arguments: tuple[str, ...], unbuffered: str) -> None:
    with Path("/dev/full").open("w") as full:
        found = run(*arguments, unbuffered=unbuffered, stdout=full)
    assert found.returncode == 6
    assert found.stderr.startswith(b"onnxbound: error: The result cannot be printed: No space left on device.\n")
    assert b"Traceback" not in found.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_stderr_is_not_the_results_fault(net: Path) -> None:
    with Path("/dev/full").open("w") as full:
        assert json.loads(run("inspect", str(net), "--json", stderr=full).stdout)["schema"] == "onnxbound.inspect/1"
        missing = run("inspect", "missing.onnx", "--json", stderr=full)
    assert (missing.returncode, json.loads(missing.stdout)["code"]) == (3, "model-not-found")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, unbuffered: str) -> None:
    """The system takes the first 16,384 bytes of one write, and says so only to who asks how many it took."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    with (tmp_path / "out").open("wb") as file:
        found = run(*LONG, unbuffered=unbuffered, stdout=file, preexec_fn=limit)
    assert (tmp_path / "out").stat().st_size == 16384
    assert found.returncode == 6
    assert b"File too large" in found.stderr


def test_a_temporary_folder_that_fills_up(net: Path, tmp_path: Path) -> None:
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (16384, 16384))

    np.save(tmp_path / "x.npy", np.asfortranarray(np.zeros((5000, 6), np.float32)))
    np.save(tmp_path / "y.npy", np.zeros(5000, np.int64))
    words = ["analyze", net, "--data", tmp_path / "x.npy", "--labels", tmp_path / "y.npy", "--json"]
    found = run(*map(str, words), preexec_fn=limit)
    assert found.returncode == 6
    error = json.loads(found.stdout)
    assert (error["code"], "TMPDIR" in error["problems"][0]["do"]) == ("output-unwritable", True)


def test_a_slow_reader_whose_pipe_does_not_wait() -> None:
    import fcntl

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    found: list[bytes] = []

    def read() -> None:
        with os.fdopen(reading, "rb") as file:
            while part := file.read1(1000):
                found.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    code = run(*LONG, unbuffered="1", stdout=writing).returncode
    os.close(writing)
    reader.join()
    assert code == 0
    assert json.loads(b"".join(found))["$schema"]


@pytest.mark.parametrize(
    "redirection, words, code",
    [
        (">&-", "inspect {net}", 6),
        ("2>&-", "inspect missing.onnx --json", 3),
        (">&- 2>&- <&-", "inspect {net} -o {out}", 0),
        ("<&-", "report -", 4),
    ],
)
def test_closed_streams(net: Path, tmp_path: Path, redirection: str, words: str, code: int) -> None:
    out = tmp_path / "out.txt"
    found = in_a_shell(redirection, *words.format(net=net, out=out).split())
    assert found.returncode == code
    assert "Traceback" not in found.stderr
    assert out.exists() == ("-o" in words)
    if "--json" in words:  # nothing stands before the document
        assert json.loads(found.stdout)["schema"] == ("onnxbound.error/1" if code else "onnxbound.inspect/1")
        assert found.stderr == ""


@pytest.mark.parametrize(
    "encoding, expected",
    [("ascii", "Gro?e ... ? ? +-- # -"), ("latin-1", "Größe ... ? ? +-- # -"), ("cp1252", "Größe … ? € +-- # –")],
)
def test_encodings_that_lack_characters(encoding: str, expected: str) -> None:
    text = "Größe … 猫 € ┏━─ █ –"
    shown, document = text.encode(encoding, STAND_IN), json.dumps({"name": text}, ensure_ascii=False)
    assert shown.decode(encoding) == expected
    assert json.loads(document.encode(encoding, STAND_IN).decode(encoding)) == {"name": text}


def test_both_streams_take_stand_ins(tmp_path: Path) -> None:
    found = run("report", "Größe.json", "--json", env=environment() | {"PYTHONIOENCODING": "ascii"})
    assert b"error: Gro?e.json cannot be read" in found.stderr
    assert json.loads(found.stdout)["message"].startswith("Größe.json")


def test_an_error_after_the_result_leaves_one_document_on_stdout(net: Path, tmp_path: Path) -> None:
    """A result that cannot go where it should goes to stdout; what failed is said on stderr."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from onnxbound.cli import app, output\n"
        "from onnxbound.documents.files import unwritable\n"
        "def emit_and_fail(*_, **__):\n"
        "    output.deliver('{}\\n', None, force=False); raise unwritable(Path('-'), 'full')\n"
        "app.app = emit_and_fail\n"
        "sys.exit(app.run(['--json']))"
    )
    found = subprocess.run([sys.executable, "-c", code], check=False, env=environment(), capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (6, "{}\n")
    assert "cannot be written: full" in found.stderr
