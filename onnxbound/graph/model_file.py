"""Read a model file: the protobuf message and where its weights lie, without loading them."""

import hashlib
import stat
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, SparseTensorProto, TensorProto, numpy_helper

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.screen import is_of_packed_type, require_coordinates
from onnxbound.operators.operator import Array

OLDEST_OPSET = 7
"""Before it, element-wise operators broadcast by other rules."""

_COPIED = 1 << 25
"""Bytes up to which a file of weights is read, and not mapped."""


def read_model(path: Path) -> tuple[ModelProto, str]:
    """Parse the file and return the message and the file's SHA-256; external data stays where it is.

    Raises:
        ModelError: model-not-found, model-invalid or model-opset.
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)  # a FIFO would be waited for
        content = path.read_bytes() if regular else b""
    except FileNotFoundError as error:
        problem = Problem(str(path), "there is no such file", "check the path")
        raise ModelError("model-not-found", f"The model {path} does not exist.", [problem]) from error
    except OSError as error:
        raise ModelError("model-not-found", f"The model {path} cannot be read: {error.strerror}.") from error
    if not regular:
        raise ModelError("model-not-found", f"The model {path} is not a file.")
    why = None
    model = ModelProto()
    if not content:
        why = "it is empty"
    else:
        try:
            model.ParseFromString(content)
        except (DecodeError, ValueError, RecursionError):
            archive = content.startswith(b"PK")
            why = "it is a zip file, as .npz is" if archive else "it is truncated, or of another format"
        else:
            if not model.HasField("graph") or not model.graph.node:
                why = "it contains no graph"
    if why is not None:
        raise ModelError(
            "model-invalid",
            f"{path} is not an ONNX model: {why}.",
            [Problem(str(path), f"{len(content):,} bytes, {why}", "name an ONNX file, copied whole")],
        )
    _check_opset(model, path)
    return model, hashlib.sha256(content).hexdigest()


def default_opset(model: ModelProto) -> int:
    """Version of the default operator set, 1 if the file does not say."""
    return next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 1)


def _check_opset(model: ModelProto, path: Path) -> None:
    opset = default_opset(model)
    if opset < OLDEST_OPSET:
        raise ModelError(
            "model-opset",
            f"{path} uses opset {opset}; onnxbound reads opset {OLDEST_OPSET} and newer.",
            [Problem("opset_import", f"opset {opset}", "convert it with onnx.version_converter.convert_version")],
        )


def external_files(model: ModelProto) -> dict[str, str]:
    """Files in which a model keeps weights, relative to its folder, each with the name of one weight in it."""
    sparse = (tensor for pair in model.graph.sparse_initializer for tensor in (pair.values, pair.indices))
    kept = [t for t in (*model.graph.initializer, *sparse) if t.data_location == TensorProto.EXTERNAL]
    return {_location(tensor): tensor.name for tensor in reversed(kept)}


def _location(tensor: TensorProto) -> str:
    return str({entry.key: entry.value for entry in tensor.external_data}.get("location", ""))


def lift_constants(model: ModelProto) -> None:
    """Turn every Constant node of the main graph whose value lies in another file into an initializer."""
    graph = model.graph
    lifted = []
    for node in graph.node:
        for attribute in node.attribute:
            tensor = attribute.t
            if tensor.data_location == TensorProto.EXTERNAL and node.op_type == "Constant" and len(node.output) == 1:
                graph.initializer.add().CopyFrom(tensor)
                graph.initializer[-1].name = node.output[0]
                lifted.append(node)
    for node in lifted:
        graph.node.remove(node)


class WeightReader:
    """Turns tensors of one model into arrays.

    External data lies in the model's folder or below one further root; symbolic links are followed before that is
    decided. A small file is read once, and a large one memory-mapped: what others do to the small one later does not
    matter. Whoever cuts a mapped file short ends this process by SIGBUS, which Python cannot turn into an error, and
    whoever writes into it changes the weights; those who may write there are trusted.
    """

    def __init__(self, folder: Path, external_root: Path | None = None) -> None:
        self._folder = folder
        self._files: dict[Path, Array] = {}
        self._roots = [root.resolve() for root in (folder, external_root) if root is not None]

    def array(self, tensor: TensorProto) -> Array:
        """The tensor's values, read-only where they lie in another file.

        Raises:
            ModelError: model-external-data or model-invalid.
        """
        if tensor.data_location != TensorProto.EXTERNAL:
            try:
                return np.asarray(numpy_helper.to_array(tensor))
            except (ValueError, TypeError, KeyError, NotImplementedError) as error:
                raise ModelError("model-invalid", f"The tensor {tensor.name!r} cannot be read: {error}") from error
        return self._external(tensor)

    def dense(self, tensor: SparseTensorProto) -> Array:
        """A sparse tensor written out.

        Raises:
            ModelError: model-external-data or model-invalid.
        """
        values, indices = self.array(tensor.values), self.array(tensor.indices)
        require_coordinates(tensor.values.name, indices, values, tuple(tensor.dims))
        result = np.zeros(tuple(tensor.dims), values.dtype)
        if indices.ndim == 1:
            result.reshape(-1)[indices] = values
        else:
            result[tuple(indices.T)] = values
        return result

    def external(self, model: ModelProto) -> Mapping[str, Array]:
        """The initializers that the model keeps in other files, by name."""
        kept = (tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL)
        return {tensor.name: self._external(tensor) for tensor in kept}

    def fingerprint(self, model: ModelProto, sha256: str) -> str:
        """SHA-256 of a model with every file that it keeps weights in.

        Args:
            model: The message.
            sha256: Hash of its own file, which is the result where there are no others; otherwise that of a text with a
                line for the hash of this file and of each other, these in the order of their locations.

        Raises:
            ModelError: model-external-data.
        """
        hashes = [sha256]
        for location, name in sorted(external_files(model).items()):
            path = self._path(location, f"initializer {name!r}")
            content = self._content(path, location, f"initializer {name!r}")
            if isinstance(content, np.memmap):
                with path.open("rb") as file:
                    hashes.append(hashlib.file_digest(file, "sha256").hexdigest())
            else:
                hashes.append(hashlib.sha256(content.data).hexdigest())
        lines = "".join(f"{digest}\n" for digest in hashes)
        return sha256 if len(hashes) == 1 else hashlib.sha256(lines.encode()).hexdigest()

    def _external(self, tensor: TensorProto) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location, where = _location(tensor), f"initializer {tensor.name!r}"
        path = self._path(location, where)
        if is_of_packed_type(tensor):
            raise _refusal(
                f"The weights in {location!r} are of a type with several entries to a byte.",
                where,
                f"element type {TensorProto.DataType.Name(tensor.data_type)}",
                "keep these weights inside the model file",
            )
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        shape = tuple(tensor.dims)
        size = prod(shape) * dtype.itemsize
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError as error:
            message = f"The offset or length of the weights in {location!r} is not a number."
            raise _refusal(message, where, str(error), "export the model again") from error
        content = self._content(path, location, where)
        if dtype.hasobject or offset < 0 or length < size or content.size < offset + size:
            why = f"it has {content.size:,} bytes, and {offset + size:,} are needed"
            raise _refusal(f"The weights file {location!r} is too short.", where, why, "copy the file again")
        return content[offset : offset + size].view(dtype).reshape(shape)

    def _path(self, location: str, where: str) -> Path:
        """The file of that location, where it may be opened."""
        try:
            path = (self._folder / location).resolve()
            inside = any(path.is_relative_to(root) for root in self._roots)
            there = inside and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a name with a null, one too long
            raise _unopened(location, where, error) from error
        if not location or not inside:
            raise _refusal(
                f"The model keeps weights in {location!r}, outside its own folder.",
                where,
                f"{location!r} is {path}, which lies in none of {', '.join(map(str, self._roots))}",
                f"{_BESIDE}, or allow one further folder with `external_root`",
            )
        if not there:
            message = f"The model keeps weights in {location!r}, which is missing."
            raise _refusal(message, where, f"{path} is not a file", "copy the weights together with the model")
        return path

    def _content(self, path: Path, location: str, where: str) -> Array:
        """The file's bytes; mapped once, since pages of two maps of a file count twice."""
        if path not in self._files:
            try:
                large = path.stat().st_size > _COPIED
                content: Array = np.memmap(path, np.uint8, "r") if large else np.fromfile(path, np.uint8)
            except OSError as error:
                raise _unopened(location, where, error) from error
            content.flags.writeable = False
            self._files[path] = content
        return self._files[path]


_BESIDE = "put the weights beside the model"


def _refusal(message: str, where: str, why: str, do: str) -> ModelError:
    return ModelError("model-external-data", message, [Problem(where, why, do)])


def _unopened(location: str, where: str, error: Exception) -> ModelError:
    return _refusal(f"The model keeps weights in {location!r}, which cannot be opened.", where, str(error), _BESIDE)
