"""The ONNX graph as the passes see it: immutable, its constants apart from its nodes."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import Any, NamedTuple, Self

import numpy as np
import onnx
from onnx import ModelProto, NodeProto, TensorProto

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.model_file import WeightReader, default_opset
from onnxbound.operators.operator import Array

_NUMERIC = set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED, TensorProto.STRING}


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node with its place in the file.

    Attributes:
        proto: The ONNX node.
        index: Its position in the file, counted from 0.
    """

    proto: NodeProto
    index: int

    @property
    def op_type(self) -> str:
        """Operator name, with the domain in front unless it is the default one."""
        domain = self.proto.domain
        return self.proto.op_type if domain in ("", "ai.onnx") else f"{domain}::{self.proto.op_type}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """Input tensor names; absent ones are empty, trailing absent ones left out."""
        names = list(self.proto.input)
        while names and not names[-1]:
            names.pop()
        return tuple(names)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Output tensor names, absent ones left out."""
        return tuple(name for name in self.proto.output if name)

    @property
    def where(self) -> str:
        """Its place, for messages."""
        return f"graph:node/{self.index} ({self.op_type} {self.proto.name!r})"

    def attributes(self) -> dict[str, Any]:
        """Attribute name to value, strings decoded, lists as tuples."""
        result: dict[str, Any] = {}
        for attribute in self.proto.attribute:
            value = onnx.helper.get_attribute_value(attribute)
            result[attribute.name] = tuple(map(_decoded, value)) if isinstance(value, list) else _decoded(value)
        return result

    def rewritten(self, op_type: str, inputs: tuple[str, ...], **attributes: Any) -> Self:
        """Another operator at the same place and with the same outputs."""
        proto = onnx.helper.make_node(op_type, inputs, self.proto.output, name=self.proto.name, **attributes)
        return replace(self, proto=proto)


def _decoded(value: Any) -> Any:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


@dataclass(frozen=True, slots=True)
class GraphInput:
    """A graph input that is not a weight.

    Attributes:
        name: Tensor name.
        type: Element type; None if NumPy has none.
        dims: Length per axis, batch included; None where symbolic or unknown.
    """

    name: str
    type: np.dtype[Any] | None
    dims: tuple[int | None, ...] | None


@dataclass(frozen=True, slots=True)
class OnnxGraph:
    """A graph in topological order, the file's own order wherever that is one.

    Attributes:
        nodes: The nodes.
        constants: Tensor name to value, from initializers and folded nodes.
        inputs: Graph inputs less the initializers.
        outputs: Names of the graph outputs.
        opset: Version of the default domain.
        file_names: Every tensor name of the file.
        origins: Folded constant to the constant of the file whose entries it rearranges, chooses, repeats or converts.
    """

    nodes: tuple[GraphNode, ...]
    constants: Mapping[str, Array]
    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    opset: int
    file_names: frozenset[str]
    origins: Mapping[str, str]

    def producers(self) -> dict[str, GraphNode]:
        """Tensor name to the node that computes it."""
        return {name: node for node in self.nodes for name in node.outputs}


class PassResult(NamedTuple):
    """What a pass did.

    Attributes:
        graph: The graph after the pass.
        changed: Whether it differs from the one before.
        reason: What was done, in words for the report; empty if nothing.
    """

    graph: OnnxGraph
    changed: bool
    reason: str


def build_graph(model: ModelProto, reader: WeightReader) -> OnnxGraph:
    """Take a model apart, its local functions already inlined.

    Raises:
        ModelError: model-graph-invalid, or what reading a weight raises.
    """
    constants = {tensor.name: reader.array(tensor) for tensor in model.graph.initializer}
    constants |= {tensor.values.name: reader.dense(tensor) for tensor in model.graph.sparse_initializer}
    inputs = tuple(_graph_input(value) for value in model.graph.input if value.name not in constants)
    known = {*constants, *(value.name for value in inputs)}
    nodes = _in_topological_order([GraphNode(proto, index) for index, proto in enumerate(model.graph.node)], known)
    outputs = tuple(value.name for value in model.graph.output)
    names = known.union(*(node.outputs for node in nodes))
    return OnnxGraph(nodes, constants, inputs, outputs, default_opset(model), frozenset(names), {})


def _graph_input(value: onnx.ValueInfoProto) -> GraphInput:
    tensor = value.type.tensor_type
    known = tensor.elem_type in _NUMERIC
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)) if known else None
    dims: tuple[int | None, ...] | None = None
    if tensor.HasField("shape"):
        dims = tuple(d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in tensor.shape.dim)
    return GraphInput(value.name, dtype, dims)


def _in_topological_order(nodes: list[GraphNode], known: set[str]) -> tuple[GraphNode, ...]:
    """Kahn's order, ties by place in the file; complains of tensors defined twice, never, or in a cycle."""
    produced = [name for node in nodes for name in node.outputs]
    counts = Counter([*produced, *known])
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise ModelError(
            "model-graph-invalid",
            "The graph defines tensors twice.",
            [Problem(f"tensor {name!r}", "defined twice", "export the model again") for name in twice],
        )
    missing = sorted({name for node in nodes for name in node.inputs if name and name not in counts})
    if missing:
        why = f"undefined tensors {', '.join(map(repr, missing[:20]))}"
        readers = [node for node in nodes if not counts.keys() >= {name for name in node.inputs if name}]
        raise _without_order(why, readers)
    producer = {name: place for place, node in enumerate(nodes) for name in node.outputs}
    waits_for = [{producer[name] for name in node.inputs if name in producer} for node in nodes]
    feeds: list[list[int]] = [[] for _ in nodes]
    for place, sources in enumerate(waits_for):
        for source in sources:
            feeds[source].append(place)
    missing_sources = [len(sources) for sources in waits_for]
    ready = [place for place, count in enumerate(missing_sources) if not count]
    order: list[int] = []
    while ready:
        place = heappop(ready)
        order.append(place)
        for reader in feeds[place]:
            missing_sources[reader] -= 1
            if not missing_sources[reader]:
                heappush(ready, reader)
    if len(order) < len(nodes):
        raise _without_order("a cycle", [node for node, count in zip(nodes, missing_sources, strict=True) if count])
    return tuple(nodes[place] for place in order)


def _without_order(why: str, waiting: list[GraphNode]) -> ModelError:
    problems = [Problem(node.where, f"it waits for {why}", "export the model again") for node in waiting[:20]]
    return ModelError("model-graph-invalid", f"The graph cannot be ordered: {why}.", problems)
