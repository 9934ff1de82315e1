"""How noise at the input of a layer dies out at later ones, [A] Fig. 1."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from onnxbound.analysis.settings import Settings
from onnxbound.data.rows import Rows
from onnxbound.documents.document import plain
from onnxbound.documents.viewed import Viewed
from onnxbound.errors import UsageError
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.values import all_values, changed_values
from onnxbound.operators.operator import Array
from onnxbound.results import Estimate, Float64Array, Statistic, summarise
from onnxbound.rng import normal_noise, select_rows
from onnxbound.run.forward_norms import require_finite
from onnxbound.stability.collect import Progress, silent
from onnxbound.version import __version__
from onnxbound.words import counted

if TYPE_CHECKING:
    from onnxbound.report.view import View

_AT_INPUTS = 1 << 32
"""Added to the layer's number in the counter of the noise, so that the noise is independent of smoothness's."""

_BATCH_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class NoiseAtLayer:
    """The relative error |x'^j - x^j| / |x^j| at layer j, per row the mean over probes; layer d gives the logits."""

    target: int
    relative_error: Statistic | None


@dataclass(frozen=True, slots=True)
class NoiseCurve:
    """Noise at the input of one layer, and the errors at its output and at later layers."""

    source: int
    arrivals: tuple[NoiseAtLayer, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Attenuation(Viewed):
    """`onnxbound.noise/1`.

    Attributes:
        version: Of onnxbound.
        model: Its file.
        sha256: Of the file.
        data: The file of the rows.
        measured_rows: n.
        radius: |eta| / |a^i| of the noise.
        probes: Noise vectors per layer and row.
        seed: Of rows and noise.
        layer_names: In the order of the layers.
        curves: One per layer where noise enters.
    """

    SCHEMA: ClassVar[str] = "onnxbound.noise/1"

    version: str
    model: str
    sha256: str
    data: str
    measured_rows: int
    radius: float
    probes: int
    seed: int
    layer_names: tuple[str, ...]
    curves: tuple[NoiseCurve, ...]

    def summary(self) -> str:
        layers, rows = counted(len(self.curves), "layer"), counted(self.measured_rows, "row")
        return f"of noise in {self.model}: {layers} at {rows} of {self.data}"

    def view(self) -> "View":
        from onnxbound.experiments.views import noise_view

        return noise_view(self)

    def to_dataframe(self) -> Any:
        """Return the relative error for every layer where noise enters, and every layer behind it; needs pandas.

        Raises:
            UsageError: Pandas is not installed.
        """
        from onnxbound.report.dataframe import dataframe

        entries = [{"source": curve.source} | plain(noise) for curve in self.curves for noise in curve.arrivals]
        return dataframe("curves", {"curves": ["source", "target"]}, entries)


def attenuate(network: Network, rows: Rows, settings: Settings, progress: Progress = silent) -> Attenuation:
    """Add gaussian noise of length radius |a^i| at the input of each layer, and measure the error at later layers.

    Args:
        network: Any piecewise linear classifier.
        rows: The rows to measure at, of which `settings` chooses.
        settings: `measured`, `probes`, `noise_radius` and `seed` count.
        progress: Called with (stage, rows done, rows in all).

    Raises:
        ModelError: Weights are not finite, or values of the net overflow.
        UsageError: The probes are not a number, or the noise is not gaussian.
    """
    if settings.probes == "exact":
        raise UsageError("usage", "noise draws random noise, so `probes` must be a number.")
    if settings.noise != "gaussian":
        raise UsageError("usage", 'noise adds gaussian noise, so it takes only `noise="gaussian"`.')
    network.require_finite_weights()
    index = rows.index[select_rows(settings.seed, rows.count, settings.rows_to_measure(rows.count))]
    work, depth = network.cast(np.float32), network.depth
    mean = np.full((len(index), depth, depth), np.nan)
    error = np.full_like(mean, np.nan)
    done = 0
    for batch in rows.batches(_batch_rows(network, settings.noise_vectors), index):
        stop = done + len(batch.index)
        with np.errstate(over="ignore", invalid="ignore"):
            values = all_values(work, batch.inputs.astype(np.float32, copy=False))
        require_finite(batch.index, {layer.place: values[layer.output] for layer in work.layers})
        for layer in work.layers:
            noise = _noise(layer, values[layer.input], batch.index, settings)
            for target, errors in _errors(work, layer, values, noise):
                mean[done:stop, layer.index - 1, target - 1] = errors.mean(axis=0)
                if len(errors) > 1:
                    error[done:stop, layer.index - 1, target - 1] = errors.std(axis=0, ddof=1) / np.sqrt(len(errors))
        done = stop
        progress("noise", done, len(index))
    curves = (
        NoiseCurve(
            layer.index,
            tuple(
                NoiseAtLayer(j, _summary(mean[:, layer.index - 1, j - 1], error[:, layer.index - 1, j - 1], settings))
                for j in range(layer.index, depth + 1)
                if j == layer.index or network.has_path(layer.index, j)
            ),
        )
        for layer in network.layers
    )
    return Attenuation(
        version=__version__,
        model=str(network.path),
        sha256=network.sha256,
        data=str(rows.path),
        measured_rows=len(index),
        radius=settings.noise_radius,
        probes=settings.noise_vectors,
        seed=settings.seed,
        layer_names=tuple(layer.name for layer in network.layers),
        curves=tuple(curves),
    )


def _summary(mean: Float64Array, error: Float64Array, settings: Settings) -> Statistic | None:
    return summarise(Estimate(mean, error, settings.noise_vectors, settings.seed))


def _batch_rows(network: Network, probes: int) -> int:
    per_row = 4 * (probes + 1) * sum(int(np.prod(shape)) for shape in network.shapes.values())
    return max(1, min(64, _BATCH_BYTES // max(per_row, 1)))


def _noise(layer: Layer, entering: Array, index: Array, settings: Settings) -> Array:
    """Draw eta = radius |a^i| g / |g| for every probe, (probes, n, *input_shape)."""
    size = int(np.prod(layer.input_shape))
    probes = range(settings.noise_vectors)
    g = np.stack([normal_noise(settings.seed, _AT_INPUTS + layer.index, index, probe, size) for probe in probes])
    signal = np.linalg.norm(entering.reshape(len(index), -1).astype(np.float64), axis=1)
    length = np.linalg.norm(g.astype(np.float64), axis=2, keepdims=True)
    eta = g * (settings.noise_radius * signal[None, :, None] / length)
    return np.asarray(eta.reshape(len(probes), *entering.shape).astype(entering.dtype))


def _errors(
    network: Network, layer: Layer, values: dict[str, Array], noise: Array
) -> Iterator[tuple[int, Float64Array]]:
    """Yield (target, relative error (probes, n)) for the layer and for every later layer with a path from it."""
    probes = len(noise)
    entering = (values[layer.input][None] + noise).reshape(-1, *layer.input_shape)
    changed = changed_values(network, values, layer.output, layer.operator.act(entering))
    for target in network.layers[layer.index - 1 :]:
        name = network.target(target.index)
        if name in changed:
            clean = values[name].reshape(len(values[name]), -1).astype(np.float64)
            noisy = changed[name].reshape(probes, *clean.shape)
            size = np.linalg.norm(clean, axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):
                yield target.index, np.linalg.norm(noisy - clean, axis=2) / np.where(size > 0, size, np.nan)
