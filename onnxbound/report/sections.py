"""From measured properties to the report's layers and pairs."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.arora2018 import LayerCondition, effective_parameters
from onnxbound.bounds.norms import LayerNorms
from onnxbound.bounds.outliers import keep_rows
from onnxbound.graph.network import Layer, Network
from onnxbound.report.report import LayerReport, MinimalCushion, PairReport
from onnxbound.results import Float64Array, Measured, Statistic, summarise
from onnxbound.run.table import Table
from onnxbound.stability.tables import PropertyTable

ForwardField = Literal["layer_cushion", "contraction", "between_contraction", "noise_sensitivity"]


@dataclass(frozen=True)
class Findings:
    """What an analysis measured, ready to be read layer by layer.

    Attributes:
        network: The net.
        norms: Of its layers.
        table: Forward properties of all m rows.
        properties: Every property of the n measured rows.
        all_pairs: Whether every pair was measured, and not only those with the output.
        zeta: Share of the measured rows that conditions may leave out.
        preprocessing_bits: Bits of the mean, the standard deviation and a scale that may have come from S.
    """

    network: Network
    norms: tuple[LayerNorms, ...]
    table: Table
    properties: PropertyTable
    all_pairs: bool
    zeta: float
    preprocessing_bits: int

    @cached_property
    def _per_row(self) -> Float64Array:
        """[A]'s conditions at the measured rows, one column each, oriented so that small is bad, (n, p)."""
        columns = []
        for layer in self.network.layers:
            column, i = self.properties.column, layer.index
            columns += [column("layer_cushion", i), -column("beta", i)]
            if self.all_pairs:
                columns.append(self._minimal(layer))
            if layer.gate is not None:
                columns.append(-column("contraction", i))
            if layer.between and np.isfinite(list(layer.between.values())).all():
                columns.append(-column("between_contraction", min(layer.between)))
        return np.stack(columns, axis=1)

    @cached_property
    def _kept(self) -> NDArray[np.bool_]:
        """The measured rows that are left when zeta has taken its share, (n,)."""
        return keep_rows(self._per_row, self.zeta)

    @property
    def outliers(self) -> int:
        """Measured rows that zeta has taken, and those on which a condition is undefined."""
        return int(np.sum(~self._kept | np.isnan(self._per_row).any(axis=1)))

    def conditions(self) -> tuple[LayerCondition, ...]:
        """The extremes that [A]'s bounds use: over all rows, or over the measured ones that are kept if zeta > 0."""
        return tuple(self._condition(layer, self._kept if self.zeta else None) for layer in self.network.layers)

    def largest_between_contraction(self) -> float:
        """max over layers and rows, 0 where nothing is defined."""
        columns = [self.table.column("between_contraction", layer.index) for layer in self.network.layers]
        return max((float(np.nanmax(c)) for c in columns if not np.isnan(c).all()), default=0.0)

    def _condition(self, layer: Layer, kept: NDArray[np.bool_] | None) -> LayerCondition:
        def forward(field: ForwardField) -> Float64Array:
            if kept is None:
                return self.table.column(field, layer.index)
            return self.properties.column(field, layer.index)[kept]

        beta, minimal = self.properties.column("beta", layer.index), self._minimal(layer)
        return LayerCondition(
            layer_cushion=_extreme(forward("layer_cushion"), np.min),
            minimal_interlayer_cushion=_extreme(minimal if kept is None else minimal[kept], np.min),
            contraction=1.0 if layer.gate is None else _extreme(forward("contraction"), np.max),
            beta=_extreme(beta if kept is None else beta[kept], np.max),
        )

    def _minimal(self, layer: Layer) -> Float64Array:
        """The clipped minimal interlayer cushion; undefined where not every pair was measured."""
        clipped, _ = self.properties.minimal_cushion_of(layer.index, layer.operator.channels)
        return clipped.values if self.all_pairs else np.full_like(clipped.values, np.nan)

    def layers(self, conditions: tuple[LayerCondition, ...]) -> tuple[LayerReport, ...]:
        """One entry per weighted layer."""
        parts = zip(self.network.layers, self.norms, conditions, strict=True)
        return tuple(self._layer(*part) for part in parts)

    def _layer(self, layer: Layer, norms: LayerNorms, condition: LayerCondition) -> LayerReport:
        def forward(field: ForwardField) -> Statistic | None:
            return summarise(Measured(self.table.column(field, layer.index)))

        d = self.network.depth
        effective = effective_parameters(layer, condition)
        return LayerReport(
            index=layer.index,
            name=layer.name,
            op=layer.step.op,
            weight_shape=layer.operator.weight.shape,
            parameters=layer.parameters,
            kernel=layer.kernel,
            stride=layer.stride,
            output_shape=layer.output_shape,
            frobenius_norm=norms.frobenius,
            spectral_norm=norms.spectral,
            stable_rank=norms.stable_rank,
            layer_cushion=forward("layer_cushion"),
            contraction=forward("contraction"),
            between_contraction=forward("between_contraction"),
            noise_sensitivity=forward("noise_sensitivity"),
            beta=summarise(Measured(self.properties.column("beta", layer.index))),
            smoothness_inverse=self._smoothness(layer.index, d),
            minimal_interlayer_cushion=self._minimal_cushion(layer),
            effective_parameters=effective,
            compression_percent=None if effective is None else 100 * effective / layer.parameters,
        )

    def _minimal_cushion(self, layer: Layer) -> MinimalCushion:
        if not self.all_pairs:
            return MinimalCushion(None, None)
        clipped, unclipped = self.properties.minimal_cushion_of(layer.index, layer.operator.channels)
        return MinimalCushion(summarise(clipped), summarise(unclipped))

    def _smoothness(self, source: int, target: int) -> Statistic | None:
        """Exact for the noise that was drawn, and for no other: measured, with its number of probes."""
        found = summarise(Measured(self.properties.column("smoothness_inverse", source, target)))
        return None if found is None else replace(found, probes=self.properties.smoothness_probes)

    def pairs(self) -> tuple[PairReport, ...]:
        """One entry per measured pair with a path."""
        d = self.network.depth
        every = [(i, j) for i in range(1, d) for j in range(i + 1, d + 1) if self.all_pairs or j == d]
        return tuple(self._pair(i, j) for i, j in every if self.network.has_path(i, j))

    def _pair(self, source: int, target: int) -> PairReport:
        smoothness = self._smoothness(source, target)
        return PairReport(
            source=source,
            target=target,
            method="exact" if self.properties.exact[source - 1, target - 1] else "hutchinson",
            interlayer_cushion=summarise(self.properties.cushion_of(source, target)),
            jacobian_norm=summarise(self.properties.jacobian_norm_of(source, target)),
            smoothness_inverse=smoothness,
            smoothness_holds=None if smoothness is None else smoothness.max * 3 * self.network.depth <= 1,
        )


def _extreme(values: Float64Array, reduce: np.ufunc | object) -> float | None:
    """The smallest or largest defined value; None where none is."""
    defined = values[np.isfinite(values)]
    return float(reduce(defined)) if defined.size else None  # type: ignore[operator]
