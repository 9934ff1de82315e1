"""The intermediate representation: weighted layers, gates and linear structure between named tensors."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike
from onnx import ModelProto

from onnxbound.errors import ModelError, Problem, visible
from onnxbound.graph.layer import Layer, Step
from onnxbound.graph.reading import Reading
from onnxbound.operators.gate import is_activation
from onnxbound.operators.operator import Array, Shape
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.operators.weighted import Weighted, bands
from onnxbound.words import counted


@dataclass(frozen=True)
class Network:
    """An ONNX classifier, normalised; immutable.

    Attributes:
        path: The file.
        sha256: Its hash, and that of every file that it keeps weights in.
        model: What runtimes are given: local functions inlined, what passes wrote appended, external data outside.
        opset: Version of the default operator set.
        ir_version: Version of the file format.
        producer: Who wrote the file.
        input: Name of the data input.
        input_type: Its element type.
        input_shape: Shape of one row; None where any length fits.
        batch: Fixed batch length, None if any will do.
        one_row: Whether the batch is 1 only because the graph does not show that the rows of a batch are independent.
        output: Name of the logits.
        classes: K.
        class_labels: Name of each class in the file, (K,); 0 to K - 1 where it has none.
        steps: Operators in topological order.
        shapes: Tensor name to the shape of one row.
        head: What was removed behind the logits, in words; None if nothing.
        heads: The outputs that were computed by what was removed.
        notes: What each pass did, in words.
        node_count: Nodes in the file's main graph, functions inlined.
        reading: The caller's choices about how to read the file.
        external: The initializers that the file keeps in other files, by name.
        parts: Name to shape of several inputs per row, in the order in which they stand side by side; else empty.
    """

    path: Path
    sha256: str
    model: ModelProto
    opset: int
    ir_version: int
    producer: str
    input: str
    input_type: np.dtype[Any]
    input_shape: Shape
    batch: int | None
    one_row: bool
    output: str
    classes: int
    class_labels: tuple[int | str, ...]
    steps: tuple[Step, ...]
    shapes: Mapping[str, Shape]
    head: str | None
    heads: tuple[str, ...]
    notes: tuple[str, ...]
    node_count: int
    reading: Reading
    external: Mapping[str, Array]
    parts: Mapping[str, Shape] = field(default_factory=dict)

    def __repr__(self) -> str:
        size = f"{counted(self.depth, 'layer')}, {self.parameters:,} parameters, {self.classes} classes"
        return f"<Network {visible(str(self.path))}: {self.topology} of {size}, rows {self.input_shape}>"

    def _repr_html_(self) -> str:
        from onnxbound.graph.inspection import inspection

        return inspection(self)._repr_html_()

    @property
    def multiply_adds(self) -> int:
        """Products of all layers per row."""
        return sum(layer.multiply_adds for layer in self.layers)

    @cached_property
    def layers(self) -> tuple[Layer, ...]:
        """The weighted layers in topological file order."""
        between = self._between()
        weighted = [step for step in self.steps if isinstance(step.operator, Weighted)]
        layers = []
        for index, step in enumerate(weighted, start=1):
            assert isinstance(step.operator, Weighted)
            layers.append(
                Layer(
                    index=index,
                    step=step,
                    operator=step.operator,
                    input=step.inputs[0],
                    output=step.output,
                    input_shape=self.shapes[step.inputs[0]],
                    output_shape=self.shapes[step.output],
                    weight_name=step.weight,
                    between=between[step.inputs[0]],
                    gate=self._first_gate(step.output),
                )
            )
        return tuple(layers)

    @property
    def depth(self) -> int:
        """d, the number of weighted layers."""
        return len(self.layers)

    @cached_property
    def parameters(self) -> int:
        """Every trained number of the file, shared ones once.

        Weights, biases, scales and shifts of BatchNormalization, slopes of PRelu, scales and zero points of quantised
        activations, and the constants of element-wise maps behind the first weighted layer; those before it are taken
        for preprocessing, running statistics for measurements. A single number (an end of a Clip, the slope of a
        LeakyRelu, a factor) counts unless it is round, as people write numbers. A number that is repeated, as a class
        token for every row, counts once.
        """
        return sum(dict(constant for step in self.steps for constant in step.trained).values())

    @cached_property
    def smooth_operators(self) -> tuple[str, ...]:
        """ONNX names of the operators that are not piecewise linear, which [A]'s theorems are not about."""
        return tuple(sorted({step.op for step in self.steps if not step.operator.piecewise_linear}))

    @cached_property
    def roundings(self) -> int:
        """How many steps round to a grid; such a net is a step function, and rounding decides values at a step."""
        return sum(isinstance(step.operator, SaturatingRounding) for step in self.steps)

    @cached_property
    def topology(self) -> Literal["chain", "graph"]:
        """Chain if every step reads one activation and every activation has one reader."""
        read = [name for step in self.steps for name in step.inputs]
        straight = len(read) == len(set(read)) and all(len(step.inputs) == 1 for step in self.steps)
        return "chain" if straight else "graph"

    @cached_property
    def tail_lipschitz(self) -> Mapping[int, float]:
        """Layer to the Lipschitz constant of the paths from its x^i to the logits that cross no other layer."""
        return self._between()[self.output]

    def target(self, index: int) -> str:
        """Name of x^j as the target of a Jacobian: the logits for j = d, the layer's output otherwise."""
        return self.output if index == self.depth else self.layers[index - 1].output

    @cached_property
    def sources(self) -> Mapping[str, tuple[int, ...]]:
        """Tensor name to the layers i from whose x^i a path leads to it, ascending; x^i itself included."""
        number = {layer.output: layer.index for layer in self.layers}
        result: dict[str, tuple[int, ...]] = {self.input: ()}
        for step in self.steps:
            reaching = {source for name in step.inputs for source in result[name]}
            if step.output in number:
                reaching.add(number[step.output])
            result[step.output] = tuple(sorted(reaching))
        return result

    def has_path(self, source: int, target: int) -> bool:
        """Whether a path leads from the output of layer `source` to that of layer `target`, source < target."""
        return source < target and source in self.sources[self.target(target)]

    def downstream(self, sources: Collection[str]) -> set[str]:
        """The given tensors and every tensor that a path leads to from one of them."""
        reached = set(sources)
        for step in self.steps:
            if not reached.isdisjoint(step.inputs):
                reached.add(step.output)
        return reached

    def _between(self) -> dict[str, dict[int, float]]:
        """Tensor name to the Lipschitz constant from each x^k that reaches it without crossing a weight.

        Constants multiply along a path and add over paths.
        """
        number = 0
        result: dict[str, dict[int, float]] = {self.input: {}}
        for step in self.steps:
            if isinstance(step.operator, Weighted):
                number += 1
                result[step.output] = {number: 1.0}
                continue
            factors = step.operator.lipschitz(*(self.shapes[name] for name in step.inputs))
            total: dict[int, float] = {}
            for name, factor in zip(step.inputs, factors, strict=True):
                for source, constant in result[name].items():
                    total[source] = total.get(source, 0.0) + factor * constant
            result[step.output] = total
        return result

    def _first_gate(self, name: str) -> tuple[str, str] | None:
        """Input and output of the first element-wise gate downstream of a tensor and before any other layer."""
        reached = {name}
        for step in self.steps:
            if reached.isdisjoint(step.inputs) or isinstance(step.operator, Weighted):
                continue
            if is_activation(step.operator):
                return step.inputs[0], step.output
            reached.add(step.output)
        return None

    def cast(self, dtype: DTypeLike) -> "Network":
        """The network with its constants rounded to `dtype`, ready to act on tensors of that type; in float32 one."""
        return self._single if np.dtype(dtype) == np.float32 else self._rounded(dtype)

    @cached_property
    def _single(self) -> "Network":
        """Kept, with what its operators make of their weights."""
        return self._rounded(np.float32)

    def _rounded(self, dtype: DTypeLike) -> "Network":
        return replace(self, steps=tuple(replace(step, operator=step.operator.cast(dtype)) for step in self.steps))

    @np.errstate(invalid="ignore")  # a signalling NaN says so when it is cast
    def require_finite_weights(self) -> None:
        """Raise model-weights-not-finite if a layer has a NaN or infinite weight or bias."""
        problems = []
        for layer in self.layers:
            operator = layer.operator
            broken = sum(int(np.sum(~np.isfinite(band))) for band in bands(operator.matrix))
            others = (each for each in (operator.scale, operator.bias) if each is not None)
            if broken := broken + sum(int(np.sum(~np.isfinite(each))) for each in others):
                why = f"NaN or infinite: {counted(broken, 'weight')}"
                problems.append(Problem(layer.step.where, why, "train again"))
        if problems:
            raise ModelError("model-weights-not-finite", "The model has weights that are not finite.", problems)
