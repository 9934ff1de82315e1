"""The engines that can run a programme, and which one to take."""

from abc import ABC, abstractmethod
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onnxbound.graph.network import Network
from onnxbound.linear import emit
from onnxbound.linear.measure import measure
from onnxbound.linear.observation import Arrival, Observation, OutputJacobians, observed, to_measurement
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.rng import noise_words
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

EngineName = Literal["numpy", "onnxruntime"]


class Engine(ABC):
    """Runs one programme over one network, batch by batch."""

    name: EngineName

    @abstractmethod
    def measure(self, index: Array, rows: Array) -> Measurement:
        """Run the programme.

        Args:
            index: Rows in the data file, (n,).
            rows: Preprocessed inputs, (n, *input_shape).
        """


class NumpyEngine(Engine):
    """Masks and BLAS, float32."""

    name = "numpy"

    def __init__(self, network: Network, programme: Programme) -> None:
        self._network = network.cast(np.float32)
        self._programme = programme

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Interpret the programme."""
        return measure(self._network, self._programme, index, rows.astype(np.float32, copy=False))


class OnnxruntimeEngine(Engine):
    """The programme as one ONNX graph, float32; the weights are on the device once."""

    name = "onnxruntime"

    def __init__(self, network: Network, programme: Programme, device: Device, threads: int | None) -> None:
        self._network = network
        self._programme = programme
        self._emission = emit.emit(network.cast(np.float32), programme)
        self._runner = Runner(self._emission.model, network.path.parent, device, threads)

    @property
    def model(self) -> ModelProto:
        """The graph that is run."""
        return self._emission.model

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Run the graph."""
        feeds: dict[str, Array] = {emit.ROWS: rows.astype(np.float32, copy=False)}
        for layer in self._network.layers[:-1]:
            size = int(np.prod(layer.output_shape))
            words = [
                noise_words(self._programme.seed, layer.index, index, probe, size)
                for probe in range(self._programme.probes)
            ]
            feeds[emit.noise_name(layer.index)] = np.stack(words)
        found = _observation(self._network, self._programme, self._emission, self._runner.run(feeds))
        return to_measurement(self._network, self._programme, index, found)


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

    def to_output(kind: str) -> Float64Array:
        result = np.full((len(logits), network.depth), np.nan)
        for layer in emission.reached:
            result[:, layer - 1] = outputs[emit.output_name(kind, layer)]
        return result

    exact = OutputJacobians(to_output("squared"), to_output("largest pixel")) if programme.exact_output else None
    return Observation(
        logits=logits,
        ties=ties,
        squared={name: outputs[emit.squared_name(name)] for name in observed(network)},
        without_bias={layer: outputs[emit.without_bias_name(layer)] for layer in layers} if linear else {},
        arrivals=arrivals,
        output=exact,
    )
