"""Output files: written whole or not at all, and never over an existing one unasked."""

import os
import re
import secrets
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from onnxbound.errors import OutputError, Problem

TEMPORARY = ".onnxbound-"
"""Beginning of the names of unfinished files. The final name is not part of them, since it may have the full length."""


_LEFT = re.compile(rf"{re.escape(TEMPORARY)}([0-9a-f]{{16}}|[0-9a-z_]{{8}})")


@contextmanager
def unfinished(folder: Path) -> Iterator[None]:
    """Remove temporary files of killed processes from a folder, and protect those of this process meanwhile.

    Each process that writes there holds a shared lock of the folder; the lock ends with the process, however it ends.
    """
    remove_left(folder)
    lock = _locked(folder)
    try:
        yield
    finally:
        if lock is not None:
            os.close(lock)


def remove_left(folder: Path) -> None:
    """Remove what killed processes of this user left in a folder, unless another process is writing there."""
    lock = _locked(folder, alone=True)
    if lock is None:
        return
    with suppress(OSError):
        for path in folder.iterdir():
            if _LEFT.fullmatch(path.name) and path.lstat().st_uid == os.getuid():
                shutil.rmtree(path) if stat.S_ISDIR(path.lstat().st_mode) else path.unlink()
    os.close(lock)


def _locked(folder: Path, *, alone: bool = False) -> int | None:
    """Lock a folder until the lock is closed; None if there are no locks, or if `alone` finds another holder."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except OSError:
        os.close(opened)
        return None
    return opened


def is_folder(path: Path) -> bool:
    """Whether there is such a folder. Unlike `Path.is_dir`, it does not raise if the name is too long."""
    return os.path.isdir(path)  # noqa: PTH112


def require_writable(path: Path, *, force: bool) -> None:
    """Check, before the work begins, that its output file can be written.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        mode = None
    except (OSError, ValueError) as error:  # a name that is too long, say
        raise unwritable(path, getattr(error, "strerror", None) or str(error)) from error
    if mode is not None and not stat.S_ISREG(mode):
        # Neither a link nor a device: as root, /dev/null would be replaced.
        raise unwritable(path, "it is a folder" if stat.S_ISDIR(mode) else "it is not a regular file")
    if mode is not None and not force:
        problem = Problem(str(path), "it is not overwritten unasked", "`force=True` does it")
        raise OutputError("output-exists", f"{path} exists.", [problem])
    if not path.parent.is_dir():
        raise unwritable(path, f"there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise unwritable(path, f"the folder {path.parent} is read-only")


def write_atomically(path: Path, write: Callable[[IO[bytes]], object], *, force: bool) -> None:
    """Write a file beside its final place and move it there.

    Raises:
        OutputError: output-exists or output-unwritable; nothing is left behind.
    """
    require_writable(path, force=force)
    # The name is known before the file is there, so that no signal comes between the two.
    temporary = path.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    with unfinished(path.parent):
        try:
            with temporary.open("xb") as file:
                write(file)
            temporary.replace(path)
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error
        finally:
            temporary.unlink(missing_ok=True)


def unwritable(path: Path, why: str) -> OutputError:
    """Make the error for a file that cannot be written."""
    return OutputError(
        "output-unwritable",
        f"{path} cannot be written: {why}.",
        [Problem(str(path), why, "choose another place, or free space there")],
    )
