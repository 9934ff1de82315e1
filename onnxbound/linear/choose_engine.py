"""Which engine runs a programme: the one that was asked for, or the faster one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.engine import Asked, Engine, EngineName, NumpyEngine
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.programme import Measurement, Programme, Share
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.words import at_most

_WORTH_A_TRIAL, _TRIAL_SHARE = 10.0, 0.1
"""Seconds of a run from which on building the other engine pays, and its share that timing both may take."""

TRIAL_ROWS = 32
"""More rows at a time make a trial no more precise."""

_ROUNDS = 3
"""Times that each engine is timed, in turns, as far as its share allows."""

HALF_DIFFERENCE = 1e-3
"""By what share of them half precision may change the estimates of a pair; a probe's sampling error is far larger."""


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


def build_engine(
    name: EngineName, network: Network, programme: Programme, device: Device, threads: int | None, share: Share
) -> Engine:
    """The engine of that name.

    Raises:
        UsageError: The memory holds the noise of some layers at a time, which only NumPy carries so.
    """
    if name == "numpy":
        return NumpyEngine(network, programme, threads, share)
    return OnnxruntimeEngine(network, programme, device, threads, share, half=name == "onnxruntime-half")


def choose_engine(
    wanted: Asked | EngineName,
    network: Network,
    programme: Programme,
    device: Device,
    threads: int | None,
    trial: Callable[[], tuple[Array, Array]],
    rows: int,
    share: Share,
    *,
    strict: bool,
    seconds: float | None = None,
) -> Choice:
    """The engine that was asked for, or the faster one.

    On a GPU onnxruntime is taken, with products of tangents and deviations in half precision if that is faster, and if
    on a first batch it changes the estimates of no pair by more than `HALF_DIFFERENCE` of them, as a root mean square.

    Args:
        wanted: Its name, or "auto".
        network: The net.
        programme: The measurement that it will run.
        device: The device that it will run on.
        threads: Threads of onnxruntime; None for all cores.
        trial: Gives the places in the data file and the inputs of one batch to time.
        rows: How many rows it will run in all.
        share: What one sweep carries.
        strict: Whether everything is to be computed in float32.
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
    if wanted == "auto" and share.sources < network.depth - 1:
        note = (
            f"auto chose numpy: `memory` holds the noise of {share.sources} layers at a time, and onnxruntime needs all"
        )
        return Choice(NumpyEngine(network, programme, threads, share), note)
    if device.name != "cpu" and wanted in ("auto", "onnxruntime"):
        engine = OnnxruntimeEngine(network, programme, device, threads, share)
        note = f"auto chose onnxruntime for {device.name}" if wanted == "auto" else ""
        # In the linear form what J x^i is subtracted from is nearly as large, and rounding would count.
        if strict or programme.form == "linear" or network.depth == 1:
            return Choice(engine, note)
        half = OnnxruntimeEngine(network, programme, device, threads, share, half=True)
        return half_if_it_agrees(engine, half, *trial())
    if wanted != "auto":
        return Choice(build_engine(wanted, network, programme, device, threads, share))
    numpy = NumpyEngine(network, programme, threads, share)
    index, inputs = trial()
    first = numpy.trial(index, inputs)
    whole = first * rows if seconds is None else min(first * rows, seconds)
    rounds = int((_TRIAL_SHARE * whole / (first * len(index)) - 1) / 2)  # the other engine's first run does not count
    if whole < _WORTH_A_TRIAL or rounds < 1:
        return Choice(numpy, "auto chose numpy: timing onnxruntime would take longer than it could save", first)
    other = OnnxruntimeEngine(network, programme, device, threads, share)
    other.trial(index, inputs)
    times = _in_turns((other, numpy), index, inputs, min(rounds, _ROUNDS))
    times["numpy"] = min(first, times["numpy"])
    best = numpy if times["numpy"] <= times["onnxruntime"] else other
    return Choice(best, f"auto chose {best.name}: {_per_row(times)}", times[best.name])


def half_if_it_agrees(engine: OnnxruntimeEngine, half: OnnxruntimeEngine, index: Array, inputs: Array) -> Choice:
    """Run a batch in float32 and in half precision, compare what was measured, and time both."""
    for each in (engine, half):
        each.trial(index, inputs)
    changed = largest_change(engine.measure(index, inputs), half.measure(index, inputs))
    times = _in_turns((engine, half), index, inputs, _ROUNDS)
    agrees = changed <= HALF_DIFFERENCE
    best = half if agrees and times[half.name] < times[engine.name] else engine
    said = (
        f"on {len(index)} rows half precision changes the estimates of no pair by more than {at_most(changed, 100)} %"
    )
    return Choice(best, f"auto chose {best.name}: {_per_row(times)}; on {len(index)} rows {said}", times[best.name])


def largest_change(measured: Measurement, other: Measurement) -> float:
    """The change of the pair of layers that changes most, as a root mean square over rows.

    Changes of |J|_F are relative to it, row by row; those of a deviation to the root mean square of the pair's.

    Returns:
        Infinity where a number is missing.
    """
    norms, deviations = np.sqrt(measured.jacobian_squared), measured.residual_norm
    sizes = np.broadcast_to(_root_mean_square(deviations), deviations.shape)
    changes = (
        _root_mean_square(_change(norms, np.sqrt(other.jacobian_squared), norms)),
        _root_mean_square(_change(deviations, other.residual_norm, sizes)),
    )
    return float(np.fmax.reduce(np.ravel(changes), initial=0.0))


def _change(values: Float64Array, others: Float64Array, size: Float64Array) -> Float64Array:
    """Of every number that is there, NaN elsewhere."""
    change = np.abs(np.divide(others - values, size, out=np.zeros_like(values), where=size > 0))
    return np.where(np.isnan(values), np.nan, np.where(np.isnan(change), np.inf, change))


def _root_mean_square(values: Float64Array) -> Float64Array:
    """Over the rows, of the numbers that are there; NaN where there are none."""
    there = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.sqrt((np.where(there, values, 0.0) ** 2).sum(axis=0) / there.sum(axis=0)))


def _in_turns(engines: Sequence[Engine], index: Array, inputs: Array, rounds: int) -> dict[EngineName, float]:
    """Seconds per row of each engine, the least of some rounds."""
    times: dict[EngineName, float] = {}
    for _ in range(rounds):
        for engine in engines:
            times[engine.name] = min(engine.trial(index, inputs), times.get(engine.name, np.inf))
    return times


def _per_row(times: dict[EngineName, float]) -> str:
    return "per row " + ", ".join(f"{name} {1e3 * each:.3g} ms" for name, each in times.items())
