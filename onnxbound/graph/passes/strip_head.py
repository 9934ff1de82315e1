"""What stands behind the logits is cut off: probabilities, labels, and the shapes and types they are given."""

from dataclasses import dataclass, replace

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult

_LABELS = {"ArgMax", "ai.onnx.ml::ZipMap"}
_CARRIERS = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
"""They give a label or a probability another shape or type, and are cut off only in front of one."""


def strip_head(graph: OnnxGraph, logits: str | None = None) -> PassResult:
    """Walk back from each output over operators that keep or only report the order of the logits.

    Those are, with p probabilities and z logits:

    * Softmax and LogSoftmax over the classes, also spelled out; Sigmoid; Normalizer behind one of them;
    * `[1 - p, p]` with p = Sigmoid(z), which leaves the single logit z;
    * ArgMax, ZipMap, and the look-up of a class's name.

    Of several outputs the network is read at the first that leads to logits, one with a label before others; outputs
    that lead to the same logits, such as a label and its probabilities, are one.

    Args:
        graph: The graph.
        logits: A tensor that is read as the logits whatever the outputs are.
    """
    head = _Head(graph, graph.producers())
    if logits is not None:
        return _read_at(graph, head, logits)
    found: dict[str, list[str]] = {}
    labelled: list[str] = []
    for output in graph.outputs:
        name, stripped = head.walk(output)
        if name in head.producers:
            found.setdefault(name, stripped)
            labelled += [name] * (not _LABELS.isdisjoint(stripped))
    if not found:
        raise ModelError(
            "model-not-classifier",
            "No output of the model leads to logits.",
            [Problem(f"output {name!r}", "no node computes it", "export the model again") for name in graph.outputs],
        )
    chosen = next(iter(labelled), next(iter(found)))
    parts = [f"stripped the head {' <- '.join(found[chosen])}"] if found[chosen] else []
    if len(found) > 1:
        parts.append(f"of {len(found)} outputs, {chosen!r} is read as the logits (`logits` reads another)")
    return PassResult(replace(graph, outputs=(chosen,)), bool(parts) or len(graph.outputs) > 1, "; ".join(parts))


def _read_at(graph: OnnxGraph, head: "_Head", wanted: str) -> PassResult:
    if wanted not in head.producers:
        problems = [
            Problem(f"output {name!r}", "an output of the model", "`logits` takes it") for name in graph.outputs
        ]
        raise ModelError("model-output", f"The model computes no tensor {wanted!r} to read as the logits.", problems)
    name, stripped = head.walk(wanted)
    reason = f"{wanted!r} was asked for" + (f"; stripped the head {' <- '.join(stripped)}" if stripped else "")
    return PassResult(replace(graph, outputs=(name,)), True, reason)


@dataclass(frozen=True, slots=True)
class _Head:
    graph: OnnxGraph
    producers: dict[str, GraphNode]

    def walk(self, output: str) -> tuple[str, list[str]]:
        """The logits behind an output, and what lies between, outermost first."""
        name, logits = output, output
        stripped: list[str] = []
        carried: list[str] = []
        while (node := self.producers.get(name)) is not None:
            before = self._before(node)
            if before is not None:
                op, name = before
                stripped += [*carried, op]
                carried, logits = [], name
            elif node.op_type in _CARRIERS:
                carried.append(node.op_type)
                name = node.inputs[0]
            else:
                break
        return logits, stripped

    def _before(self, node: GraphNode) -> tuple[str, str] | None:
        """What a head is called, and the tensor it reads; None if the node is none."""
        if node.op_type in _LABELS or node.op_type == "Sigmoid" or self._softmax(node):
            return node.op_type, node.inputs[0]
        if node.op_type in ("ai.onnx.ml::ArrayFeatureExtractor", "Gather") and node.inputs[0] in self.graph.constants:
            return "class names", node.inputs[1]
        if node.op_type == "ai.onnx.ml::Normalizer" and self._probabilities(node.inputs[0]):
            return "Normalizer", node.inputs[0]
        if node.op_type == "Div":
            return self._spelled_softmax(*node.inputs)
        if node.op_type == "Sub":
            return self._spelled_log_softmax(*node.inputs)
        if node.op_type == "Concat":
            return self._two_sided(node)
        return None

    def _softmax(self, node: GraphNode) -> bool:
        return node.op_type in ("Softmax", "LogSoftmax") and node.attributes().get("axis", 1) in (1, -1)

    def _probabilities(self, name: str) -> bool:
        node = self.producers.get(name)
        return node is not None and (node.op_type == "Sigmoid" or self._softmax(node))

    def _spelled_softmax(self, numerator: str, denominator: str) -> tuple[str, str] | None:
        """exp(u) / sum exp(u)."""
        total, exponential = self._produced(self._spread(denominator), "ReduceSum"), self._produced(numerator, "Exp")
        if total is None or exponential is None or total.inputs[0] != numerator or not self._over_classes(total):
            return None
        return "Softmax spelled out", self._unshifted(exponential.inputs[0])

    def _spelled_log_softmax(self, shifted: str, log: str) -> tuple[str, str] | None:
        """U - log sum exp(u)."""
        logarithm = self._produced(self._spread(log), "Log")
        total = self._produced(self._spread(logarithm.inputs[0]), "ReduceSum") if logarithm is not None else None
        exponential = (
            self._produced(total.inputs[0], "Exp") if total is not None and self._over_classes(total) else None
        )
        if exponential is None or exponential.inputs[0] != shifted:
            return None
        return "LogSoftmax spelled out", self._unshifted(shifted)

    def _unshifted(self, name: str) -> str:
        """Z where the tensor is z - max z, which has the same order."""
        difference = self._produced(name, "Sub")
        if difference is None:
            return name
        largest = self._produced(self._spread(difference.inputs[1]), "ReduceMax")
        same = largest is not None and largest.inputs[0] == difference.inputs[0] and self._over_classes(largest)
        return difference.inputs[0] if same else name

    def _spread(self, name: str) -> str:
        """What is repeated along the classes, as JAX writes it, or compared with -inf, which changes nothing."""
        while (node := self.producers.get(name)) is not None:
            if node.op_type in ("Reshape", "Expand", "Unsqueeze", "Identity"):
                name = node.inputs[0]
            elif node.op_type in ("Max", "Clip") and self._lowest(node) is not None:
                name = str(self._lowest(node))
            else:
                break
        return name

    def _lowest(self, node: GraphNode) -> str | None:
        """x of Max(x, -inf), which is read as a Clip with that end."""
        ends = {name: self.graph.constants[name] for name in node.inputs if name in self.graph.constants}
        others = [name for name in node.inputs if name and name not in ends]
        lowest = all(np.all(np.asarray(end) <= np.finfo(np.float32).min) for end in ends.values())
        return others[0] if len(others) == 1 and ends and lowest else None

    def _over_classes(self, node: GraphNode) -> bool:
        """Whether a reduction goes over axis 1 or the last."""
        attributes = node.attributes()
        axes = self.graph.constants.get(node.inputs[1]) if len(node.inputs) > 1 else attributes.get("axes", ())
        return np.ravel(() if axes is None else axes).tolist() in ([1], [-1])

    def _two_sided(self, node: GraphNode) -> tuple[str, str] | None:
        """z behind [1 - p, p] with p = Sigmoid(z)."""
        if len(node.inputs) != 2 or node.attributes().get("axis") not in (1, -1):
            return None
        difference, sigmoid = self._produced(node.inputs[0], "Sub"), self._produced(node.inputs[1], "Sigmoid")
        if difference is None or sigmoid is None or difference.inputs[1] != node.inputs[1]:
            return None
        one = self.graph.constants.get(difference.inputs[0])
        if one is None or not np.all(one == 1):
            return None
        return "[1 - p, p] <- Sigmoid", sigmoid.inputs[0]

    def _produced(self, name: str, op_type: str) -> GraphNode | None:
        node = self.producers.get(name)
        return node if node is not None and node.op_type == op_type else None
