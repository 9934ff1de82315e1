"""The engines that can run a programme, and which one to take."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from time import perf_counter
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear import emit
from onnxbound.linear.jacobian_norm import ExactJacobians, plan_exact_pairs
from onnxbound.linear.measure import measure
from onnxbound.linear.observation import Arrival, Observation, join_probes, observed, to_measurement
from onnxbound.linear.programme import Measurement, Programme, Share
from onnxbound.linear.threads import LEAST_ROWS, even_rows, in_parts, part_rows
from onnxbound.operators.operator import Array
from onnxbound.rng import noise_words
from onnxbound.run.device import Device
from onnxbound.run.session import Runner

EngineName = Literal["numpy", "onnxruntime"]

_WORTH_A_TRIAL, _TRIAL_SHARE = 10.0, 0.1
"""Seconds of a run from which on building the other engine pays, and its share that timing both may take."""

TRIAL_ROWS = 32
"""More rows at a time make a trial no more precise."""

_DEALT, _DEALT_ENTRIES = 4, 1 << 24
"""Sweeps side by side at a few rows of a large net, and entries of all tangents below which they wait for Python.

Their number is fixed, since BLAS rounds a product of fewer columns otherwise: threads change no result.
"""

_ROUNDS = 3
"""Times that each engine is timed, in turns, as far as its share allows."""


class Engine(ABC):
    """Runs one programme over one network, batch by batch. It keeps the batch of a trial, which is not run again."""

    name: EngineName
    _kept: tuple[bytes, Measurement] | None = None

    def measure(self, index: Array, rows: Array) -> Measurement:
        """Run the programme; what overflows is infinite or NaN, for the caller to find.

        Args:
            index: Rows in the data file, (n,).
            rows: Preprocessed inputs, (n, *input_shape).
        """
        if self._kept is not None and self._kept[0] == index.tobytes():
            return self._kept[1]
        return self._run(index, rows)

    def trial(self, index: Array, rows: Array) -> float:
        """Run a batch, keep what was measured, and return the seconds per row."""
        started = perf_counter()
        self._kept = index.tobytes(), self._run(index, rows)
        return (perf_counter() - started) / len(index)

    @abstractmethod
    def _run(self, index: Array, rows: Array) -> Measurement: ...


@dataclass(frozen=True, slots=True)
class Choice:
    """The engine of a run.

    Attributes:
        engine: The engine.
        note: How it was chosen, in words; empty if it was asked for by name.
        seconds: Seconds per row, from a trial; None without one.
    """

    engine: Engine
    note: str = ""
    seconds: float | None = None


class NumpyEngine(Engine):
    """Interprets the programme in NumPy, in float32."""

    name = "numpy"

    def __init__(
        self, network: Network, programme: Programme, threads: int | None = None, share: Share | None = None
    ) -> None:
        self._network = network.cast(np.float32)
        self._programme = programme
        self._threads = threads
        self._share = share
        self._plan = plan_exact_pairs(network, programme)
        self._part_rows = part_rows(network)
        carried = share or Share.whole(programme, network.depth)
        self._per_row = sum(map(prod, network.shapes.values())) * carried.probes * carried.sources

    def _run(self, index: Array, rows: Array) -> Measurement:
        """Interpret the programme."""
        rows = rows.astype(np.float32, copy=False)

        # A few rows of a large net are no parts of a batch: there the sweeps stand side by side.
        alone = len(index) <= self._part_rows and len(index) * self._per_row >= _DEALT_ENTRIES
        dealt = _DEALT if alone else 1

        def run(part: slice) -> Measurement:
            with np.errstate(over="ignore", invalid="ignore"):
                return measure(
                    self._network,
                    self._programme,
                    index[part],
                    rows[part],
                    self._share,
                    self._plan,
                    dealt,
                    self._threads,
                )

        most = self._part_rows
        # Of a small net, whose parts are larger, Python takes the time, which threads cannot share.
        size = even_rows(len(index), most) if most == LEAST_ROWS and not alone else most
        return Measurement.merge(in_parts(run, len(index), size, self._threads))


_NO_SHARES = Problem("`engine`", "onnxruntime needs memory for the noise of all layers at once", "allow more `memory`")


class OnnxruntimeEngine(Engine):
    """Runs the programme as one ONNX graph in float32; the device holds the weights once."""

    name = "onnxruntime"

    def __init__(
        self,
        network: Network,
        programme: Programme,
        device: Device,
        threads: int | None,
        share: Share | None = None,
    ) -> None:
        if share is not None and share.sources < network.depth - 1:
            raise UsageError("usage", "`memory` is too small for the engine onnxruntime.", [_NO_SHARES])
        self._network = network
        self._programme = programme
        self._at_once = share.probes if share else programme.probes
        model, self._emission = emit.emit(network.cast(np.float32), replace(programme, probes=self._at_once))
        self._runner = Runner(model, network.path.parent, device, threads, self._emission.weights)

    def _run(self, index: Array, rows: Array) -> Measurement:
        """Run the graph, once for each share of the probes."""
        programme, rows = self._programme, rows.astype(np.float32, copy=False)
        parts = [self._observed(first, index, rows) for first in range(0, programme.probes, self._at_once)]
        found = replace(parts[0], arrivals=join_probes([part.arrivals for part in parts]))
        return to_measurement(self._network, programme, index, found)

    def _observed(self, first: int, index: Array, rows: Array) -> Observation:
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


def build_engine(
    name: EngineName, network: Network, programme: Programme, device: Device, threads: int | None, share: Share
) -> Engine:
    """The engine of that name.

    Raises:
        UsageError: The memory holds the noise of some layers at a time, which only NumPy carries so.
    """
    if name == "numpy":
        return NumpyEngine(network, programme, threads, share)
    return OnnxruntimeEngine(network, programme, device, threads, share)


def choose_engine(
    wanted: Literal["auto"] | EngineName,
    network: Network,
    programme: Programme,
    device: Device,
    threads: int | None,
    trial: Callable[[], tuple[Array, Array]],
    rows: int,
    share: Share,
    *,
    seconds: float | None = None,
) -> Choice:
    """The engine that was asked for, or the faster one.

    Args:
        wanted: Its name, or "auto".
        network: The net.
        programme: The measurement that it will run.
        device: The device that it will run on.
        threads: Threads of onnxruntime; None for all cores.
        trial: Gives the places in the data file and the inputs of one batch to time.
        rows: How many rows it will run in all.
        share: What one sweep carries.
        seconds: The most that the run will take, whatever the number of rows; None for no limit.

    Raises:
        UsageError: onnxruntime was asked for what only NumPy computes: exact Jacobians of all pairs, or few layers at
            a time.
    """
    if programme.exact_pairs:
        if wanted == "onnxruntime":
            problem = Problem("`engine`", "only numpy computes exact Jacobians of all pairs", '`engine="numpy"`')
            raise UsageError("usage", '`engine="onnxruntime"` does not go with `probes="exact"`.', [problem])
        note = "auto chose numpy: only numpy computes exact Jacobians of all pairs" if wanted == "auto" else ""
        return Choice(NumpyEngine(network, programme, threads, share), note)
    if wanted != "auto":
        return Choice(build_engine(wanted, network, programme, device, threads, share))
    if share.sources < network.depth - 1:
        note = (
            f"auto chose numpy: `memory` holds the noise of {share.sources} layers at a time, and onnxruntime needs all"
        )
        return Choice(NumpyEngine(network, programme, threads, share), note)
    if device.name != "cpu":
        other = OnnxruntimeEngine(network, programme, device, threads, share)
        return Choice(other, f"auto chose onnxruntime for {device.name}")
    numpy = NumpyEngine(network, programme, threads, share)
    index, inputs = trial()
    times: dict[EngineName, float] = {"numpy": numpy.trial(index, inputs)}
    whole = times["numpy"] * rows if seconds is None else min(times["numpy"] * rows, seconds)
    batches = _TRIAL_SHARE * whole / (times["numpy"] * len(index))
    rounds = int((batches - 1) / 2)  # the first run of the other engine allocates and does not count
    if whole < _WORTH_A_TRIAL or rounds < 1:
        return Choice(
            numpy, "auto chose numpy: timing onnxruntime would take longer than it could save", times["numpy"]
        )
    other = OnnxruntimeEngine(network, programme, device, threads, share)
    other.trial(index, inputs)
    for _ in range(min(rounds, _ROUNDS)):
        for engine in (other, numpy):
            times[engine.name] = min(engine.trial(index, inputs), times.get(engine.name, np.inf))
    best = numpy if times["numpy"] <= times["onnxruntime"] else other
    said = ", ".join(f"{name} {1e3 * each:.3g} ms" for name, each in times.items())
    return Choice(best, f"auto chose {best.name}: per row {said}", times[best.name])
