"""A compressed network as an ONNX model."""

import json

import numpy as np
from onnx import ModelProto

from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, file_weight
from onnxbound.compressors.svd import Factors
from onnxbound.graph.network import Layer
from onnxbound.graph.rewrite import Rewriter, multiply_adds
from onnxbound.operators.conv import Conv
from onnxbound.results import Float64Array

METADATA_KEY = "onnxbound.compressors"


def to_model(compressed: CompressedNetwork, settings: dict[str, object], *, factorise: bool = False) -> ModelProto:
    """The file with the weights rewritten, everything else as it was, and a note of what was done.

    Args:
        compressed: The net.
        settings: What the note says.
        factorise: Write a truncated layer as two where that takes fewer multiply-adds.
    """
    rewriter = Rewriter(compressed.network)
    for weight in compressed.weights.values():
        if weight.method != "kept":
            _write(rewriter, weight, factorise=factorise)
    rewriter.note(METADATA_KEY, json.dumps(settings, sort_keys=True))
    return rewriter.model


def saves(layer: Layer, rank: int) -> bool:
    """Whether two layers of this rank take fewer multiply-adds than one; a grouped convolution stays one."""
    if isinstance(layer.operator, Conv) and layer.operator.groups > 1:
        return False
    whole, two = multiply_adds(layer, rank)
    return two < whole


def _write(rewriter: Rewriter, weight: CompressedLayer, *, factorise: bool) -> None:
    layer, code = weight.layer, weight.code
    single = len(rewriter.readers(layer)) == 1
    if weight.filters is not None:
        rewriter.per_position(layer, weight.filters / _divisor(layer, weight.filters.ndim, axis=1))
    elif factorise and isinstance(code, Factors) and single and saves(layer, code.rank):
        rewriter.factorise(layer, code.left / _divisor(layer, 2, axis=0), code.right)
    else:
        rewriter.set_weight(layer, file_weight(layer, weight.weight))


def _divisor(layer: Layer, ndim: int, axis: int) -> Float64Array:
    """The scale that is folded in behind the layer, to be divided by along an axis; 1 where it is 0."""
    scale = layer.operator.scale
    if scale is None:
        return np.ones((1,) * ndim)
    shape = [-1 if place == axis else 1 for place in range(ndim)]
    return np.where(scale == 0, 1.0, scale).reshape(shape)
