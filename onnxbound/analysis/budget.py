"""The rows and probes for which there is time, chosen before the run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from onnxbound.analysis.settings import DEFAULT_ROWS, LEAST_PROBES, Settings, is_count
from onnxbound.data.rows import Batch, Rows
from onnxbound.graph.network import Network
from onnxbound.linear.choose_engine import TRIAL_ROWS
from onnxbound.linear.jacobian_norm import exact_pairs, plan_exact_pairs
from onnxbound.linear.values import all_values
from onnxbound.rng import select_rows
from onnxbound.run.device import Device
from onnxbound.run.folder import RunFolder
from onnxbound.run.forward_norms import ForwardPass
from onnxbound.stability import hutchinson
from onnxbound.stability.batches import Batches
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION
from onnxbound.stability.ratio import ratio
from onnxbound.stability.weight_noise import DIRECTIONS, rows_of_noise
from onnxbound.stability.weight_noise_errors import DRAWS
from onnxbound.stability.work import MeasuringWork

STEPS = (500, 200, 100, 50, 20, 10)
"""Numbers of measured rows, tried in this order until the time is enough."""

SAMPLES = (100_000, 50_000, 20_000, 10_000, 5_000, 2_000, 1_000)
"""Sizes of the sample that stands for a training or test set too large for the time."""

_SHORT = 2e11
"""Multiply-adds that every machine does in about a minute."""

_AGAIN = 5.0
"""Seconds that a second trial of the rows may take."""

_PASSED = 16
"""Rows whose forward pass is timed."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of each part of an analysis.

    Attributes:
        norms: The norms of all layers.
        forward: One row through onnxruntime.
        sweep: One row through the whole programme.
        pass_: One row through NumPy.
        probes: Noise vectors per layer and row in `sweep`.
        passes_per_row: Passes through NumPy per row, for the noise sensitivity and for the errors under noise in
            weights.
    """

    norms: float
    forward: float
    sweep: float
    pass_: float
    passes_per_row: tuple[float, float]
    probes: int = LEAST_PROBES

    def seconds(self, rows: int, measured: int, probes: int | None = None) -> float:
        """Estimate an analysis of m rows, n of them measured; `probes` is by default the number that was timed."""
        noisy = sum(n * passes for n, passes in zip(rows_of_noise(measured), self.passes_per_row, strict=True))
        sweep = self.sweep * (probes or self.probes) / self.probes
        return self.norms + rows * self.forward + measured * sweep + noisy * self.pass_


def passed_in_time(
    network: Network, sets: Sequence[Rows], settings: Settings, device: Device, run: RunFolder | None = None
) -> list[Rows]:
    """Keep every set whole if all pass the net in half of the time; else draw the largest samples that do.

    A bound holds of a sample as of the whole, with the sample's size for m. A caller who chose the rows keeps them.

    Args:
        network: The net.
        sets: The training set, and the test set where there is one.
        settings: What was asked for.
        device: The device of the forward passes.
        run: A resumed run keeps the samples that it began with.

    Raises:
        RunError: run-damaged, it names no samples.
    """
    if run is not None and run.stored is not None:
        return _began_with(run, sets, settings.seed)
    count = sum(rows.count for rows in sets)
    long = [rows.count == rows.total and rows.count > SAMPLES[-1] for rows in sets]
    limited = settings.time is not None and settings.measured == "auto" and any(long)
    if settings.time is None or not limited or float(network.multiply_adds) * count <= _SHORT:
        return list(sets)
    forward = ForwardPass(network, device, settings.threads, without_bias=settings.form == "linear")
    some = sets[0].batch(sets[0].index[: network.batch or _PASSED])
    for _ in range(2):  # the first run allocates
        started = perf_counter()
        forward.run(some.inputs)
        seconds = (perf_counter() - started) / len(some.index)
    most = settings.time / 2 / seconds
    if count <= most:
        return list(sets)
    sample = next((n for n in SAMPLES if n <= most / len(sets)), SAMPLES[-1])
    return [
        rows.sample(sample, settings.seed) if shorten and sample < rows.count else rows
        for rows, shorten in zip(sets, long, strict=True)
    ]


def _began_with(run: RunFolder, sets: Sequence[Rows], seed: int) -> list[Rows]:
    stored = (run.stored or {}).get("samples")
    if not isinstance(stored, list) or not all(sample is None or is_count(sample) for sample in stored):
        raise run.damaged(f"it names samples of {stored!r} rows")
    samples = [*stored, *(None for _ in sets)]
    return [rows if n is None else rows.sample(n, seed) for rows, n in zip(sets, samples, strict=False)]


def trial(work: MeasuringWork, rows: Rows, settings: Settings, norms: float, sweep: float | None) -> Costs:
    """Time one batch of forward passes, and one of sweeps where that was not done yet.

    Args:
        work: What runs both.
        rows: All rows.
        settings: What was asked for.
        norms: Seconds that the norms of the layers took.
        sweep: Seconds of a row through the whole programme; None to time it.
    """
    network, batches = work.network, work.arrangement.batches
    some = rows.batch(rows.index[: batches.forward])
    if sweep is None:
        few = trial_rows(network, rows, settings, batches)
        # Exact Jacobians of all pairs may take so long that one row is enough.
        most = 1 if work.arrangement.programme.exact_pairs else len(few.index)
        sweep = work.engine.trial(few.index[:most], few.inputs[:most])
    for _ in range(2):  # the first run allocates
        started = perf_counter()
        work.run("forward", {"index": some.index, "inputs": some.inputs, "labels": some.labels})
        forward = (perf_counter() - started) / len(some.index)
    single, inputs = network.cast(np.float32), some.inputs[:1].astype(np.float32, copy=False)
    started = perf_counter()
    with np.errstate(all="ignore"):
        all_values(single, inputs)
    alone = perf_counter() - started
    passes = 2.0 * min(network.classes, DIRECTIONS), network.depth * DRAWS / 2
    costs = Costs(norms, forward, sweep, alone, passes, work.arrangement.programme.probes)
    if settings.time is None or costs.seconds(rows.count, settings.rows_to_measure(rows.count)) <= settings.time:
        return costs
    # The first run allocates, and another process may have disturbed it: fewer rows need two trials that ask for them.
    few = trial_rows(network, rows, settings, batches)
    if sweep * len(few.index) > _AGAIN:
        return costs
    return replace(costs, sweep=min(sweep, work.engine.trial(few.index, few.inputs)))


def needs_trial(network: Network, rows: int, settings: Settings) -> bool:
    """Whether the time may not be enough: it is limited, no number of rows is asked for, and the net is not small."""
    return settings.measured == "auto" and settings.time is not None and _products(network, rows, settings) > _SHORT


def _products(network: Network, rows: int, settings: Settings) -> float:
    """Multiply-adds of an analysis, roughly."""
    programme = settings.programme(network)
    streams = 2 * programme.probes * network.depth + plan_exact_pairs(network, programme).products
    return float(network.multiply_adds) * (rows + settings.rows_to_measure(rows) * streams)


def rows_drawn(rows: Rows, settings: Settings) -> NDArray[np.int64]:
    """Choose the measured rows: ascending places in the file, (n,). A smaller choice is part of every larger one."""
    return rows.index[select_rows(settings.seed, rows.count, settings.rows_to_measure(rows.count))]


def trial_rows(network: Network, rows: Rows, settings: Settings, batches: Batches) -> Batch:
    """Rows for a trial. They belong to the smallest choice there may be, so the run need not measure them again."""
    if needs_trial(network, rows.count, settings):
        settings = replace(settings, measured=STEPS[-1])
    return rows.batch(rows_drawn(rows, settings)[: min(batches.sweep, TRIAL_ROWS)])


def probes_within(work: MeasuringWork, rows: Rows, asked: Settings, settings: Settings, costs: Costs | None) -> int:
    """Choose the fewest probes with which every |J|_F has a standard error of at most 10 %, if there is time.

    Args:
        work: What measures, with the least number of probes.
        rows: All rows.
        asked: The settings that were asked for; the rows of their trial are used.
        settings: The same with everything decided but the probes.
        costs: Timed by a trial; None if the net is small or the time is not limited.
    """
    programme = work.arrangement.programme
    places = INTERLAYER_CUSHION.places(work.network, output_only=programme.output_only)
    estimated = set(places) - exact_pairs(work.network, programme)
    if not estimated:
        return programme.probes
    batch = trial_rows(work.network, rows, asked, work.arrangement.batches)
    measured = work.engine.measure(batch.index, batch.inputs)
    relative = ratio(measured.jacobian_squared_error, measured.jacobian_squared)
    spread = max(hutchinson.spread(relative[:, i - 1, j - 1], programme.probes) for i, j in estimated)
    wanted = [r for r in hutchinson.STEPS if r <= hutchinson.enough_probes(spread)]

    def short(probes: int) -> bool:
        if costs is not None and settings.time is not None:
            return costs.seconds(rows.count, settings.rows_to_measure(rows.count), probes) <= settings.time
        return _products(work.network, rows.count, replace(settings, probes=probes)) <= _SHORT

    return next((r for r in reversed(wanted) if short(r)), programme.probes)


def within(costs: Costs, rows: int, settings: Settings) -> Settings:
    """Choose the largest step whose estimate stays within the time, or else the smallest.

    >>> costs = Costs(norms=10, forward=0.01, sweep=0.5, pass_=0.01, passes_per_row=(4, 20))
    >>> [within(costs, 1000, Settings(time=time)).measured for time in (1000, 180, 60)]
    [1000, 200, 50]
    """
    assert settings.time is not None
    steps = (DEFAULT_ROWS, *STEPS)
    fitting = (measured for measured in steps if costs.seconds(rows, min(measured, rows)) <= settings.time)
    return replace(settings, measured=next(fitting, STEPS[-1]))


def in_words(asked: Settings, settings: Settings, there: Sequence[Rows], sets: Sequence[Rows]) -> Iterator[str]:
    """Say what there was no time for.

    Args:
        asked: What was asked for.
        settings: What was decided.
        there: The training set, and the test set where there is one.
        sets: The same, or the samples that stand for them.
    """
    for which, rows, sample in zip(("", "test "), there, sets, strict=False):
        if sample.count < rows.count:
            yield (
                f"a `time` of {asked.time:g} s is too short for a forward pass of all {rows.count:,} {which}rows, as a"
                f" trial before the run showed: a uniform sample of {sample.count:,} stands for them"
                + ("" if which else f"; `limit={sample.count}` asks for this sample")
            )
    most = asked.rows_to_measure(sets[0].count)
    if asked.measured == "auto" and settings.rows_to_measure(sets[0].count) < most:
        yield (
            f"only {settings.measured:,} rows were measured, since a `time` of {asked.time:g} s is too short for"
            f" {most:,}, as a trial before the run showed: `measured={DEFAULT_ROWS}` asks for all, however long that"
            f" takes, and `measured={settings.measured}` for as few as here"
        )
