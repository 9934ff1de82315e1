"""`onnxbound env`."""

from onnxbound.cli.grouped import grouped
from onnxbound.cli.output_options import OutputOptions


@grouped
def env(result: OutputOptions) -> None:
    """Print versions, execution providers and device, to paste into an issue."""
    from onnxbound.verbs.explain import env as described

    result.require_writable()
    result.show(described())
