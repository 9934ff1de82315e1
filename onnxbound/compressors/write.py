"""A compressed network as an ONNX model."""

import json

import numpy as np
from onnx import ModelProto

from onnxbound.compressors.activations import add_roundings
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, file_weight
from onnxbound.compressors.grid import Grid, Half, add_stored
from onnxbound.compressors.sites import Site, sites
from onnxbound.compressors.svd import Factors
from onnxbound.graph.halved import halved
from onnxbound.graph.layer import Layer
from onnxbound.graph.newer_opset import raised
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
    if compressed.halved:
        rewriter.model = halved(rewriter.model)
        _strip(rewriter.model)
    else:
        _rewrite(rewriter, compressed, factorise=factorise)
        add_roundings(rewriter.model, compressed.roundings)
    rewriter.note(METADATA_KEY, json.dumps(settings, sort_keys=True, separators=(",", ":")))
    return rewriter.model


def _rewrite(rewriter: Rewriter, compressed: CompressedNetwork, *, factorise: bool) -> None:
    stored = [weight.code for weight in compressed.weights.values() if isinstance(weight.code, Grid | Half)]
    if stored:
        rewriter.model = raised(rewriter.model, max(code.opset for code in stored))
        _strip(rewriter.model)
    shifted = any(weight.shift is not None for weight in compressed.weights.values())
    found = {site.weight: site for site in sites(compressed.network).values()} if stored or shifted else {}
    for name, weight in compressed.weights.items():
        if isinstance(weight.code, Grid | Half):
            _store(rewriter, found[name], weight.code)
        elif weight.method != "kept":
            _write(rewriter, weight, factorise=factorise)
        if weight.shift is not None:
            _move_bias(rewriter, found[name], weight.shift)


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


def _store(rewriter: Rewriter, site: Site, code: Grid | Half) -> None:
    """In place of the initializer nodes that make the weight."""
    graph = rewriter.model.graph
    (old,) = [tensor for tensor in graph.initializer if tensor.name == site.weight]
    graph.initializer.remove(old)
    add_stored(rewriter.model, site.weight, code, site.shape, transposed=site.transposed, kind=old.data_type)


def _move_bias(rewriter: Rewriter, site: Site, shift: Float64Array) -> None:
    assert site.bias is not None
    value = rewriter.constant(site.bias)
    assert value is not None
    rewriter.set_constant(site.bias, (site.offset + shift / _divisor(site.layer, 1, axis=0)).astype(value.dtype))


def _strip(model: ModelProto) -> None:
    """Without what anyone can infer, what exporters note of their own sources, and constants that nothing reads.

    Constants are no inputs, which they need not be from version 4 of the format on.
    """
    graph = model.graph
    model.ir_version = max(model.ir_version, 4)
    constants = {tensor.name for tensor in graph.initializer}
    for value in [value for value in graph.input if value.name in constants]:
        graph.input.remove(value)
    del graph.value_info[:]
    for node in graph.node:
        node.ClearField("doc_string")
        del node.metadata_props[:]
    inner = any(a.HasField("g") or a.graphs for node in graph.node for a in node.attribute)
    read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    for tensor in [] if inner else [tensor for tensor in graph.initializer if tensor.name not in read]:
        graph.initializer.remove(tensor)
