"""What is decided before a run: the settings that keep its time, engine, batches, and the rows to measure."""

from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from onnxbound.analysis import budget
from onnxbound.analysis.settings import DEFAULT_ROWS, Settings
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.choose_engine import Choice, choose_engine
from onnxbound.linear.engine import EngineName
from onnxbound.run.device import Device
from onnxbound.run.folder import RunFolder
from onnxbound.stability.batches import batches_begun, batches_within
from onnxbound.stability.work import Arrangement, MeasuringWork


def decided(
    network: Network, rows: Rows, asked: Settings, device: Device, run: RunFolder | None, norms: float
) -> tuple[Settings, MeasuringWork, NDArray[np.int64], str]:
    """Decide before the run: the settings that keep the time, the engine and why, the batches, the measured rows."""
    settings, costs = asked, None
    if run is not None and run.stored is not None:
        names = [name for name in ("measured", "probes") if getattr(asked, name) == "auto"]
        try:
            settings = replace(asked, **{name: run.stored["settings"][name] for name in names})
        except (KeyError, TypeError, ValueError, UsageError) as error:
            raise run.damaged("it does not hold the settings of a run") from error
    work, choice = prepare(network, rows, settings, device, run)
    if budget.needs_trial(network, rows.count, settings):
        costs = budget.trial(work, rows, settings, norms, choice.seconds)
        settings = budget.within(costs, rows.count, settings)
    if settings.measured == "auto":
        settings = replace(settings, measured=DEFAULT_ROWS)
    if settings.probes == "auto":
        settings = replace(settings, probes=budget.probes_within(work, rows, asked, settings, costs))
        if settings.programme(network) != work.arrangement.programme:
            work, _ = prepare(network, rows, settings, device, run, work.engine.name)
    return settings, work, budget.rows_drawn(rows, settings), choice.note


def prepare(
    network: Network,
    rows: Rows,
    settings: Settings,
    device: Device,
    run: RunFolder | None = None,
    chosen: EngineName | None = None,
) -> tuple[MeasuringWork, Choice]:
    """Choose engine and batches, and open the sessions; a resumed run keeps the engine and batches that it began with.

    Args:
        network: The net.
        rows: The training set.
        settings: What to measure.
        device: Where.
        run: The folder of a run, if it has one.
        chosen: An engine that was chosen before; None to choose.

    Returns:
        What computes the partitions, and how its engine was chosen.

    Raises:
        RunError: run-damaged, the folder names an engine or batches that no run begins with.
    """
    programme = settings.programme(network)
    batches = batches_within(settings.memory, network, programme, device.memory)
    if run is not None and run.stored is not None:
        engine: Any = run.stored.get("engine")
        if engine not in get_args(EngineName):
            raise run.damaged(f"it names the engine {engine!r}")
        try:
            batches = batches_begun(run.stored.get("batches"), network, programme)
        except ValueError as error:
            raise run.damaged(str(error)) from error
        rounds = engine.endswith("-half") and settings.precision == "float32"
        if settings.engine in ("auto", engine.removesuffix("-half")) and not rounds:
            chosen = engine

    def trial() -> tuple[NDArray[np.int64], NDArray[Any]]:
        batch = budget.trial_rows(network, rows, settings, batches)
        return batch.index, batch.inputs

    seconds = settings.time if budget.needs_trial(network, rows.count, settings) else None
    measured = settings.rows_to_measure(rows.count)
    choice = choose_engine(
        chosen or settings.engine,
        network,
        programme,
        device,
        settings.threads,
        trial,
        measured,
        batches.share,
        strict=settings.precision == "float32" or chosen is not None,
        seconds=seconds,
    )
    arrangement = Arrangement(programme, choice.engine.name, device.name, settings.threads, batches)
    return MeasuringWork.build(network, arrangement, choice.engine), choice
