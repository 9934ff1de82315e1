"""Read a model file: the protobuf message and where its weights lie, without loading them."""

import hashlib
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


def read_model(path: Path) -> tuple[ModelProto, str]:
    """Parse the file and return the message and the file's SHA-256; external data stays where it is.

    Raises:
        ModelError: model-not-found, model-invalid or model-opset.
    """
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise ModelError("model-not-found", f"The model {path} {what}.")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError("model-not-found", f"The model {path} cannot be read: {error.strerror}.") from error
    problem = None
    model = ModelProto()
    if not content:
        problem = "it is empty"
    else:
        try:
            model.ParseFromString(content)
        except (DecodeError, ValueError, RecursionError):
            problem = "it is truncated, or of another format"
        else:
            if not model.HasField("graph") or not model.graph.node:
                problem = "it contains no graph"
    if problem is not None:
        raise ModelError(
            "model-invalid",
            f"{path} is not an ONNX model: {problem}.",
            [Problem(str(path), f"{len(content):,} bytes, {problem}", "check that the file was copied whole")],
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


def external_files(model: ModelProto) -> tuple[str, ...]:
    """Locations of the files in which a model keeps weights, relative to its folder."""
    kept = (tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL)
    entries = (entry for tensor in kept for entry in tensor.external_data)
    return tuple(dict.fromkeys(entry.value for entry in entries if entry.key == "location"))


def lift_constants(model: ModelProto) -> None:
    """Make an initializer of every Constant node of the main graph whose value lies in another file."""
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

    External data is memory-mapped, and lies in the model's folder or below one further root; symbolic links are
    followed before that is decided.
    """

    def __init__(self, folder: Path, external_root: Path | None = None) -> None:
        self._folder = folder
        self._mapped: dict[bytes, Array] = {}
        self._roots = [root.resolve() for root in (folder, external_root) if root is not None]

    def array(self, tensor: TensorProto) -> Array:
        """The tensor's values; a read-only memory map where they lie in another file.

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
        """The initializers that the model keeps in other files, by name, mapped."""
        kept = (tensor for tensor in model.graph.initializer if tensor.data_location == TensorProto.EXTERNAL)
        return {tensor.name: self._external(tensor) for tensor in kept}

    def _external(self, tensor: TensorProto) -> Array:
        """Mapped once, whatever its name: pages of two maps of a file count twice."""
        unnamed = TensorProto()
        unnamed.CopyFrom(tensor)
        unnamed.ClearField("name")
        key = unnamed.SerializeToString(deterministic=True)
        if key not in self._mapped:
            self._mapped[key] = self._map(tensor)
        return self._mapped[key]

    def _map(self, tensor: TensorProto) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        where = f"initializer {tensor.name!r}"

        def refuse(message: str, why: str, do: str) -> ModelError:
            return ModelError("model-external-data", message, [Problem(where, why, do)])

        try:
            path = (self._folder / location).resolve()
            inside = any(path.is_relative_to(root) for root in self._roots)
            there = inside and path.is_file()
        except (OSError, ValueError, RuntimeError) as error:  # a loop of links, a name with a null, one too long
            raise refuse(
                f"The model keeps weights in {location!r}, which cannot be opened.", str(error), _BESIDE
            ) from error
        if not location or not inside:
            raise refuse(
                f"The model keeps weights in {location!r}, outside its own folder.",
                f"{location!r} is {path}, which lies in none of {', '.join(map(str, self._roots))}",
                f"{_BESIDE}, or allow one further folder: --external-root DIR",
            )
        if not there:
            message = f"The model keeps weights in {location!r}, which is missing."
            raise refuse(message, f"{path} is not a file", "copy the weights together with the model")
        if is_of_packed_type(tensor):
            raise refuse(
                f"The weights in {location!r} are of a type whose entries share bytes.",
                f"element type {TensorProto.DataType.Name(tensor.data_type)}",
                "keep these weights inside the model file",
            )
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        shape = tuple(tensor.dims)
        size = prod(shape) * dtype.itemsize
        try:
            offset, length = int(entries.get("offset", 0)), int(entries.get("length", size))
        except ValueError as error:
            raise refuse(f"The place of the weights in {location!r} is no number.", str(error), _AGAIN) from error
        if dtype.hasobject or offset < 0 or length < size or path.stat().st_size < offset + size:
            why = f"{path.stat().st_size:,} bytes, {offset + size:,} needed"
            raise refuse(f"The weights file {location!r} is too short.", why, "copy the file again")
        if size == 0:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", offset, shape)


_BESIDE = "put the weights beside the model"
_AGAIN = "export the model again"
