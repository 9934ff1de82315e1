"""Where results go: stdout, or a file written whole."""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onnxbound.cli.options import Format
from onnxbound.documents.document import to_json_text
from onnxbound.documents.files import require_writable, write_atomically
from onnxbound.errors import visible

if TYPE_CHECKING:
    from rich.console import Console

STDOUT = Path("-")
_FILE_WIDTH = 100

printed = False
"""Whether a result stands on stdout, or the part of it that there was room for: no error document follows it there."""


def require_outputs(paths: list[Path | None], *, force: bool) -> None:
    """Complain about an output that cannot be written before anything is computed.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    for path in paths:
        if path is not None and path != STDOUT:
            require_writable(path, force=force)


def emit(text: str, output: Path | None, *, force: bool) -> None:
    """Print to stdout, or write to a file.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    if output is not None and output != STDOUT:
        write_atomically(output, lambda file: file.write(text.encode(errors="replace")), force=force)
        return
    global printed
    printed = True
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(messages: Iterable[str]) -> None:
    """Say something on stderr, beside the result."""
    for message in messages:
        print(f"onnxbound: {visible(message)}", file=sys.stderr)  # noqa: T201


def rendered(document: dict[str, Any], wanted: Format, draw: "Callable[[Console], None]", output: Path | None) -> str:
    """A result as text; coloured only where it goes to a terminal.

    Args:
        document: The result as JSON values.
        wanted: Table, JSON or CSV.
        draw: Prints it for people.
        output: Where it will go.
    """
    if wanted is Format.JSON:
        return to_json_text(document)
    if wanted is Format.CSV:
        from onnxbound.report.csv import to_csv

        return to_csv(document)
    import io

    from rich.console import Console

    text = io.StringIO()
    terminal = sys.stdout.isatty() and output is None
    draw(Console(file=text, force_terminal=terminal, width=Console().width if terminal else _FILE_WIDTH))
    return text.getvalue()
