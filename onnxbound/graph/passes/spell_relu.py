"""Other spellings of Relu, Clip and LeakyRelu are recognised, such as Max(x, 0) or Where(x > 0, x, 0)."""

from dataclasses import dataclass, replace

import numpy as np

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.words import counted


def spell_relu(graph: OnnxGraph) -> PassResult:
    """Rewrite, with x an activation and c one number,

    * `Max(x, 0)`, `Max(x, c)`, `Min(x, c)` as Relu, or Clip with one end;
    * `Where(x > 0, x, 0)` and `Where(x < 0, 0, x)`, with >= and <= alike, as Relu;
    * `Where(x > 0, x, c x)` with >= alike as LeakyRelu;
    * `Mul(x, Cast(x > 0))` as Relu.

    At x = 0 all of them are 0, and the gate counts as closed, as in Relu.
    """  # noqa: D415 - the sentence runs into its list
    matcher = _ReluMatcher(graph, graph.producers())
    nodes = tuple(matcher.rewrite(node) for node in graph.nodes)
    count = sum(new is not old for new, old in zip(nodes, graph.nodes, strict=True))
    reason = f"read {counted(count, 'other spelling')} of Relu or Clip" if count else ""
    return PassResult(replace(graph, nodes=nodes), count > 0, reason)


@dataclass(frozen=True, slots=True)
class _ReluMatcher:
    graph: OnnxGraph
    producers: dict[str, GraphNode]

    def rewrite(self, node: GraphNode) -> GraphNode:
        x: str | None = None
        if node.op_type in ("Max", "Min") and len(node.inputs) == 2:
            return self._one_ended(node)
        if node.op_type == "Where":
            leaky = self._leaky(node)
            if leaky is not None:
                return leaky
            x = self._where(node)
        elif node.op_type == "Mul" and len(node.inputs) == 2:
            x = self._product(*node.inputs) or self._product(*node.inputs[::-1])
        return node if x is None else node.rewritten("Relu", (x,))

    def _one_ended(self, node: GraphNode) -> GraphNode:
        first, second = node.inputs
        x, end = (second, first) if first in self.graph.constants else (first, second)
        value = self.graph.constants.get(end)
        if value is None or np.size(value) != 1:
            return node
        if node.op_type == "Max" and not np.any(value):
            return node.rewritten("Relu", (x,))
        return node.rewritten("Clip", (x, end) if node.op_type == "Max" else (x, "", end))

    def _where(self, node: GraphNode) -> str | None:
        condition, chosen, otherwise = node.inputs
        comparison = self._comparison_with_zero(condition)
        if comparison is None:
            return None
        x, positive = comparison
        kept, zero = (chosen, otherwise) if positive else (otherwise, chosen)
        return x if kept == x and self._is_zero(zero) else None

    def _leaky(self, node: GraphNode) -> GraphNode | None:
        condition, x, below = node.inputs
        scaled = self.producers.get(below)
        if self._comparison_with_zero(condition) != (x, True) or scaled is None or scaled.op_type != "Mul":
            return None
        slope = self.graph.constants.get(next((name for name in scaled.inputs if name != x), ""))
        if x not in scaled.inputs or slope is None or np.size(slope) != 1:
            return None
        return node.rewritten("LeakyRelu", (x,), alpha=float(np.ravel(slope)[0]))

    def _product(self, x: str, mask: str) -> str | None:
        """x if `mask` is a Cast of x > 0."""
        cast = self.producers.get(mask)
        if cast is None or cast.op_type != "Cast":
            return None
        return x if self._comparison_with_zero(cast.inputs[0]) == (x, True) else None

    def _comparison_with_zero(self, name: str) -> tuple[str, bool] | None:
        """(x, True) for x > 0 and (x, False) for x < 0, strict or not, in any order of writing."""
        node = self.producers.get(name)
        if node is None or node.op_type not in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
            return None
        greater = node.op_type.startswith("Greater")
        first, second = node.inputs
        if self._is_zero(second):
            return first, greater
        if self._is_zero(first):
            return second, not greater
        return None

    def _is_zero(self, name: str) -> bool:
        value = self.graph.constants.get(name)
        return value is not None and np.size(value) >= 1 and not np.any(value)
