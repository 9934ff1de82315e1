"""The engine that runs a programme as one ONNX graph."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear import emit
from onnxbound.linear.engine import Engine
from onnxbound.linear.jacobian_norm import ExactJacobians
from onnxbound.linear.observation import Arrival, Observation, join_probes, observed, to_measurement
from onnxbound.linear.programme import Measurement, Programme, Share
from onnxbound.operators.operator import Array
from onnxbound.rng import noise_words
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

Feeds = Mapping[str, Array]

_NO_SHARES = Problem("`engine`", "onnxruntime needs memory for the noise of all layers at once", "allow more `memory`")


class OnnxruntimeEngine(Engine):
    """Runs the programme as one ONNX graph in float32; the device holds the weights once.

    Attributes:
        name: "onnxruntime-half" where tangents and deviations are multiplied by weights in half precision.
    """

    def __init__(
        self,
        network: Network,
        programme: Programme,
        device: Device,
        threads: int | None,
        share: Share | None = None,
        *,
        half: bool = False,
    ) -> None:
        self.name = "onnxruntime-half" if half else "onnxruntime"
        if share is not None and share.sources < network.depth - 1:
            raise UsageError("usage", "`memory` is too small for the engine onnxruntime.", [_NO_SHARES])
        self._network = network
        self._programme = programme
        self._at_once = share.probes if share else programme.probes
        at_once = replace(programme, probes=self._at_once)
        model, self._emission = emit.emit(network.cast(np.float32), at_once, half=half)
        self._runner = Runner(model, network.path.parent, device, threads, self._emission.weights)
        self._order = np.empty(0, np.int64)
        self._aside = ThreadPoolExecutor(1, "noise")
        self._ahead: dict[bytes, Future[Feeds]] = {}

    def foresee(self, index: Array) -> None:
        """While a batch is computed, the noise of as many rows that stand behind it is made."""
        self._order = index

    def _run(self, index: Array, rows: Array) -> Measurement:
        """Run the graph, once for each share of the probes."""
        programme, rows = self._programme, rows.astype(np.float32, copy=False)
        parts = [self._observed(first, index, rows) for first in range(0, programme.probes, self._at_once)]
        found = replace(parts[0], arrivals=join_probes([part.arrivals for part in parts]))
        return to_measurement(self._network, programme, index, found)

    def _observed(self, first: int, index: Array, rows: Array) -> Observation:
        """With the probes from `first` on."""
        known = self._ahead.pop(_key(first, index), None)
        noise = self._noise(first, index) if known is None else known.result()
        self._prepare(first, index)
        programme = replace(self._programme, probes=self._at_once)
        return _observation(self._network, programme, self._emission, self._runner.run({emit.ROWS: rows, **noise}))

    def _prepare(self, first: int, index: Array) -> None:
        """Begin with the noise of the next probes of these rows, or else of the rows behind them."""
        first += self._at_once
        if first >= self._programme.probes:
            behind = np.searchsorted(self._order, index[-1], "right")
            first, index = 0, self._order[behind : behind + len(index)]
        self._ahead = {_key(first, index): self._aside.submit(self._noise, first, index)} if len(index) else {}

    def _noise(self, first: int, index: Array) -> Feeds:
        """What the graph looks up its noise by, for the probes from `first` on."""
        feeds = {}
        for layer in self._network.layers[:-1]:
            size = int(np.prod(layer.output_shape))
            words = [
                noise_words(self._programme.seed, layer.index, index, probe, size)
                for probe in range(first, first + self._at_once)
            ]
            feeds[emit.noise_name(layer.index)] = np.stack(words)
        return feeds


def _key(first: int, index: Array) -> bytes:
    return np.append(index, first).tobytes()


def _observation(
    network: Network, programme: Programme, emission: emit.Emission, outputs: dict[str, NDArray[np.float64]]
) -> Observation:
    """The outputs of the graph, by what they are."""
    logits = outputs[emit.LOGITS]
    layers = [layer.index for layer in network.layers]
    ties = outputs[emit.TIES] > 0 if emit.TIES in outputs else np.zeros(len(logits), bool)
    linear = programme.form == "linear"
    arrivals = {}
    for target, sources in emission.sources.items():
        for position, source in enumerate(sources):
            mine = slice(position * programme.probes, (position + 1) * programme.probes)
            scale = outputs[emit.scale_name(source)]
            arrivals[source, target] = Arrival(
                tangents=outputs[emit.stream_name("tangents", target)][mine] / scale**2,
                residuals=outputs[emit.stream_name("residuals", target)][mine],
                signal=outputs[emit.stream_name("signals", target)][position] if linear else None,
            )

    exact = ExactJacobians(
        {pair: outputs[emit.pair_name(*pair)] for pair in emission.exact},
        {layer: outputs[emit.largest_pixel_name(layer)] for layer in emission.pixels},
    )
    return Observation(
        logits=logits,
        ties=ties,
        squared={name: outputs[emit.squared_name(name)] for name in observed(network)},
        without_bias={layer: outputs[emit.without_bias_name(layer)] for layer in layers} if linear else {},
        arrivals=arrivals,
        exact=exact,
    )
