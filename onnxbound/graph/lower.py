"""Parse every node into its operator, carrying shapes along and folding the arithmetic that exporters do on them."""

import secrets
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from math import isqrt, prod
from typing import NamedTuple

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.constants import evaluate
from onnxbound.graph.layer import Step
from onnxbound.graph.lifting import LIFTED, Lifted, lift
from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphInput, GraphNode, OnnxGraph
from onnxbound.graph.passes.fold_constants import origin_of
from onnxbound.graph.screen import require_moderate, too_large
from onnxbound.graph.spellings import SPELLINGS
from onnxbound.graph.trained import Constants
from onnxbound.graph.unsupported import unknown
from onnxbound.operators.lookup import Lookup
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Array, Operator, Shape, Unsupported
from onnxbound.operators.registry import PARSERS
from onnxbound.operators.weighted import Weighted
from onnxbound.words import counted

_SHORTEST = 1_000

_CONTRADICTIONS = (ArithmeticError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
"""What a parser meets in a node whose attributes have other types, or other lengths, than its operator has."""


@dataclass(slots=True)
class _Lowering:
    """What is known so far while the nodes are walked through once.

    Attributes:
        graph: Normalised.
        batch: Length of the batch axis that shape arithmetic sees.
        constants: Tensors that depend on no row, by name, folded as soon as their inputs are known.
        shapes: Tensors that depend on the rows: the shape of one row. No tensor stands in both.
        steps: Operators in the order of the file.
        problems: What cannot be read; the walk goes on, so that one error lists all of it.
        weighted: Whether a weighted layer came before; scales and shifts in front of the first are preprocessing.
        room: Bytes that shape arithmetic may still take; a file of a few bytes can ask for any number.
        written: The nodes that were lowered, spelled ones in place of what they spell.
        spelled: The operator that is being spelled with others, by which its steps are named; empty if none.
        origins: Constant to the one of the file that it was rearranged from, for the count of parameters.
        unknown: Tensors behind a problem, about which nothing is reported a second time.
        lengths: Those of them that are arithmetic on lengths alone, and no fault of their own.
        made: Constants that stand in no file, and are no parameters.
        lifted: Tensors whose rows do not stand along the first axis: what holds their entries, and their whole shape.
    """

    graph: OnnxGraph
    batch: int
    constants: dict[str, Array]
    shapes: dict[str, Shape]
    steps: list[Step] = field(default_factory=list)
    problems: list[tuple[GraphNode, Unsupported]] = field(default_factory=list)
    weighted: bool = False
    room: int = 1 << 28
    written: list[GraphNode] = field(default_factory=list)
    spelled: str = ""
    origins: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    lengths: set[str] = field(default_factory=set)
    made: set[str] = field(default_factory=set)
    lifted: dict[str, Lifted] = field(default_factory=dict)

    def run(self) -> None:
        """Lower every node.

        Raises:
            ModelError: model-unsupported-operator.
        """
        for node in self.graph.nodes:
            self.visit(node)
            # Within the net rows may stand anywhere; who reads the logits expects them in front.
            if self.graph.outputs[0] in self.lifted and self.graph.outputs[0] in node.outputs:
                reason = Unsupported("the logits have no batch axis in front", "export with the batch in front")
                self.problems.append((node, reason))
        if self.problems:
            raise _unsupported(self.problems)

    def visit(self, node: GraphNode) -> None:
        if self.unknown.isdisjoint(node.inputs):  # what follows from another problem is no further one
            try:
                self._lower_or_lift(node)
            except Unsupported as reason:
                self.problems.append((node, reason))
            except _CONTRADICTIONS as error:
                why = f"its attributes and inputs are not those of the operator ({type(error).__name__}: {error})"
                self.problems.append((node, Unsupported(why, "export the model again")))
            else:
                return
        elif self._is_shape_arithmetic(node):
            self.lengths.update(node.outputs)
        elif not {node.op_type} & (PARSERS.keys() | SPELLINGS.keys()):
            self.problems.append((node, unknown(node, self.constants)))
        self.unknown.update(node.outputs)

    def _is_shape_arithmetic(self, node: GraphNode) -> bool:
        """Whether a node that depends on what could not be read only computes with the lengths of it."""
        known = self.constants.keys() | self.lengths
        return node.op_type in ("Shape", "Size") or known.issuperset(filter(None, node.inputs))

    def _lower_or_lift(self, node: GraphNode) -> None:
        """As the node stands, rows along the first axis; at a batch of one row where need be in the other reading."""
        steps, written = len(self.steps), len(self.written)
        if self.lifted.keys().isdisjoint(node.inputs):
            try:
                self._lower(node)
            except Unsupported:
                if self.batch != 1 or node.op_type not in LIFTED:
                    raise
                # The node may have been spelled half way before a part of it was refused.
                del self.steps[steps:], self.written[written:]
            else:
                return
        self._lift(node)

    def _lift(self, node: GraphNode) -> None:
        if node.op_type == "Shape":
            self.constants[node.outputs[0]] = self._shape_of(node)
            return
        if node.op_type not in LIFTED:
            raise Unsupported("it needs the batch as the first axis, and an earlier node has moved it")
        write = self._writer(node)
        whole = {name: self._whole(name) for name in node.inputs if name in self.lifted or name in self.shapes}
        outputs = lift(node, whole, self.shapes, self.constants, write)
        self._take_room(node, [c for c in write.constants.values() if c.dtype.kind == "i"])
        self._lower_written(node, write)
        write = self._writer(node)
        for name, held in zip(node.outputs, outputs, strict=True):
            lifted, shape = (held, self.shapes[held]) if isinstance(held, str) else held
            if shape[:1] == (1,):
                write.reshape(lifted, shape[1:], name)
            else:
                self.lifted[name] = lifted, shape
        self._lower_written(node, write)

    def _writer(self, node: GraphNode) -> NodeWriter:
        write = NodeWriter(self.graph)
        write.instead_of(node, len(self.written))
        return write

    def _whole(self, name: str) -> Lifted:
        """What holds a tensor with its batch of one row."""
        return self.lifted[name] if name in self.lifted else (name, (1, *self.shapes[name]))

    def _lower(self, node: GraphNode) -> None:
        if all(name in self.constants for name in node.inputs if name) and node.inputs:
            values = evaluate(node, [self.constants[name] if name else None for name in node.inputs], self.graph.opset)
            if values is None:
                raise Unsupported("its value cannot be computed without a row")
            self._take_room(node, values)
            self.constants.update(zip(node.outputs, values, strict=False))
            self.origins |= origin_of(node, self.constants, self.origins)
        elif node.op_type in ("Shape", "Size"):
            self.constants[node.outputs[0]] = self._shape_of(node)
        elif any(node.proto.output[1:]) and node.op_type != "Split":
            # Masks and indices come second; parsers make the first output, and only Split makes several alike.
            raise Unsupported("an output other than its first is used")
        elif not self._rewrite(node):
            self._parse(node)

    def _take_room(self, node: GraphNode, values: Iterable[Array]) -> None:
        self.room -= sum(value.nbytes for value in values)
        if self.room < 0:
            raise too_large(node.where, "its shape arithmetic takes more memory than onnxbound allows")

    def _rewrite(self, node: GraphNode) -> bool:
        """Whether the node was spelled with others."""
        if node.op_type not in SPELLINGS or self.shapes.keys().isdisjoint(node.inputs):
            return False
        write = self._writer(node)
        SPELLINGS[node.op_type](node, self.shapes, self.constants, write)
        self._lower_written(node, write)
        return bool(write.nodes)

    def _lower_written(self, node: GraphNode, write: NodeWriter) -> None:
        self.constants |= write.constants
        self.origins |= {name: self.origins.get(origin, origin) for name, origin in write.origins.items()}
        # Single numbers count, since other exporters write the same epsilon or factor as a constant of the file.
        self.made |= {name for name, c in write.constants.items() if c.size > 1 and name not in write.origins}
        self.written += write.nodes
        # What a spelled node is spelled with may be spelled itself: all of it bears the name that the file has.
        outer, self.spelled = self.spelled, self.spelled or node.op_type
        for written in write.nodes:
            self._lower(written)
        self.spelled = outer

    def _shape_of(self, node: GraphNode) -> Array:
        name = node.inputs[0]
        shape = self.lifted[name][1] if name in self.lifted else (self.batch, *self.shapes[name])
        if node.op_type == "Size":
            return np.array(prod(shape), np.int64)
        attributes = node.attributes()
        return np.array(shape[attributes.get("start", 0) : attributes.get("end", len(shape))], np.int64)

    def _parse(self, node: GraphNode) -> None:
        parser = PARSERS.get(node.op_type)
        if parser is None:
            raise unknown(node, self.constants)
        for number, output in enumerate(node.outputs):
            self._step(node, parser(self._view(node, number)), output)

    def _view(self, node: GraphNode, number: int) -> Node:
        return Node(
            op_type=node.op_type,
            name=node.proto.name,
            where=node.where,
            opset=self.graph.opset,
            attributes=node.attributes(),
            constants=tuple(self.constants.get(name) for name in node.inputs),
            shapes=tuple(self.shapes.get(name) for name in node.inputs),
            batch=self.batch,
            output=number,
            outputs=len(node.outputs),
        )

    def _step(self, node: GraphNode, operator: Operator, output: str) -> None:
        inputs = tuple(name for name in node.inputs if name in self.shapes)
        shape = operator.output_shape(*(self.shapes[name] for name in inputs))
        require_moderate(f"output of {node.where}", shape)
        self.shapes[output] = shape
        known = Constants(self.constants, self.origins, self.made)
        trained = known.trained(node, operator, weighted=self.weighted)
        self.weighted |= isinstance(operator, Weighted | Lookup)
        op = self.spelled or node.op_type
        weight = node.inputs[1] if isinstance(operator, Weighted) else ""
        self.steps.append(Step(operator, inputs, output, node.proto.name, op, node.where, trained, weight))


class Lowered(NamedTuple):
    """A graph as steps.

    Attributes:
        steps: Operators in topological order.
        shapes: Tensor name to the shape of one row.
        written: The nodes that others were spelled with, and all constants.
    """

    steps: tuple[Step, ...]
    shapes: dict[str, Shape]
    written: OnnxGraph


def lower(graph: OnnxGraph, data_input: GraphInput, batch: int | None) -> Lowered:
    """The graph's steps and the shape of one row of every tensor.

    Args:
        graph: Normalised, with one output.
        data_input: The input that carries the rows, its lengths behind the batch all known.
        batch: Length of the batch axis to resolve shape arithmetic with; None for any length: the steps for two lengths
            drawn at random have to be equal.

    Raises:
        ModelError: model-unsupported-operator, listing every node that is not supported; model-batch, the steps depend
            on the length of the batch.
    """
    if batch is None:
        first, second = (_lower(graph, data_input, length) for length in _unforeseen_lengths(graph))
        if not _alike((first.steps, first.shapes), (second.steps, second.shapes)):
            what = [Problem("the graph", "it computes with the length of the batch", "export with a batch of one row")]
            raise ModelError("model-batch", "The outputs for a row depend on how many rows are run.", what)
        return first
    return _lower(graph, data_input, batch)


def _unforeseen_lengths(graph: OnnxGraph) -> list[int]:
    """Two primes between 1,000 and 10,000, drawn anew each time, that divide no length and no integer of the model."""
    taken = {length for value in graph.constants.values() for length in value.shape}
    for value in graph.constants.values():
        if value.dtype.kind in "iu":
            taken.update(map(int, np.unique(value[value >= _SHORTEST])))
    lengths: list[int] = []
    while len(lengths) < 2:
        length = _SHORTEST + secrets.randbelow(9 * _SHORTEST)
        prime = all(length % n for n in range(2, isqrt(length) + 1))
        if prime and length not in lengths and all(number == 0 or number % length for number in taken):
            lengths.append(length)
    return lengths


def _alike(one: object, other: object) -> bool:
    """Whether two results of lowering say the same, number for number."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and (one is other or np.array_equal(one, other, equal_nan=True))
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    if is_dataclass(one) and type(one) is type(other):
        return all(_alike(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return one == other


def _lower(graph: OnnxGraph, data_input: GraphInput, batch: int) -> Lowered:
    assert data_input.dims is not None
    row = tuple(n for n in data_input.dims[1:] if n is not None)
    require_moderate(f"input {data_input.name!r}", row)
    lowering = _Lowering(graph, batch, dict(graph.constants), {data_input.name: row}, origins=dict(graph.origins))
    lowering.run()
    written = replace(graph, nodes=tuple(lowering.written), constants=lowering.constants)
    return Lowered(tuple(lowering.steps), lowering.shapes, written)


def _unsupported(problems: list[tuple[GraphNode, Unsupported]]) -> ModelError:
    counts = Counter(node.op_type for node, _ in problems)
    listed = ", ".join(f"{op} ({count})" for op, count in counts.most_common())
    return ModelError(
        "model-unsupported-operator",
        f"The model contains {counted(len(problems), 'node')} that onnxbound cannot linearise exactly: {listed}.",
        [Problem(node.where, reason.why, reason.do) for node, reason in problems],
    )
