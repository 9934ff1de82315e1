"""Output files: written whole or not at all, and never over an existing one unasked."""

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import IO

from onnxbound.errors import OutputError, Problem

TEMPORARY = ".onnxbound-"
"""How names of files begin that are not whole yet; what the file will be called may be as long as names can be."""


def require_writable(path: Path, *, force: bool) -> None:
    """Find out before the work begins whether a file can be written after it.

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
    try:
        with temporary.open("xb") as file:
            write(file)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def unwritable(path: Path, why: str) -> OutputError:
    """What is said of a file that cannot be written."""
    return OutputError(
        "output-unwritable",
        f"{path} cannot be written: {why}.",
        [Problem(str(path), why, "choose another place, or free space there")],
    )
