"""stdin, stdout and stderr as commands need them: open, in any encoding, and written whole or with an error."""

import codecs
import io
import json
import os
import select
import sys
import unicodedata
from typing import Any, TextIO

from onnxbound.errors import OutputError, Problem

STAND_IN = "onnxbound.stand-in"
"""Name of the error handler, for `str.encode`, that replaces characters which an encoding lacks."""


def open_streams() -> None:
    """Replace the interpreter's standard streams; a closed stream's number stays taken.

    Text for stdout is buffered and written in a loop. Without a buffer (PYTHONUNBUFFERED) Python would write only once,
    and a full disk or a pipe may take less than all. What stdout does not take is an error; on stderr it is lost.
    """
    # Read-only, so that writing a result there is an error. They are opened in the order of their numbers.
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            opened = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
    sys.stdout, sys.stderr = _whole(sys.stdout, 1, lossy=False), _whole(sys.stderr, 2, lossy=True)


def _whole(stream: TextIO | None, number: int, *, lossy: bool) -> io.TextIOWrapper:
    """Make a stream in place of the interpreter's, which is None if it was closed."""
    buffer = io.FileIO(number, "w", closefd=False) if stream is None else stream.buffer
    sink = _Sink(getattr(buffer, "raw", buffer), lossy=lossy)
    return io.TextIOWrapper(
        io.BufferedWriter(sink),  # type: ignore[type-var]
        encoding="utf-8" if stream is None else stream.encoding,
        errors=STAND_IN,
        line_buffering=lossy or sink.isatty(),
    )


class _Sink(io.RawIOBase):
    """Passes bytes on; after the first failure it swallows them, since the interpreter writes what is left at exit."""

    def __init__(self, raw: Any, *, lossy: bool) -> None:
        self._raw = raw
        self._lossy = lossy
        self._failed = False

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return bool(self._raw.isatty())

    def write(self, data: bytes, /) -> int:  # type: ignore[override]
        """Write some of it.

        Raises:
            BrokenPipeError: Nobody reads any more.
            OutputError: output-unwritable.
        """
        try:
            while not self._failed:
                written = self._raw.write(data)
                if written is not None:
                    return int(written)
                select.select([], [self._raw], [])  # the stream was opened as non-blocking
        except OSError as error:
            self._failed = True
            if self._lossy:
                return len(data)
            if isinstance(error, BrokenPipeError):
                raise
            why = error.strerror or str(error)
            problem = Problem("stdout", why, "write to a file with -o, or free space")
            raise OutputError("output-unwritable", f"The result cannot be printed: {why}.", [problem]) from error
        return len(data)


def _stand_in(error: UnicodeError) -> tuple[str, int]:
    """Replace characters that a stream's encoding lacks by ASCII: in JSON by their escapes, elsewhere by a likeness."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    part, is_json = error.object[error.start : error.end], error.object.startswith("{")
    return json.dumps(part)[1:-1] if is_json else "".join(map(_likeness, part)), error.end


def _likeness(character: str) -> str:
    """Find ASCII that looks or reads alike.

    >>> "".join(map(_likeness, "┏━┃█ … é 10⁻³"))
    '+-|# ... e 10-3'
    """
    name = unicodedata.name(character, "")
    if name.startswith("BOX DRAWINGS"):
        return "+" if " AND " in name else "|" if "VERTICAL" in name else "-"
    if name.endswith("BLOCK"):
        return "#"
    if "DASH" in name or "MINUS" in name:
        return "-"
    return unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode() or "?"


codecs.register_error(STAND_IN, _stand_in)
