"""Where results go: stdout, or a file written whole."""

import json
import sys
from pathlib import Path
from typing import Any

from onnxbound.errors import OutputError, Problem
from onnxbound.run.files import require_writable, write_atomically

STDOUT = Path("-")


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
        write_atomically(output, lambda file: file.write(text.encode()), force=force)
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        problem = Problem("stdout", why, "write to a file with -o, or free space")
        raise OutputError("output-unwritable", f"The result cannot be printed: {why}.", [problem]) from error


def to_json(document: dict[str, Any]) -> str:
    r"""Strict JSON, indented, one document; what cannot be printed is escaped, so that it cannot steer a terminal.

    >>> to_json({"é": "\x9b2J"})
    '{\n  "é": "\\u009b2J"\n}\n'
    """
    text = json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False)
    escaped = (c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    return "".join(escaped) + "\n"
