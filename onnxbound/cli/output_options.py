"""How results are printed and where they go, declared once and taken by every verb that needs it."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from onnxbound.cli.options import REQUIRED, Format, chosen_format, option

if TYPE_CHECKING:
    from onnxbound.documents.document import Document
    from onnxbound.documents.viewed import Viewed
    from onnxbound.progress import Display

STDOUT = Path("-")
_FORMAT = "Output format; by default the suffix of -o decides."


@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """How the result is printed, and where it goes."""

    output_format: Format | None = option("table|json|csv|html|markdown", _FORMAT, None, "--format")
    as_json: bool = option(None, "Short for --format json; errors are JSON too.", False, "--json")
    output: Path | None = option("FILE", "Write to this file; - means stdout.", None, "--output", "-o")
    force: bool = option(None, "Overwrite existing files.", False)
    quiet: bool = option(None, "Show no progress and no warnings.", False, "--quiet", "-q")
    debug: bool = option(None, "Show the traceback of an error.", False)
    pages: ClassVar[bool] = False
    """Whether the result has a page."""
    verbose: ClassVar[bool] = False

    def __post_init__(self) -> None:
        assert self.format  # or an error, before anything is done

    @property
    def target(self) -> Path | None:
        """The file that the result goes to; None is stdout."""
        return None if self.output == STDOUT else self.output

    @property
    def format(self) -> Format:
        """The format that --format, --json and the name of the file together ask for."""
        return chosen_format(self.output_format, as_json=self.as_json, output=self.target, pages=self.pages)

    @contextmanager
    def progress(self, kept: Path | None = None) -> "Iterator[Display]":
        """Show progress on stderr, where that is a terminal.

        Args:
            kept: Folder of the run, from which an interrupted run can be resumed.

        Raises:
            InterruptionError: The user stopped what ran inside.
        """
        from onnxbound.errors import InterruptionError
        from onnxbound.progress import Display

        with Display(shown=not self.quiet) as display:
            try:
                yield display
            except KeyboardInterrupt:
                raise InterruptionError(display.under_way(), kept) from None

    def require_writable(self, *others: Path | None) -> None:
        """Refuse outputs that cannot be written, before anything is computed."""
        from onnxbound.documents.files import require_writable

        for path in (self.output, *others):
            if path is not None and path != STDOUT:
                require_writable(path, force=self.force)

    def say(self, messages: Iterable[str]) -> None:
        """Say something on stderr, unless --quiet was given."""
        from onnxbound.cli.output import tell

        if not self.quiet:
            tell(messages)

    def show(self, document: "Document") -> None:
        """Print a result or write it; its warnings go to stderr if no page and no table on stdout has them.

        If the file cannot be written after all, the result is printed, so that the work is not lost.

        Raises:
            OutputError: output-exists or output-unwritable.
        """
        from onnxbound.cli.output import deliver, text_of
        from onnxbound.errors import OutputError

        on_page = self.format in (Format.HTML, Format.MARKDOWN)
        if not on_page and (self.target is not None or self.format in (Format.JSON, Format.CSV)):
            self.say(getattr(document, "warnings", ()))
        text = text_of(document, self.format, to_file=self.target is not None, verbose=self.verbose)
        try:
            deliver(text, self.target, force=self.force)
        except OutputError:
            if self.target is not None:
                deliver(text, None, force=False)
            raise
        if self.target is not None and sys.stderr.isatty():
            self.say((f"wrote {self.target}",))


@dataclass(frozen=True, kw_only=True)
class ModelOutputOptions(OutputOptions):
    """The same where -o is the model to write, and stdout says what was done."""

    output: Path = option("OUT.onnx", "The model to write.", REQUIRED, "--output", "-o")

    @property
    def target(self) -> None:
        return


@dataclass(frozen=True, kw_only=True)
class LongOptions(OutputOptions):
    """The same for results that have long tables."""

    verbose: bool = option(None, "Show more tables.", False, "--verbose", "-v")  # type: ignore[misc]


@dataclass(frozen=True, kw_only=True)
class ResultOptions(LongOptions):
    """The same for results that have pages and figures, too."""

    plots: Path | None = option("DIR", "Write all figures here as SVG, PNG, PDF and CSV.")

    pages: ClassVar[bool] = True

    def require_writable(self, *others: Path | None) -> None:
        super().require_writable(*others)
        if self.format is not Format.HTML and self.plots is None:
            return
        from onnxbound.cli.plots import prepare_to_draw, require_plots

        prepare_to_draw()
        if self.plots is not None:
            require_plots(self.plots, force=self.force)

    def draw(self, document: "Viewed") -> list[Path]:
        """Write the figures, if they are asked for."""
        from onnxbound.cli.plots import write_plots

        return [] if self.plots is None else write_plots(document.figures(), self.plots, force=self.force)
