"""Nodes that a pass writes in the place of others."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx

from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph
from onnxbound.operators.operator import Array


class NodeWriter:
    """Collects new nodes and the constants they read, under names that the file does not use."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._names = graph.file_names
        self.opset = graph.opset
        self._prefix = ""
        self._index = len(graph.file_names)
        self.nodes: list[GraphNode] = []
        self.constants: dict[str, Array] = {}
        self.origins: dict[str, str] = {}

    def instead_of(self, node: GraphNode, before: int = 0) -> None:
        """Give the nodes that follow the place of `node`; `before` counts the nodes already written there."""
        self._prefix, self._index = f"{node.index}/{before}/" if before else f"{node.index}/", node.index

    def add(self, op_type: str, *inputs: str, output: str = "", name: str = "", **attributes: Any) -> str:
        """Append a node of the default domain, and return its output, whose name is new unless one is given.

        `name` is that of the node, where it is to keep the one that it has in the file.
        """
        output = output or self._new(f"{op_type}_{len(self.nodes)}")
        proto = onnx.helper.make_node(op_type, inputs, [output], name=name or f"onnxbound/{output}", **attributes)
        self.nodes.append(GraphNode(proto, self._index))
        return output

    def mean(self, x: str, axes: Sequence[int], *, keep: bool) -> str:
        """A ReduceMean, whose axes became an input with opset 18."""
        if self.opset < 18:
            return self.add("ReduceMean", x, axes=list(axes), keepdims=int(keep))
        return self.add("ReduceMean", x, self.constant(np.array(axes)), keepdims=int(keep))

    def keep(self, node: GraphNode) -> None:
        """Append a node as it is."""
        self.nodes.append(node)

    def constant(self, values: Any, origin: str = "") -> str:
        """The name of a new constant; `origin` is the one that it only rearranges."""
        name = self._new(f"constant_{len(self.constants)}")
        self.constants[name] = np.asarray(values)
        if origin:
            self.origins[name] = origin
        return name

    def reshape(self, name: str, shape: Sequence[int], output: str = "") -> str:
        """The entries of each row in another shape."""
        return self.add("Reshape", name, self.constant(np.array([0, *shape], np.int64)), output=output)

    def _new(self, word: str) -> str:
        name = f"onnxbound/{self._prefix}{word}"
        while name in self._names:
            name += "'"
        return name
