"""`onnxbound report`."""

import sys
from dataclasses import dataclass
from pathlib import Path

from onnxbound.cli.grouped import grouped
from onnxbound.cli.groups import STDOUT, OutputOptions, ReportOptions
from onnxbound.cli.options import Format, argument, chosen_format, option

_PLACE = "out.html, or out.csv; - is HTML on stdout, the default where that is no terminal."


@dataclass(frozen=True, kw_only=True)
class PageOptions(ReportOptions):
    """The same where a page is the default, and --json names the files that were written."""

    output: Path | None = option("FILE", _PLACE, None, "--output", "-o")
    as_json: bool = option(None, "Print the names of the files as JSON; errors are JSON too.", False, "--json")

    @property
    def format(self) -> Format:
        """The format of the page, of which --json says nothing."""
        return chosen_format(self.output_format, as_json=False, output=self.target, default=Format.HTML, pages=True)


@grouped
def report(
    *, source: Path = argument("REPORT.json", "What `analyze --json` wrote; - is stdin."), result: PageOptions
) -> None:
    """Turn a report into one HTML page that needs no network and no script, into CSV, or into figures."""
    from onnxbound.analysis.result import read_report
    from onnxbound.cli.documents import Files
    from onnxbound.errors import UsageError
    from onnxbound.report.figures.of_report import figures

    if result.as_json and result.output == STDOUT:
        raise UsageError("usage", "--json and the page cannot both go to stdout: give -o a file.")
    if result.output is None and result.format is Format.HTML and sys.stdout.isatty() and not result.as_json:
        raise UsageError("usage", "A page is nothing to read in a terminal: -o page.html writes it, -o - prints it.")
    result.require_writable()
    read = read_report(source)
    if result.output is not None or not result.as_json:
        result.show(read)
    files = [path for path in (result.target,) if path is not None] + result.draw(lambda: figures(read))
    if result.as_json:
        OutputOptions(as_json=True).show(Files(str(source), tuple(map(str, files))))
