"""How many rows are measured: as many as the time allows, decided before the run."""

from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from onnxbound.analysis.settings import DEFAULT_ROWS, Settings
from onnxbound.data.rows import Batch, Rows
from onnxbound.graph.network import Network
from onnxbound.linear.values import all_values
from onnxbound.stability.weight_noise import DIRECTIONS, rows_of_noise
from onnxbound.stability.weight_noise_errors import DRAWS
from onnxbound.stability.work import MeasuringWork

STEPS = (500, 200, 100, 50, 20, 10)
"""Measured rows that are tried one after the other; behind the last only pairs with the output are left."""

_WORTH_A_TRIAL = 2e11
"""Products that any machine makes within a minute or so."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds that the parts of an analysis take.

    Attributes:
        norms: The norms of all layers.
        forward: One row through onnxruntime.
        sweep: One row through the whole programme.
        pass_: One row through NumPy.
        passes_per_row: Passes per row of the two counts that noise in the weights needs.
    """

    norms: float
    forward: float
    sweep: float
    pass_: float
    passes_per_row: tuple[float, float]

    def seconds(self, rows: int, measured: int) -> float:
        """Of an analysis of m rows, n of them measured."""
        noisy = sum(n * passes for n, passes in zip(rows_of_noise(measured), self.passes_per_row, strict=True))
        return self.norms + rows * self.forward + measured * self.sweep + noisy * self.pass_


def trial(work: MeasuringWork, rows: Rows, index: NDArray[np.int64], norms: float = 0.0) -> Costs:
    """Time one batch of forward passes and one of sweeps.

    Args:
        work: What runs them.
        rows: All rows.
        index: Those to be measured.
        norms: Seconds that the norms took.
    """
    network, batches = work.network, work.arrangement.batches
    some = rows.batch(rows.index[: batches.forward])
    few = rows.batch(index[: 1 if work.arrangement.programme.exact_pairs else batches.sweep])
    _timed(work, "forward", some)  # the first run allocates
    single, inputs = network.cast(np.float32), few.inputs[:1].astype(np.float32, copy=False)
    started = perf_counter()
    with np.errstate(all="ignore"):
        all_values(single, inputs)
    alone = perf_counter() - started
    passes = 2.0 * min(network.classes, DIRECTIONS), network.depth * DRAWS / 2
    return Costs(norms, _timed(work, "forward", some), _timed(work, "measure", few), alone, passes)


def _timed(work: MeasuringWork, stage: str, batch: Batch) -> float:
    """Seconds per row."""
    started = perf_counter()
    work.run(stage, {"index": batch.index, "inputs": batch.inputs, "labels": batch.labels})
    return (perf_counter() - started) / len(batch.index)


def needs_trial(network: Network, rows: int, settings: Settings) -> bool:
    """Whether the time may be short: it is limited, the caller names no number of rows, and the net is not small."""
    if settings.measured != "auto" or settings.time is None:
        return False
    per_row = sum(layer.multiply_adds for layer in network.layers)
    sweeps = settings.rows_to_measure(rows) * 2 * settings.programme(network).probes * network.depth
    return per_row * (rows + sweeps) > _WORTH_A_TRIAL


def within(costs: Costs, rows: int, settings: Settings) -> Settings:
    """The most rows of the steps, and in the end pairs with the output alone, whose estimate stays within the time.

    >>> costs = Costs(norms=10, forward=0.01, sweep=0.5, pass_=0.01, passes_per_row=(4, 20))
    >>> [within(costs, 1000, Settings(time=time)).measured for time in (1000, 180, 60)]
    [1000, 200, 50]
    """
    assert settings.time is not None
    for measured in (DEFAULT_ROWS, *STEPS):
        if costs.seconds(rows, min(measured, rows)) <= settings.time:
            return replace(settings, measured=measured)
    return replace(settings, measured=STEPS[-1], pairs="output" if settings.noise == "gaussian" else settings.pairs)


def in_words(asked: Settings, settings: Settings, rows: int) -> str:
    """What the time left out; empty for nothing."""
    all_pairs = asked.pairs == settings.pairs
    if asked.measured != "auto" or (settings.rows_to_measure(rows) == asked.rows_to_measure(rows) and all_pairs):
        return ""
    instead = f"`measured={settings.measured}`" + ("" if all_pairs else ' and `pairs="output"`')
    return (
        f"a `time` of {asked.time:g} s is too short for {asked.rows_to_measure(rows):,} measured rows"
        f"{'' if all_pairs else ' and all pairs'}, as a trial showed before the run: {instead} says the same,"
        f" `measured={DEFAULT_ROWS}` measures them all the same"
    )
