"""End a graph at its logits, and check that what is cut off behind them chooses the class that they do."""

from dataclasses import replace
from math import prod
from typing import NamedTuple

import numpy as np
from onnx import ModelProto

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.class_labels import HeadError, Label, class_labels
from onnxbound.graph.lower import Lowered, lower
from onnxbound.graph.onnx_graph import GraphInput, OnnxGraph, PassResult
from onnxbound.graph.passes.drop_unused import drop_unused
from onnxbound.graph.passes.share_weights import share_weights
from onnxbound.graph.passes.strip_head import strip_head
from onnxbound.graph.screen import require_moderate_batch

_INPUT_TYPES = (np.float32, np.float64, np.uint8, np.int8, np.int16, np.int32, np.int64)


class Ending(NamedTuple):
    """A graph that ends at its logits.

    Attributes:
        results: Results of the passes, in their order; the first says what was cut off.
        heads: Names of the outputs that were cut off.
        data_input: The one input that the logits depend on.
        fixed_batch: Its batch length if it has a fixed one.
        batch: The same; 1 where the graph does not show that the rows of a batch are independent.
        lowered: The steps and shapes.
    """

    results: tuple[PassResult, ...]
    heads: tuple[str, ...]
    data_input: GraphInput
    fixed_batch: int | None
    batch: int | None
    lowered: Lowered


def end_at_logits(
    graph: OnnxGraph, whole: OnnxGraph, model: ModelProto, logits: str | None
) -> tuple[Ending, tuple[Label, ...]]:
    """Cut off the nodes behind the logits, and find the names that they give the classes.

    Where an output does not choose the class of the largest logit, it is itself read as the logits, if possible.

    Args:
        graph: Normalised.
        whole: The same graph with its conversions of type, which nodes behind the logits may need.
        model: The message that imports the operator sets.
        logits: Name of the tensor to read as the logits; None to find it.

    Raises:
        ModelError: model-not-classifier, model-inputs, model-output, model-unsupported-operator, ...
    """
    ending = _ended(graph, logits, bare=False)
    try:
        return ending, _labels(ending, whole, model)
    except HeadError as error:
        instead = None if error.constant else _as_it_is(graph, logits)
        if instead is None:
            output = ending.results[0].graph.outputs[0]
            where, do = f"output {error.head!r}", f'`logits="{output}"` reads the tensor that it is computed from'
            message = f"The model does not choose the class of the largest entry of {output!r}."
            raise ModelError("model-not-classifier", message, [Problem(where, str(error), do)]) from error
    return instead, _labels(instead, whole, model)


def _labels(ending: Ending, whole: OnnxGraph, model: ModelProto) -> tuple[Label, ...]:
    (output,) = ending.results[0].graph.outputs
    return class_labels(whole, model, ending.heads, output, ending.lowered.shapes, ending.batch)


def _as_it_is(graph: OnnxGraph, logits: str | None) -> Ending | None:
    try:
        return _ended(graph, logits, bare=True)
    except ModelError:
        return None


def _ended(graph: OnnxGraph, logits: str | None, *, bare: bool) -> Ending:
    headed, heads = strip_head(graph, logits, bare=bare)
    used = drop_unused(headed.graph)
    shared = share_weights(used.graph)
    data_input, fixed_batch = _data_input(shared.graph)
    lowered, batch = _lowered(shared.graph, data_input, fixed_batch)
    require_moderate_batch(batch or 1, max(lowered.shapes.values(), key=prod))
    return Ending((headed, used, shared), heads, data_input, fixed_batch, batch, lowered)


def _lowered(graph: OnnxGraph, data_input: GraphInput, batch: int | None) -> tuple[Lowered, int | None]:
    """The graph's steps for any batch; where they would mix the rows of a batch, those for a batch of one row."""
    try:
        return lower(graph, data_input, batch), batch
    except ModelError as several:
        if batch is not None:
            raise
        try:
            return lower(graph, data_input, 1), 1
        except ModelError:
            raise several from None


def _data_input(graph: OnnxGraph) -> tuple[GraphInput, int | None]:
    """The one input that the logits depend on, and its fixed batch length if it has one."""
    read = {name for node in graph.nodes for name in node.inputs}
    used = [value for value in graph.inputs if value.name in read]
    if len(used) != 1:
        listed = [Problem(f"input {value.name!r}", f"shape {value.dims}", "set it with `fixed`") for value in used]
        raise ModelError(
            "model-inputs", f"The logits depend on {len(used)} inputs, and rows can go into only one of them.", listed
        )
    (data_input,) = used
    where = f"input {data_input.name!r}"
    if data_input.type is None or data_input.type.type not in _INPUT_TYPES:
        raise ModelError(
            "model-unsupported-type",
            f"onnxbound cannot read an input of element type {data_input.type}.",
            [Problem(where, f"element type {data_input.type}", "convert the model to float32")],
        )
    dims = data_input.dims
    if dims is None or len(dims) < 2 or any(n is None for n in dims[1:]):
        raise ModelError(
            "model-inputs",
            "The shape of a row of the input is not known.",
            [Problem(where, f"shape {dims}", "give `input_shape`, such as 3,224,224, or rows")],
        )
    return replace(data_input, dims=(None, *dims[1:])), dims[0]
