"""`load`: the passes in their order."""

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.class_labels import Label
from onnxbound.graph.complete import Written
from onnxbound.graph.head import end_at_logits
from onnxbound.graph.layer import Step
from onnxbound.graph.lower import lower
from onnxbound.graph.model_file import WeightReader, lift_constants, read_model
from onnxbound.graph.network import Network
from onnxbound.graph.onnx_graph import OnnxGraph, PassResult, build_graph
from onnxbound.graph.passes.drop_no_ops import drop_no_ops
from onnxbound.graph.passes.expand_ml import expand_ml
from onnxbound.graph.passes.fix_lengths import RowShape, fix_lengths
from onnxbound.graph.passes.fold_affine import fold_affine
from onnxbound.graph.passes.fold_codes import fold_codes
from onnxbound.graph.passes.fold_constants import fold_constants
from onnxbound.graph.passes.fold_pad import fold_pad
from onnxbound.graph.passes.hold_inputs import hold_inputs
from onnxbound.graph.passes.inline_functions import inline_functions
from onnxbound.graph.passes.pack_inputs import pack_inputs
from onnxbound.graph.passes.pair_roundings import pair_roundings
from onnxbound.graph.passes.shape_logits import shape_logits
from onnxbound.graph.passes.spell_activation import spell_activation
from onnxbound.graph.passes.spell_codes import spell_codes
from onnxbound.graph.passes.spell_linear import spell_linear
from onnxbound.graph.passes.spell_masks import spell_masks
from onnxbound.graph.passes.spell_quantised import spell_quantised
from onnxbound.graph.passes.spell_relu import spell_relu
from onnxbound.graph.passes.widen_floats import widen_floats
from onnxbound.graph.reading import Reading
from onnxbound.graph.screen import screen
from onnxbound.operators.gate import is_activation
from onnxbound.operators.operator import Array
from onnxbound.operators.weighted import Weighted

_LISTED = 10


@np.errstate(all="ignore")  # what a file's numbers overflow to is found by `require_finite_weights`
def load(
    path: str | PathLike[str],
    *,
    logits: str | None = None,
    fixed: Mapping[str, Array] | None = None,
    input_shape: RowShape = None,
    external_root: str | PathLike[str] | None = None,
) -> Network:
    """Read an ONNX classifier.

    Args:
        path: An ONNX file of opset 7 or newer. External data next to it is memory-mapped.
        logits: The name of the tensor that holds the logits. It need not be an output. None means to find it.
        fixed: Inputs to hold constant: input names to values.
        input_shape: The shape of one row, if the file leaves it open: one shape for all inputs, shapes by input name,
            or a function. The function takes an input's name and its lengths (None if open), and returns the shape.
        external_root: Another folder from which external data may be loaded, such as that of a model cache.

    Returns:
        The network from its data input to its logits.

    Raises:
        ModelError: The file cannot be read, or onnxbound does not support some of its nodes. The error lists them.

    >>> from onnxbound import load
    >>> load("fixtures/mnist_mlp.onnx").depth
    3
    """
    file = Path(path)
    model, sha256 = read_model(file)
    reading = Reading(logits, fixed or {})
    lift_constants(model)
    screen(model)
    model, _, inlined = inline_functions(model)
    model, _, held = hold_inputs(model, reading.fixed)
    model, lengths, sized = fix_lengths(model, input_shape)
    reading = replace(reading, lengths=lengths)
    model, parts, packed = pack_inputs(model)
    model, _, widened = widen_floats(model)
    reader = WeightReader(file.parent, None if external_root is None else Path(external_root))
    sha256 = reader.fingerprint(model, sha256)
    notes, written = [inlined, held, sized, packed, widened], Written()
    node_count = len(model.graph.node)

    def follow(result: PassResult) -> OnnxGraph:
        notes.append(result.reason)
        written.note(result.graph)
        return result.graph

    graph = follow(fold_constants(build_graph(model, reader), reader))
    whole = graph = follow(expand_ml(graph))
    graph = follow(spell_quantised(graph))
    graph = follow(pair_roundings(graph))
    graph = follow(spell_relu(graph))
    graph = follow(spell_masks(graph))
    graph = follow(drop_no_ops(graph, parts.keys()))
    graph = follow(spell_codes(graph))
    graph = follow(spell_linear(graph))
    graph = follow(spell_activation(graph))
    ending, labels = end_at_logits(graph, whole, model, reading.logits)
    for result in ending.results:
        graph = follow(result)
    lowered, batch = ending.lowered, ending.batch
    shaped = shape_logits(graph, lowered.shapes[graph.outputs[0]])
    if shaped.changed:
        graph = follow(shaped)
        lowered = lower(graph, ending.data_input, batch)
    written.note(lowered.written)
    (output,), shapes = graph.outputs, lowered.shapes
    steps, _, padded = fold_pad(lowered.steps, output)
    steps, _, coded = fold_codes(steps, output)
    steps, _, folded = fold_affine(steps, shapes, output)
    assert ending.data_input.type is not None
    network = Network(
        path=file,
        sha256=sha256,
        model=written.completed(model, _named(steps, output)),
        opset=graph.opset,
        ir_version=model.ir_version,
        # tf2onnx writes its version and its commit, which is None in a released one.
        producer=f"{model.producer_name} {model.producer_version}".strip().removesuffix(" None"),
        input=ending.data_input.name,
        input_type=ending.data_input.type,
        input_shape=shapes[ending.data_input.name],
        batch=batch,
        one_row=batch != ending.fixed_batch,
        output=output,
        classes=_classes(output, shapes[output]),
        class_labels=labels,
        steps=steps,
        shapes=shapes,
        head="; ".join(filter(None, (ending.results[0].reason, shaped.reason, _called(labels)))) or None,
        heads=ending.heads,
        notes=tuple(note for note in [*notes, padded, coded, folded] if note),
        node_count=node_count,
        reading=reading,
        parts=parts,
        external=reader.external(model),
    )
    if not network.layers:
        raise ModelError("model-no-layers", f"{file} has no weighted layer between its input and its output.")
    return network


def _named(steps: tuple[Step, ...], output: str) -> list[str]:
    """The tensors that onnxruntime is asked for: around every layer and every gate, and the logits."""
    around = (step for step in steps if isinstance(step.operator, Weighted) or is_activation(step.operator))
    return [*(name for step in around for name in (*step.inputs, step.output)), output]


def _called(labels: tuple[Label, ...]) -> str:
    """The names of the classes, in words; empty where they are 0 to K - 1."""
    if labels == tuple(range(len(labels))):
        return ""
    listed = ", ".join(map(str, labels[:_LISTED])) + (", ..." if len(labels) > _LISTED else "")
    return f"the classes are labelled {listed}"


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
