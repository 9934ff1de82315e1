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
    """Add Gaussian noise to the input of each layer, and measure the error at later layers, as in [A] Fig. 1.

    Args:
        network: The network.
        rows: The rows on which to measure.
        settings: Only `measured`, `probes`, `noise_radius` and `seed` are used.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        For each layer that receives noise, the relative errors at its output and at later layers.

    Raises:
        ModelError: A weight is not finite, or a value in the network overflows.
        UsageError: `probes` is "exact", or `noise` is not "gaussian".

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
    """Compare the noise stability of several networks on the same rows, as in [A] Fig. 2, 3 and A.1 to A.7.

    Args:
        networks: The networks.
        rows: The training set, or one per network. They must hold the same rows in the same order; labels may differ.
        settings: What to measure.
        test_rows: A test set, or one per network, to show test errors.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        Medians, histograms over shared bins, and for each pair of networks the share of the rows on which the second
        one has the larger value.

    Raises:
        ModelError, DataError, DeviceError: As for `analyze`.
        UsageError: There are no networks, or not as many sets of rows as networks.

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
    """Test how well each capacity predicts which networks of one task have larger generalisation gaps.

    Args:
        networks: The networks.
        rows: The training set, or one per network if labels or inputs differ.
        test_rows: The test set, or one per network.
        settings: What to measure.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        Gaps with 95 % intervals, capacities, and the rank correlation (Kendall's tau-b) of each capacity with the gaps.

    Raises:
        ModelError, DataError, DeviceError: As for `analyze`.
        UsageError: There are no networks, or not as many sets of rows as networks.

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
    """Show how capacities and the generalisation gap change over checkpoints, as in [A] Fig. 4 right.

    Args:
        networks: Checkpoints of one network, in training order.
        rows: The training set, or one per checkpoint.
        test_rows: The test set, or one per checkpoint.
        settings: What to measure.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        The same as `rank`. Correlations have no intervals, since checkpoints depend on one another.

    Raises:
        ModelError, DataError, DeviceError: As for `analyze`.
        UsageError: There are no checkpoints, or not as many sets of rows as checkpoints.

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
