"""A compressed model as seeds and integers, from which anyone makes the ONNX file again, bit for bit.

A file of codes is, in this order: the line `onnxbound.codes/1`; the length of the header, eight bytes, lowest first;
the header, JSON; the model, deflated, with the coded weights left out; the entropy code of all integers of 4 and 8
bits; for each weight of Matrix-Project its codes, of equal width and packed without gaps, and the scales that are
folded in behind it, 64-bit floats, where there are any. Making the weights again takes integers, exact sums and a few
roundings of single numbers, which are the same on every machine.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxbound.codec.range_coder import Malformed
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork
from onnxbound.compressors.grid import Grid, Half
from onnxbound.compressors.level_codes import coded, integers, restore
from onnxbound.compressors.matrix_project import SignCode
from onnxbound.compressors.svd import Factors
from onnxbound.errors import DataError, Problem, UsageError
from onnxbound.graph.rewrite import is_transposed
from onnxbound.results import Float64Array
from onnxbound.rng import SIGNS

MAGIC = b"onnxbound.codes/1\n"
_LENGTH_BYTES = 8
_MOST_ENTRIES = 1 << 29
"""Entries of one weight that a file may ask for."""

_MOST_BITS = 62
_MOST_BYTES = 1 << 31


def encode(compressed: CompressedNetwork, model: ModelProto, init_sha256: str | None) -> bytes:
    """The file of codes of a model that was written in a format of small numbers, or from Matrix-Project.

    Args:
        compressed: The net.
        model: As it is written.
        init_sha256: Hash of the initialisation whose distance was compressed; None without one.

    Raises:
        UsageError: compress-codes, a weight is no initializer, or the codes do not give the model again.
    """
    skeleton = ModelProto()
    skeleton.CopyFrom(model)
    tensors = {tensor.name: tensor for tensor in skeleton.graph.initializer}
    entries, payload = [], []
    for name, weight in compressed.weights.items():
        if weight.method == "kept" or isinstance(weight.code, Grid | Half | Factors):
            continue
        if not isinstance(weight.code, SignCode) or name not in tensors:
            why = f"the weight of {weight.layer.name} is a tensor of floats in the file, and no product of signs"
            raise _refused(str(compressed.network.path), why)
        tensors[name].ClearField("raw_data")
        reader = next(node for node in model.graph.node if name in node.input)
        entries.append(_entry(name, weight, reader))
        payload += [pack(weight.code.codes, weight.code.width), _scales(weight)]
    try:
        levels = coded(integers(skeleton))
    except ValueError as error:
        raise _refused(str(compressed.network.path), str(error)) from error
    for tensor in integers(skeleton):
        for field in ("raw_data", "int32_data"):
            tensor.ClearField(field)
    content = model.SerializeToString(deterministic=True)
    whole = skeleton.SerializeToString(deterministic=True)
    body = zlib.compress(whole, 9)
    header = {
        "helper": SIGNS,
        "init": init_sha256,
        "deflated_bytes": len(body),
        "model_bytes": len(whole),
        "level_bytes": len(levels),
        "sha256": hashlib.sha256(content).hexdigest(),
        "weights": entries,
    }
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    return b"".join([MAGIC, len(text).to_bytes(_LENGTH_BYTES, "little"), text, body, levels, *payload])


def decode(
    data: bytes, origins: Mapping[int, Float64Array] | None, init_sha256: str | None, threads: int | None
) -> bytes:
    """The model that a file of codes describes.

    Args:
        data: The file.
        origins: Layer index to the weight of the initialisation, where the distance to one was compressed.
        init_sha256: Hash of that initialisation.
        threads: Threads; None for all cores.

    Returns:
        The bytes of the ONNX file.

    Raises:
        DataError: codes-invalid, the file is damaged or hostile, or of another version.
        UsageError: compress-init, it needs the initialisation, or another one.
    """
    try:
        header, model, rest = _taken_apart(data)
        if header["init"] != init_sha256:
            needed = "no initialisation" if header["init"] is None else f"the initialisation with hash {header['init']}"
            raise UsageError(
                "compress-init",
                f"These codes need {needed}.",
                [Problem("`init`", f"its hash is {init_sha256}", "give the file that was given to compress")],
            )
        tensors = {tensor.name: tensor for tensor in model.graph.initializer}
        count = int(header["level_bytes"])
        restore(integers(model), rest[: max(count, 0)])
        rest = rest[count:]
        for entry, code, scales in _weights(header, rest):
            tensor = tensors[entry["name"]]
            matrix = code.matrix(threads) + (0.0 if origins is None else origins[code.layer])
            with np.errstate(all="ignore"):  # what hostile numbers give is not what was written, and found out below
                tensor.raw_data = _in_file_layout(matrix, scales, entry, tensor)
    except (
        KeyError,
        TypeError,
        ValueError,
        IndexError,
        OverflowError,
        AttributeError,
        DecodeError,
        Malformed,
        zlib.error,
    ) as error:
        raise _damaged(f"{type(error).__name__}: {error}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    if hashlib.sha256(content).hexdigest() != header["sha256"]:
        raise _damaged("the model that they give is not the one that was written")
    return content


def pack(codes: NDArray[np.int64], width: int) -> bytes:
    """Integers in two's complement of so many bits, one behind the other, the lowest bit first.

    >>> pack(np.array([1, -1, 0]), 3).hex()
    '3900'
    """
    bits = (codes[:, None] >> np.arange(width)) & 1
    return np.packbits(bits.astype(np.uint8).ravel(), bitorder="little").tobytes()


def unpack(data: bytes, count: int, width: int) -> NDArray[np.int64]:
    """What `pack` was given; ValueError where the bytes are not what it writes."""
    bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
    if bits[count * width :].any():
        raise ValueError("bits behind the last code")
    table = bits[: count * width].reshape(count, width).astype(np.int64)
    weights = 1 << np.arange(width, dtype=np.int64)
    weights[-1] = -weights[-1]
    return np.asarray(table @ weights)


def _entry(name: str, weight: CompressedLayer, reader: NodeProto) -> dict[str, Any]:
    code = weight.code
    assert isinstance(code, SignCode)
    return {
        "name": name,
        "shape": list(code.shape),
        "layer": code.layer,
        "seed": code.seed,
        "spacing": code.spacing.hex(),
        "count": len(code.codes),
        "width": code.width,
        "scaled": weight.layer.operator.scale is not None,
        "transposed": is_transposed(reader),
    }


def _scales(weight: CompressedLayer) -> bytes:
    scale = weight.layer.operator.scale
    return b"" if scale is None else scale.astype("<f8").tobytes()


def _taken_apart(data: bytes) -> tuple[dict[str, Any], ModelProto, bytes]:
    if not data.startswith(MAGIC):
        raise ValueError("they do not begin as codes of this version do")
    start = len(MAGIC) + _LENGTH_BYTES
    length = int.from_bytes(data[len(MAGIC) : start], "little")
    if length > len(data) - start:
        raise ValueError("the header is cut off")
    header = json.loads(data[start : start + length])
    if header["helper"] != SIGNS:
        raise ValueError(f"the helper string {header['helper']!r} is not known")
    end = start + length + int(header["deflated_bytes"])
    if not start + length <= end <= len(data):
        raise ValueError("the model is cut off")
    size = int(header["model_bytes"])
    if not 0 < size <= _MOST_BYTES:
        raise ValueError(f"the model is declared as {size:,} bytes")
    inflating = zlib.decompressobj()
    whole = inflating.decompress(data[start + length : end], size)
    if len(whole) != size or inflating.unconsumed_tail or inflating.unused_data or not inflating.eof:
        raise ValueError("the model has another size than its header says")
    model = ModelProto()
    model.ParseFromString(whole)
    return header, model, data[end:]


def _weights(header: dict[str, Any], rest: bytes) -> Iterator[tuple[dict[str, Any], SignCode, Float64Array | None]]:
    place = 0
    for entry in header["weights"]:
        shape, count, width = tuple(map(int, entry["shape"])), int(entry["count"]), int(entry["width"])
        if min(shape) < 1 or prod(shape) > _MOST_ENTRIES or count < 1 or not 1 <= width <= _MOST_BITS:
            raise ValueError(f"{entry['name']} is declared as {shape}, {count} codes of {width} bits")
        size = -(-count * width // 8)
        if place + size > len(rest):
            raise ValueError("codes are cut off")
        codes = unpack(rest[place : place + size], count, width)
        place += size
        scales = None
        if entry["scaled"]:
            scales = np.frombuffer(rest[place : place + 8 * shape[0]], "<f8")
            place += 8 * shape[0]
        spacing = float.fromhex(entry["spacing"])
        yield entry, SignCode(shape, spacing, codes, int(entry["seed"]), int(entry["layer"])), scales
    if place != len(rest):
        raise ValueError("bytes behind the last code")


def _in_file_layout(
    matrix: Float64Array, scales: Float64Array | None, entry: dict[str, Any], tensor: TensorProto
) -> bytes:
    """A^ as the file keeps it, exactly as `compressed.described` and `Rewriter.set_weight` make it."""
    if scales is not None:
        per_unit = scales.reshape(-1, *(1,) * (matrix.ndim - 1))
        matrix = matrix * (per_unit != 0) / np.where(per_unit == 0, 1.0, per_unit)
    dtype = helper.tensor_dtype_to_np_dtype(tensor.data_type)
    values = (matrix.T if entry["transposed"] else matrix).reshape(tuple(tensor.dims))
    return bytes(numpy_helper.from_array(np.ascontiguousarray(values, dtype)).raw_data)


def _refused(where: str, why: str) -> UsageError:
    problem = Problem(where, why, "use a format with small integers, or matrix-project")
    return UsageError("compress-codes", "No codes can be written for this model.", [problem])


def _damaged(why: str) -> DataError:
    return DataError("codes-invalid", "The codes cannot be read.", [Problem("codes", why, "copy the file again")])
