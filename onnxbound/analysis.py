"""`analyze`: a network and its training set to a report, the stages in order."""

from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound import __version__
from onnxbound.bounds.margin import choose_gamma, loss_at
from onnxbound.bounds.norms import layer_norms
from onnxbound.bounds.outliers import sub_sampling_zeta
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.programme import EXACT_CLASSES, Form, Measurement, Programme
from onnxbound.report.every_bound import every_bound
from onnxbound.report.notices import notices
from onnxbound.report.report import Coverage, Data, Margin, Model, Report, Tool
from onnxbound.report.sections import Findings
from onnxbound.rng import GENERATOR, select_rows
from onnxbound.run.device import Device, resolve_device
from onnxbound.run.environment import peak_rss_bytes, versions
from onnxbound.run.forward import ForwardPass
from onnxbound.stability.collect import ForwardTable, Progress, error_rate, measure_rows, silent
from onnxbound.stability.margin import margins
from onnxbound.stability.properties import Properties, properties, weight_norms

_NOISE_PROBES = 4
"""Noise vectors for smoothness where the Jacobians are exact and need none."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What to measure, with the defaults of every command.

    Attributes:
        form: "affine" keeps biases in the signal, "linear" is [A] as printed.
        measured: Rows behind the Jacobian properties, drawn uniformly; None for all.
        probes: Noise vectors per layer and row, or "exact" for exact Jacobians of all pairs.
        pairs: All pairs of layers, or only those with the output.
        noise_radius: |eta| / |x^i| of the noise that smoothness is measured with.
        gamma: The margin; None takes a quantile.
        gamma_quantile: Which quantile of the margins.
        delta: Probability with which an explicit bound may fail.
        zeta: Share of the rows that [A]'s conditions may leave out.
        seed: Of the rows drawn and of the noise.
        device: "auto", "cpu", "cuda" or "cuda:N".
        threads: Threads of onnxruntime; None for all cores.
    """

    form: Form = "affine"
    measured: int | None = 1000
    probes: int | Literal["exact"] = 4
    pairs: Literal["all", "output"] = "all"
    noise_radius: float = 0.1
    gamma: float | None = None
    gamma_quantile: float = 0.05
    delta: float = 0.05
    zeta: float = 0.0
    seed: int = 0
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "--measured takes a number of at least 1, or all": self.measured is None or self.measured >= 1,
            "--probes takes a number of at least 1, or exact": self.probes == "exact" or self.probes >= 1,
            "--noise takes gaussian:R with R > 0": 0 < self.noise_radius < np.inf,
            "--gamma takes a positive number": self.gamma is None or 0 < self.gamma < np.inf,
            "--gamma-quantile takes a number between 0 and 1": 0 < self.gamma_quantile < 1,
            "--delta takes a number between 0 and 1": 0 < self.delta < 1,
            "--zeta takes a number from 0 to less than 1": 0 <= self.zeta < 1,
            "--seed takes a number from 0 to 2^64 - 1": 0 <= self.seed < 2**64,
            "--threads takes a number of at least 1": self.threads is None or self.threads >= 1,
        }
        for complaint, fine in checks.items():
            if not fine:
                raise UsageError("usage", f"{complaint}.")

    def programme(self, network: Network) -> Programme:
        """What to measure at each row."""
        return Programme(
            form=self.form,
            probes=_NOISE_PROBES if self.probes == "exact" else self.probes,
            exact_pairs=self.probes == "exact",
            exact_output=network.classes <= EXACT_CLASSES,
            radius=self.noise_radius,
            output_only=self.pairs == "output",
            seed=self.seed,
        )


def analyze(
    network: Network,
    rows: Rows,
    settings: Settings | None = None,
    *,
    test_rows: Rows | None = None,
    progress: Progress = silent,
) -> Report:
    """Every noise-stability property and every bound.

    Args:
        network: From `load`.
        rows: The training set, from `open_rows`; a bound holds only for the rows the net was trained on.
        settings: What to measure.
        test_rows: A test set, for the true gap.
        progress: Called with (stage, rows done, rows in all).

    Raises:
        ModelError: Weights are not finite, or onnxruntime does not take the model.
        DataError: A row is not finite, or the file ends too early.
        DeviceError: The device is not there, or the runtime failed.
    """
    started = perf_counter()
    settings = settings or Settings()
    network.require_finite_weights()
    device = resolve_device(settings.device)
    programme = settings.programme(network)
    forward = ForwardPass(network, device, settings.threads, without_bias=settings.form == "linear")
    weights = weight_norms(network)
    with ForwardTable(network) as table:
        table.fill(network, weights, forward, rows, progress)
        test_error = None if test_rows is None else error_rate(forward, network, test_rows, progress)
        count = rows.count if settings.measured is None else settings.measured
        index = rows.index[select_rows(settings.seed, rows.count, count)]
        measurement = measure_rows(network, programme, forward, rows, index, progress)
        found = properties(network, weights, programme, measurement)
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
        layers = findings.layers(conditions)
        margin = _margin(table, settings)
        missed = _sub_sampling_zeta(network, settings, rows.count, len(index), findings.outliers)
        report = Report(
            tool=_tool(device, started),
            model=_model(network),
            data=_data(network, rows, table, test_error, len(index), missed),
            settings=asdict(settings) | {"generator": GENERATOR, "preprocessing": asdict(rows.preprocessing)},
            margin=margin,
            layers=layers,
            pairs=findings.pairs(),
            bounds=every_bound(findings, conditions, layers, margin, delta=settings.delta, missed=missed),
            coverage=Coverage(
                nodes=network.node_count,
                weighted_layers=network.depth,
                normalised=network.notes,
                stripped_head=network.head,
                rows_with_ties=int(measurement.ties.sum()),
            ),
            warnings=(),
            samples=_samples(found, measurement, rows, settings),
        )
    return replace(report, tool=_tool(device, started), warnings=notices(report, network, rows))


def _tool(device: Device, started: float) -> Tool:
    return Tool(
        version=__version__,
        versions=versions(),
        device=device.name,
        device_note=device.note,
        providers=tuple(name for name, _ in device.providers),
        engine="numpy",
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
        piecewise_linear=True,
    )


def _data(
    network: Network, rows: Rows, table: ForwardTable, test_error: float | None, measured: int, missed: float
) -> Data:
    return Data(
        path=str(rows.path),
        sha256=rows.fingerprint(),
        rows=rows.count,
        measured_rows=measured,
        classes=network.classes,
        train_error=float(np.mean(~(table.margin() > 0))),
        test_error=test_error,
        largest_input_norm=float(table.column("input_norm", 1).max()),
        sub_sampling_zeta=missed,
    )


def _margin(table: ForwardTable, settings: Settings) -> Margin:
    found = table.margin()
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
        max_logit_norm=float(table.logit_norm().max()),
    )


def _sub_sampling_zeta(network: Network, settings: Settings, rows: int, measured: int, outliers: int) -> float:
    """For what is read off the measured rows: two numbers per pair (cushion, smoothness) and one per layer (beta)."""
    d = network.depth
    targets = range(1, d + 1) if settings.pairs == "all" else [d]
    pairs = sum(network.has_path(i, j) for i in range(1, d) for j in targets)
    return sub_sampling_zeta(measured, rows, outliers, 2 * pairs + d, settings.delta / 3)


def _samples(found: Properties, measurement: Measurement, rows: Rows, settings: Settings) -> dict[str, NDArray[Any]]:
    """The per-row arrays of `--samples`, by their contracted names."""
    labels = rows.labels[np.searchsorted(rows.index, found.index)]
    return {
        "index": found.index,
        "margin": margins(measurement.logits, labels),
        "layer_cushion": found.forward.layer_cushion,
        "contraction": found.forward.contraction,
        "between_contraction": found.forward.between_contraction,
        "interlayer_cushion": found.interlayer_cushion,
        "jacobian_norm": found.jacobian_norm,
        "smoothness_inverse": found.smoothness_inverse,
        "beta": found.beta,
        "form": np.array(settings.form),
    }
