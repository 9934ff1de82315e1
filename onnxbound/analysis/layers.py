"""Statistics of every property, layer by layer and pair by pair."""

from collections.abc import Sequence
from dataclasses import replace

from onnxbound.analysis.sections import ErrorUnderNoise, LayerReport, PairReport
from onnxbound.bounds.arora2018 import effective_parameters
from onnxbound.bounds.conditions import Conditions
from onnxbound.bounds.norms import LayerNorms
from onnxbound.documents.document import view
from onnxbound.results import Measured, Statistic, summarise
from onnxbound.run.row_table import Table
from onnxbound.stability.catalogue import OF_LAYERS, OF_PAIRS
from onnxbound.stability.interlayer_cushion import INTERLAYER_CUSHION
from onnxbound.stability.property import Property
from onnxbound.stability.property_table import PropertyTable
from onnxbound.stability.smoothness import SMOOTHNESS_INVERSE
from onnxbound.stability.weight_noise_errors import NoisyErrors


def layer_reports(
    norms: Sequence[LayerNorms], conditions: Conditions, forward: Table, measured: PropertyTable, noisy: NoisyErrors
) -> tuple[LayerReport, ...]:
    """Summarise every layer.

    Args:
        norms: Of the layers.
        conditions: Extremes over the rows.
        forward: Forward properties of all m rows.
        measured: Every property of the n measured rows.
        noisy: Errors under noise in the weights of each layer alone.
    """
    network = measured.network

    def statistic(prop: Property, index: int) -> Statistic | None:
        if prop.forward:
            return summarise(Measured(forward.column(prop.name, index)))
        return _statistic(measured, prop, index, *([network.depth] if prop.per == "pair" else []))

    reports = []
    for layer, own, condition in zip(network.layers, norms, conditions.layers, strict=True):
        effective = effective_parameters(layer, condition)
        reports.append(
            view(
                LayerReport,
                layer,
                op=layer.step.op,
                weight_shape=layer.operator.weight.shape,
                frobenius_norm=own.frobenius,
                spectral_norm=own.spectral,
                stable_rank=own.stable_rank,
                statistics={prop.name: statistic(prop, layer.index) for prop in OF_LAYERS},
                effective_parameters=effective,
                compression_percent=None if effective is None else 100 * effective / layer.parameters,
                basis=condition.basis,
                error_under_weight_noise=ErrorUnderNoise(*noisy.over_draws(layer.index)),
            )
        )
    return tuple(reports)


def pair_reports(measured: PropertyTable) -> tuple[PairReport, ...]:
    """Summarise every measured pair with a path."""
    network = measured.network
    reports = []
    for i, j in INTERLAYER_CUSHION.places(network, output_only=measured.programme.output_only):
        statistics = {prop.name: _statistic(measured, prop, i, j) for prop in OF_PAIRS}
        smoothness = statistics[SMOOTHNESS_INVERSE.name]
        reports.append(
            PairReport(
                source=i,
                target=j,
                method="exact" if measured.exact(INTERLAYER_CUSHION, i, j) else "hutchinson",
                statistics=statistics,
                smoothness_holds=None if smoothness is None else smoothness.max * 3 * network.depth <= 1,
            )
        )
    return tuple(reports)


def _statistic(measured: PropertyTable, prop: Property, *place: int) -> Statistic | None:
    """Summarise the values of the measured rows; a statistic of drawn noise names the number of probes."""
    summary = summarise(measured.values(prop, *place))
    return replace(summary, probes=measured.probes(prop)) if summary and prop.of_noise else summary
