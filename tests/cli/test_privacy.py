"""Nothing is sent, and nothing is written that nobody asked for: not even by the libraries underneath."""

import ctypes
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from onnxbound.cli.app import app
from tests.cli.command import write_rows
from tests.nets import random_mlp

ROOT = Path(__file__).parents[2]
RUN = """
import sys
from tests.cli.test_privacy import forbid_the_network
forbid_the_network()
from onnxbound.cli.app import run
for line in sys.stdin.read().splitlines():
    print(line, file=sys.stderr, flush=True)
    assert run(line.split()) == 0
"""
COMMANDS = """
inspect net.onnx
analyze net.onnx --data rows.npz -q --json -o one.json --samples samples.npz --run run
analyze net.onnx --data deflated.npz -q --json -o two.json --engine onnxruntime
analyze net.onnx --data rows.npz -q --json -o three.json --cluster local:2 --threads 1
noise net.onnx --data rows.npz -q
compare net.onnx other.onnx --data rows.npz -q
track net.onnx other.onnx --data rows.npz --test test.npz -q
rank net.onnx other.onnx --data rows.npz --test test.npz -q
certify net.onnx --holdout rows.npz -o certificate -q
verify certificate --holdout rows.npz --model net.onnx
report one.json -o report.html --plots plots
diff one.json two.json
compress net.onnx --data rows.npz --method matrix-project --keep 50% -o small.onnx --codes small.codes -q
decompress small.codes -o again.onnx
explain layer_cushion
env
"""
WRITTEN = {
    "one.json", "two.json", "three.json", "samples.npz", "run", "certificate", "report.html", "plots", "small.onnx",
    "small.codes", "again.onnx",
}  # fmt: skip


def forbid_the_network() -> None:
    """From here on, the process dies of SIGSYS if it, or any library in it, makes a socket of any family (Linux).

    A pair of sockets, as between a process and its children, is another call: nobody else can reach them.
    """
    number = {"x86_64": 41, "aarch64": 198}.get(os.uname().machine)
    assert number is not None
    load, equal, give = 0x20, 0x15, 0x06
    of_call, kill, allow = 0, 0x80000000, 0x7FFF0000
    program = [(load, 0, 0, of_call), (equal, 0, 1, number), (give, 0, 0, kill), (give, 0, 0, allow)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
    filter_ = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code)))
    library = ctypes.CDLL(None, use_errno=True)
    no_new_privileges, seccomp, by_filter = 38, 22, 2
    assert library.prctl(no_new_privileges, 1, 0, 0, 0) == 0
    assert library.prctl(seccomp, by_filter, filter_, 0, 0) == 0, os.strerror(ctypes.get_errno())


def guarded(folder: Path, words: list[str], stdin: str) -> "subprocess.CompletedProcess[str]":
    """A child with an empty home and an empty temporary folder, and no variable that would keep a library quiet."""
    for name in ("home", "tmp", "work"):
        (folder / name).mkdir(exist_ok=True)
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    return subprocess.run(
        words, input=stdin, check=False, cwd=folder / "work", env=environment, capture_output=True, text=True
    )


def given_files(work: Path) -> None:
    """What the commands are run on."""
    work.mkdir()
    random_mlp(work / "net.onnx", [6, 5, 4])
    random_mlp(work / "other.onnx", [6, 7, 4])
    write_rows(work / "test.npz", 100)
    with np.load(write_rows(work / "rows.npz", 300)) as rows:
        np.savez_compressed(work / "deflated.npz", **rows)


def test_every_verb_is_among_the_commands() -> None:
    verbs = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    assert {line.split()[0] for line in COMMANDS.strip().splitlines()} == verbs


@pytest.mark.skipif(sys.platform != "linux", reason="the network is forbidden by seccomp, which Linux has")
def test_no_verb_makes_a_socket_or_leaves_a_file_that_nobody_asked_for(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    work = tmp_path / "work"
    given_files(work)
    given = {entry.name for entry in work.iterdir()}
    found = guarded(tmp_path, [sys.executable, "-c", RUN], COMMANDS.strip())
    assert found.returncode == 0, found.stderr
    for name in ("home", "tmp"):
        assert not list((tmp_path / name).rglob("*"))
    assert {entry.name for entry in work.iterdir()} == given | WRITTEN


@pytest.mark.skipif(sys.platform != "linux", reason="the network is forbidden by seccomp, which Linux has")
@pytest.mark.parametrize("call, code", [("socketpair()[0]", 0), ("socket(1)", -31), ("socket(2)", -31)])
def test_what_forbids_the_network_would_notice(tmp_path: Path, call: str, code: int) -> None:
    line = "from tests.cli.test_privacy import forbid_the_network as f; import socket as s; f();"
    assert guarded(tmp_path, [sys.executable, "-c", f"{line} s.{call}.close()"], "").returncode == code


CHANGING = re.compile(r"^(?:\d+ +)?(mkdir|unlink|rmdir|rename|link|symlink|truncate|chmod|mknod|utimensat|open|creat)")
TRACED = "trace=?creat,/open,/mkdir,/unlink,?rmdir,/rename,/link,/truncate,/chmod,/mknod,?utimensat"


def written(trace: str, work: Path) -> set[Path]:
    """Where the calls of a trace of strace would have changed the file system, whether or not they could."""
    found = set()
    for line in trace.splitlines():
        reads = "open" in line.split("(")[0] and not re.search(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC", line)
        if CHANGING.match(line) and not reads:
            for folder, name in re.findall(r'(?:(?:AT_FDCWD|\d+)<([^>]*)>, )?"([^"]*)"', line):
                found.add(Path(os.path.normpath(Path(folder or work, name))))
    return found


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not there")
def test_no_verb_writes_anywhere_else_on_the_way(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    work, trace = tmp_path / "work", tmp_path / "trace"
    given_files(work)
    probe = guarded(tmp_path, ["strace", "-o", str(trace), "true"], "")
    if probe.returncode:
        pytest.skip(f"strace may not trace here: {probe.stderr[:80]}")
    run = RUN.replace("forbid_the_network()\nfrom", "from")
    words = ["strace", "-f", "-y", "-s", "4096", "-o", str(trace), "-e", TRACED, "-e", "signal=none"]
    found = guarded(tmp_path, [*words, sys.executable, "-c", run], COMMANDS.strip())
    assert found.returncode == 0, found.stderr
    places = written(trace.read_text(errors="replace"), work)
    assert work / "samples.npz" in {place.parent / "samples.npz" for place in places}
    assert any(place.is_relative_to(tmp_path / "tmp") for place in places)
    allowed = (work, tmp_path / "tmp", Path(os.devnull))
    assert not {place for place in places if not any(map(place.is_relative_to, allowed))}


@pytest.mark.parametrize("module", ["onnxbound", "onnxbound.run.session", "onnxbound.run.device"])
def test_the_runtime_is_told_before_it_is_imported(tmp_path: Path, module: str) -> None:
    """It reads the variable once, as it is imported; a value that was there before does not change that."""
    code = (
        "import os, sys; os.environ['ORT_DISABLE_TELEMETRY'] = '0'\n"
        "class Watch:\n"
        "    def find_spec(self, name, *_):\n"
        "        assert name != 'onnxruntime' or os.environ['ORT_DISABLE_TELEMETRY'] == '1'\n"
        f"sys.meta_path.insert(0, Watch()); import {module}; import onnxruntime"
    )
    found = guarded(tmp_path, [sys.executable, "-c", code], "")
    assert found.returncode == 0, found.stderr
