"""Every property per row, kept on disk: the forward properties of all rows, and all properties of the measured ones."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.linear.programme import Form, Programme
from onnxbound.results import Estimate, Float64Array, Measured
from onnxbound.run.table import Column, Table
from onnxbound.stability.interlayer_cushion import minimal_interlayer_cushion
from onnxbound.stability.properties import Properties

FORWARD = ("layer_cushion", "contraction", "between_contraction", "noise_sensitivity")
"""Fields of `ForwardProperties`."""

PAIRS = (
    "interlayer_cushion", "interlayer_cushion_error", "jacobian_norm", "jacobian_norm_error", "smoothness_inverse",
)  # fmt: skip
"""Fields of `Properties` with one value per pair."""

_SAMPLED_LAYERS = ("layer_cushion", "contraction", "between_contraction", "beta")
_SAMPLED_PAIRS = ("interlayer_cushion", "jacobian_norm", "smoothness_inverse")
_BLOCK_BYTES = 1 << 22


def forward_table(network: Network, rows: int) -> Table:
    """An empty table of what one forward pass gives: margin, |f(x)|_2, the forward properties and |a^i|."""
    layers = range(1, network.depth + 1)
    fields = (*FORWARD, "input_norm")
    return Table(rows, [("margin",), ("logit_norm",), *((field, i) for field in fields for i in layers)])


class PropertyTable:
    """Every property of the measured rows.

    Attributes:
        index: Rows in the data file, (n,).
        exact: Whether |J|_F of the pair [i-1, j-1] is exact, bool, (d, d).
        probes: Probes behind what is not exact.
        smoothness_probes: Probes behind smoothness.
    """

    def __init__(self, network: Network, programme: Programme, index: NDArray[np.int64]) -> None:
        self.index = index
        self.probes = self.smoothness_probes = programme.probes
        self.exact = np.zeros((network.depth, network.depth), bool)
        self.exact[:, -1] = programme.exact_output
        self.exact[programme.exact_pairs] = True
        self._seed = programme.seed
        self._depth = network.depth
        layers = range(1, network.depth + 1)
        targets = layers[-1:] if programme.output_only else layers
        self._pairs = [(i, j) for i in layers for j in targets if i < j and network.has_path(i, j)]
        columns: list[Column] = [(field, i) for field in (*FORWARD, "beta") for i in layers]
        columns += [(field, i, j) for field in PAIRS for i, j in self._pairs]
        self._table = Table(len(index), [("margin",), ("ties",), *columns])

    def write(self, start: int, margin: Float64Array, ties: NDArray[np.bool_], found: Properties) -> None:
        """Properties of rows from a place on."""
        i, j = np.array(self._pairs, int).reshape(-1, 2).T - 1
        columns = [margin[:, None], ties[:, None]]
        columns += [getattr(found.forward, field) for field in FORWARD]
        columns += [found.beta, *(getattr(found, field)[:, i, j] for field in PAIRS)]
        self._table.write(start, np.concatenate(columns, axis=1))

    def column(self, *name: str | int, start: int = 0, stop: int | None = None) -> Float64Array:
        """margin, ties (0 or 1), a property of a layer, or of a pair; NaN where there is no such pair; (n,)."""
        if name in self._table:
            return self._table.column(*name, start=start, stop=stop)
        return np.full((len(self.index) if stop is None else stop) - start, np.nan)

    def set_smoothness(self, inverse: Float64Array, probes: int) -> None:
        """Smoothness under other noise than it was measured with, (n, d, d)."""
        for i, j in self._pairs:
            self._table.overwrite("smoothness_inverse", i, j, values=inverse[:, i - 1, j - 1])
        self.smoothness_probes = probes

    def cushion_of(self, source: int, target: int) -> Measured | Estimate:
        """Interlayer cushion of one pair."""
        return self._pair("interlayer_cushion", source, target)

    def jacobian_norm_of(self, source: int, target: int) -> Measured | Estimate:
        """|J|_F of one pair."""
        return self._pair("jacobian_norm", source, target)

    def minimal_cushion_of(self, source: int, units: int) -> tuple[Measured | Estimate, Measured | Estimate]:
        """Minimal interlayer cushion of one layer, clipped at 1 / sqrt(units) and unclipped.

        Its standard error is that of the smallest cushion, 0 where the clip is smaller.
        """
        targets = [j for i, j in self._pairs if i == source]
        cushions, errors = (self._columns(field, source, targets) for field in PAIRS[:2])
        clipped, unclipped = minimal_interlayer_cushion(units, cushions)
        if self.exact[source - 1, [j - 1 for j in targets]].all():
            return Measured(clipped), Measured(unclipped)
        smallest = np.argmin(np.where(np.isnan(cushions), np.inf, cushions), axis=1)
        error = np.take_along_axis(errors, smallest[:, None], axis=1)[:, 0]
        clipped_error = np.where(clipped < unclipped, 0.0, error)
        return (
            Estimate(clipped, clipped_error, self.probes, self._seed),
            Estimate(unclipped, error, self.probes, self._seed),
        )

    def samples(self, form: Form) -> "Samples":
        """The per-row arrays by their contracted names."""
        return Samples(self, self._depth, form)

    def _columns(self, field: str, source: int, targets: list[int]) -> Float64Array:
        columns = [self.column(field, source, target) for target in targets]
        return np.stack(columns, axis=1) if columns else np.empty((len(self.index), 0))

    def _pair(self, field: str, source: int, target: int) -> Measured | Estimate:
        values = self.column(field, source, target)
        if self.exact[source - 1, target - 1]:
            return Measured(values)
        return Estimate(values, self.column(f"{field}_error", source, target), self.probes, self._seed)


class Samples(Mapping[str, NDArray[Any]]):
    """The per-row arrays of `--samples`, read from disk when they are asked for.

    index (n,) int64; margin (n,); layer_cushion, contraction, between_contraction, beta (n, d); interlayer_cushion,
    jacobian_norm, smoothness_inverse (n, d, d), all float64 and NaN where undefined; form, a string.
    """

    def __init__(self, table: PropertyTable, depth: int, form: Form) -> None:
        self._table = table
        rows = len(table.index)
        self._whole: dict[str, NDArray[Any]] = {"index": table.index, "form": np.array(form)}
        self._shapes: dict[str, tuple[int, ...]] = {"margin": (rows,)}
        self._shapes |= dict.fromkeys(_SAMPLED_LAYERS, (rows, depth))
        self._shapes |= dict.fromkeys(_SAMPLED_PAIRS, (rows, depth, depth))

    def __iter__(self) -> Iterator[str]:
        yield from (*self._whole, *self._shapes)

    def __len__(self) -> int:
        return len(self._whole) + len(self._shapes)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.concatenate(list(self.blocks(name))) if name in self._shapes else self._whole[name]

    def header(self, name: str) -> dict[str, Any]:
        """What the head of a .npy file says of an array."""
        kind = np.dtype(np.float64) if name in self._shapes else self._whole[name].dtype
        shape = self._shapes[name] if name in self._shapes else self._whole[name].shape
        return {"descr": kind.str, "fortran_order": False, "shape": shape}

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """An array, some rows at a time."""
        if name not in self._shapes:
            yield self._whole[name]
            return
        rows, *inner = self._shapes[name]
        size = max(1, _BLOCK_BYTES // (8 * int(np.prod(inner, dtype=int))))
        for start in range(0, rows, size):
            block = np.empty((min(size, rows - start), *inner))
            for place in np.ndindex(*inner):
                layers = (p + 1 for p in place)
                block[:, *place] = self._table.column(name, *layers, start=start, stop=start + len(block))
            yield block
