"""`run`: the finished partitions of a run on disk, so that it can continue where it was stopped.

    DIR/run.json           what is computed, with everything that a number can depend on, and the hash of that
    DIR/lock               held by the process that works on the run, and released when that process ends
    DIR/STAGE/NUMBER.npz   one finished partition, written whole or not at all, and a seal behind it

The seal is a SHA-256 over the run, the place of the partition in it and its content. A partition whose seal does not
match is computed again. A seal is no signature: whoever can write into the folder can also make seals.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np

from onnxbound.documents.files import TEMPORARY, is_folder, require_writable, unwritable, write_atomically
from onnxbound.errors import Problem, RunError
from onnxbound.run.partitions import Arrays, Partition
from onnxbound.version import __version__

SCHEMA = "onnxbound.run/2"
_HASH = "sha256"
_SEAL_BYTES = 64
_LARGEST = 1 << 30
"""Bytes that are read of a file; a partition has some millions."""


class RunFolder:
    """The partitions of one run.

    Attributes:
        stored: What the folder's run computes, as stored; None where it has not begun.
        refused: Messages about stored partitions that were damaged or of another run; they are computed again.
    """

    def __init__(self, path: Path, *, resume: bool) -> None:
        """Open or make the folder, and lock it.

        Raises:
            RunError: run-exists, run-locked, run-damaged, or run-changed where another version began it.
            OutputError: output-unwritable.
        """
        self._path = path
        self.refused: list[str] = []
        for name in ("lock", "run.json"):
            _is_there(path / name)
        there = is_folder(path)  # anything else is a file in the way, or a name too long
        require_writable(path / "run.json" if there else path, force=there)
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(path, error.strerror or str(error)) from error
        self._lock = _locked(path)
        self._identity = ""
        try:
            self.stored = self._read_manifest(resume=resume)
            # Files that were being written when the process was killed; nobody else writes here under the lock.
            for half_written in (*path.glob(f"{TEMPORARY}*"), *path.glob(f"*/{TEMPORARY}*")):
                with suppress(OSError):
                    half_written.unlink()
        except BaseException:
            self._lock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lock.close()

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Store what will be computed, or check that the folder's run computes the same.

        Raises:
            RunError: run-changed, with every difference.
        """
        document = json.loads(json.dumps({"schema": SCHEMA, **manifest}))
        self._identity = _hash_of(document)
        if self.stored is None:
            text = json.dumps({**document, _HASH: self._identity}, indent=2) + "\n"
            write_atomically(self._path / "run.json", lambda file: file.write(text.encode()), force=True)
        else:
            self._require_same(self.stored, document)

    def damaged(self, why: str) -> RunError:
        """The error for a manifest that no run can have."""
        return _damaged(self._path / "run.json", why)

    def load(self, partition: Partition) -> Arrays | None:
        """A finished partition; None if it is not finished, damaged, or of another run or place.

        Raises:
            RunError: run-damaged, the folder contains something other than files and folders.
        """
        file = self._file(partition)
        if not _is_there(file.parent, folder=True) or not _is_there(file):
            return None
        try:
            content = _read(file)
        except OSError as error:
            self.refused.append(f"{file} cannot be read ({error.strerror}), and is computed again")
            return None
        content, seal = content[:-_SEAL_BYTES], content[-_SEAL_BYTES:]
        if seal != self._seal(partition, content):
            self.refused.append(f"{file} was damaged, changed, or made elsewhere, and is computed again")
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)

    def save(self, partition: Partition, arrays: Arrays) -> None:
        """Keep a finished partition.

        Raises:
            OutputError: output-unwritable.
        """
        file, packed = self._file(partition), io.BytesIO()
        try:
            file.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise unwritable(file.parent, error.strerror or str(error)) from error
        np.savez(packed, **arrays)  # type: ignore[arg-type]
        content = packed.getvalue()
        write_atomically(file, lambda opened: opened.write(content + self._seal(partition, content)), force=True)

    def _seal(self, partition: Partition, content: bytes) -> bytes:
        place = json.dumps([self._identity, partition.stage, partition.number, partition.start, partition.stop])
        return hashlib.sha256(place.encode() + content).hexdigest().encode()

    def _file(self, partition: Partition) -> Path:
        return self._path / partition.stage / f"{partition.number:08d}.npz"

    def _read_manifest(self, *, resume: bool) -> dict[str, Any] | None:
        file = self._path / "run.json"
        if not file.exists():
            return None
        if not resume:
            problem = Problem(str(file), "it exists", "continue the run with `resume`, or choose another folder")
            raise RunError("run-exists", f"{self._path} already holds a run.", [problem])
        try:
            document = json.loads(_read(file))
            if not isinstance(document, dict) or document.get("schema") != SCHEMA:
                raise _damaged(file, f"its schema is not {SCHEMA}")
            if document.pop(_HASH, None) != _hash_of(document):
                raise _damaged(file, "its hash does not match its content")
        except (OSError, ValueError, RecursionError) as error:
            raise _damaged(file, f"it cannot be read: {error}") from error
        self._require_same(document, document | {"version": __version__})  # another one may not know what it says
        return document

    def _require_same(self, then: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        keys = [key for key in {**now, **then} if now.get(key) != then.get(key)]
        problems = [
            Problem(key, f"was {then.get(key)!r}, is now {now.get(key)!r}", "start this run in another folder")
            for key in keys
        ]
        if problems:
            raise RunError("run-changed", f"{self._path} holds a different run.", problems)


def _hash_of(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _is_there(path: Path, *, folder: bool = False) -> bool:
    """Whether there is such a file or folder; a FIFO, say, would keep whoever opens it waiting."""
    if not os.path.lexists(path):
        return False
    if not path.is_dir() if folder else path.is_symlink() or not path.is_file():
        raise _damaged(path, f"it is not a {'folder' if folder else 'file'}")
    return True


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(min(os.fstat(file.fileno()).st_size, _LARGEST))


def _damaged(path: Path, why: str) -> RunError:
    return RunError(
        "run-damaged", f"The run cannot continue: {path}.", [Problem(str(path), why, "choose another folder")]
    )


def _locked(path: Path) -> IO[bytes]:
    """The lock file, held until it is closed or the process ends."""
    try:
        file = (path / "lock").open("ab")
    except OSError as error:
        raise unwritable(path / "lock", error.strerror or str(error)) from error
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        problem = Problem(str(path / "lock"), "it is locked", "wait for the other run, or choose another folder")
        raise RunError("run-locked", f"Another process is using {path}.", [problem]) from error
    return file
