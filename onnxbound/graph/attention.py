"""Attention of opset 23, spelled with the products and the Softmax that it stands for."""

from collections.abc import Mapping
from math import sqrt

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode
from onnxbound.operators.operator import Array, Shape, Unsupported

_READ = {
    "is_causal", "kv_num_heads", "q_num_heads", "qk_matmul_output_mode", "scale", "softcap", "softmax_precision",
}  # fmt: skip

_NEVER = -1e6
"""In place of minus infinity: the Softmax of a score that much lower is 0 just as well, and differences are defined."""


def attention(node: GraphNode, shapes: Mapping[str, Shape], constants: Mapping[str, Array], write: NodeWriter) -> None:
    """Attention: Softmax(scale Q K^T + mask) V for each head; the mask has to be constant."""
    attributes = node.attributes()
    names = (*node.inputs, "", "", "")[: max(len(node.inputs), 4)]
    if len(node.outputs) > 1 or len(node.inputs) > 4 or attributes.get("softcap", 0.0) or attributes.keys() - _READ:
        raise Unsupported("it has a cache, a window, a cap on scores or more than one output")
    if not all(name in shapes for name in names[:3]):
        raise Unsupported("its queries, keys or values are constants")
    counts = [int(attributes.get(f"{kind}_num_heads", 0)) for kind in ("q", "kv", "kv")]
    flat = len(shapes[names[0]]) == 2
    q, k, v = (
        _heads(write, name, shapes[name], count) if flat else (name, shapes[name])
        for name, count in zip(names[:3], counts, strict=True)
    )
    heads, length, width = q[1]
    scale = float(attributes.get("scale", 1 / sqrt(width)))
    keys, values = (_shared(write, *pair, heads) for pair in (k, v))
    scores = write.add("MatMul", q[0], write.add("Transpose", keys, perm=[0, 1, 3, 2]))
    scores = write.add("Mul", scores, write.constant(np.float32(scale)))
    mask = _mask(names[3], constants, (length, k[1][1]), causal=bool(attributes.get("is_causal", 0)))
    if mask is not None:
        scores = write.add("Add", scores, write.constant(mask))
    mixed = write.add("MatMul", write.add("Softmax", scores, axis=-1), values, output="" if flat else node.outputs[0])
    if flat:
        together = write.add("Transpose", mixed, perm=[0, 2, 1, 3])
        write.reshape(together, (length, heads * v[1][2]), node.outputs[0])


def _heads(write: NodeWriter, name: str, shape: Shape, count: int) -> tuple[str, Shape]:
    """(length, heads * width) as (heads, length, width)."""
    length, whole = shape
    if not count or whole % count:
        raise Unsupported(f"{whole} entries cannot be divided into {count} heads")
    apart = write.reshape(name, (length, count, whole // count))
    return write.add("Transpose", apart, perm=[0, 2, 1, 3]), (count, length, whole // count)


def _shared(write: NodeWriter, name: str, shape: Shape, heads: int) -> str:
    """Keys or values with as many heads as there are queries, each used by several."""
    if shape[0] == heads:
        return name
    if heads % shape[0]:
        raise Unsupported(f"{heads} query heads cannot be divided among {shape[0]} key heads")
    return write.add("Gather", name, write.constant(np.repeat(np.arange(shape[0]), heads // shape[0])), axis=1)


def _mask(name: str, constants: Mapping[str, Array], shape: tuple[int, int], *, causal: bool) -> Array | None:
    """What is added to the scores, one row of it; None for nothing."""
    mask = np.zeros(shape, np.float32)
    if causal:
        mask[np.triu_indices(shape[0], 1, shape[1])] = _NEVER
    if not name:
        return mask if causal else None
    if name not in constants:
        raise Unsupported("its mask depends on the rows", "export with a constant mask")
    given = np.asarray(constants[name])
    if given.ndim == 4 and len(given) > 1:
        raise Unsupported("its mask differs from row to row")
    given = given[0] if given.ndim == 4 else given
    if given.shape[-1] < shape[1]:
        raise Unsupported("its mask is shorter than the keys")
    added = np.where(given, 0, _NEVER) if given.dtype == np.bool_ else np.maximum(given, _NEVER)
    whole = np.asarray(np.maximum(mask + added[..., : shape[1]], _NEVER), np.float32)
    if np.any(whole.max(axis=-1) == np.float32(_NEVER)):
        raise Unsupported("its mask hides every key from a query")
    return whole
