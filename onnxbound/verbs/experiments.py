"""`noise`, `compare`, `track` and `rank`: the experiments of [A] on any networks."""

from collections.abc import Sequence
from os import PathLike
from typing import Any

from onnxbound.analysis.settings import Settings
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.experiments.attenuation import Attenuation, attenuate
from onnxbound.experiments.comparison import Comparison
from onnxbound.experiments.comparison import compare as compared
from onnxbound.experiments.nets import Subject, short_names
from onnxbound.experiments.ranking import Ranking, Track
from onnxbound.experiments.ranking import rank as ranked
from onnxbound.graph.network import Network
from onnxbound.progress import Watcher, watched
from onnxbound.verbs.arguments import AnyNetwork, network_of, require_rows


def noise(
    network: AnyNetwork, rows: Rows, settings: Settings | None = None, *, progress: Watcher = None
) -> Attenuation:
    """Let gaussian noise in at each layer and measure what is left of it at later ones, [A] Fig. 1.

    Args:
        network: Any piecewise linear classifier.
        rows: Where.
        settings: Of these, `measured`, `probes`, `noise_radius` and `seed`.
        progress: Called with (stage, rows done, rows in all).

    Returns:
        The relative error at every later layer, per layer where noise enters.

    Raises:
        ModelError: Weights are not finite, or values of the net overflow.
        UsageError: The probes are not a number, or the noise is not gaussian.

    >>> from onnxbound import Preprocessing, Settings, load, noise, open_rows
    >>> network = load("fixtures/mnist_mlp.onnx")
    >>> rows = open_rows("fixtures/data/mnist.npz", network, Preprocessing(scale=1 / 255), limit=50)
    >>> found = noise(network, rows, Settings(noise_radius=0.1))
    >>> [arrival.relative_error.median < 0.1 for arrival in found.curves[0].arrivals]
    [True, True, True]
    """
    require_rows(rows=rows)
    with watched(progress) as shown:
        return attenuate(network_of(network), rows, settings or Settings(), shown)


def compare(
    networks: Sequence[AnyNetwork],
    rows: Rows | Sequence[Rows],
    settings: Settings | None = None,
    *,
    test_rows: Rows | Sequence[Rows] | None = None,
    progress: Watcher = None,
) -> Comparison:
    """Show the properties of several networks side by side at the same rows, [A] Fig. 2, 3 and A.1 to A.7.

    Args:
        networks: The networks.
        rows: The training set; or one per network, of one data set in one order, whose labels may differ.
        settings: What to measure.
        test_rows: A test set, for the errors on it; or one per network.
        progress: Called with (stage, rows done, rows in all).

    Returns:
        Medians and histograms over shared bins, and in how many rows one network has the larger value.

    Raises:
        ModelError, DataError, DeviceError: As `analyze` does.
        UsageError: There is no network, or not one set of rows for each.

    >>> from onnxbound import Preprocessing, Settings, compare, load, open_rows
    >>> networks = [load(f"fixtures/{name}.onnx") for name in ("mnist_mlp", "mnist_logistic")]
    >>> how = Preprocessing(scale=1 / 255, layout="flat")
    >>> rows = [open_rows("fixtures/data/mnist.npz", network, how, limit=50) for network in networks]
    >>> compare(networks, rows, Settings(measured=10))
    <Comparison of mnist_mlp, mnist_logistic at 10 rows of fixtures/data/mnist.npz>
    """
    subjects = _subjects(networks, rows, test_rows)
    with watched(progress) as shown:
        return compared(*subjects, settings or Settings(), shown)


def rank(
    networks: Sequence[AnyNetwork],
    rows: Rows | Sequence[Rows],
    test_rows: Rows | Sequence[Rows],
    settings: Settings | None = None,
    *,
    progress: Watcher = None,
) -> Ranking:
    """Hold every capacity against the true gaps of several networks of one task.

    Args:
        networks: The networks.
        rows: The training set; or one per network, where labels or inputs differ.
        test_rows: The test set; or one per network.
        settings: What to measure.
        progress: Called with (stage, rows done, rows in all).

    Returns:
        Gaps with 95 % intervals, capacities, and Kendall's tau-b between them.

    Raises:
        ModelError, DataError, DeviceError: As `analyze` does.
        UsageError: There is no network, or not one set of rows for each.

    >>> from onnxbound import Preprocessing, Settings, load, open_rows, rank
    >>> networks = [load(f"fixtures/{name}.onnx") for name in ("mnist_mlp", "mnist_logistic")]
    >>> how = Preprocessing(scale=1 / 255, layout="flat")
    >>> rows = [open_rows("fixtures/data/mnist.npz", network, how, limit=50) for network in networks]
    >>> test = [open_rows("fixtures/data/mnist.npz", network, how, role="test", limit=50) for network in networks]
    >>> rank(networks, rows, test, Settings(measured=5))
    <Ranking of mnist_mlp, mnist_logistic on fixtures/data/mnist.npz>
    """
    subjects = _subjects(networks, rows, test_rows)
    with watched(progress) as shown:
        return ranked(*subjects, settings or Settings(), progress=shown)


def track(
    networks: Sequence[AnyNetwork],
    rows: Rows | Sequence[Rows],
    test_rows: Rows | Sequence[Rows],
    settings: Settings | None = None,
    *,
    progress: Watcher = None,
) -> Track:
    """Follow the bounds and the properties along checkpoints, beside the measured gap, [A] Fig. 4 right.

    Args:
        networks: Checkpoints of one network, in order.
        rows: The training set.
        test_rows: The test set.
        settings: What to measure.
        progress: Called with (stage, rows done, rows in all).

    Returns:
        What `rank` returns, without intervals of correlations: checkpoints depend on one another.

    Raises:
        ModelError, DataError, DeviceError: As `analyze` does.
        UsageError: There is no network, or not one set of rows for each.

    >>> from onnxbound import Preprocessing, Settings, load, open_rows, track
    >>> networks = [load(f"fixtures/cifar10_cnn_{name}.onnx") for name in ("epoch1", "epoch16")]
    >>> how = Preprocessing(1 / 255, (0.4914, 0.4822, 0.4465), (0.2471, 0.2435, 0.2616), "nhwc")
    >>> rows, test = (
    ...     open_rows("fixtures/data/cifar10.npz", networks[0], how, role=role, limit=10) for role in ("train", "test")
    ... )
    >>> found = track(networks, rows, test, Settings(measured=2, probes=1))
    >>> [standing.net.name for standing in found.standings]
    ['cifar10_cnn_epoch1', 'cifar10_cnn_epoch16']
    """
    subjects = _subjects(networks, rows, test_rows)
    with watched(progress) as shown:
        tracked = ranked(*subjects, settings or Settings(), checkpoints=True, progress=shown)
    assert isinstance(tracked, Track)
    return tracked


def _subjects(
    networks: Sequence[AnyNetwork], rows: Rows | Sequence[Rows], test_rows: Rows | Sequence[Rows] | None = None
) -> tuple[list[Subject], list[str]]:
    """Every network with its rows, and what it is called."""
    if isinstance(networks, str | PathLike | Network):
        raise UsageError("usage", f"`networks` takes several networks, as [{networks!r}, ...], not one.")
    nets = [network_of(network) for network in networks]
    own: dict[str, Any] = {"rows": rows, "test_rows": test_rows}
    for name, given in own.items():
        own[name] = each = (
            list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given] * len(nets)
        )
        if not nets or len(each) != len(nets):
            raise UsageError("usage", f"`{name}` holds {len(each)} sets of rows for {len(nets)} networks.")
        for one in each:
            require_rows(**{name: one})
    subjects = [Subject(*each) for each in zip(nets, own["rows"], own["test_rows"], strict=True)]
    return subjects, short_names([network.path for network in nets])
