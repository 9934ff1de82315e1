"""`onnxbound report`."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from onnxbound.cli.grouped import grouped
from onnxbound.cli.options import Format, argument, chosen_format, option
from onnxbound.cli.output_options import STDOUT, OutputOptions, ResultOptions

if TYPE_CHECKING:
    from onnxbound.documents.viewed import Viewed

_PLACE = "The .html, .md or .csv file to write; - means stdout, the default outside a terminal."
_CARD = "Write YAML for a model card instead: errors, bound, delta, assumptions."
_SOURCE = "A file that a command wrote with --json, or the folder of a certificate; - means stdin."


@dataclass(frozen=True, kw_only=True)
class PageOptions(ResultOptions):
    """The same where a page is the default, and --json names the files that were written."""

    output: Path | None = option("FILE", _PLACE, None, "--output", "-o")
    as_json: bool = option(None, "Print the names of the written files as JSON; errors are JSON too.", False, "--json")
    model_card: bool = option(None, _CARD, False)

    @property
    def target(self) -> Path | None:
        return None if self.output == STDOUT else self.output

    @property
    def format(self) -> Format:
        """The format of the page; --json says nothing about it."""
        if self.model_card:
            return Format.MARKDOWN
        return chosen_format(self.output_format, as_json=False, output=self.target, default=Format.HTML, pages=True)


@grouped
def report(*, source: Path = argument("FILE.json", _SOURCE), result: PageOptions) -> None:
    """Turn a result into a self-contained HTML page, Markdown, CSV or figures."""
    from onnxbound.analysis.result import Report
    from onnxbound.cli.documents import Files
    from onnxbound.cli.output import deliver
    from onnxbound.errors import UsageError
    from onnxbound.report.model_card import model_card
    from onnxbound.report.of_certificate import StatedCertificate

    if result.as_json and result.output == STDOUT:
        raise UsageError("usage", "--json and the page cannot both go to stdout: give a file with -o.")
    page = result.output is not None or not (result.as_json or result.plots)
    if page and result.output is None and result.format is Format.HTML and sys.stdout.isatty():
        raise UsageError(
            "usage", "A page cannot be read in a terminal: write it with -o page.html, or print it with -o -."
        )
    result.require_writable()
    document = read(source)
    if result.model_card:
        if not isinstance(document, Report | StatedCertificate):
            raise UsageError("usage", "--model-card takes a report of analyze, or a certificate.")
        deliver(model_card(document), result.target, force=result.force)
    elif page:
        result.show(document)
    files = [path for path in (result.target,) if path is not None] + result.draw(document)
    if result.as_json:
        OutputOptions(as_json=True).show(Files(str(source), tuple(map(str, files))))


def read(source: Path) -> "Viewed":
    """Read any document that has a page."""
    from onnxbound.analysis.result import Report
    from onnxbound.certificates.files import CERTIFICATE
    from onnxbound.compressors.compression import Compression
    from onnxbound.documents.files import is_folder
    from onnxbound.documents.read import read_document
    from onnxbound.experiments.attenuation import Attenuation
    from onnxbound.experiments.comparison import Comparison
    from onnxbound.experiments.ranking import Ranking, Track
    from onnxbound.graph.inspection import Inspection
    from onnxbound.report.of_certificate import StatedCertificate

    path = source / CERTIFICATE if is_folder(source) else source
    kinds = (Report, Comparison, Ranking, Track, Attenuation, Compression, StatedCertificate, Inspection)
    return read_document(path, *kinds)
