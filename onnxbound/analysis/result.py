"""The result of an analysis, and what it can be shown as."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.analysis.sections import (
    NO_ROWS,
    ClassReport,
    Coverage,
    Data,
    LayerReport,
    Margin,
    Model,
    PairReport,
    Tool,
    WeightNoise,
    WorstRows,
)
from onnxbound.bounds.bound import Bound
from onnxbound.bounds.conditions import Conditions
from onnxbound.documents.document import plain
from onnxbound.documents.read import read_document
from onnxbound.documents.viewed import Viewed
from onnxbound.stability.property_table import Samples
from onnxbound.words import counted, percent

if TYPE_CHECKING:
    from onnxbound.report.view import View


@dataclass(frozen=True, slots=True, repr=False)
class Report(Viewed):
    """The result of `analyze`. Its JSON form is `onnxbound.report/1`.

    Attributes:
        tool: Versions, device, engine and running time.
        model: The model.
        data: The training set, and the errors on training and test rows.
        settings: The settings that were used.
        margin: The margins on the training set, and gamma.
        layers: The weighted layers, in topological order.
        pairs: The pairs of layers that a path connects.
        bounds: Capacities and bounds.
        coverage: Which parts of the model file the numbers cover.
        warnings: What to know before reading the numbers.
        per_class: Errors, margins and cushions by class.
        worst: The rows of smallest margin and of smallest cushion.
        weight_noise: The noise that was used for `error_under_weight_noise` of the layers.
        doubts: The warnings that a verdict begins with: these are probably not the training rows, or very few were
            measured for lack of time.

    >>> from onnxbound import Preprocessing, Settings, analyze, load, open_rows
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255, layout="flat"), limit=50)
    >>> analyze(network, rows, Settings(measured=10)).layers[0].layer_cushion.rows
    50
    """

    SCHEMA: ClassVar[str] = "onnxbound.report/1"

    tool: Tool
    model: Model
    data: Data
    settings: Mapping[str, Any]
    margin: Margin
    layers: tuple[LayerReport, ...]
    pairs: tuple[PairReport, ...]
    bounds: tuple[Bound, ...]
    coverage: Coverage
    warnings: tuple[str, ...]
    per_class: tuple[ClassReport, ...] = ()
    worst: WorstRows = NO_ROWS
    weight_noise: WeightNoise | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        indices = [layer.index for layer in self.layers]
        if len(indices) != self.model.depth or indices != list(range(1, len(indices) + 1)):
            raise ValueError("a report lists its layers from 1 to the depth of the model")
        if any(not 1 <= pair.source < pair.target <= self.model.depth for pair in self.pairs):
            raise ValueError("a pair goes from a layer to a later one")

    def to_json(self) -> dict[str, Any]:
        names = [field.name for field in fields(Report)]
        return {"schema": self.SCHEMA} | {name: plain(getattr(self, name)) for name in names}

    def summary(self) -> str:
        data = self.data
        return (
            f"of {self.model.path}: {counted(self.model.depth, 'layer')}, {self.model.parameters:,} parameters,"
            f" training error {percent(data.train_error)} on {counted(data.rows, 'row')},"
            f" {data.measured_rows:,} measured"
        )

    def view(self) -> "View":
        from onnxbound.report.of_report import view

        return view(self)

    def to_dataframe(self, table: Literal["layers", "pairs", "bounds", "classes", "worst"] = "layers") -> Any:
        """Return a part of the report as a pandas DataFrame; needs pandas.

        Args:
            table: Which part. Columns have the dotted names of the report, such as `layer_cushion.min`. "classes" has
                the errors of each class. "worst" has the worst rows; `Settings.worst` sets their number.

        Raises:
            UsageError: There is no such table, or pandas is not installed.
        """
        from onnxbound.report.dataframe import dataframe

        index = {
            "layers": ["index"],
            "pairs": ["source", "target"],
            "bounds": ["name"],
            "classes": ["label"],
            "worst": ["by", "index"],
        }
        document = self.to_json()
        worst = [{"by": by, **row} for by, rows in document["worst"].items() for row in rows]
        return dataframe(table, index, (document | {"classes": document["per_class"], "worst": worst}).get(table, ()))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Analysis(Report):
    """A report with the arrays behind it, which its JSON leaves out.

    Attributes:
        samples: Every property of every measured row, by its contracted name.
        conditions: The extremes that [A]'s theorems use.
        test_errors: Whether the net errs on each test row, (n,); None without a test set.
    """

    samples: Samples
    conditions: Conditions
    test_errors: NDArray[np.bool_] | None = None


def read_report(path: str | PathLike[str]) -> Report:
    """Read a report from its JSON file. Unknown keys, as from a later version, are ignored.

    Args:
        path: The file; "-" means stdin.

    Raises:
        DataError: report-not-found or report-invalid.

    >>> import tempfile
    >>> from onnxbound import Preprocessing, Settings, analyze, load, open_rows, read_report
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255, layout="flat"), limit=50)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     analyze(network, rows, Settings(measured=10)).save(f"{folder}/report.json")
    ...     read_report(f"{folder}/report.json").model.depth
    1
    """
    return read_document(Path(path), Report)
