"""`analyze`, and `plan` before it."""

from contextlib import ExitStack
from pathlib import Path
from warnings import warn

from onnxbound.analysis.analyze import analyze as analysis_of
from onnxbound.analysis.plan import Plan
from onnxbound.analysis.plan import plan as planned
from onnxbound.analysis.result import Analysis
from onnxbound.analysis.settings import Settings
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.progress import Watcher, watched
from onnxbound.run.cluster import open_cluster
from onnxbound.run.folder import RunFolder
from onnxbound.verbs.arguments import AnyNetwork, AnyPath, network_of, require_rows


def analyze(
    network: AnyNetwork,
    rows: Rows,
    settings: Settings | None = None,
    *,
    test_rows: Rows | None = None,
    run: AnyPath | RunFolder | None = None,
    resume: bool = False,
    cluster: str | None = None,
    progress: Watcher = None,
) -> Analysis:
    """Measure the noise stability of a classifier on its training set, and compute every bound.

    Args:
        network: The network.
        rows: The training set. Bounds hold only for the rows on which the network was trained.
        settings: What to measure.
        test_rows: A test set, to measure the generalisation gap.
        run: Folder in which to save finished parts of the run.
        resume: Whether to continue the run in that folder.
        cluster: "local:N" for N processes on this machine, or the address of a Dask scheduler; None for this process.
            Anyone who reaches the scheduler can run code as you, unless the address begins with `tls://`.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        The report, with arrays of the properties of each measured row.

    Raises:
        ModelError: A weight is not finite, or onnxruntime cannot run the model.
        DataError: A row is not finite, or the file ends too early.
        DeviceError: The device or the cluster is not available, or the runtime failed.
        RunError: The folder holds a different run, or is in use.
        UsageError: Settings or arguments do not fit together.

    >>> from onnxbound import Preprocessing, Settings, analyze, load, open_rows
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255, layout="flat"), limit=50)
    >>> report = analyze(network, rows, Settings(measured=10))
    >>> report.data.train_error, report.samples["layer_cushion"].shape
    (0.0, (10, 1))
    """
    require_rows(rows=rows)
    if resume and run is None:
        raise UsageError("usage", "`resume` goes with `run`, the folder to go on with.")
    with ExitStack() as stack:
        folder = run if run is None or isinstance(run, RunFolder) else RunFolder(Path(run), resume=resume)
        mine = stack.enter_context(folder) if folder is not None and folder is not run else None
        report = analysis_of(
            network_of(network),
            rows,
            settings,
            test_rows=test_rows,
            run=folder,
            executor=None if cluster is None else stack.enter_context(open_cluster(cluster)),
            progress=stack.enter_context(watched(progress)),
        )
    for refused in () if mine is None else mine.refused:
        warn(refused, stacklevel=2)
    return report


def plan(network: AnyNetwork, rows: Rows, settings: Settings | None = None) -> Plan:
    """Estimate time and memory of `analyze` from short trials.

    Args:
        network: The network.
        rows: The training set.
        settings: What to measure.

    Returns:
        The numbers of rows, the batch sizes, and the estimated time and memory.

    Raises:
        ModelError: A weight is not finite, or onnxruntime cannot run the model.

    >>> from onnxbound import Preprocessing, Settings, load, open_rows, plan
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255, layout="flat"))
    >>> plan(network, rows, Settings(measured="all")).measured_rows
    1000
    """
    require_rows(rows=rows)
    return planned(network_of(network), rows, settings or Settings())
