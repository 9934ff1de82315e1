"""Options that several verbs share: the same name, meaning and default everywhere."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"
    HTML = "html"


_FORMATS = {".json": Format.JSON, ".csv": Format.CSV, ".html": Format.HTML, ".txt": None, "": None}
"""What the suffix of a file says about its format; None leaves it open."""


ModelArgument = Annotated[Path, typer.Argument(metavar="MODEL", help="An ONNX file.", show_default=False)]
Logits = Annotated[
    str | None, typer.Option("--logits", metavar="NAME", help="Of several outputs, read this tensor as the logits.")
]
Fix = Annotated[
    list[str] | None,
    typer.Option("--fix", metavar="NAME=VALUE", help="Hold an input at a number or an .npy file; repeatable."),
]
InputShape = Annotated[
    str | None,
    typer.Option("--input-shape", metavar="N,...", help="A row's lengths where the model leaves some open."),
]
ExternalRoot = Annotated[
    Path | None, typer.Option("--external-root", metavar="DIR", help="A further folder that weights may lie in.")
]
ConventionsOption = Annotated[
    Path | None,
    typer.Option(
        "--conventions",
        metavar="FILE",
        help="A file of --save-conventions: says what the other options for the model and its rows do not.",
    ),
]
_DATA = typer.Option(
    "--data",
    metavar="FILE",
    help="The training set: .npz, .npy, .h5, .parquet, .arrow, a folder of images.",
    show_default=False,
)
Data = Annotated[Path, _DATA]
OptionalData = Annotated[Path | None, _DATA]
Labels = Annotated[
    Path | None, typer.Option("--labels", metavar="FILE", help="Its labels, .npy; over those in the .npz.")
]
LabelsStart = Annotated[
    int | None,
    typer.Option("--labels-start", metavar="N", help="The label of the first class; else labels are the model's own."),
]
Test = Annotated[Path | None, typer.Option("--test", metavar="FILE", help="A test set, for the true gap.")]
XKey = Annotated[str | None, typer.Option("--x-key", metavar="KEY", help="Which array or column holds the inputs.")]
YKey = Annotated[str | None, typer.Option("--y-key", metavar="KEY", help="Which array or column holds the labels.")]
LayoutOption = Annotated[
    str | None,
    typer.Option(
        "--layout",
        metavar="nchw|nhwc|flat",
        help="How the file is laid out where the model differs; flat allows any reshape.",
    ),
]
Scale = Annotated[str | None, typer.Option("--scale", metavar="S", help="x * S first, for example 1/255.")]
Mean = Annotated[
    str | None, typer.Option("--mean", metavar="M,...", help="Subtracted then; one number, or per channel.")
]
Std = Annotated[str | None, typer.Option("--std", metavar="S,...", help="Divided by last; one number, or per channel.")]
Limit = Annotated[int | None, typer.Option("--limit", metavar="N", help="Use a uniform sample of N rows.")]
Seed = Annotated[int, typer.Option("--seed", metavar="N", help="Seed of the rows drawn and of the noise.")]
Device = Annotated[str, typer.Option("--device", metavar="WHERE", help="auto, cpu, cuda or cuda:N.")]
Threads = Annotated[int | None, typer.Option("--threads", metavar="N", help="Threads; all cores by default.")]
Engine = Annotated[str, typer.Option(metavar="auto|numpy|onnxruntime", help="What evaluates Jacobians and smoothness.")]
Memory = Annotated[str, typer.Option("--memory", metavar="SIZE", help="Memory the process may take, such as 2GiB.")]
Run = Annotated[Path | None, typer.Option("--run", metavar="DIR", help="Keep what is finished there.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with what --run holds.")]
ClusterOption = Annotated[
    str | None,
    typer.Option("--cluster", metavar="ADDRESS|local:N", help="Compute in N processes, or on a Dask cluster."),
]
Form = Annotated[
    str, typer.Option(metavar="affine|linear", help="Keep biases in the signal, or measure [A] as printed.")
]
Measured = Annotated[str, typer.Option(metavar="N|all|auto", help="Rows for the Jacobian properties; auto is 1000.")]
Probes = Annotated[str, typer.Option(metavar="N|exact", help="Noise vectors per layer and row, or exact Jacobians.")]
Pairs = Annotated[str, typer.Option(metavar="all|output", help="All pairs of layers, or those with the output.")]
Noise = Annotated[
    str, typer.Option(metavar="gaussian:R|compression", help="Noise for smoothness: R |x| long, or real.")
]
Gamma = Annotated[float | None, typer.Option(metavar="G", help="The margin of the bounds.")]
GammaQuantile = Annotated[float, typer.Option(metavar="Q", help="Without --gamma: this quantile of the margins.")]
Delta = Annotated[float, typer.Option(metavar="D", help="Probability with which an explicit bound may fail.")]
Zeta = Annotated[float, typer.Option(metavar="Z", help="Share of rows that the conditions of [A] may leave out.")]
Plots = Annotated[
    Path | None, typer.Option("--plots", metavar="DIR", help="Write every figure: SVG, its data, and PNG.")
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", metavar="table|json|csv|html", help="By default what -o's suffix says; html of reports."),
]
Json = Annotated[bool, typer.Option("--json", help="Short for --format json; errors are JSON too.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write there; - is stdout.")]
ModelOutput = Annotated[Path, typer.Option("--output", "-o", metavar="OUT.onnx", help="The model to write.")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite files that exist.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no warnings on stderr.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="More tables.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def chosen_format(
    asked: Format | None,
    *,
    as_json: bool,
    output: Path | None = None,
    default: Format = Format.TABLE,
    pages: bool = False,
) -> Format:
    """The format that --format, --json and the suffix of the output together ask for.

    Args:
        asked: What --format says.
        as_json: Whether --json was given.
        output: The file that is written; None is stdout.
        default: Where nothing is said.
        pages: Whether the result has a page.

    Raises:
        UsageError: They contradict each other, or nothing of this kind is ever written.
    """
    from onnxbound.errors import UsageError

    if as_json and asked not in (None, Format.JSON):
        raise UsageError("usage", f"--json is not what --format {asked} says.")
    asked, suffix = Format.JSON if as_json else asked, "" if output is None else output.suffix.lower()
    if suffix not in _FORMATS:
        known = ", ".join(filter(None, _FORMATS))
        raise UsageError("usage", f"Results are not written as {suffix}: -o takes {known}, or no suffix, not {output}.")
    if asked is not None and asked is not (_FORMATS[suffix] or asked):
        raise UsageError("usage", f"--format {asked} is not what -o {output} says.")
    chosen = asked or _FORMATS[suffix] or default
    if chosen is Format.HTML and not pages:
        raise UsageError("usage", "Only a report has a page: html goes with analyze and report.")
    return chosen


def set_threads(threads: int | None) -> None:
    """Limit the threads of NumPy's BLAS, which reads these variables once, when it is loaded."""
    import os

    if threads is not None:
        for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ[name] = str(threads)
