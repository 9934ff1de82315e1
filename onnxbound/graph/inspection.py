"""A network as onnxbound sees it: `onnxbound.inspect/1`, field for field."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from onnxbound.documents.document import view
from onnxbound.documents.viewed import Viewed
from onnxbound.graph.layer import Layer, Step
from onnxbound.graph.network import Network
from onnxbound.words import counted

if TYPE_CHECKING:
    from onnxbound.report.view import View


@dataclass(frozen=True, slots=True)
class InspectedModel:
    """The file, and the classifier in it.

    Attributes:
        path: The file.
        sha256: Its hash.
        opset: Version of the default operator set.
        ir_version: Version of the file format.
        producer: Who wrote the file.
        input: Name of the data input.
        input_type: Its element type, by NumPy's name.
        input_shape: Shape of one row.
        batch: Fixed batch length, null if any will do.
        output: Name of the logits.
        classes: K.
        parameters: Every trained number, shared ones once.
        depth: d, the number of weighted layers.
        topology: A chain, or a graph with branches.
        multiply_adds: Of all weighted layers, per row.
        smooth_operators: ONNX operators that are not piecewise linear.
    """

    path: str
    sha256: str
    opset: int
    ir_version: int
    producer: str
    input: str
    input_type: str
    input_shape: tuple[int, ...]
    batch: int | None
    output: str
    classes: int
    parameters: int
    depth: int
    topology: Literal["chain", "graph"]
    multiply_adds: int
    smooth_operators: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InspectedStep:
    """One operator, in its order; `layer` is its number if it is a weighted layer."""

    layer: int | None
    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    output_shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class InspectedLayer:
    """One weighted layer.

    Attributes:
        index: i, 1-based.
        name: The node's name, or its output's.
        op: ONNX operator.
        where: Its place in the file.
        weight: Name of the constant that the node reads as its weight.
        weight_shape: Shape of A^i.
        parameters: Entries of A^i.
        multiply_adds: Per row.
        folded: ONNX operators of the nodes folded into it.
        kernel: Kernel lengths; empty for a dense layer.
        stride: Strides; empty for a dense layer.
        input_shape: Shape of one row of what enters.
        output_shape: Shape of one row of what leaves.
        fed_by: Numbers of the layers whose output enters, through gates and what is linear.
        gate: Output of the first element-wise gate behind it; null if there is none.
    """

    index: int
    name: str
    op: str
    where: str
    weight: str
    weight_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    folded: tuple[str, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    fed_by: tuple[int, ...]
    gate: str | None


@dataclass(frozen=True, slots=True)
class InspectedCoverage:
    """What was read, and what was done to it.

    Attributes:
        nodes: Nodes in the file's main graph, functions inlined; onnxbound reads every one.
        weighted_layers: The number of weighted layers, as `depth`.
        normalised: What each pass did, in words.
        stripped_head: What was removed behind the logits; null if nothing.
    """

    nodes: int
    weighted_layers: int
    normalised: tuple[str, ...]
    stripped_head: str | None


@dataclass(frozen=True, slots=True, repr=False)
class Inspection(Viewed):
    """`onnxbound.inspect/1`."""

    SCHEMA: ClassVar[str] = "onnxbound.inspect/1"
    WIDTH: ClassVar[int] = 120

    model: InspectedModel
    steps: tuple[InspectedStep, ...]
    layers: tuple[InspectedLayer, ...]
    coverage: InspectedCoverage

    def summary(self) -> str:
        model = self.model
        layers = counted(model.depth, "layer")
        return f"of {model.path}: {model.topology} of {layers}, {counted(model.parameters, 'parameter')}"

    def view(self) -> "View":
        from onnxbound.report.of_inspection import inspection_view

        return inspection_view(self)


def inspection(network: Network) -> Inspection:
    """Describe a network, without running a row through it."""
    number = {layer.output: layer.index for layer in network.layers}
    return Inspection(
        model=_model(network),
        steps=tuple(_step(step, network, number.get(step.output)) for step in network.steps),
        layers=tuple(map(_layer, network.layers)),
        coverage=InspectedCoverage(
            nodes=network.node_count,
            weighted_layers=network.depth,
            normalised=network.notes,
            stripped_head=network.head,
        ),
    )


def _model(network: Network) -> InspectedModel:
    return view(
        InspectedModel,
        network,
        path=str(network.path),
        input_type=str(network.input_type),
    )


def _step(step: Step, network: Network, layer: int | None) -> InspectedStep:
    return view(InspectedStep, step, layer=layer, output_shape=network.shapes[step.output])


def _layer(layer: Layer) -> InspectedLayer:
    return view(
        InspectedLayer,
        layer,
        op=layer.step.op,
        where=layer.step.where,
        weight=layer.weight_name,
        weight_shape=layer.operator.weight.shape,
        folded=layer.step.folded,
        fed_by=tuple(sorted(layer.between)),
        gate=None if layer.gate is None else layer.gate[1],
    )
