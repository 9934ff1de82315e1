"""`diff`."""

from onnxbound.analysis.difference import Difference, difference
from onnxbound.analysis.result import Report, read_report
from onnxbound.errors import UsageError
from onnxbound.verbs.arguments import AnyPath


def diff(before: Report | AnyPath, after: Report | AnyPath, tolerance: float = 1e-4) -> Difference:
    """List every value that differs between two reports, except running times.

    Args:
        before: The first report, or its file.
        after: The second report, or its file.
        tolerance: Relative changes up to this size are ignored.

    Returns:
        The values that changed.

    Raises:
        DataError: A file is not a report.
        UsageError: The tolerance is negative.

    >>> from onnxbound import Preprocessing, Settings, analyze, diff, load, open_rows
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> how = Preprocessing(scale=1 / 255, layout="flat")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, how, limit=20)
    >>> before, after = (analyze(network, rows, Settings(gamma=gamma)) for gamma in (1.0, 2.0))
    >>> {change.name: change.after for change in diff(before, after).changes}["margin.gamma"]
    2.0
    """
    if not tolerance >= 0:
        raise UsageError("usage", f"`tolerance` must be at least 0, not {tolerance}.")
    first, second = (report if isinstance(report, Report) else read_report(report) for report in (before, after))
    return difference(first, second, tolerance)
