"""Where results go: stdout, or a file written whole."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbound.cli.flags import changed, in_flags
from onnxbound.cli.options import Format
from onnxbound.documents.files import write_atomically
from onnxbound.errors import visible

if TYPE_CHECKING:
    from onnxbound.documents.document import Document

printed = False
"""Whether stdout holds a result, or a part of one; then no error document may follow."""

_PROSE = frozenset(
    {
        "warnings",
        "doubts",
        "notes",
        "normalised",
        "stripped_head",
        "met_reason",
        "assumptions",
        "reason",
        "text",
        "verified_with",
    }
)
"""Fields of documents with sentences of the library; other fields may hold names from files."""


def text_of(document: "Document", wanted: Format, *, to_file: bool, verbose: bool) -> str:
    """Write a result as text, with flags in place of parameters; tables hold nothing that could steer a terminal.

    Args:
        document: The result.
        wanted: Its form.
        to_file: Whether it goes to a file; then there are no colours.
        verbose: Whether to show long tables.
    """
    from onnxbound.documents.document import to_json_text

    document = changed(document, in_flags, _PROSE)
    if wanted in (Format.HTML, Format.MARKDOWN):
        page = document.to_html if wanted is Format.HTML else document.to_markdown  # type: ignore[attr-defined]
        return in_flags(page())
    if wanted is Format.JSON:
        return to_json_text(document.to_json())
    if wanted is Format.CSV:
        from onnxbound.report.csv import to_csv

        return to_csv(document.to_json())
    import io

    from rich.console import Console

    text, terminal = io.StringIO(), sys.stdout.isatty() and not to_file
    console = Console(file=text, force_terminal=terminal, width=Console().width if terminal else document.WIDTH)
    changed(document, visible).render(console, verbose=verbose)
    return text.getvalue() if terminal else "".join(f"{line.rstrip()}\n" for line in text.getvalue().splitlines())


def deliver(text: str, output: Path | None, *, force: bool) -> None:
    """Print a text to stdout, or write it to a file, as it is.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    if output is not None:
        write_atomically(output, lambda file: file.write(text.encode(errors="replace")), force=force)
        return
    global printed
    printed = True
    sys.stdout.write(text)
    sys.stdout.flush()


def tell(messages: Iterable[str]) -> None:
    """Say something on stderr, beside the result."""
    for message in messages:
        print(f"onnxbound: {visible(in_flags(message))}", file=sys.stderr)  # noqa: T201
