"""Activations joined with constants, as a class token is put before the patches of an image."""

from collections.abc import Mapping

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.operator import Array, Shape, Unsupported


def concat(node: GraphNode, shapes: Mapping[str, Shape], constants: Mapping[str, Array], write: NodeWriter) -> None:
    """Concat: activations are joined with zeros in the places of constants, and an Add puts the constants there."""
    if not any(name in constants for name in node.inputs):
        return
    rank = len(next(shapes[name] for name in node.inputs if name in shapes)) + 1
    axis = int(node.attributes().get("axis", 1)) % rank
    if axis == 0:
        raise Unsupported("it joins along the batch axis, so rows would not be independent")
    pieces = {name: _one_row(constants[name]) for name in node.inputs if name in constants}
    joined = [pieces[name] if name in pieces else np.zeros((1, *shapes[name]), np.float32) for name in node.inputs]
    activations = [name for name in node.inputs if name in shapes]
    around = [[0, 0] for _ in activations]
    seen = 0
    for name, piece in zip(node.inputs, joined, strict=True):
        if name in shapes:
            seen += 1
        elif seen:
            around[seen - 1][1] += piece.shape[axis]
        else:
            around[0][0] += piece.shape[axis]
    padded = [_padded(write, name, rank, axis, *zeros) for name, zeros in zip(activations, around, strict=True)]
    whole = padded[0] if len(padded) == 1 else write.add("Concat", *padded, axis=axis)
    (first, *others) = pieces
    numbers = write.constant(np.concatenate([piece.ravel() for piece in pieces.values()])) if others else first
    total = write.constant(np.concatenate(joined, axis=axis).astype(np.float32), origin=numbers)
    write.add("Add", whole, total, output=node.outputs[0])


def _one_row(constant: Array) -> Array:
    """What every row of a constant with a batch axis is."""
    values = np.asarray(constant)
    if not values.ndim or (len(values) > 1 and np.any(values != values[:1])):
        raise Unsupported("it joins an activation with a constant that differs from row to row")
    return values[:1]


def _padded(write: NodeWriter, name: str, rank: int, axis: int, before: int, behind: int) -> str:
    if not before and not behind:
        return name
    pads = [0] * (2 * rank)
    pads[axis], pads[axis + rank] = before, behind
    if write.opset < 11:
        return write.add("Pad", name, pads=pads)
    return write.add("Pad", name, write.constant(np.array(pads)))
