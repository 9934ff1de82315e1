"""Models written to disk: whole or not at all, large weights in a file beside them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import onnx
from onnx import ModelProto, TensorProto

from onnxbound.documents.files import TEMPORARY, require_writable, unfinished, unwritable, write_atomically

MESSAGE_BYTES = (1 << 31) - (1 << 24)
"""From here on weights lie outside: a protobuf message ends at 2 GiB."""

_LEAST_BYTES = 1024
_ALIGNMENT = 4096


def model_files(path: Path) -> list[Path]:
    """The files that a model may be written to."""
    return [path, path.with_name(path.name + ".data")]


def write_model(model: ModelProto, path: Path, *, force: bool, message_bytes: int = MESSAGE_BYTES) -> None:
    """Write a model; its weights into `path`.data where together they are too large for one message.

    Args:
        model: A model with its weights inside; it is not changed, unless they are written outside.
        path: The file.
        force: Whether an existing file is overwritten.
        message_bytes: Size from which on weights are written outside.

    Raises:
        OutputError: output-exists or output-unwritable; no half-written file is left behind.
    """
    tensors = [tensor for tensor in model.graph.initializer if len(tensor.raw_data) >= _LEAST_BYTES]
    if sum(len(tensor.raw_data) for tensor in tensors) >= message_bytes:
        require_writable(path, force=force)
        _write_outside(tensors, model_files(path)[1], force=force)
    content = model.SerializeToString(deterministic=True)
    write_atomically(path, lambda file: file.write(content), force=force)


@dataclass(frozen=True, slots=True)
class Staged:
    """A model in a folder of its own beside its final place, to be measured before it is moved there."""

    path: Path

    def write(self, model: ModelProto) -> None:
        """Write a model, in place of the one before."""
        write_model(model, self.path, force=True)

    @property
    def size(self) -> int:
        """Bytes, those of external data included."""
        return sum(file.stat().st_size for file in model_files(self.path) if file.exists())

    def move(self, output: Path, *, force: bool) -> None:
        """Move the model to its place, weights first.

        Raises:
            OutputError: output-exists or output-unwritable.
        """
        pairs = list(zip(model_files(self.path), model_files(output), strict=True))
        written = [(file, place) for file, place in pairs if file.exists()]
        for _, place in written:
            require_writable(place, force=force)
        for file, place in reversed(written):
            file.replace(place)


@contextmanager
def staged(output: Path) -> Iterator[Staged]:
    """A temporary folder beside `output` for a model that is not final yet.

    Raises:
        OutputError: output-unwritable.
    """
    with unfinished(output.parent):
        try:
            folder = tempfile.TemporaryDirectory(dir=output.parent, prefix=TEMPORARY)
        except OSError as error:
            raise unwritable(output, error.strerror or str(error)) from error
        with folder as name:
            yield Staged(Path(name) / output.name)


def passes_checker(path: Path) -> bool:
    """Whether `onnx.checker` accepts a file; onnxruntime also runs files that it rejects."""
    try:
        onnx.checker.check_model(str(path))  # noqa: TID251 - reported, never a gate
    except (onnx.checker.ValidationError, ValueError, RuntimeError):  # noqa: TID251
        return False
    return True


def _write_outside(tensors: list[TensorProto], path: Path, *, force: bool) -> None:
    places = []
    offset = 0
    for tensor in tensors:
        places.append(offset)
        offset += -(-len(tensor.raw_data) // _ALIGNMENT) * _ALIGNMENT

    def write(file: IO[bytes]) -> None:
        for tensor, place in zip(tensors, places, strict=True):
            file.seek(place)
            file.write(tensor.raw_data)

    write_atomically(path, write, force=force)
    for tensor, place in zip(tensors, places, strict=True):
        entries = {"location": path.name, "offset": str(place), "length": str(len(tensor.raw_data))}
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.extend(onnx.StringStringEntryProto(key=k, value=v) for k, v in entries.items())
