"""Temporary folders go with their process, or when the next one comes."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from onnxbound.run.scratch import scratch
from tests.cli.test_process import environment


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_for_this_user_and_goes(tmp_path: Path) -> None:
    with scratch() as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o077 == 0 or os.name == "nt"
        (folder / "file").write_text("")
    with pytest.raises(KeyboardInterrupt), scratch():
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be locked there")
def test_what_a_killed_process_left_goes_with_the_next_and_what_another_uses_stays(tmp_path: Path) -> None:
    code = (
        "import os, sys, tempfile\n"
        "from onnxbound.run.scratch import scratch\n"
        "tempfile.tempdir = sys.argv[1]\n"
        "with scratch() as folder:\n"
        "    (folder / 'file').write_text('')\n"
        "    print(folder, flush=True)\n"
        "    input()\n"
        "    os._exit(1)"
    )
    other = tmp_path / "onnxbound-data"
    other.mkdir()
    (tmp_path / "onnxbound-scratch-link").symlink_to(other)
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
    ) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        with scratch():
            assert (folder / "file").exists()
        child.communicate("\n")
    assert (folder / "file").exists()
    with scratch():
        assert not folder.exists()
    assert other.exists()
