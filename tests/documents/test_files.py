"""Files are written whole or not at all, and never over another unasked."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from onnxbound.documents.files import TEMPORARY, require_writable, unfinished, write_atomically
from onnxbound.errors import OutputError
from onnxbound.stability.samples import write_samples
from tests.report.example import example


def write(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def full_disk(file: IO[bytes]) -> None:
    file.write(b"half")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "out", lambda file: file.write(b"text"), force=False)
    assert (tmp_path / "out").read_bytes() == b"text"
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o666 & ~mask


def test_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(OutputError) as caught:
        write_atomically(path, lambda file: file.write(b"new"), force=False)
    assert caught.value.code == "output-exists"
    assert "`force=True`" in caught.value.problems[0].do
    assert path.read_bytes() == b"old"
    write_atomically(path, lambda file: file.write(b"new"), force=True)
    assert path.read_bytes() == b"new"


def test_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_bytes(b"old")
    with pytest.raises(OutputError, match="No space left on device") as caught:
        write_atomically(path, full_disk, force=True)
    assert caught.value.code == "output-unwritable"
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["out"]


def test_interruption_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(_: IO[bytes]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "out", interrupt, force=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="folders cannot be locked there")
def test_what_killed_processes_left_goes_with_the_next_file(tmp_path: Path) -> None:
    code = (
        "import os, sys, tempfile; from pathlib import Path; from onnxbound.documents.files import *\n"
        "with unfinished(Path('.')):\n"
        "    tempfile.mkdtemp(dir='.', prefix=TEMPORARY)\n"
        "    write_atomically(Path('out'), lambda file: (print('there', flush=True), sys.stdin.read()), force=True)"
    )
    others = {f"{TEMPORARY}conventions.toml", ".onnxbound", "mine"}
    for name in others:
        (tmp_path / name).write_text("")
    words = [sys.executable, "-c", code]
    root = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(words, cwd=tmp_path, env=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writing:
        assert writing.stdout is not None
        assert writing.stdout.readline() == b"there\n"
        write_atomically(tmp_path / "one", lambda file: file.write(b"text"), force=False)
        at_work = {path.name for path in tmp_path.iterdir()} - others - {"one"}
        writing.kill()
    assert len(at_work) == 2
    assert all(name.startswith(TEMPORARY) for name in at_work)
    with unfinished(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == others | {"one"}


@pytest.mark.parametrize("place", ["missing/out", "."])
def test_places_that_cannot_be_written(tmp_path: Path, place: str) -> None:
    with pytest.raises(OutputError) as caught:
        write_atomically(tmp_path / place, lambda file: file.write(b""), force=True)
    assert caught.value.code == "output-unwritable"
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("name", ["n" * 256, "d/" * 2500 + "n", "a\0b"])
def test_names_that_the_file_system_does_not_take(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError) as caught:
        require_writable(tmp_path / name, force=True)
    assert caught.value.code == "output-unwritable"


def test_the_longest_name_that_the_file_system_takes(tmp_path: Path) -> None:
    write_atomically(tmp_path / ("n" * 255), lambda file: file.write(b"text"), force=False)
    assert (tmp_path / ("n" * 255)).read_bytes() == b"text"


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["device", "FIFO", "link", "link to nothing", "link to a device"])
def test_only_regular_files_are_replaced(tmp_path: Path, kind: str) -> None:
    path, target = tmp_path / "out", tmp_path / "target"
    target.write_bytes(b"old")
    if kind == "device":
        path = Path("/dev/null")
    elif kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to({"link": target, "link to nothing": "nothing", "link to a device": "/dev/null"}[kind])
    before = path.lstat()
    for force in (False, True):
        with pytest.raises(OutputError, match="not a regular file") as caught:
            write_atomically(path, lambda file: file.write(b"new"), force=force)
        assert caught.value.code == "output-unwritable"
    assert (path.lstat().st_mode, path.lstat().st_ino) == (before.st_mode, before.st_ino)
    assert target.read_bytes() == b"old"


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o555)
    if os.access(tmp_path, os.W_OK):  # root may write everywhere, so the answer has to be made up
        monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="read-only") as caught:
        write_atomically(tmp_path / "out", lambda file: file.write(b""), force=False)
    assert caught.value.code == "output-unwritable"


def test_samples_file(tmp_path: Path) -> None:
    report = example("residual")
    write_samples(report.samples, tmp_path / "samples.npz", force=False)
    with np.load(tmp_path / "samples.npz", allow_pickle=False) as arrays:
        assert set(arrays) == set(report.samples)
        for name, values in report.samples.items():
            np.testing.assert_array_equal(arrays[name], values)
