"""What a reader has to know before the numbers: warnings, and why something is null."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from onnxbound.analysis.result import Report
from onnxbound.analysis.sections import PairReport
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.linear.programme import EXACT_CLASSES
from onnxbound.run.likely_cause import Cause
from onnxbound.run.opset import lowered
from onnxbound.stability.batches import Batches
from onnxbound.stability.catalogue import OF_LAYERS
from onnxbound.stability.interlayer_cushion import JACOBIAN_NORM
from onnxbound.words import at_most, percent

_NEAR_CHANCE = 0.9
_LARGE = 1e6
"""Inputs of nets are smaller, even 16-bit pixels and numbers of tokens."""
_LOOKED_AT = 100
"""Rows."""
_FEW = 100
"""With fewer measured rows a reader has to know it before anything else."""


def doubts(report: Report, rows: Rows, cause: Cause | None, shortened: Iterable[str] = ()) -> Iterator[str]:
    """Warnings that the rows are probably not those of training, or very few; the other numbers then say little.

    Args:
        report: The report without its warnings.
        rows: The training set.
        cause: The probable mistake; None if none was found.
        shortened: What there was no time for, in words.
    """
    data, chance = report.data, 1 - 1 / report.data.classes
    seen, guessing = percent(data.train_error), percent(chance)
    lost = f"the net errs on {seen} of its training rows, where guessing errs on {guessing}: "
    if cause or data.train_error > _NEAR_CHANCE * chance:
        yield (
            f"{'' if cause else lost}the preprocessing, the layout or the labels are probably not those of training"
            f"{', or the net is not trained' if cause is None else f': {cause}'}"
        )
    largest = float(np.abs(rows.batch(rows.index[:_LOOKED_AT]).inputs).max())
    if largest > _LARGE:
        yield f"inputs reach {largest:.3g} after preprocessing: `scale` is probably not that of training"
    if data.measured_rows < _FEW:
        yield from shortened


def notices(
    report: Report, network: Network, rows: Rows, batches: Batches, shortened: Iterable[str] = ()
) -> tuple[str, ...]:
    """All warnings of a report, the gravest first.

    Args:
        report: The report with its doubts, without the other warnings.
        network: The net.
        rows: Its training set.
        batches: Rows per batch.
        shortened: What there was no time for, in words.
    """
    return (
        *report.doubts,
        *_about_the_data(report, rows, batches),
        *(said for said in shortened if said not in report.doubts),
        *_about_the_measurement(report, network),
        *_nulls(report, network),
    )


def _about_the_data(report: Report, rows: Rows, batches: Batches) -> Iterator[str]:
    data = report.data
    if report.margin.gamma is None:
        yield "no row has a positive margin, so gamma is null, and so is every bound that needs it"
    elif report.margin.gamma_source == "quantile_of_correct":
        yield "gamma is a quantile over the rows without an error, since the net errs on more rows than it leaves out"
    classes = np.unique(rows.labels)
    missing = sorted(set(range(data.classes)) - set(classes.tolist()))
    if len(classes) > 1 and 0 < len(missing) <= data.classes // 2:
        more = ["..."] if len(missing) > 5 else []
        yield f"the net has {data.classes} outputs, and no row has the {_listed('label', [*missing[:5], *more])}"
    if len(classes) == 1:
        yield f"all rows have the label {classes[0]}"
    batch = batches.forward
    if data.rows < batch:
        yield f"there are {data.rows:,} rows, fewer than one batch of {batch}"


def _about_the_measurement(report: Report, network: Network) -> Iterator[str]:
    settings, data = report.settings, report.data
    estimated = [pair for pair in report.pairs if pair.method == "hutchinson"]
    if estimated:
        yield (
            f"for {len(estimated)} of {len(report.pairs)} pairs of layers the norm of the Jacobian is an estimate from"
            f" {settings['probes']} probes per row{_error(estimated)}: numbers computed from it are"
            " estimates, \N{ALMOST EQUAL TO} in a report, and the smallest interlayer cushion tends to come out too"
            ' small; `probes="exact"` measures it exactly'
        )
    if data.measured_rows < data.rows:
        share, confidence = (
            data.sub_sampling_zeta,
            f"{percent(1 - settings['delta'] / 3)} confidence (1 - delta / 3; see sub_sampling_zeta)",
        )
        beyond = f"up to {at_most(share, 100)} % of the rows may lie beyond the extremes shown, with {confidence}"
        yield (
            f"the Jacobian properties were measured on {data.measured_rows:,} of {data.rows:,} rows:"
            f" {beyond if share < 1 else 'their extremes say nothing about the other rows'}"
        )
    if network.classes > EXACT_CLASSES:
        yield f"beta is null: with {network.classes} classes, more than {EXACT_CLASSES}, no Jacobian is exact"
    if settings["pairs"] == "output":
        yield 'the minimal interlayer cushion, q and arora are null: they need `pairs="all"`'
    _, as_older = lowered(network.model)
    if as_older:
        yield f"the model is {as_older}"
    if network.one_row:
        yield (
            "the graph moves its batch axis, so onnxbound runs the net one row at a time, and compares this with a run"
            " of a few rows together"
        )
    if network.roundings:
        yield (
            f"the net rounds at {network.roundings} places (QuantizeLinear), so it is a staircase: its Jacobians are"
            " those of the net without rounding, with slope 1 inside each range and 0 outside (straight through); its"
            " values and its smoothness are those of the file, which onnxruntime runs without fusing the rounding away;"
            f" on {report.coverage.rows_rounded_otherwise} of {data.measured_rows} measured rows, onnxruntime and"
            " onnxbound round a value between two steps differently"
        )
    if network.smooth_operators:
        yield (
            f"the net is not piecewise linear ({', '.join(network.smooth_operators)}): its properties are measured, but"
            " [A]'s theorems do not apply; certificates do: holdout (`test_rows`, or"
            " certify with `holdout`) and, where the table says so, compressed (certify with `rows`)"
        )
    elif network.topology == "graph":
        yield "the net is not a chain: its properties are measured, but [A]'s theorems are not proved for it"


def _error(estimated: list[PairReport]) -> str:
    """The largest standard error of a pair's norm, relative to its median."""
    norms = [pair.statistics[JACOBIAN_NORM.name] for pair in estimated]
    relative = [norm.standard_error / norm.median for norm in norms if norm and norm.standard_error and norm.median]
    return f", with a standard error of up to {at_most(max(relative), 100)} %" if relative else ""


def _nulls(report: Report, network: Network) -> Iterator[str]:
    """Say why statistics of layers are null, one line per reason; that no last layer has some of them is not said."""
    dead: set[int] = set()
    for prop in OF_LAYERS:
        missing = [
            layer for layer, own in zip(network.layers, report.layers, strict=True) if not own.statistics[prop.name]
        ]
        reasons = {layer.index: prop.absent(network, layer) for layer in missing}
        said = {index: why for index, why in reasons.items() if index < network.depth}
        for reason in filter(None, dict.fromkeys(said.values())):
            at = _listed("layer", [i for i, why in said.items() if why == reason])
            yield f"{prop.name} is null at {at}: {reason}"
        if prop.forward:
            dead.update(i for i, why in reasons.items() if not why)
    if dead:
        listed = _listed("layer", sorted(dead))
        yield f"a property is undefined on every row at {listed}, since the layer or the one before it is dead"
    without = [layer.index for layer in report.layers if layer.effective_parameters is None]
    if without and report.settings["pairs"] == "all" and network.classes <= EXACT_CLASSES:
        yield f"effective_parameters is null at {_listed('layer', without)}: a cushion is 0 or undefined there"


def _listed(noun: str, numbers: Sequence[int | str]) -> str:
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers))}"
