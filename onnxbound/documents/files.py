"""Output files: written whole or not at all, and never over an existing one unasked."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from onnxbound.errors import OutputError, Problem


def require_writable(path: Path, *, force: bool) -> None:
    """Find out before the work begins whether a file can be written after it.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    if path.exists() and not force:
        raise OutputError(
            "output-exists",
            f"{path} exists.",
            [Problem(str(path), "it is not overwritten unasked", "`force=True` does it")],
        )
    if path.is_dir():
        raise unwritable(path, "it is a folder")
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
    temporary: Path | None = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            temporary = Path(file.name)
            write(file)
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path, error.strerror or str(error)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def unwritable(path: Path, why: str) -> OutputError:
    """What is said of a file that cannot be written."""
    return OutputError(
        "output-unwritable",
        f"{path} cannot be written: {why}.",
        [Problem(str(path), why, "choose another place, or free space there")],
    )
