"""`analyze`: a network and its training set to a report, the stages in order."""

from dataclasses import asdict, replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound import __version__
from onnxbound.bounds.arora2018 import LayerCondition, RealisedSmoothness
from onnxbound.bounds.margin import choose_gamma, loss_at
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.outliers import sub_sampling_zeta
from onnxbound.compressors.noise import DIFFERENCES, largest, noisy_network, smoothness_under_compression
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.linear.engine import choose_engine
from onnxbound.report.breakdown import per_class, worst_rows
from onnxbound.report.certificate_bounds import certificate_bounds
from onnxbound.report.every_bound import every_bound
from onnxbound.report.notices import notices
from onnxbound.report.report import Coverage, Data, Margin, Model, Report, Tool
from onnxbound.report.sections import Findings
from onnxbound.rng import GENERATOR, select_rows
from onnxbound.run.device import Device, resolve_device
from onnxbound.run.environment import peak_rss_bytes, versions
from onnxbound.run.executor import Executor, Here
from onnxbound.run.folder import RunFolder
from onnxbound.run.likely_cause import likely_cause
from onnxbound.run.rows_apart import require_rows_apart
from onnxbound.run.table import Table
from onnxbound.settings import Settings
from onnxbound.stability.batches import Batches, batches_within
from onnxbound.stability.collect import Collector, Progress, silent
from onnxbound.stability.tables import PropertyTable
from onnxbound.stability.work import DISAGREEMENT, Arrangement, Work


def analyze(
    network: Network,
    rows: Rows,
    settings: Settings | None = None,
    *,
    test_rows: Rows | None = None,
    run: RunFolder | None = None,
    executor: Executor | None = None,
    progress: Progress = silent,
) -> Report:
    """Every noise-stability property and every bound.

    Args:
        network: From `load`.
        rows: The training set, from `open_rows`; a bound holds only for the rows the net was trained on.
        settings: What to measure.
        test_rows: A test set, for the true gap.
        run: Keeps what is finished, and what an interrupted run has finished is taken from there.
        executor: Where the partitions are computed; this process if None.
        progress: Called with (stage, rows done, rows in all).

    Raises:
        ModelError: Weights are not finite, or onnxruntime does not take the model.
        DataError: A row is not finite, or the file ends too early.
        DeviceError: The device is not there, or the runtime failed.
        RunError: The folder holds a run of something else.
    """
    started = perf_counter()
    settings = settings or Settings()
    network.require_finite_weights()
    device = resolve_device(settings.device)
    require_rows_apart(network, rows, device, settings.threads)
    executor = executor or Here()
    count = rows.count if settings.measured is None else settings.measured
    index = rows.index[select_rows(settings.seed, rows.count, count)]
    work, engine_note = prepare(network, rows, settings, device, index, run)
    fingerprint = rows.fingerprint()
    if run is not None:
        run.begin(_manifest(network, work, settings, device, executor, fingerprint, rows, test_rows))
    collector = Collector(work, executor, run, progress)
    table = collector.forward(rows)
    test = None if test_rows is None else (collector.errors(test_rows), test_rows.count)
    found = collector.measure(rows, index)
    norms = []
    for layer in network.layers:
        norms.append(layer_norms(layer))
        progress("norms", layer.index, network.depth)
    findings = Findings(
        network=network,
        norms=tuple(norms),
        table=table,
        properties=found,
        all_pairs=settings.pairs == "all",
        zeta=settings.zeta,
        preprocessing_bits=rows.preprocessing.bits,
    )
    conditions = findings.conditions()
    margin = _margin(table, settings)
    smoothness = _smoothness(findings, conditions, margin, settings, rows, index, work.arrangement.batches, progress)
    layers = findings.layers(conditions)
    missed = _sub_sampling_zeta(network, settings, rows.count, len(index), findings.outliers)
    tool = _tool(device, work.engine.name, engine_note, executor, started)
    report = Report(
        tool=tool,
        model=_model(network),
        data=_data(network, rows, fingerprint, table, test, len(index), missed),
        settings=asdict(settings) | {"generator": GENERATOR, "preprocessing": asdict(rows.preprocessing)},
        margin=margin,
        layers=layers,
        pairs=findings.pairs(),
        bounds=(
            *every_bound(
                findings, conditions, layers, margin, delta=settings.delta, missed=missed, smoothness=smoothness
            ),
            *certificate_bounds(network, settings.delta, 1 - 1 / network.classes, test),
        ),
        coverage=Coverage(
            nodes=network.node_count,
            weighted_layers=network.depth,
            normalised=network.notes,
            stripped_head=network.head,
            rows_with_ties=int(found.column("ties").sum()),
            rows_rounded_otherwise=_rounded_otherwise(network, rows, index, table, found, margin),
        ),
        warnings=(),
        per_class=per_class(table, rows, network.classes, network.depth),
        worst=worst_rows(table, rows, network.depth, settings.worst),
        samples=found.samples(settings.form),
    )
    tool = replace(tool, seconds=perf_counter() - started, peak_rss_bytes=peak_rss_bytes())
    cause = likely_cause(network, rows, device, settings.threads, ~(table.column("margin") > 0))
    return replace(report, tool=tool, warnings=notices(report, network, rows, work.arrangement.batches, cause))


def prepare(
    network: Network,
    rows: Rows,
    settings: Settings,
    device: Device,
    index: NDArray[np.int64],
    run: RunFolder | None = None,
) -> tuple[Work, str]:
    """Sessions, engine and batches; of a run that goes on, the engine and the batches that it began with.

    Returns:
        What partitions are computed with, and how the engine was chosen, in words.
    """
    programme = settings.programme(network)
    wanted, batches = settings.engine, batches_within(settings.memory, network, programme)
    if run is not None and run.stored is not None:
        wanted = run.stored["engine"] if wanted == "auto" else wanted
        batches = Batches(**run.stored["batches"])

    def trial() -> tuple[NDArray[np.int64], NDArray[Any]]:
        batch = rows.batch(index[: batches.sweep])
        return batch.index, batch.inputs

    engine, note = choose_engine(
        wanted, network, programme, device, settings.threads, trial, len(index), batches.probes
    )
    arrangement = Arrangement(programme, engine.name, device.name, settings.threads, batches)
    return Work.build(network, arrangement, engine), note


def _smoothness(
    findings: Findings,
    conditions: tuple[LayerCondition, ...],
    margin: Margin,
    settings: Settings,
    rows: Rows,
    index: NDArray[np.int64],
    batches: Batches,
    progress: Progress,
) -> RealisedSmoothness | None:
    """Smoothness under the noise of compression in place of gaussian noise, where that is asked for.

    Returns:
        What Theorem 4.1 needs; None without it, or if the compression is not the theorem's own.
    """
    if settings.noise == "gaussian":
        return None
    compressed = noisy_network(
        findings.network,
        findings.norms,
        conditions,
        findings.largest_between_contraction(),
        gamma=margin.gamma,
        max_logit=margin.max_logit_norm,
        delta=settings.delta,
        rows=rows.count,
        projections=settings.projections,
        seed=settings.seed,
        threads=settings.threads,
    )
    if compressed is None:
        return None
    inverse = smoothness_under_compression(
        findings.network,
        compressed,
        (batch.inputs for batch in rows.batches(batches.sweep, index)),
        lambda done: progress("compression", done, len(index)),
    )
    findings.properties.set_smoothness(inverse, DIFFERENCES)
    return None if settings.projections is not None else largest(inverse, compressed)


def _manifest(
    network: Network,
    work: Work,
    settings: Settings,
    device: Device,
    executor: Executor,
    fingerprint: str,
    rows: Rows,
    test_rows: Rows | None,
) -> dict[str, Any]:
    """Everything that the numbers of a partition depend on."""
    numbers = ("form", "measured", "probes", "pairs", "noise_radius", "seed", "threads")
    return {
        "version": __version__,
        "versions": versions(),
        "model": network.sha256,
        "reading": network.reading.to_json(),
        "data": fingerprint,
        "test": None if test_rows is None else test_rows.fingerprint(),
        "preprocessing": asdict(rows.preprocessing),
        "settings": {name: getattr(settings, name) for name in numbers},
        "device": device.name,
        "executor": executor.name,
        "engine": work.engine.name,
        "batches": asdict(work.arrangement.batches),
        "generator": GENERATOR,
    }


def _rounded_otherwise(
    network: Network, rows: Rows, index: NDArray[np.int64], table: Table, found: PropertyTable, margin: Margin
) -> int:
    """Measured rows whose margins the two evaluations of a net that rounds do not agree on."""
    there = table.column("margin")[np.searchsorted(rows.index, index)]
    differ = np.abs(found.column("margin") - there) > DISAGREEMENT * margin.max_logit_norm
    return int(differ.sum()) if network.roundings else 0


def _tool(device: Device, engine: str, engine_note: str, executor: Executor, started: float) -> Tool:
    return Tool(
        version=__version__,
        versions=versions(),
        device=device.name,
        device_note=device.note,
        providers=tuple(name for name, _ in device.providers),
        engine=engine,
        engine_note=engine_note,
        executor=executor.name,
        seconds=perf_counter() - started,
        peak_rss_bytes=peak_rss_bytes(),
    )


def _model(network: Network) -> Model:
    return Model(
        path=str(network.path),
        sha256=network.sha256,
        opset=network.opset,
        producer=network.producer,
        parameters=network.parameters,
        depth=network.depth,
        topology=network.topology,
        piecewise_linear=not network.smooth_operators,
    )


def _data(
    network: Network,
    rows: Rows,
    fingerprint: str,
    table: Table,
    test: tuple[int, int] | None,
    measured: int,
    missed: float,
) -> Data:
    return Data(
        path=str(rows.path),
        sha256=fingerprint,
        rows=rows.count,
        measured_rows=measured,
        classes=network.classes,
        train_error=float(np.mean(~(table.column("margin") > 0))),
        test_error=None if test is None else test[0] / test[1],
        largest_input_norm=float(table.column("input_norm", 1).max()),
        sub_sampling_zeta=missed,
    )


def _margin(table: Table, settings: Settings) -> Margin:
    found = table.column("margin")
    gamma, source = choose_gamma(found, settings.gamma, settings.gamma_quantile)
    defined = found[np.isfinite(found)]
    low, q05, median, high = np.quantile(defined, [0, 0.05, 0.5, 1]).tolist() if defined.size else [None] * 4
    return Margin(
        gamma=gamma,
        gamma_source=source,
        min=low,
        q05=q05,
        median=median,
        max=high,
        loss_at_gamma=None if gamma is None else loss_at(found, gamma),
        max_logit_norm=float(table.column("logit_norm").max()),
    )


def _sub_sampling_zeta(network: Network, settings: Settings, rows: int, measured: int, outliers: int) -> float:
    """For what is read off the measured rows: two numbers per pair (cushion, smoothness) and one per layer (beta)."""
    d = network.depth
    targets = range(1, d + 1) if settings.pairs == "all" else [d]
    pairs = sum(network.has_path(i, j) for i in range(1, d) for j in targets)
    return sub_sampling_zeta(measured, rows, outliers, 2 * pairs + d, settings.delta / 3)
