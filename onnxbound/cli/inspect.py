"""`onnxbound inspect`."""

import sys
from typing import Any

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
    from onnxbound.cli.output import emit, require_outputs
    from onnxbound.documents.document import to_json_text
    from onnxbound.graph.inspection import inspection

    require_outputs([output], force=force)
    document = inspection(reading.network(model)).to_json()
    wanted = chosen_format(output_format, as_json=as_json)
    if wanted is Format.JSON:
        text = to_json_text(document)
    elif wanted is Format.CSV:
        from onnxbound.report.csv import to_csv

        text = to_csv(document)
    else:
        text = _table(document, to_file=output is not None)
    emit(text, output, force=force)


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
