"""Resize and Upsample: entries repeated, or interpolated between neighbours."""

from collections.abc import Mapping
from math import floor, prod

import numpy as np

from onnxbound.graph.constants import evaluate
from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.graph.screen import require_moderate
from onnxbound.operators.operator import Array, Shape, Unsupported

Shapes = Mapping[str, Shape]
Constants = Mapping[str, Array]


def resize(node: GraphNode, shapes: Shapes, constants: Constants, write: NodeWriter) -> None:
    """Resize and Upsample: a Gather of the nearest entries, or an interpolation along each axis."""
    mode = node.attributes().get("mode", "nearest")
    if mode == "nearest":
        _nearest(node, shapes[node.inputs[0]], constants, write)
    elif mode in ("linear", "bilinear"):
        _linear(node, shapes[node.inputs[0]], constants, write)
    else:
        raise Unsupported(f"mode={mode!r}", "onnxbound reads mode='nearest' and mode='linear'")


def _nearest(node: GraphNode, shape: Shape, constants: Constants, write: NodeWriter) -> None:
    """The entries are counted through, resized, and gathered."""
    values: list[Array | None] = [np.arange(prod(shape), dtype=np.float64).reshape(1, *shape)]
    for name in node.inputs[1:]:
        value = np.array(constants[name]) if name in constants else None
        if value is not None and value.dtype.kind in "iu" and value.size == len(shape) + 1:
            value[0] = 1  # sizes, with the batch that shape arithmetic was resolved with
        values.append(value)
    result = evaluate(node, values, write.opset)
    if result is None or result[0].shape[0] != 1:
        raise Unsupported("it enlarges the batch, or the onnx package cannot evaluate it")
    index = np.rint(result[0]).astype(np.int64)[0]
    flat = write.reshape(node.inputs[0], (prod(shape),))
    chosen = write.add("Gather", flat, write.constant(index.ravel()), axis=1)
    write.reshape(chosen, index.shape, node.outputs[0])


def _linear(node: GraphNode, shape: Shape, constants: Constants, write: NodeWriter) -> None:
    """Along each axis (1 - w) times the entry before and w times the one behind; the ends go on for ever."""
    attributes = node.attributes()
    odd = {"antialias", "exclude_outside", "keep_aspect_ratio_policy"} & attributes.keys()
    if any(attributes[name] not in (0, "stretch") for name in odd):
        raise Unsupported(f"it has {', '.join(sorted(odd))}", "export without")
    changed = [
        (axis, *lengths)
        for axis, lengths in enumerate(_lengths(node, shape, constants, write.opset))
        if axis and lengths[1:] != (lengths[0], 1.0)
    ]
    result = node.inputs[0]
    for axis, length, wanted, scale in changed:
        places = np.clip(_places(node, write.opset, length, wanted, scale), 0, length - 1)
        before = np.minimum(np.floor(places).astype(np.int64), max(length - 2, 0))
        share = (places - before).astype(np.float32).reshape(-1, *(1,) * (len(shape) - axis))
        terms = [
            write.add("Mul", write.add("Gather", result, write.constant(index), axis=axis), write.constant(factor))
            for index, factor in ((before, 1 - share), (np.minimum(before + 1, length - 1), share))
        ]
        result = write.add("Add", *terms, output=node.outputs[0] if axis == changed[-1][0] else "")
    if not changed:
        write.reshape(result, shape, node.outputs[0])


def _lengths(node: GraphNode, shape: Shape, constants: Constants, opset: int) -> list[tuple[int, int, float]]:
    """Per axis, the batch first as if it were 1: its length before, its length behind, and the scale."""
    rank, attributes = len(shape) + 1, node.attributes()
    given = [constants.get(name) for name in node.inputs[1:]]
    scales, sizes = (*given[1 if node.op_type == "Resize" and opset >= 11 else 0 :], None, None)[:2]
    if scales is None and "scales" in attributes:
        scales = np.asarray(attributes["scales"])
    axes = [int(axis) % rank for axis in attributes.get("axes", range(rank))]
    result = [(n, n, 1.0) for n in (1, *shape)]
    if scales is not None and np.size(scales) == len(axes):
        for axis, scale in zip(axes, np.ravel(scales).tolist(), strict=True):
            length = result[axis][0]
            result[axis] = (length, floor(length * scale), scale)
    elif sizes is not None and np.size(sizes) == len(axes):
        for axis, size in zip(axes, np.ravel(sizes).tolist(), strict=True):
            length = result[axis][0]
            result[axis] = (length, int(size), size / length) if axis else result[axis]
    else:
        raise Unsupported("its scales are not constants")
    if result[0][1:] != (1, 1.0) or min(wanted for _, wanted, _ in result) < 1:
        raise Unsupported("it enlarges the batch")
    require_moderate(f"output of {node.where}", tuple(wanted for _, wanted, _ in result))
    return result


def _places(node: GraphNode, opset: int, length: int, wanted: int, scale: float) -> Array:
    """Where in the input each entry of the output lies, by `coordinate_transformation_mode`."""
    old = node.op_type == "Upsample" or opset < 11
    mode = "asymmetric" if old else node.attributes().get("coordinate_transformation_mode", "half_pixel")
    index = np.arange(wanted, dtype=np.float64)
    centred = (index + 0.5) / scale - 0.5
    if mode == "half_pixel":
        return centred
    if mode == "pytorch_half_pixel":
        return centred if wanted > 1 else np.zeros(1)
    if mode == "half_pixel_symmetric":
        return length / 2 * (1 - wanted / (length * scale)) + centred
    if mode == "align_corners":
        if abs(length * scale - wanted) > 1e-6 * wanted:
            raise Unsupported(
                "its scale gives a fractional output length, for which runtimes place the corners differently",
                "export with sizes",
            )
        return index * ((length - 1) / (wanted - 1)) if wanted > 1 else np.zeros(1)
    if mode == "asymmetric":
        return index / scale
    raise Unsupported(f"coordinate_transformation_mode={mode!r}", "export with half_pixel or align_corners")
