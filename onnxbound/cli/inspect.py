"""`onnxbound inspect`."""

import sys
from typing import TYPE_CHECKING, Any

from onnxbound.cli.groups import ModelOptions, grouped
from onnxbound.cli.options import (
    Debug,
    Force,
    Format,
    FormatOption,
    Json,
    ModelArgument,
    Output,
    chosen_format,
)

if TYPE_CHECKING:
    from onnxbound.graph.network import Network


@grouped
def inspect(
    model: ModelArgument,
    reading: ModelOptions,
    *,
    output_format: FormatOption = Format.TABLE,
    as_json: Json = False,
    output: Output = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Show the graph as onnxbound sees it: layers, shapes, parameters, what was folded, and what is not supported."""
    del debug
    from onnxbound.cli.output import emit, require_outputs, to_json

    require_outputs([output], force=force)
    document = _document(reading.network(model))
    wanted = chosen_format(output_format, as_json=as_json)
    if wanted is Format.JSON:
        text = to_json(document)
    elif wanted is Format.CSV:
        from onnxbound.report.csv import to_csv

        text = to_csv(document)
    else:
        text = _table(document, to_file=output is not None)
    emit(text, output, force=force)


def _document(network: "Network") -> dict[str, Any]:
    """`onnxbound.inspect/1`."""
    layers = [
        {
            "index": layer.index,
            "name": layer.name,
            "op": layer.step.op,
            "where": layer.step.where,
            "weight": layer.weight_name,
            "weight_shape": list(layer.operator.weight.shape),
            "parameters": layer.parameters,
            "multiply_adds": layer.multiply_adds,
            "folded": list(layer.step.folded),
            "kernel": list(layer.kernel),
            "stride": list(layer.stride),
            "input_shape": list(layer.input_shape),
            "output_shape": list(layer.output_shape),
            "fed_by": sorted(layer.between),
            "gate": None if layer.gate is None else layer.gate[1],
        }
        for layer in network.layers
    ]
    return {
        "schema": "onnxbound.inspect/1",
        "model": {
            "path": str(network.path),
            "sha256": network.sha256,
            "opset": network.opset,
            "ir_version": network.ir_version,
            "producer": network.producer,
            "input": network.input,
            "input_type": str(network.input_type),
            "input_shape": list(network.input_shape),
            "batch": network.batch,
            "output": network.output,
            "classes": network.classes,
            "parameters": network.parameters,
            "depth": network.depth,
            "topology": network.topology,
            "multiply_adds": sum(layer.multiply_adds for layer in network.layers),
            "smooth_operators": list(network.smooth_operators),
        },
        "steps": _steps(network),
        "layers": layers,
        "coverage": {
            "nodes": network.node_count,
            "weighted_layers": network.depth,
            "normalised": list(network.notes),
            "stripped_head": network.head,
        },
    }


def _steps(network: "Network") -> list[dict[str, Any]]:
    """Every operator in its order; those that are layers by their number."""
    number = {layer.output: layer.index for layer in network.layers}
    return [
        {
            "layer": number.get(step.output),
            "op": step.op,
            "name": step.name,
            "inputs": list(step.inputs),
            "output": step.output,
            "output_shape": list(network.shapes[step.output]),
        }
        for step in network.steps
    ]


def _row(step: dict[str, Any], layer: dict[str, Any] | None) -> tuple[str, ...]:
    """A layer with everything about it, or what stands between layers, indented."""
    shape = "x".join(map(str, step["output_shape"])) or "1"
    if layer is None:
        return "", "", f"  {step['op']}", "", "", "", shape, ""
    return (
        str(layer["index"]),
        layer["name"],
        " + ".join([layer["op"], *layer["folded"]]),
        "x".join(map(str, layer["weight_shape"])),
        f"{layer['parameters']:,}",
        f"{layer['multiply_adds']:,}",
        shape,
        ", ".join(map(str, layer["fed_by"])) or "input",
    )


def _table(document: dict[str, Any], *, to_file: bool) -> str:
    import io

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from onnxbound.errors import visible

    model, coverage = document["model"], document["coverage"]
    terminal = sys.stdout.isatty() and not to_file
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=Console().width if terminal else 120)
    console.print(Text(visible(f"{model['path']}: opset {model['opset']}, {model['producer'] or 'unknown producer'}")))
    shape = "x".join(map(str, [model["batch"] or "N", *model["input_shape"]]))
    described = (
        f"input {model['input']} {model['input_type']} {shape}, output {model['output']}: {model['classes']} classes"
    )
    console.print(Text(visible(described)))
    console.print(
        f"{model['topology']} of {model['depth']} weighted layers, {model['parameters']:,} parameters,"
        f" {model['multiply_adds']:,} multiply-adds per row"
    )
    table = Table(box=None, padding=(0, 1), header_style="italic")
    for name in ("", "layer", "op", "weight", "weights", "mult-adds", "output", "fed by"):
        table.add_column(name, justify="right" if name in ("weights", "mult-adds") else "left", overflow="fold")
    layers = {layer["index"]: layer for layer in document["layers"]}
    for step in document["steps"]:
        table.add_row(*(Text(visible(cell)) for cell in _row(step, layers.get(step["layer"]))))
    console.print(table)
    for note in coverage["normalised"]:
        console.print(Text(visible(f"- {note}")))
    if model["smooth_operators"]:
        console.print(f"not piecewise linear: {', '.join(model['smooth_operators'])}; [A]'s theorems do not apply")
    depth, nodes = coverage["weighted_layers"], coverage["nodes"]
    console.print(f"{depth} of {depth} weighted layers and every one of the {nodes} nodes are understood")
    return text.getvalue()
