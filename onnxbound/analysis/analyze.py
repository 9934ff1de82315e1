"""`analyze`: a network and its training set to an analysis, the stages in order."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from time import perf_counter
from typing import Any

import numpy as np

from onnxbound.analysis import budget, described
from onnxbound.analysis.breakdown import per_class, worst_rows
from onnxbound.analysis.layers import layer_reports, pair_reports
from onnxbound.analysis.notices import doubts, notices
from onnxbound.analysis.prepare import decided
from onnxbound.analysis.result import Analysis
from onnxbound.analysis.sections import Coverage, WeightNoise
from onnxbound.analysis.settings import Settings
from onnxbound.bounds.arora2018 import RealisedSmoothness
from onnxbound.bounds.conditions import conditions
from onnxbound.bounds.every_bound import Premises, every_bound
from onnxbound.bounds.norms import norms_of_layers
from onnxbound.bounds.outliers import sub_sampling_zeta
from onnxbound.certificates.outlook import outlook
from onnxbound.compressors.noise import DIFFERENCES, largest, noisy_network, smoothness_under_compression
from onnxbound.data.rows import Rows, require_unseen
from onnxbound.graph.network import Network
from onnxbound.rng import GENERATOR, select_rows
from onnxbound.run.device import Device, resolve_device
from onnxbound.run.environment import peak_rss_bytes, versions
from onnxbound.run.executor import Executor, Here
from onnxbound.run.folder import RunFolder
from onnxbound.run.likely_cause import likely_cause
from onnxbound.run.rows_apart import require_rows_apart
from onnxbound.stability.batches import Batches
from onnxbound.stability.collect import Collector, Progress, silent
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION
from onnxbound.stability.property_table import PropertyTable
from onnxbound.stability.smoothness import SMOOTHNESS_INVERSE
from onnxbound.stability.weight_noise import WEIGHT_NOISE_SENSITIVITY, rows_of_noise, sensitivities
from onnxbound.stability.weight_noise_errors import NoisyErrors, errors_under_weight_noise
from onnxbound.stability.work import MeasuringWork
from onnxbound.version import __version__


def analyze(
    network: Network,
    rows: Rows,
    settings: Settings | None = None,
    *,
    test_rows: Rows | None = None,
    run: RunFolder | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Analysis:
    """Every noise-stability property and every bound.

    Args:
        network: From `load`.
        rows: The training set, from `open_rows`; a bound holds only for the rows the net was trained on.
        settings: What to measure.
        test_rows: A test set, for the true gap.
        run: The folder that keeps finished parts; those of an interrupted run are read from it.
        executor: What computes the partitions; this process if None.
        progress: Called with (stage, rows done, rows in all).

    Raises:
        ModelError: Weights are not finite, or onnxruntime does not take the model.
        DataError: A row is not finite, or the file ends too early.
        UsageError: The test rows are the training rows.
        DeviceError: The device is not there, or the runtime failed.
        RunError: The folder holds a run of something else.
    """
    started = perf_counter()
    settings = settings or Settings()
    network.require_finite_weights()
    device = resolve_device(settings.device)
    require_rows_apart(network, rows, device, settings.threads)
    if test_rows is not None:
        require_unseen(rows, test_rows)
    executor = executor or Here()
    norms = norms_of_layers(network.layers, settings.threads, lambda done: progress("norms", done, network.depth))
    asked, there, spent = settings, [rows] if test_rows is None else [rows, test_rows], perf_counter() - started
    sets = budget.passed_in_time(network, there, asked, device, run)
    rows, tested = sets[0], sets[1:]
    settings, work, index, engine_note = decided(network, rows, asked, device, run, spent)
    fingerprint = rows.fingerprint()
    if run is not None:
        run.begin(_manifest(network, work, settings, device, executor, fingerprint, there, sets))
    collector = Collector(work, executor, run, progress)
    forward = collector.forward(rows)
    test_errors = next((collector.errors(each) for each in tested), None)
    test = None if test_errors is None else (int(test_errors.sum()), len(test_errors))
    measured = collector.measure(rows, index)
    noisy = _weight_noise(measured, rows, settings, work.arrangement.batches, progress)
    extremes = conditions(network, forward, measured, settings.zeta)
    margin = described.margin(forward, settings)
    missed = sub_sampling_zeta(len(index), rows.count, extremes.outliers, _claimed(measured), settings.delta / 3)
    premises = Premises(
        network=network,
        norms=norms,
        conditions=extremes,
        margins=forward.column("margin"),
        input_norms=lambda layer: forward.column("input_norm", layer),
        gamma=margin.gamma,
        max_logit=margin.max_logit_norm,
        exact=_exact(measured),
        delta=settings.delta,
        missed=missed,
        preprocessing_bits=rows.preprocessing.bits,
    )
    smoothness = _smoothness(premises, measured, settings, rows, work.arrangement.batches, progress)
    bounds = every_bound(replace(premises, smoothness=smoothness))
    wrong = int(np.sum(~(forward.column("margin") > 0)))
    analysis = Analysis(
        tool=described.tool(device, work.engine.name, engine_note, executor, started),
        model=described.model(network),
        data=described.data(network, rows, fingerprint, forward, wrong, test, len(index), missed, test_rows),
        settings=asdict(settings) | {"generator": GENERATOR, "preprocessing": asdict(rows.preprocessing)},
        margin=margin,
        layers=layer_reports(norms, extremes, forward, measured, noisy),
        pairs=pair_reports(measured),
        bounds=(*bounds, *outlook(network, rows.count, wrong, settings.delta, 1 - 1 / network.classes, test)),
        coverage=Coverage(
            nodes=network.node_count,
            weighted_layers=network.depth,
            normalised=network.notes,
            stripped_head=network.head,
            rows_with_ties=int(measured.column("ties").sum()),
            rows_rounded_otherwise=described.rounded_otherwise(rows, forward, measured, margin),
        ),
        warnings=(),
        per_class=per_class(forward, rows, network.classes, network.depth),
        worst=worst_rows(forward, rows, network.depth, settings.worst, work.forward),
        weight_noise=WeightNoise(noisy.radius, noisy.noisy.shape[1], noisy.rows, noisy.clean),
        samples=measured.samples(),
        conditions=extremes,
        test_errors=test_errors,
    )
    cause = likely_cause(network, rows, device, settings.threads, ~(forward.column("margin") > 0))
    shortened = tuple(budget.in_words(asked, settings, there, sets))
    analysis = replace(analysis, doubts=tuple(doubts(analysis, rows, cause, shortened)))
    return replace(
        analysis,
        tool=replace(analysis.tool, seconds=perf_counter() - started, peak_rss_bytes=peak_rss_bytes()),
        warnings=notices(analysis, network, rows, work.arrangement.batches, shortened),
    )


def _smoothness(
    premises: Premises,
    measured: PropertyTable,
    settings: Settings,
    rows: Rows,
    batches: Batches,
    progress: Progress,
) -> RealisedSmoothness | None:
    """Measure smoothness under the noise of compression in place of gaussian noise, where that is asked for.

    Returns:
        What Theorem 4.1 needs; None without it, or if the compression is not the theorem's own.
    """
    if settings.noise == "gaussian":
        return None
    network, index = premises.network, measured.index
    compressed = noisy_network(
        network,
        premises.norms,
        premises.conditions.layers,
        premises.conditions.between_contraction,
        gamma=premises.gamma,
        max_logit=premises.max_logit,
        delta=settings.delta,
        rows=rows.count,
        projections=settings.projections,
        seed=settings.seed,
        threads=settings.threads,
    )
    if compressed is None:
        return None
    inverse = smoothness_under_compression(
        network,
        compressed,
        (batch.inputs for batch in rows.batches(batches.sweep, index)),
        lambda done: progress("compression", done, len(index)),
    )
    measured.replace(SMOOTHNESS_INVERSE, inverse, DIFFERENCES)
    return None if settings.projections is not None else largest(inverse, compressed)


def _weight_noise(
    measured: PropertyTable, rows: Rows, settings: Settings, batches: Batches, progress: Progress
) -> NoisyErrors:
    """Measure what noise in one layer's weights does to logits, into the table, and to decisions."""
    network, index = measured.network, measured.index
    few, some = (index[select_rows(settings.seed, len(index), k, stream=3)] for k in rows_of_noise(len(index)))
    seed, threads, size = settings.seed, settings.threads, batches.sweep
    progress("weights", 0, len(few) + len(some))
    measurement = sensitivities(network, rows.batches(size, few), seed=seed, threads=threads)
    measured.attach(WEIGHT_NOISE_SENSITIVITY, measurement.index, measurement.values, measurement.of)
    progress("weights", len(few), len(few) + len(some))
    noisy = errors_under_weight_noise(network, rows.batches(size, some), seed=seed, threads=threads)
    progress("weights", len(few) + len(some), len(few) + len(some))
    return noisy


def _manifest(
    network: Network,
    work: MeasuringWork,
    settings: Settings,
    device: Device,
    executor: Executor,
    fingerprint: str,
    there: Sequence[Rows],
    sets: Sequence[Rows],
) -> dict[str, Any]:
    """Everything that the numbers of a partition depend on."""
    pairs = zip(there, sets, strict=True)
    numbers = ("form", "measured", "probes", "pairs", "noise_radius", "seed", "threads")
    return {
        "version": __version__,
        "versions": versions(),
        "model": network.sha256,
        "reading": network.reading.to_json(),
        "samples": [passed.count if passed.count < rows.count else None for rows, passed in pairs],
        "data": fingerprint,
        "test": next((rows.fingerprint() for rows in sets[1:]), None),
        "preprocessing": asdict(sets[0].preprocessing),
        "settings": {name: getattr(settings, name) for name in numbers},
        "device": device.name,
        "executor": executor.name,
        "engine": work.engine.name,
        "batches": asdict(work.arrangement.batches),
        "generator": GENERATOR,
    }


def _exact(measured: PropertyTable) -> bool:
    """Return whether |J|_F of every pair was measured exactly."""
    pairs = INTERLAYER_CUSHION.places(measured.network, output_only=False)
    return not measured.programme.output_only and all(measured.exact(INTERLAYER_CUSHION, *pair) for pair in pairs)


def _claimed(measured: PropertyTable) -> int:
    """Count the extremes read off the measured rows: cushion and smoothness of each pair, beta of each layer."""
    pairs = INTERLAYER_CUSHION.places(measured.network, output_only=measured.programme.output_only)
    return 2 * len(list(pairs)) + measured.network.depth
