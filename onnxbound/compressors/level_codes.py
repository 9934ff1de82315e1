"""Integers of 4 and 8 bits as one entropy code: all such tensors of a model, one behind the other."""

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, numpy_helper

from onnxbound.codec.levels import Coder, Filters, code_signs, code_sizes
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.range_coder import bits_of, bytes_of
from onnxbound.graph.small_integers import integer_tensor

MOST = 1 << 24
"""Levels of all tensors together; more would take hours."""

_WIDTHS: Mapping[int, int] = {TensorProto.INT4: 4, TensorProto.INT8: 8}


def integers(model: ModelProto) -> list[TensorProto]:
    """The tensors of a model that are coded."""
    return [tensor for tensor in model.graph.initializer if tensor.data_type in _WIDTHS and len(tensor.dims)]


def coded(tensors: Sequence[TensorProto]) -> bytes:
    """Their levels; ValueError where they are too many."""
    _require_few(tensors)
    writer = Writer()
    for number, tensor in enumerate(tensors):
        _code(writer, number, tensor, numpy_helper.to_array(tensor).astype(np.int64))
    return bytes_of(writer.finish())


def restore(tensors: Sequence[TensorProto], data: bytes) -> None:
    """Give tensors the levels that they were coded from.

    Raises:
        ValueError: The data are no such code.
        Malformed: They end too early.
    """
    _require_few(tensors)
    reader = Reader(bits_of(data))
    for number, tensor in enumerate(tensors):
        levels, width = _code(reader, number, tensor, None), _WIDTHS[tensor.data_type]
        if levels.size and not -(1 << width - 1) <= levels.min() <= levels.max() < 1 << width - 1:
            raise ValueError(f"levels of {tensor.name} do not fit into {width} bits")
        tensor.raw_data = integer_tensor(tensor.name, levels.reshape(tuple(tensor.dims)), width).raw_data
    if bytes_of(reader.finish()) != data:
        raise ValueError("bytes behind the last level")


def _code(coder: Coder, number: int, tensor: TensorProto, levels: NDArray[np.int64] | None) -> NDArray[np.int64]:
    shape = _filters(tuple(tensor.dims))
    given = None if levels is None else levels.reshape(shape)
    sizes = code_sizes(coder, number, shape, None if given is None else np.abs(given))
    return code_signs(coder, number, shape, sizes, given)


def _filters(dims: tuple[int, ...]) -> Filters:
    """A shape as filters, channels, height, width."""
    if len(dims) > 4:
        return dims[0], dims[1], dims[2], prod(dims[3:])
    padded = (*dims, 1, 1, 1)
    return (dims[0], dims[1], 1, dims[2]) if len(dims) == 3 else (padded[0], padded[1], padded[2], padded[3])


def _require_few(tensors: Sequence[TensorProto]) -> None:
    count = sum(prod(tensor.dims) for tensor in tensors)
    if count > MOST or any(size < 1 for tensor in tensors for size in tensor.dims):
        raise ValueError(f"{count:,} levels; at most {MOST:,} can be coded")
