"""`load`: the passes in their order."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from os import PathLike
from pathlib import Path

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.complete import Written
from onnxbound.graph.lower import ANY_BATCH, Lowered, lower
from onnxbound.graph.model_file import WeightReader, lift_constants, read_model
from onnxbound.graph.network import Network, Step
from onnxbound.graph.onnx_graph import GraphInput, OnnxGraph, PassResult, build_graph
from onnxbound.graph.passes.drop_no_ops import drop_no_ops
from onnxbound.graph.passes.drop_unused import drop_unused
from onnxbound.graph.passes.expand_ml import expand_ml
from onnxbound.graph.passes.fold_affine import fold_affine
from onnxbound.graph.passes.fold_constants import fold_constants
from onnxbound.graph.passes.fold_pad import fold_pad
from onnxbound.graph.passes.hold_inputs import hold_inputs
from onnxbound.graph.passes.inline_functions import inline_functions
from onnxbound.graph.passes.pair_roundings import pair_roundings
from onnxbound.graph.passes.shape_logits import shape_logits
from onnxbound.graph.passes.share_weights import share_weights
from onnxbound.graph.passes.spell_activation import spell_activation
from onnxbound.graph.passes.spell_linear import spell_linear
from onnxbound.graph.passes.spell_quantised import spell_quantised
from onnxbound.graph.passes.spell_relu import spell_relu
from onnxbound.graph.passes.strip_head import strip_head
from onnxbound.graph.passes.widen_floats import widen_floats
from onnxbound.graph.reading import Reading
from onnxbound.graph.screen import require_moderate_batch, screen
from onnxbound.operators.gate import is_activation
from onnxbound.operators.operator import Array
from onnxbound.operators.weighted import Weighted

_INPUT_TYPES = (np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32, np.int64)


@np.errstate(all="ignore")  # what a file's numbers overflow to is found by `require_finite_weights`
def load(
    path: str | PathLike[str],
    *,
    logits: str | None = None,
    fixed: Mapping[str, Array] | None = None,
    external_root: str | PathLike[str] | None = None,
) -> Network:
    """Read an ONNX classifier.

    Args:
        path: An ONNX file of opset 7 or newer; external data beside it is memory-mapped.
        logits: Name of the tensor that is read as the logits, an output or any other; found if None.
        fixed: Input name to the value that it is held at, where the model has several inputs.
        external_root: One further folder that external data may lie in or below, as model caches need.

    Returns:
        The network from its data input to its logits.

    Raises:
        ModelError: The file cannot be read, or contains what onnxbound does not support; every place is listed.
    """
    file = Path(path)
    model, sha256 = read_model(file)
    reading = Reading(logits, fixed or {})
    lift_constants(model)
    screen(model)
    model, _, inlined = inline_functions(model)
    model, _, held = hold_inputs(model, reading.fixed)
    model, _, widened = widen_floats(model)
    reader = WeightReader(file.parent, None if external_root is None else Path(external_root))
    notes, written = [inlined, held, widened], Written()
    node_count = len(model.graph.node)

    def follow(result: PassResult) -> OnnxGraph:
        notes.append(result.reason)
        written.note(result.graph)
        return result.graph

    graph = follow(fold_constants(build_graph(model, reader), reader))
    graph = follow(expand_ml(graph))
    graph = follow(spell_quantised(graph))
    graph = follow(pair_roundings(graph))
    graph = follow(spell_relu(graph))
    graph = follow(drop_no_ops(graph))
    graph = follow(spell_linear(graph))
    graph = follow(spell_activation(graph))
    headed = strip_head(graph, reading.logits)
    graph = follow(headed)
    graph = follow(drop_unused(graph))
    graph = follow(share_weights(graph))
    data_input, batch = _data_input(graph)
    fixed_batch = batch
    lowered, batch = _lowered(graph, data_input, batch)
    require_moderate_batch(batch or 1, max(lowered.shapes.values(), key=prod))
    shaped = shape_logits(graph, lowered.shapes[graph.outputs[0]])
    if shaped.changed:
        graph = follow(shaped)
        lowered = lower(graph, data_input, batch or ANY_BATCH)
    written.note(lowered.written)
    (output,), shapes = graph.outputs, lowered.shapes
    steps, _, padded = fold_pad(lowered.steps, output)
    steps, _, folded = fold_affine(steps, shapes, output)
    assert data_input.type is not None
    network = Network(
        path=file,
        sha256=sha256,
        model=written.completed(model, _named(steps, output)),
        opset=graph.opset,
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        input=data_input.name,
        input_type=data_input.type,
        input_shape=shapes[data_input.name],
        batch=batch,
        one_row=batch != fixed_batch,
        output=output,
        classes=_classes(output, shapes[output]),
        steps=steps,
        shapes=shapes,
        head="; ".join(filter(None, (headed.reason, shaped.reason))) or None,
        notes=tuple(note for note in [*notes, padded, folded] if note),
        node_count=node_count,
        reading=reading,
        external=reader.external(model),
    )
    if not network.layers:
        raise ModelError("model-no-layers", f"{file} has no weighted layer between its input and its output.")
    return network


def _lowered(graph: OnnxGraph, data_input: GraphInput, batch: int | None) -> tuple[Lowered, int | None]:
    """The graph's steps; where they do not keep the rows of a batch apart, those of a batch of one row."""
    try:
        return lower(graph, data_input, batch or ANY_BATCH), batch
    except ModelError as several:
        if batch is not None:
            raise
        try:
            return lower(graph, data_input, 1), 1
        except ModelError:
            raise several from None


def _named(steps: tuple[Step, ...], output: str) -> list[str]:
    """Tensors that are asked of onnxruntime: around every layer and every gate, and the logits."""
    around = (step for step in steps if isinstance(step.operator, Weighted) or is_activation(step.operator))
    return [*(name for step in around for name in (*step.inputs, step.output)), output]


def _data_input(graph: OnnxGraph) -> tuple[GraphInput, int | None]:
    """The one input that the logits depend on, and its fixed batch length if it has one."""
    read = {name for node in graph.nodes for name in node.inputs}
    used = [value for value in graph.inputs if value.name in read]
    if len(used) != 1:
        listed = [
            Problem(f"input {value.name!r}", f"shape {value.dims}", "--fix NAME=VALUE holds it") for value in used
        ]
        raise ModelError("model-inputs", f"The logits depend on {len(used)} inputs; rows go into one.", listed)
    (data_input,) = used
    where = f"input {data_input.name!r}"
    if data_input.type is None or data_input.type.type not in _INPUT_TYPES:
        raise ModelError(
            "model-unsupported-type",
            f"The input has the element type {data_input.type}.",
            [Problem(where, f"element type {data_input.type}", "convert the model to float32")],
        )
    dims = data_input.dims
    if dims is None or len(dims) < 2 or any(n is None for n in dims[1:]):
        raise ModelError(
            "model-inputs",
            "The shape of a row of the input is not known.",
            [Problem(where, f"shape {dims}", "export with fixed lengths; only the batch may be symbolic")],
        )
    return replace(data_input, dims=(None, *dims[1:])), dims[0]


def _classes(logits: str, shape: tuple[int, ...]) -> int:
    """K; a classifier has one vector of at least two logits per row."""
    if len(shape) != 1:
        why = f"a row of shape {shape}"
        raise ModelError(
            "model-not-classifier",
            f"The output {logits!r} has {why}, not one logit per class.",
            [Problem(f"output {logits!r}", why, "export a model whose output is one logit per class")],
        )
    return shape[0]
