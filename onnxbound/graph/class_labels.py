"""Evaluate what was cut off behind the logits: it has to choose the class that they do, and it may name the classes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, ValueInfoProto, helper

from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph
from onnxbound.operators.operator import Array, Shape

Label = int | str

_PIECE = 256
_TRIALS = 32
_CLEAR, _GAP = 4.0, 0.05


class HeadError(Exception):
    """An output behind the logits does not choose the class of the largest one.

    Attributes:
        constant: Whether it is the same for every row.
    """

    def __init__(self, head: str, why: str, *, constant: bool = False) -> None:
        super().__init__(why)
        self.head = head
        self.constant = constant


def class_labels(
    graph: OnnxGraph,
    opsets: ModelProto,
    heads: Sequence[str],
    logits: str,
    shapes: Mapping[str, Shape],
    batch: int | None,
) -> tuple[Label, ...]:
    """The names that the outputs behind the logits give the classes; 0 to K - 1 where none names them.

    Every output is evaluated at made-up logits. Rows in which one class is far ahead of the others give the name of
    each class. On random rows the output has to choose the class of the largest logit; with a single logit z, a
    single probability p has to exceed 1/2 where z > 0, and only there.

    Args:
        graph: The graph, the nodes behind the logits included.
        opsets: The message that imports their operator sets.
        heads: Names of the outputs behind the logits.
        logits: Name of the logits.
        shapes: Tensor name to the shape of one row.
        batch: The number of rows that the outputs are computed from; None for any number.

    Raises:
        HeadError: An output chooses another class, or cannot be evaluated.
    """
    size = prod(shapes[logits])
    if heads and max(shapes[logits], default=1) < size:
        raise HeadError(heads[0], f"it is computed from rows of shape {shapes[logits]}")
    producers = graph.producers()
    named = []
    for head in heads:
        node = producers[head]
        # A ZipMap is the last node of what it is in, and the reference lacks it.
        zipped, listed = node.op_type == "ai.onnx.ml::ZipMap", node.attributes()
        columns = listed.get("classlabels_int64s") or listed.get("classlabels_strings") if zipped else None
        scores = node.inputs[0] if zipped else head
        named.append(_labels(_ClassHead(graph, opsets, scores, logits, shapes, batch), size) or columns)
    return next(filter(None, named), tuple(range(max(size, 2))))


def _labels(head: "_ClassHead", size: int) -> tuple[Label, ...] | None:
    """The names that an output has for the classes; None if it gives scores alone."""
    rows = _rows(size)
    decided = _decided(rows)
    scores = head.run(rows)
    if scores.shape[1] == 1:
        scores = scores[:, 0]
        own = np.concatenate([head.run(clear)[:, 0] for clear in _clear(size)])
        named = len(set(own.tolist())) == len(own) and np.array_equal(own[decided], scores)
        if named:
            return tuple(map(_label, own))
        if len(set(scores.tolist())) == 1:
            raise HeadError(head.output, f"it is {_label(scores[0])} whatever the row", constant=True)
        agrees = size == 1 and scores.dtype.kind == "f" and np.array_equal(scores > 0.5, decided == 1)
    else:
        constant = bool(np.all(scores == scores[:1]))
        if constant:
            raise HeadError(head.output, "it is the same whatever the row", constant=True)
        agrees = scores.shape[1] == max(size, 2) and np.array_equal(scores.argmax(axis=1), decided)
    if not agrees:
        raise HeadError(head.output, "it is not the class of the largest logit")
    return None


def _rows(size: int) -> NDArray[np.float32]:
    """Random rows whose largest entry is clearly ahead; where a row has one entry, numbers on both sides of 0."""
    if size == 1:
        positive = np.geomspace(2**-10, _CLEAR, _TRIALS // 2, dtype=np.float32)
        return np.concatenate([positive, -positive])[:, None]
    rows = np.random.Generator(np.random.Philox(key=[size, 2])).standard_normal((_TRIALS, size), np.float32)
    rows[np.arange(_TRIALS), rows.argmax(axis=1)] += np.float32(_GAP)
    return rows


def _clear(size: int) -> Iterator[NDArray[np.float32]]:
    """Rows in which one class after the other is far ahead."""
    if size == 1:
        yield np.array([[-_CLEAR], [_CLEAR]], np.float32)
    else:
        for start in range(0, size, _PIECE):
            yield np.eye(min(_PIECE, size - start), size, start, dtype=np.float32) * np.float32(_CLEAR)


def _decided(rows: NDArray[np.float32]) -> NDArray[np.int64]:
    return (rows[:, 0] > 0).astype(np.int64) if rows.shape[1] == 1 else rows.argmax(axis=1)


def _label(value: Any) -> Label:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return int(value) if not isinstance(value, str) and float(value).is_integer() else str(value)


@dataclass(frozen=True, slots=True)
class _ClassHead:
    """The nodes between the logits and an output."""

    graph: OnnxGraph
    opsets: ModelProto
    output: str
    logits: str
    shapes: Mapping[str, Shape]
    batch: int | None

    def run(self, rows: NDArray[np.float32]) -> Array:
        """The output at logits `(n, size)`, one line per row."""
        step = self.batch or len(rows)
        try:
            parts = [self._run(rows[start : start + step], step) for start in range(0, len(rows), step)]
            return np.concatenate([part.reshape(step, -1) for part in parts])[: len(rows)]
        except Exception as error:  # whatever the reference cannot do ends here
            raise HeadError(self.output, f"it cannot be evaluated ({type(error).__name__}: {error})") from error

    def _run(self, rows: NDArray[np.float32], step: int) -> Array:
        from onnx.reference import ReferenceEvaluator

        nodes, read = self._nodes()
        values: dict[str, Any] = {self.logits: filled(rows, step).reshape(step, *self.shapes[self.logits])}
        for name in read - values.keys():
            # What else a head reads are shapes, and values that it must not depend on.
            known = name in self.graph.constants
            values[name] = self.graph.constants[name] if known else np.full((step, *self.shapes[name]), np.nan)
        protos = [proto for node in nodes for proto in self._protos(node)]
        inputs, outputs = [ValueInfoProto(name=name) for name in values], [ValueInfoProto(name=self.output)]
        graph = helper.make_graph(protos, "head", inputs, outputs)
        model = helper.make_model(graph, opset_imports=self.opsets.opset_import)
        results: Any = ReferenceEvaluator(model).run(None, {name: np.asarray(value) for name, value in values.items()})
        return np.asarray(results[0])

    def _protos(self, node: GraphNode) -> list[NodeProto]:
        """The node; before opset 13, whose Softmax the reference does not know, one over all axes from `axis` on."""
        if self.graph.opset >= 13 or node.op_type not in ("Softmax", "LogSoftmax"):
            return [node.proto]
        x, y, axis = node.inputs[0], node.outputs[0], node.attributes().get("axis", 1)
        return [
            helper.make_node("Flatten", [x], [f"{y}/flat"], axis=axis),
            helper.make_node(node.op_type, [f"{y}/flat"], [f"{y}/of"], axis=1),
            helper.make_node("Shape", [x], [f"{y}/shape"]),
            helper.make_node("Reshape", [f"{y}/of", f"{y}/shape"], [y]),
        ]

    def _nodes(self) -> tuple[list[GraphNode], set[str]]:
        """In their order, and what they read that none of them computes."""
        needed, read, nodes = {self.output}, set[str](), []
        for node in reversed(self.graph.nodes):
            if needed.isdisjoint(node.outputs) or self.logits in node.outputs:
                continue
            nodes.append(node)
            names = {name for name in node.inputs if name}
            known = {name for name in names if name in self.graph.constants or name in self.shapes}
            read |= known
            needed |= names - known
        return nodes[::-1], read
