"""`onnxbound decompress`."""

from pathlib import Path
from typing import Annotated

import typer

from onnxbound.cli import options
from onnxbound.cli.options import set_threads

Codes = Annotated[Path, typer.Argument(metavar="CODES", help="What compress --codes wrote.", show_default=False)]
ModelOutput = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The model to write.")]
Init = Annotated[Path | None, typer.Option(metavar="MODEL", help="The initialisation that compress was given.")]


def decompress(
    codes: Codes,
    output: ModelOutput,
    *,
    init: Init = None,
    threads: options.Threads = None,
    as_json: options.Json = False,
    force: options.Force = False,
    debug: options.Debug = False,
) -> None:
    """Make an ONNX file again from its codes, bit for bit."""
    del debug
    set_threads(threads)
    from onnxbound.cli.documents import Decompression
    from onnxbound.cli.output import emit, require_outputs
    from onnxbound.compression.compress import decompress as restore
    from onnxbound.documents.document import to_json_text
    from onnxbound.graph.load import load

    require_outputs([output], force=force)
    size = restore(codes, output, None if init is None else load(init), threads=threads, force=force)
    done = Decompression(str(codes), str(output), codes_bytes=codes.stat().st_size, bytes=size)
    said = f"{output}: {size:,} bytes from {done.codes_bytes:,} bytes of codes\n"
    emit(to_json_text(done.to_json()) if as_json else said, None, force=False)
