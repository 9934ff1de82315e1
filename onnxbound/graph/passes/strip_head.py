"""A trailing Softmax, LogSoftmax, Sigmoid, ArgMax or ZipMap is cut off, so that the network ends in its logits."""

from dataclasses import replace

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.onnx_graph import OnnxGraph, PassResult

_HEADS = {"Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "ai.onnx.ml::ZipMap"}
_LABELS_ONLY = {"TopK", "ai.onnx.ml::ArrayFeatureExtractor"}


def strip_head(graph: OnnxGraph) -> PassResult:
    """Walk back from each output over operators that keep or only report the order of the logits.

    Of several outputs the network is read at the first that leads to logits; outputs that lead to the same logits, such
    as a label and its probabilities, are one.
    """
    producers = graph.producers()
    found: dict[str, list[str]] = {}
    for output in graph.outputs:
        name, stripped = output, []
        while name in producers and producers[name].op_type in _HEADS:
            stripped.append(producers[name].op_type)
            name = producers[name].inputs[0]
        if name in producers and producers[name].op_type not in _LABELS_ONLY:
            found.setdefault(name, stripped)
    if not found:
        raise ModelError(
            "model-not-classifier",
            "No output of the model leads to logits.",
            [Problem(f"output {name!r}", "no node computes it", "export the model again") for name in graph.outputs],
        )
    logits, stripped = next(iter(found.items()))
    parts = [f"stripped the head {' <- '.join(stripped)}"] if stripped else []
    if len(found) > 1:
        parts.append(f"of {len(found)} outputs, {logits!r} is read as the logits")
    return PassResult(replace(graph, outputs=(logits,)), bool(parts) or len(graph.outputs) > 1, "; ".join(parts))
