"""`onnxbound inspect`."""

import sys
from typing import TYPE_CHECKING, Any

from onnxbound.cli.options import (
    Debug,
    ExternalRoot,
    Fix,
    Force,
    Format,
    FormatOption,
    Json,
    Logits,
    ModelArgument,
    Output,
    chosen_format,
)

if TYPE_CHECKING:
    from onnxbound.graph.network import Network


def inspect(
    model: ModelArgument,
    *,
    logits: Logits = None,
    fix: Fix = None,
    external_root: ExternalRoot = None,
    output_format: FormatOption = Format.TABLE,
    as_json: Json = False,
    output: Output = None,
    force: Force = False,
    debug: Debug = False,
) -> None:
    """Show the graph as onnxbound sees it: layers, shapes, parameters, what was folded, and what is not supported."""
    del debug
    from onnxbound.cli.output import emit, require_outputs, to_json
    from onnxbound.cli.values import held_inputs
    from onnxbound.graph.load import load

    require_outputs([output], force=force)
    document = _document(load(model, logits=logits, fixed=held_inputs(fix or []), external_root=external_root))
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
        },
        "layers": layers,
        "coverage": {
            "nodes": network.node_count,
            "weighted_layers": network.depth,
            "normalised": list(network.notes),
            "stripped_head": network.head,
        },
    }


def _table(document: dict[str, Any], *, to_file: bool) -> str:
    import io

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from onnxbound.report.words import safe

    model, coverage = document["model"], document["coverage"]
    terminal = sys.stdout.isatty() and not to_file
    text = io.StringIO()
    console = Console(file=text, force_terminal=terminal, width=Console().width if terminal else 100)
    console.print(Text(safe(f"{model['path']}: opset {model['opset']}, {model['producer'] or 'unknown producer'}")))
    shape = "x".join(map(str, [model["batch"] or "N", *model["input_shape"]]))
    described = (
        f"input {model['input']} {model['input_type']} {shape}, output {model['output']}: {model['classes']} classes"
    )
    console.print(Text(safe(described)))
    console.print(f"{model['topology']} of {model['depth']} weighted layers, {model['parameters']:,} parameters")
    table = Table(box=None, padding=(0, 1), header_style="italic")
    for name in ("", "layer", "op", "weight", "weights", "output", "fed by"):
        table.add_column(name, justify="right" if name == "weights" else "left", overflow="fold")
    for layer in document["layers"]:
        table.add_row(
            str(layer["index"]),
            Text(safe(layer["name"])),
            layer["op"],
            "x".join(map(str, layer["weight_shape"])),
            f"{layer['parameters']:,}",
            "x".join(map(str, layer["output_shape"])),
            ", ".join(map(str, layer["fed_by"])) or "input",
        )
    console.print(table)
    for note in coverage["normalised"]:
        console.print(Text(safe(f"- {note}")))
    console.print(f"every one of the {coverage['nodes']} nodes is understood")
    return text.getvalue()
