"""Temporary folders, removed with their process, or if it is killed, when the next one is made."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "onnxbound-scratch-"


@contextmanager
def scratch() -> Iterator[Path]:
    """Make a folder that no other user can read; first remove those that killed processes of this user left."""
    if sys.platform == "win32":  # a folder cannot be locked there
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    remove_left()
    while True:
        with tempfile.TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
            held = _held(Path(name))
            if held is None:  # another process took it for one that was left
                continue
            try:
                yield Path(name)
            finally:
                os.close(held)
            return


def _held(folder: Path) -> int | None:
    """The folder's lock, which goes with the process; None where another process has it, or the folder is gone."""
    import fcntl

    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(held).st_uid == os.getuid() and os.fstat(held).st_nlink > 0 and folder.exists():
            return held
    except OSError:
        pass
    os.close(held)
    return None


def remove_left() -> None:
    """Remove the folders of processes that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*") if sys.platform != "win32" else ():
        held = _held(folder)
        if held is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)
