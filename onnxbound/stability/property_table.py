"""Every property per row, kept on disk: some of all rows, all of the measured rows."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import exact_pairs
from onnxbound.linear.programme import Programme
from onnxbound.results import Estimate, Float64Array, Measured
from onnxbound.run.row_table import Column, Table
from onnxbound.stability import hutchinson
from onnxbound.stability.catalogue import CATALOGUE, FORWARD
from onnxbound.stability.property import Property, error_of
from onnxbound.words import counted

_BLOCK_BYTES = 1 << 22


def forward_table(network: Network, rows: int) -> Table:
    """Make an empty table of what one forward pass gives: margin, |f(x)|_2, the forward properties and |a^i|."""
    layers = range(1, network.depth + 1)
    fields = (*(prop.name for prop in FORWARD), "input_norm")
    return Table(rows, [("margin",), ("logit_norm",), *((field, i) for field in fields for i in layers)])


class PropertyTable:
    """Every property of the measured rows.

    Attributes:
        network: The net.
        programme: What was measured.
        index: Rows in the data file, (n,).
    """

    def __init__(self, network: Network, programme: Programme, index: NDArray[np.int64]) -> None:
        self.network = network
        self.programme = programme
        self.index = index
        self._replaced: dict[str, int] = {}
        self._attached: dict[str, Callable[[int], Measured | Estimate]] = {}
        self._columns: list[Column] = []
        for prop in CATALOGUE:
            places = list(prop.places(network, output_only=programme.output_only))
            self._columns += [(prop.name, *place) for place in places]
            self._columns += [(error_of(prop.name), *place) for place in places if prop.error]
        self._table = Table(len(index), [("margin",), ("ties",), *self._columns])
        self._exact_pairs = exact_pairs(network, programme)

    def write(
        self, start: int, margin: Float64Array, ties: NDArray[np.bool_], values: Mapping[Column, Float64Array]
    ) -> None:
        """Store some rows from a place on: margins, ties, and every property as `evaluate` gives it."""
        nothing = np.full(len(margin), np.nan)
        columns = (values.get(column, nothing) for column in self._columns)
        self._table.write(start, np.stack([margin, ties, *columns], axis=1))

    def column(self, *name: str | int, start: int = 0, stop: int | None = None) -> Float64Array:
        """Return margin, ties (0 or 1), or a property of a layer or pair, (n,); NaN where there is no such pair."""
        if name in self._table:
            return self._table.column(*name, start=start, stop=stop)
        return np.full((len(self.index) if stop is None else stop) - start, np.nan)

    def replace(self, prop: Property, values: Float64Array, probes: int) -> None:
        """Replace the programme's values by ones that were measured in another way, (n, d) or (n, d, d)."""
        for place in prop.places(self.network, output_only=self.programme.output_only):
            chosen = values.T[tuple(i - 1 for i in reversed(place))]
            self._table.overwrite(prop.name, *place, values=chosen)
        self._replaced[prop.name] = probes

    def attach(
        self, prop: Property, index: NDArray[np.int64], values: Float64Array, of: Callable[[int], Measured | Estimate]
    ) -> None:
        """Add a property of layers that was measured apart, at some of the rows.

        Args:
            prop: The property.
            index: Rows in the data file, (k,).
            values: (k, d).
            of: Layer i to its values, as measured values or estimates.
        """
        column = np.full(len(self.index), np.nan)
        for layer in self.network.layers:
            column[np.searchsorted(self.index, index)] = values[:, layer.index - 1]
            self._table.overwrite(prop.name, layer.index, values=column)
        self._attached[prop.name] = of

    def probes(self, prop: Property) -> int:
        """Return the number of probes behind values that are not exact."""
        return self._replaced.get(prop.name, self.programme.probes)

    def values(self, prop: Property, *place: int) -> Measured | Estimate:
        """Return a property of a layer or pair, as an estimate where it is not exact."""
        if prop.name in self._attached:
            return self._attached[prop.name](*place)
        values, pairs = self.column(prop.name, *place), self._estimated_pairs(prop, *place)
        if not pairs:
            return Measured(values)
        probes = self.probes(prop)
        # An error read off a row's own few probes is small where its value is: the spread of all rows is taken.
        relative = hutchinson.standard_error(self.spread(prop, *place), probes, prop.power)
        errors = np.where(self.column(error_of(prop.name), *place) == 0, 0.0, relative * values)
        if probes == 1:
            errors = np.full_like(values, np.nan)
        within = hutchinson.factors(probes, len(self.index) * pairs, prop.power)
        return Estimate(values, errors, probes, self.programme.seed, within)

    def exact(self, prop: Property, *place: int) -> bool:
        """Return whether the values at a layer or pair are exact, and not estimates from probes."""
        return not self._estimated_pairs(prop, *place)

    def spread(self, prop: Property, *place: int) -> float:
        """Return the relative variance over probes behind the estimated values at a layer or pair."""
        values, errors = self.column(prop.name, *place), self.column(error_of(prop.name), *place)
        # A relative error of |J|_F, or of its reciprocal, is half of that of its square.
        doubled = np.full_like(values, np.nan)
        np.divide(2 * errors, values, out=doubled, where=(values > 0) & (errors != 0))
        return hutchinson.spread(doubled, self.probes(prop))

    def _estimated_pairs(self, prop: Property, source: int, *target: int) -> int:
        """Count the pairs whose estimated |J|_F a value of a property rests on."""
        if prop.error is None:
            return 0
        network = self.network
        later = target or [j for j in range(source + 1, network.depth + 1) if network.has_path(source, j)]
        return sum((source, j) not in self._exact_pairs for j in later)

    def samples(self) -> "Samples":
        """Return the per-row arrays by the names that the samples file documents."""
        return Samples(self)


class Samples(Mapping[str, NDArray[Any]]):
    """The per-row arrays of the measured rows, read from disk when they are asked for.

    index (n,) int64; margin (n,); every property of a layer (n, d), of a pair (n, d, d), float64 and NaN where it is
    undefined; form, a string.
    """

    def __init__(self, table: PropertyTable) -> None:
        self._table = table
        rows, depth, form = len(table.index), table.network.depth, table.programme.form
        self._whole: dict[str, NDArray[Any]] = {"index": table.index, "form": np.array(form)}
        self._shapes: dict[str, tuple[int, ...]] = {"margin": (rows,)}
        for prop in CATALOGUE:
            self._shapes[prop.name] = (rows, depth) if prop.per == "layer" else (rows, depth, depth)

    def __repr__(self) -> str:
        return f"<Samples of {counted(len(self._table.index), 'row')}: {', '.join(self)}>"

    def __iter__(self) -> Iterator[str]:
        yield from (*self._whole, *self._shapes)

    def __len__(self) -> int:
        return len(self._whole) + len(self._shapes)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.concatenate(list(self.blocks(name))) if name in self._shapes else self._whole[name]

    def header(self, name: str) -> dict[str, Any]:
        """Return the head of an array's .npy file."""
        kind = np.dtype(np.float64) if name in self._shapes else self._whole[name].dtype
        shape = self._shapes[name] if name in self._shapes else self._whole[name].shape
        return {"descr": kind.str, "fortran_order": False, "shape": shape}

    def blocks(self, name: str) -> Iterator[NDArray[Any]]:
        """Yield an array, some rows at a time."""
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
