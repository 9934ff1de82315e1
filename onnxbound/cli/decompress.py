"""`onnxbound decompress`."""

from pathlib import Path

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.options import argument, option
from onnxbound.cli.output_options import ModelOutputOptions


@grouped
def decompress(
    *,
    codes: Path = argument("CODES", "The file that compress --codes wrote."),
    result: ModelOutputOptions,
    init: Path | None = option("MODEL", "The model that compress was given as --init."),
    threads: options.Threads = None,
) -> None:
    """Restore an ONNX file from its entropy code, bit for bit."""
    from onnxbound.verbs.compress import decompress as restored

    result.require_writable()
    result.show(restored(codes, result.output, init=init, threads=threads, force=result.force))
