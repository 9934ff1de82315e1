"""The head is removed: the nodes after the logits, which compute probabilities or labels."""

from dataclasses import dataclass, replace

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult

_DECISIONS = {"ArgMax", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Round"}
_LABELS = {*_DECISIONS, "ai.onnx.ml::ZipMap"}
_CARRIERS = {"Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity"}
"""They give a label or a probability another shape or type, and are cut off only in front of one."""

_NAMES = {"ai.onnx.ml::ArrayFeatureExtractor", "Gather"}
_ARITHMETIC = {*_CARRIERS, *_NAMES, "Add", "Sub", "Mul", "Not", "Where", "ai.onnx.ml::LabelEncoder"}
"""What makes a label of the outcome of a comparison. Behind an ArgMax, which no net goes through, all may stand."""


def strip_head(
    graph: OnnxGraph, logits: str | None = None, *, bare: bool = False
) -> tuple[PassResult, tuple[str, ...]]:
    """Walk back from each output over operators that keep the order of the logits, or only report it.

    Those are, with p probabilities and z logits:

    * Softmax and LogSoftmax over the classes, also spelled out; Sigmoid; Normalizer behind one of them;
    * `[1 - p, p]` with p = Sigmoid(z), which leaves the single logit z;
    * ZipMap, ArgMax, a comparison with a constant, Round behind a Sigmoid, and nodes that turn the result into a label.

    Whether they keep the order depends on shapes and constants: `class_labels` evaluates them. Of several outputs, the
    network ends at the first that leads to logits, labels before others; outputs that lead to the same logits, such as
    a label and its probabilities, count as one.

    Args:
        graph: The graph.
        logits: Name of the tensor to read as the logits; None to find it.
        bare: Whether the outputs themselves are the logits, so that nothing is removed.

    Returns:
        What was done, and the names of the outputs that were cut off behind the logits.
    """
    head = _Head(graph, graph.producers())
    stripped_by: dict[str, dict[str, list[str]]] = {}
    for output in _wanted(graph, head, logits):
        name, stripped = (output, []) if bare else head.walk(output)
        if name in head.producers:
            stripped_by.setdefault(name, {})[output] = stripped
    if not stripped_by:
        raise ModelError(
            "model-not-classifier",
            "No output of the model leads to logits.",
            [Problem(f"output {name!r}", "no node computes it", "export the model again") for name in graph.outputs],
        )
    labelled = (name for name, heads in stripped_by.items() for ops in heads.values() if not _LABELS.isdisjoint(ops))
    chosen = next(labelled, next(iter(stripped_by)))
    first = next(iter(stripped_by[chosen].values()))
    parts = [f"{logits!r} was asked for"] if logits is not None else []
    parts += [f"stripped the head {' <- '.join(first)}"] if first else []
    if len(stripped_by) > 1:
        parts.append(f"of {len(stripped_by)} outputs, {chosen!r} is read as the logits (`logits` names another)")
    changed = bool(parts) or len(graph.outputs) > 1
    heads = tuple(output for output, ops in stripped_by[chosen].items() if ops)
    return PassResult(replace(graph, outputs=(chosen,)), changed, "; ".join(parts)), heads


def _wanted(graph: OnnxGraph, head: "_Head", logits: str | None) -> tuple[str, ...]:
    if logits is None:
        return graph.outputs
    if logits not in head.producers:
        known = graph.outputs
        problems = [Problem(f"output {name!r}", "an output of the model", "`logits` takes it") for name in known]
        raise ModelError("model-output", f"The model computes no tensor {logits!r} to read as the logits.", problems)
    return (logits,)


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
            if before is not None and self._takes(node, carried):
                op, name = before
                stripped += [*("class names" if op in _NAMES else op for op in carried), op]
                carried, logits = [], name
            else:
                inputs = [name for name in node.inputs if name and name not in self.graph.constants]
                if not inputs or (len(inputs) > 1 and node.op_type not in _CARRIERS):
                    break
                carried.append(node.op_type)
                name = inputs[0]
        return logits, stripped

    def _takes(self, node: GraphNode, carried: list[str]) -> bool:
        """Whether what stands behind a part of a head leaves it one."""
        if node.op_type == "ArgMax":
            return True
        return (_ARITHMETIC if node.op_type in _DECISIONS else _CARRIERS).issuperset(carried)

    def _before(self, node: GraphNode) -> tuple[str, str] | None:
        """What a part of a head is called, and the tensor it reads; None if the node is none."""
        if node.op_type in ("ai.onnx.ml::ZipMap", "Sigmoid") or self._softmax(node):
            return node.op_type, node.inputs[0]
        if node.op_type in ("ai.onnx.ml::Normalizer", "Round") and self._probabilities(node.inputs[0]):
            return node.proto.op_type, node.inputs[0]
        if node.op_type in _DECISIONS and node.op_type != "Round":
            inputs = [name for name in node.inputs if name not in self.graph.constants]
            return (node.op_type, inputs[0]) if len(inputs) == 1 else None
        if node.op_type == "Div":
            return self._spelled_softmax(*node.inputs)
        if node.op_type == "Sub":
            return self._spelled_log_softmax(*node.inputs)
        if node.op_type == "Concat":
            return self._two_sided(node)
        return None

    def _softmax(self, node: GraphNode) -> bool:
        return node.op_type in ("Softmax", "LogSoftmax") and node.attributes().get("axis", 1) != 0

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
