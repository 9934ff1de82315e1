"""`onnxbound inspect`."""

from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import ModelOptions
from onnxbound.cli.options import ModelArgument
from onnxbound.cli.output_options import OutputOptions


@grouped
def inspect(model: ModelArgument, reading: ModelOptions, result: OutputOptions) -> None:
    """Show how onnxbound reads a model: layers, shapes, parameters, folded nodes, unsupported operators."""
    from onnxbound.verbs.inspect import inspect as inspected

    result.require_writable()
    result.show(inspected(reading.network(model)))
