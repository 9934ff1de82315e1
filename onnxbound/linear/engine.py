"""The engines that can run a programme, and which one to take."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear import emit
from onnxbound.linear.jacobian_norm import plan_exact_pairs
from onnxbound.linear.measure import measure
from onnxbound.linear.observation import Arrival, Observation, OutputJacobians, join_probes, observed, to_measurement
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.linear.threads import in_parts, part_rows
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.rng import noise_words
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

EngineName = Literal["numpy", "onnxruntime"]

_WORTH_A_TRIAL = 10.0
"""Seconds from which on building the other engine and timing both pays."""


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

    def __init__(
        self, network: Network, programme: Programme, threads: int | None = None, probes_at_once: int | None = None
    ) -> None:
        self._network = network.cast(np.float32)
        self._programme = programme
        self._threads = threads
        self._at_once = probes_at_once
        self._plan = plan_exact_pairs(network, programme)
        self._part_rows = part_rows(network)

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Interpret the programme; what overflows is infinite or NaN, for the caller to find."""
        rows = rows.astype(np.float32, copy=False)

        def run(part: slice) -> Measurement:
            with np.errstate(over="ignore", invalid="ignore"):
                return measure(self._network, self._programme, index[part], rows[part], self._at_once, self._plan)

        return Measurement.merge(in_parts(run, len(index), self._part_rows, self._threads))


class OnnxruntimeEngine(Engine):
    """The programme as one ONNX graph, float32; the weights are on the device once."""

    name = "onnxruntime"

    def __init__(
        self,
        network: Network,
        programme: Programme,
        device: Device,
        threads: int | None,
        probes_at_once: int | None = None,
    ) -> None:
        self._network = network
        self._programme = programme
        self._at_once = probes_at_once or programme.probes
        model, self._emission = emit.emit(network.cast(np.float32), replace(programme, probes=self._at_once))
        self._runner = Runner(model, network.path.parent, device, threads, self._emission.weights)

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Run the graph, once for each share of the probes."""
        programme, rows = self._programme, rows.astype(np.float32, copy=False)
        parts = [self._run(first, index, rows) for first in range(0, programme.probes, self._at_once)]
        found = replace(parts[0], arrivals=join_probes([part.arrivals for part in parts]))
        return to_measurement(self._network, programme, index, found)

    def _run(self, first: int, index: Array, rows: Array) -> Observation:
        """With the probes from `first` on."""
        feeds: dict[str, Array] = {emit.ROWS: rows}
        for layer in self._network.layers[:-1]:
            size = int(np.prod(layer.output_shape))
            words = [
                noise_words(self._programme.seed, layer.index, index, probe, size)
                for probe in range(first, first + self._at_once)
            ]
            feeds[emit.noise_name(layer.index)] = np.stack(words)
        programme = replace(self._programme, probes=self._at_once)
        return _observation(self._network, programme, self._emission, self._runner.run(feeds))


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
    pairs = None
    if emission.exact:
        pairs = np.full((len(logits), network.depth, network.depth), np.nan)
        for source, target in emission.exact:
            pairs[:, source - 1, target - 1] = outputs[emit.pair_name(source, target)]
    return Observation(
        logits=logits,
        ties=ties,
        squared={name: outputs[emit.squared_name(name)] for name in observed(network)},
        without_bias={layer: outputs[emit.without_bias_name(layer)] for layer in layers} if linear else {},
        arrivals=arrivals,
        output=exact,
        pairs=pairs,
    )


def build_engine(
    name: EngineName, network: Network, programme: Programme, device: Device, threads: int | None, probes_at_once: int
) -> Engine:
    """The engine of that name."""
    if name == "numpy":
        return NumpyEngine(network, programme, threads, probes_at_once)
    return OnnxruntimeEngine(network, programme, device, threads, probes_at_once)


def choose_engine(
    wanted: Literal["auto"] | EngineName,
    network: Network,
    programme: Programme,
    device: Device,
    threads: int | None,
    trial: Callable[[], tuple[Array, Array]],
    rows: int,
    probes_at_once: int,
) -> tuple[Engine, str]:
    """The engine that was asked for, or the faster one.

    Args:
        wanted: Its name, or "auto".
        network: The net.
        programme: What it will run.
        device: Where.
        threads: Threads of onnxruntime; None for all cores.
        trial: Gives the places in the data file and the inputs of one batch to time.
        rows: How many rows it will run in all.
        probes_at_once: Probes per run.

    Returns:
        The engine, and how it was chosen, in words; empty if it was asked for by name.

    Raises:
        UsageError: onnxruntime was asked for exact Jacobians of all pairs, which only NumPy computes.
    """
    if programme.exact_pairs:
        if wanted == "onnxruntime":
            problem = Problem("`engine`", "exact Jacobians of all pairs are computed by NumPy", '`engine="numpy"`')
            raise UsageError("usage", '`engine="onnxruntime"` does not go with `probes="exact"`.', [problem])
        note = "auto chose numpy, which computes exact Jacobians of all pairs" if wanted == "auto" else ""
        return NumpyEngine(network, programme, threads, probes_at_once), note
    if wanted == "onnxruntime":
        return OnnxruntimeEngine(network, programme, device, threads, probes_at_once), ""
    numpy = NumpyEngine(network, programme, threads, probes_at_once)
    if wanted == "numpy":
        return numpy, ""
    if device.name != "cpu":
        return OnnxruntimeEngine(
            network, programme, device, threads, probes_at_once
        ), f"auto chose onnxruntime for {device.name}"
    index, inputs = trial()
    per_row = _seconds(numpy, index, inputs) / len(index)
    if per_row * rows < _WORTH_A_TRIAL:
        return numpy, "auto chose numpy: to compare would take longer than it saves"
    other = OnnxruntimeEngine(network, programme, device, threads, probes_at_once)
    _seconds(other, index, inputs)  # the first run allocates
    times = {engine.name: _seconds(engine, index, inputs) / len(index) * 1e3 for engine in (numpy, other)}
    best = numpy if times["numpy"] <= times["onnxruntime"] else other
    said = ", ".join(f"{name} {milliseconds:.3g} ms" for name, milliseconds in times.items())
    return best, f"auto chose {best.name}: per row {said}"


def _seconds(engine: Engine, index: Array, rows: Array) -> float:
    started = perf_counter()
    engine.measure(index, rows)
    return perf_counter() - started
