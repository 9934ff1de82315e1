"""The view of a network as onnxbound reads it."""

from collections.abc import Iterator
from pathlib import Path

from onnxbound.graph.inspection import InspectedLayer, InspectedStep, Inspection
from onnxbound.report.view import Facts, Section, Table, View, command
from onnxbound.words import counted

_NEXT = "to measure it on its training set (bytes need a scale such as 1/255: the one of training)"
_HEAD = ("op", "", "layer", "weight", "output", "fed by", "weights", "mult-adds")


def inspection_view(inspection: Inspection) -> View:
    """Show the file, every operator in order, and what was done to the graph."""
    model, coverage = inspection.model, inspection.coverage
    shape = "x".join(map(str, [model.batch or "N", *model.input_shape]))
    about = (
        ("model", f"{model.path}: opset {model.opset}, {model.producer or 'unknown producer'}"),
        ("input", f"'{model.input}' {model.input_type} {shape}"),
        ("output", f"'{model.output}': {model.classes} classes"),
        ("size", f"{model.parameters:,} parameters, {model.multiply_adds:,} multiply-adds per row"),
    )
    network = f"The net is a {model.topology} of {counted(model.depth, 'weighted layer')}."
    layers = {layer.index: layer for layer in inspection.layers}
    rows = tuple(_row(step, layers.get(step.layer or 0)) for step in inspection.steps)
    table = Table("Layers, and the operators between them", _HEAD, rows, left=6, spare=("mult-adds", "weight"))
    sections = [Section("Operators in their order", (table,))]
    if coverage.normalised:
        sections.append(Section("What was done to the graph", coverage.normalised))
    return View(
        title=Path(model.path).name or "model",
        about=Facts(about),
        verdict=(f"onnxbound reads all {coverage.nodes} nodes of this model. {network}",),
        sections=tuple(sections),
        caveats=tuple(_caveats(inspection)),
        next_steps=((_NEXT, command("analyze", model.path, data="TRAIN.npz")),),
    )


def _caveats(inspection: Inspection) -> Iterator[str]:
    model = inspection.model
    if model.smooth_operators:
        yield f"the net is not piecewise linear ({', '.join(model.smooth_operators)}): [A]'s theorems do not apply"
    elif model.topology == "graph":
        yield "the net is not a chain: [A]'s theorems are not proved for it"


def _row(step: InspectedStep, layer: InspectedLayer | None) -> tuple[str, ...]:
    """Write the row of a layer, or of an operator between layers, indented."""
    shape = "x".join(map(str, step.output_shape)) or "1"
    if layer is None:
        return f"  {step.op}", "", "", "", shape, "", "", ""
    return (
        " + ".join([layer.op, *layer.folded]),
        str(layer.index),
        layer.name,
        "x".join(map(str, layer.weight_shape)),
        shape,
        ", ".join(map(str, layer.fed_by)) or "input",
        f"{layer.parameters:,}",
        f"{layer.multiply_adds:,}",
    )
