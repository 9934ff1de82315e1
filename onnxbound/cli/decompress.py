"""`onnxbound decompress`."""

from pathlib import Path
from typing import Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import ModelOutputOptions

Codes = Annotated[Path, typer.Argument(metavar="CODES", help="What compress --codes wrote.", show_default=False)]
Init = Annotated[Path | None, typer.Option(metavar="MODEL", help="The initialisation that compress was given.")]


@grouped
def decompress(codes: Codes, result: ModelOutputOptions, *, init: Init = None, threads: options.Threads = None) -> None:
    """Make an ONNX file again from its codes, bit for bit."""
    from onnxbound.verbs.compress import decompress as restored

    result.require_writable()
    result.show(restored(codes, result.output, init=init, threads=threads, force=result.force))
