"""A network as onnxbound sees it, for people in a terminal."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from onnxbound.errors import visible
from onnxbound.graph.inspection import InspectedLayer, InspectedStep, Inspection

_RIGHT = ("weights", "mult-adds")


def render_inspection(inspection: Inspection, console: Console) -> None:
    """Print the file, every step in its order, and what was done to the graph."""
    model, coverage = inspection.model, inspection.coverage
    shape = "x".join(map(str, [model.batch or "N", *model.input_shape]))
    numbers = f"{model.parameters:,} parameters, {model.multiply_adds:,} multiply-adds per row"
    for line in (
        f"{model.path}: opset {model.opset}, {model.producer or 'unknown producer'}",
        f"input '{model.input}' {model.input_type} {shape}, output '{model.output}': {model.classes} classes",
        f"{model.topology} of {model.depth} weighted layers, {numbers}",
    ):
        console.print(Text(visible(line)))
    table = Table(box=None, padding=(0, 1), header_style="italic")
    for name in ("", "layer", "op", "weight", *_RIGHT, "output", "fed by"):
        table.add_column(name, justify="right" if name in _RIGHT else "left", overflow="fold")
    layers = {layer.index: layer for layer in inspection.layers}
    for step in inspection.steps:
        table.add_row(*(Text(visible(cell)) for cell in _row(step, layers.get(step.layer or 0))))
    console.print(table)
    for note in coverage.normalised:
        console.print(Text(visible(f"- {note}")))
    if model.smooth_operators:
        console.print(f"not piecewise linear: {', '.join(model.smooth_operators)}; [A]'s theorems do not apply")
    depth, nodes = coverage.weighted_layers, coverage.nodes
    console.print(f"{depth} of {depth} weighted layers and every one of the {nodes} nodes are understood")


def _row(step: InspectedStep, layer: InspectedLayer | None) -> tuple[str, ...]:
    """A layer with everything about it, or what stands between layers, indented."""
    shape = "x".join(map(str, step.output_shape)) or "1"
    if layer is None:
        return "", "", f"  {step.op}", "", "", "", shape, ""
    return (
        str(layer.index),
        layer.name,
        " + ".join([layer.op, *layer.folded]),
        "x".join(map(str, layer.weight_shape)),
        f"{layer.parameters:,}",
        f"{layer.multiply_adds:,}",
        shape,
        ", ".join(map(str, layer.fed_by)) or "input",
    )
