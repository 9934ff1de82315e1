"""`decompress`: the ONNX file of a file of codes, and what was done: `onnxbound.decompression/1`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from onnxbound.compressors.codes import decode
from onnxbound.documents.document import Document
from onnxbound.documents.files import require_writable, write_atomically
from onnxbound.errors import DataError
from onnxbound.graph.network import Network

if TYPE_CHECKING:
    from rich.console import Console


@dataclass(frozen=True, slots=True, repr=False)
class Decompression(Document):
    """A model made again from its codes.

    Attributes:
        codes: The file of codes.
        path: The model that was made of it.
        codes_bytes: Size of the first.
        bytes: Size of the second.
    """

    SCHEMA: ClassVar[str] = "onnxbound.decompression/1"

    codes: str
    path: str
    codes_bytes: int
    bytes: int

    def summary(self) -> str:
        return f"of {self.path}: {self.bytes:,} bytes from {self.codes_bytes:,} bytes of codes"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        console.out(self.summary().removeprefix("of "), highlight=False)


def decompress(codes: Path, output: Path, init: Network | None, *, threads: int | None, force: bool) -> int:
    """Make the ONNX file of a file of codes again, bit for bit.

    Args:
        codes: What `compress` wrote.
        output: The ONNX file to write.
        init: The initialisation, where the distance to one was compressed.
        threads: Threads; None for all cores.
        force: Whether to write over what is there.

    Returns:
        Its size in bytes.

    Raises:
        DataError: data-not-found or codes-invalid.
        UsageError: compress-init.
        OutputError: output-exists or output-unwritable.
    """
    require_writable(output, force=force)
    try:
        data = codes.read_bytes()
    except OSError as error:
        raise DataError("data-not-found", f"{codes} cannot be read: {error.strerror}.") from error
    origins = None if init is None else {layer.index: layer.operator.effective_weight() for layer in init.layers}
    content = decode(data, origins, None if init is None else init.sha256, threads)
    write_atomically(output, lambda file: file.write(content), force=force)
    return len(content)
