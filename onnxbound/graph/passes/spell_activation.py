"""Nodes that together compute Gelu, Swish, Mish, HardSwish or Softplus become one operator."""

from dataclasses import dataclass, replace
from math import isclose, pi, sqrt

import numpy as np

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult


def spell_activation(graph: OnnxGraph) -> PassResult:
    """Rewrite products that hold x, whatever the order of the factors:

    * 1/2, x and 1 + Erf(x / sqrt 2): Gelu;
    * 1/2, x and 1 + Tanh(sqrt(2 / pi) (x + 0.044715 x^3)): Gelu by its approximation;
    * x and Sigmoid(alpha x): Swish; x and Tanh(Softplus(x)): Mish;
    * x and HardSigmoid(x) of slope 1/6, or 1/6, x and Clip(x + 3, 0, 6): HardSwish;

    and `Where(x > c, x, Softplus(x))` with c at least 15, where both are equal in float32, as Softplus.
    """  # noqa: D415 - the sentence runs into its list
    matcher = _ActivationMatcher(graph, graph.producers())
    nodes = tuple(matcher.rewrite(node) for node in graph.nodes)
    spelled = sorted({new.op_type for new, old in zip(nodes, graph.nodes, strict=True) if new is not old})
    reason = f"read the formula of {', '.join(spelled)}" if spelled else ""
    return PassResult(replace(graph, nodes=nodes), bool(spelled), reason)


@dataclass(frozen=True, slots=True)
class _ActivationMatcher:
    graph: OnnxGraph
    producers: dict[str, GraphNode]

    def rewrite(self, node: GraphNode) -> GraphNode:
        if node.op_type == "Where":
            return self._softplus(node)
        if node.op_type not in ("Mul", "Div"):
            return node
        number, factors = self._product(node.outputs[0])
        if len(factors) != 2:
            return node
        for x, other in (factors, factors[::-1]):
            activation = self._activation(number, x, other)
            if activation is not None:
                op_type, attributes = activation
                return node.rewritten(op_type, (x,), **attributes)
        return node

    def _activation(self, number: float, x: str, other: str) -> tuple[str, dict[str, float | str]] | None:
        producer = self.producers.get(other)
        if producer is None:
            return None
        if producer.op_type == "Add" and isclose(number, 0.5, rel_tol=1e-6):
            return self._gelu(x, producer)
        if producer.op_type == "Clip" and isclose(number, 1 / 6, rel_tol=1e-5):
            shifted = self._sum_with(producer.inputs[0], 3.0)
            return ("HardSwish", {}) if shifted == x and self._ends(producer) == (0, 6) else None
        if not isclose(number, 1.0, rel_tol=1e-6):
            return None
        if producer.op_type == "Sigmoid":
            alpha, inner = self._product(producer.inputs[0])
            return ("Swish", {"alpha": alpha}) if inner == [x] else None
        if producer.op_type == "Tanh":
            return ("Mish", {}) if self._read(producer.inputs[0], "Softplus") == x else None
        if producer.op_type == "HardSigmoid" and producer.inputs[0] == x:
            attributes = producer.attributes()
            slope, middle = attributes.get("alpha", 0.2), attributes.get("beta", 0.5)
            return ("HardSwish", {}) if isclose(slope, 1 / 6, rel_tol=1e-5) and middle == 0.5 else None
        return None

    def _softplus(self, node: GraphNode) -> GraphNode:
        condition, x, softplus = (self.producers.get(node.inputs[0]), *node.inputs[1:])
        if condition is None or condition.op_type != "Greater" or self._read(softplus, "Softplus") != x:
            return node
        scale, compared = self._product(condition.inputs[0])
        beyond = self._number(condition.inputs[1])
        fits = compared == [x] and scale == 1 and beyond is not None and beyond >= 15
        return node.rewritten("Softplus", (x,)) if fits else node

    def _gelu(self, x: str, one_plus: GraphNode) -> tuple[str, dict[str, float | str]] | None:
        inner = self._sum_with(one_plus.outputs[0], 1.0)
        if inner is None:
            return None
        argument = self._read(inner, "Erf")
        if argument is not None:
            number, factors = self._product(argument)
            return ("Gelu", {}) if factors == [x] and isclose(number, 1 / sqrt(2), rel_tol=1e-5) else None
        argument = self._read(inner, "Tanh")
        if argument is not None and self._is_cubic(x, argument):
            return "Gelu", {"approximate": "tanh"}
        return None

    def _is_cubic(self, x: str, name: str) -> bool:
        """sqrt(2 / pi) (x + 0.044715 x^3)."""
        number, factors = self._product(name)
        total = self.producers.get(factors[0]) if len(factors) == 1 else None
        if total is None or total.op_type != "Add" or not isclose(number, sqrt(2 / pi), rel_tol=1e-4):
            return False
        if x not in total.inputs:
            return False
        (cube,) = [name for name in total.inputs if name != x] or [x]
        coefficient, powers = self._product(cube)
        return powers == [x, x, x] and isclose(coefficient, 0.044715, rel_tol=1e-4)

    def _product(self, name: str) -> tuple[float, list[str]]:
        """A tensor as a number times other tensors."""
        node = self.producers.get(name)
        if node is None or node.op_type not in ("Mul", "Div", "Pow") or len(node.inputs) != 2:
            return 1.0, [name]
        first, second = node.inputs
        value = self._number(second)
        if node.op_type == "Div":
            number, factors = self._product(first)
            return (number / value, factors) if value else (1.0, [name])
        if node.op_type == "Pow":
            return (1.0, [first] * int(value)) if value in (2, 3) else (1.0, [name])
        if self._number(first) is not None:
            first, second, value = second, first, self._number(first)
        if value is not None:
            number, factors = self._product(first)
            return number * value, factors
        (a, left), (b, right) = self._product(first), self._product(second)
        return a * b, [*left, *right]

    def _number(self, name: str) -> float | None:
        value = self.graph.constants.get(name)
        return float(np.ravel(value)[0]) if value is not None and np.size(value) == 1 else None

    def _sum_with(self, name: str, number: float) -> str | None:
        """What the number is added to."""
        node = self.producers.get(name)
        if node is None or node.op_type != "Add":
            return None
        for tensor, constant in (node.inputs, node.inputs[::-1]):
            if self._number(constant) == number:
                return tensor
        return None

    def _read(self, name: str, op_type: str) -> str | None:
        """The input of the node of that kind that computes the tensor."""
        node = self.producers.get(name)
        return node.inputs[0] if node is not None and node.op_type == op_type else None

    def _ends(self, clip: GraphNode) -> tuple[float | None, float | None]:
        attributes = clip.attributes()
        if len(clip.inputs) < 3:
            return attributes.get("min"), attributes.get("max")
        return self._number(clip.inputs[1]), self._number(clip.inputs[2])
