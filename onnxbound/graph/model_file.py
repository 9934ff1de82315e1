"""Read a model file: the protobuf message and where its weights lie, without loading them."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import ModelProto, SparseTensorProto, TensorProto, numpy_helper

from onnxbound.errors import ModelError, Problem
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


class WeightReader:
    """Turns tensors of one model into arrays; external data is memory-mapped and confined to the model's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

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
        """A sparse tensor written out."""
        values, indices = self.array(tensor.values), self.array(tensor.indices)
        result = np.zeros(tuple(tensor.dims), values.dtype)
        if indices.ndim == 1:
            result.reshape(-1)[indices] = values
        else:
            result[tuple(indices.T)] = values
        return result

    def _external(self, tensor: TensorProto) -> Array:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        where = f"initializer {tensor.name!r}"
        path = (self._folder / location).resolve()
        if not location or not path.is_relative_to(self._folder):
            raise ModelError(
                "model-external-data",
                f"The model keeps weights in {location!r}, outside its own folder.",
                [Problem(where, f"{location!r} leaves {self._folder}", "put the weights beside the model")],
            )
        if not path.is_file():
            raise ModelError(
                "model-external-data",
                f"The model keeps weights in {location!r}, which is missing.",
                [Problem(where, f"{path} is not a file", "copy the weights together with the model")],
            )
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        shape = tuple(tensor.dims)
        offset = int(entries.get("offset", 0))
        needed = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if offset < 0 or path.stat().st_size < needed:
            raise ModelError(
                "model-external-data",
                f"The weights file {location!r} is too short.",
                [Problem(where, f"{path.stat().st_size:,} bytes, {needed:,} needed", "copy the file again")],
            )
        if needed == offset:
            return np.empty(shape, dtype)
        return np.memmap(path, dtype, "r", offset, shape)
