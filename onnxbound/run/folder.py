"""`--run DIR`: a run's finished partitions on disk, so that it can go on where it was stopped.

    DIR/run.json           what is computed, with everything that a number can depend on
    DIR/lock               held by the process that works on it, and released with it however it ends
    DIR/STAGE/NUMBER.npz   one finished partition, written whole or not at all

A partition that cannot be read, or that belongs to another run, counts as not finished.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from onnxbound.documents.files import require_writable, write_atomically
from onnxbound.errors import Problem, RunError
from onnxbound.run.partitions import Arrays, Partition

SCHEMA = "onnxbound.run/1"
_IDENTITY = "run"
"""Array of a partition's file that names the run it belongs to."""


class RunFolder:
    """The partitions of one run."""

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Open or make the folder, and lock it.

        Raises:
            RunError: run-exists, run-locked or run-damaged.
            OutputError: output-unwritable.
        """
        self._path = path
        # Anything but a folder is a file in the way.
        require_writable(path / "run.json" if path.is_dir() else path, force=path.is_dir())
        path.mkdir(exist_ok=True)
        self._lock = _locked(path)
        self._identity = ""
        try:
            self.stored = self._read_manifest()
        except BaseException:
            self._lock.close()
            raise
        if self.stored is not None and not resume:
            self._lock.close()
            raise RunError(
                "run-exists",
                f"{path} already holds a run.",
                [Problem(str(path), "it has a run.json", "go on with it by --resume, or choose another folder")],
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.close()

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Say what will be computed, or find that it is what the folder holds.

        Raises:
            RunError: run-changed, with every difference.
        """
        document = json.loads(json.dumps({"schema": SCHEMA, **manifest}))
        if self.stored is None:
            text = json.dumps(document, indent=2) + "\n"
            write_atomically(self._path / "run.json", lambda file: file.write(text.encode()), force=True)
        elif self.stored != document:
            keys = [key for key in document | self.stored if document.get(key) != self.stored.get(key)]
            problems = [
                Problem(key, f"then {self.stored.get(key)!r}, now {document.get(key)!r}", "start a run of its own")
                for key in keys
            ]
            raise RunError("run-changed", f"{self._path} holds a run of something else.", problems)
        self._identity = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()

    def load(self, partition: Partition) -> Arrays | None:
        """A finished partition; None if it is not finished, damaged, or of another run."""
        try:
            with self._file(partition).open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = dict(stored)
        except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
            return None
        return arrays if str(arrays.pop(_IDENTITY, "")) == self._identity else None

    def save(self, partition: Partition, arrays: Arrays) -> None:
        """Keep a finished partition.

        Raises:
            OutputError: output-unwritable.
        """
        file = self._file(partition)
        file.parent.mkdir(exist_ok=True)
        everything: dict[str, Any] = {**arrays, _IDENTITY: np.array(self._identity)}
        write_atomically(file, lambda opened: np.savez(opened, **everything), force=True)

    def _file(self, partition: Partition) -> Path:
        return self._path / partition.stage / f"{partition.number:08d}.npz"

    def _read_manifest(self) -> dict[str, Any] | None:
        file = self._path / "run.json"
        if not file.exists():
            return None
        try:
            document = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            why = f"it cannot be read: {error}"
        else:
            if isinstance(document, dict) and document.get("schema") == SCHEMA:
                return document
            why = f"it is not of the form {SCHEMA}"
        problem = Problem(str(file), why, "choose another folder")
        raise RunError("run-damaged", f"{file} does not describe a run.", [problem])


def _locked(path: Path) -> IO[bytes]:
    """The lock file, held until it is closed or the process ends."""
    file = (path / "lock").open("ab")
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        problem = Problem(str(path / "lock"), "it is held", "wait for the other run, or choose another folder")
        raise RunError("run-locked", f"Another process works on {path}.", [problem]) from error
    return file
