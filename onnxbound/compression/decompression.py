"""What `decompress` did: `onnxbound.decompression/1`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from onnxbound.documents.document import Document

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
