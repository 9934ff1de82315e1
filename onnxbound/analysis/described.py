"""The sections of a report about the net, the rows, the margins and the tools."""

from time import perf_counter

import numpy as np

from onnxbound.analysis.sections import Data, Margin, Model, Tool
from onnxbound.analysis.settings import Settings
from onnxbound.bounds.gamma import choose_gamma, loss_at
from onnxbound.data.rows import Rows
from onnxbound.documents.document import view
from onnxbound.graph.network import Network
from onnxbound.run.device import Device
from onnxbound.run.environment import peak_rss_bytes, versions
from onnxbound.run.executor import Executor
from onnxbound.run.row_table import Table
from onnxbound.stability.property_table import PropertyTable
from onnxbound.stability.work import DISAGREEMENT
from onnxbound.version import __version__


def rounded_otherwise(rows: Rows, forward: Table, measured: PropertyTable, margin: Margin) -> int:
    """Count the measured rows at which onnxbound and onnxruntime disagree on the margin of a net that rounds."""
    there = forward.column("margin")[np.searchsorted(rows.index, measured.index)]
    differ = np.abs(measured.column("margin") - there) > DISAGREEMENT * margin.max_logit_norm
    return int(differ.sum()) if measured.network.roundings else 0


def tool(device: Device, engine: str, engine_note: str, executor: Executor, started: float) -> Tool:
    """Describe what computed the numbers."""
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


def model(network: Network) -> Model:
    """Describe the net."""
    return view(Model, network, path=str(network.path), piecewise_linear=not network.smooth_operators)


def data(
    network: Network,
    rows: Rows,
    fingerprint: str,
    table: Table,
    wrong: int,
    test: tuple[int, int] | None,
    measured: int,
    missed: float,
    test_rows: Rows | None,
) -> Data:
    """Describe the training set, with the errors on it and on the test set."""
    return Data(
        path=str(rows.path),
        sha256=fingerprint,
        rows=rows.count,
        measured_rows=measured,
        classes=network.classes,
        train_error=wrong / rows.count,
        test_error=None if test is None else test[0] / test[1],
        gap=None if test is None else test[0] / test[1] - wrong / rows.count,
        test_rows=None if test is None else test[1],
        test_path=None if test_rows is None else str(test_rows.path),
        rows_in_file=rows.total,
        largest_input_norm=float(table.column("input_norm", 1).max()),
        sub_sampling_zeta=missed,
    )


def margin(table: Table, settings: Settings) -> Margin:
    """Describe the margins of all rows, and choose gamma."""
    margins = table.column("margin")
    gamma, source = choose_gamma(margins, settings.gamma, settings.gamma_quantile)
    defined = margins[np.isfinite(margins)]
    low, q05, median, high = np.quantile(defined, [0, 0.05, 0.5, 1]).tolist() if defined.size else [None] * 4
    return Margin(
        gamma=gamma,
        gamma_source=source,
        min=low,
        q05=q05,
        median=median,
        max=high,
        loss_at_gamma=None if gamma is None else loss_at(margins, gamma),
        max_logit_norm=float(table.column("logit_norm").max()),
    )
