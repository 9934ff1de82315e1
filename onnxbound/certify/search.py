"""The search for the code with the best bound: rounds of rounding, each with a higher price of bits.

It moves the weights of a trained network onto a lattice and looks for the cheapest network that still decides like it:
no labels are learnt, the only target are the network's own outputs. Each round linearises the network as it now is at
fresh rows, finds where its weights would best be to second order, moves them onto the lattice with the price of bits in
every choice, and keeps the candidate that truly, on other rows, costs least. The price rises from round to round while
the certified bound falls.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

from onnxbound.bounds.binomial_tail import error_bound
from onnxbound.certify.outputs import Outputs
from onnxbound.codec.describe import Description
from onnxbound.codec.network_code import Exact, Levels, NetworkCode, encode, rounded_step
from onnxbound.compress.lattice import Lattice, compensation, descended, rounded_in_order
from onnxbound.compress.prices import LARGEST, Prices, prices
from onnxbound.graph.network import Network
from onnxbound.linear.curvature import Curvature, Target, curvature, softmax
from onnxbound.results import Float64Array
from onnxbound.stability.margin import margins

Levels64 = NDArray[np.int64]
Tensors = Mapping[str, NDArray[np.float32]]

_STEP = 0.02
"""Lattice step of a tensor, over 1 / sqrt(mean of the curvature's diagonal)."""

_BIAS_STEP = 0.5
"""A bias has few entries and moves a whole channel: its step is finer by this."""

_PRICES = (0.2, 0.6, 1.2)
"""Divergence of all rows together per bit, in the first rounds; later ones rise by `_RISE` while that pays.

Where a bound is worth having, one more error costs it about as much as three more bits.
"""

_RISE = 1.5
_FIRST_DAMPING = (0.1, 0.3)
_DAMPING = (0.03, 0.1, 0.3)
"""Added to the curvature's diagonal, over its mean in the tensor."""

_LEFT_OUT = 5e-3
"""Share of the divergence of losing everything that the entries left at 0 from the start may cause."""

_KEPT = 0.5
"""Share of the curvature of the rounds before that is kept in the mean."""

_SWEEPS = 4
_PROBES = 2
_JUDGED = 6000
_BATCH_BYTES = 1 << 28


@dataclass(frozen=True, slots=True)
class Effort:
    """How much work a search may do.

    Attributes:
        rounds: Rounds of rounding.
        rows: Rows that are linearised in each.
        entries: Parameters that can be moved in each; the others are 0.
    """

    rounds: int
    rows: int
    entries: int

    @classmethod
    def of(cls, level: int) -> "Effort":
        """Of --effort 1 to 9."""
        return cls(rounds=1 + level, rows=1500 * (level + 1), entries=2000 + 1200 * level)


@dataclass(frozen=True, slots=True)
class Found:
    """A code and what it is worth.

    Attributes:
        code: What is written.
        data: How.
        errors: Rows that the network errs on, as counted during the search.
        bound: The error it certifies.
        round: The round that found it, from 1.
        rounds: Rounds in all.
    """

    code: NetworkCode
    data: bytes
    errors: int
    bound: Decimal
    round: int
    rounds: int


@dataclass(frozen=True, slots=True)
class Task:
    """What a search is for.

    Attributes:
        network: The trained network.
        described: It, taken apart.
        outputs: Its skeleton at the rows.
        labels: Of the rows, (m,).
        prior: Tensors of the prior network in the holes; None without one.
        numbers: Of the preprocessing, which the code writes down.
        with_skeleton: Whether the code holds the skeleton.
        delta: Of the bound.
    """

    network: Network
    described: Description
    outputs: Outputs
    labels: NDArray[np.int64]
    prior: Tensors | None
    numbers: tuple[float, ...]
    with_skeleton: bool
    delta: Decimal


def search(task: Task, effort: Effort, generator: np.random.Generator) -> Iterator[Found]:
    """Every round's code, in their order; the best is that of the smallest bound."""
    return _Search(task, effort, generator).rounds()


@dataclass(frozen=True, slots=True)
class _Point:
    """A network on the lattice, and what it costs."""

    levels: Levels64
    found: Found


class _Search:
    def __init__(self, task: Task, effort: Effort, generator: np.random.Generator) -> None:
        self._task, self._effort, self._generator = task, effort, generator
        described = task.described
        sizes = [described.tensors[name].size for name in described.parameters]
        self._ends = np.cumsum(sizes)
        self._tensor = np.repeat(np.arange(len(sizes)), sizes)
        self._bias = np.array([described.tensors[name].ndim == 1 for name in described.parameters])
        self._trained = self._flat(described.tensors)
        self._origin = np.zeros_like(self._trained) if task.prior is None else self._flat(task.prior)
        self._single = task.network.cast(np.float32)
        self._logits = task.outputs.logits(described.tensors)
        self._temperature = temperatures(self._logits, task.labels)
        count = len(task.labels)
        self._judged = np.sort(generator.choice(count, min(_JUDGED, count), replace=False))

    def rounds(self) -> Iterator[Found]:
        first = self._curvature(self._trained, np.zeros(0, np.int64), self._effort.rows // 4)
        entries = self._worth_moving((self._trained - self._origin) ** 2 * first.diagonal)
        steps = self._steps(first.diagonal, entries)
        start = np.zeros_like(self._trained)
        start[entries] = (self._trained - self._origin)[entries]
        at = best = None
        price = 0.0
        matrix: NDArray[np.float32] | None = None
        for number in range(1, self._effort.rounds + 1):
            price = _PRICES[number - 1] if number <= len(_PRICES) else price * _RISE
            here = start if at is None else at.levels * steps[self._tensor]
            seen = self._curvature(self._origin + here, entries, self._effort.rows)
            matrix = seen.matrix if matrix is None else _KEPT * matrix + (1 - _KEPT) * seen.matrix
            at = self._round(number, at, here, matrix, seen.gradient[entries], entries, steps, price)
            yield at.found
            if best is None or at.found.bound <= best.found.bound:
                best = at
            elif number > len(_PRICES):
                at, price = best, price / _RISE**1.5

    def _round(
        self,
        number: int,
        at: _Point | None,
        here: Float64Array,
        matrix: NDArray[np.float32],
        gradient: Float64Array,
        entries: NDArray[np.int64],
        steps: Float64Array,
        price: float,
    ) -> _Point:
        levels = np.rint(here / steps[self._tensor]).clip(-LARGEST, LARGEST).astype(np.int64)
        bits = self._prices(levels)
        per_row = price / len(self._task.labels)
        lattice = Lattice(steps[self._tensor][entries], self._tensor[entries], bits.of(entries), per_row)
        mean = self._mean_per_tensor(np.diag(matrix).astype(np.float64), entries)
        best, cheapest = levels, np.inf
        for damping in _FIRST_DAMPING if at is None else _DAMPING:
            damped = matrix.astype(np.float64)
            damped[np.diag_indices_from(damped)] += damping * mean
            compensating = compensation(damped)
            wanted = here[entries] - compensating.T @ (compensating @ gradient)
            candidates = [rounded_in_order(wanted, compensating, lattice)]
            if at is not None:
                candidates.append(descended(levels[entries], wanted, damped, lattice, _SWEEPS))
            for candidate in candidates:
                whole = np.zeros_like(levels)
                whole[entries] = candidate
                cost = self._divergence(self._tensors(whole, steps)) + per_row * bits.bits(whole, self._tensor)
                if cost < cheapest:
                    best, cheapest = whole, cost
        return _Point(best, self._found(number, best, steps))

    def _worth_moving(self, worth: Float64Array) -> NDArray[np.int64]:
        """The fewest entries that leave little of the worth out, ascending."""
        order = np.argsort(-worth, kind="stable")
        left_out = worth.sum() - np.cumsum(worth[order])
        count = int(np.searchsorted(-left_out, -_LEFT_OUT * worth.sum())) + 1
        return np.sort(order[: min(count, self._effort.entries)])

    def _prices(self, levels: Levels64) -> Prices:
        shapes = {hole.name: hole.filters for hole in self._task.described.skeleton.holes}
        pieces = zip(self._task.described.parameters, np.split(levels, self._ends[:-1]), strict=True)
        return prices([piece.reshape(shapes[name]) for name, piece in pieces])

    def _curvature(self, weights: Float64Array, entries: NDArray[np.int64], rows: int) -> Curvature:
        count = len(self._task.labels)
        places = np.sort(self._generator.choice(count, min(rows, count), replace=False))
        batch = max(1, min(250, _BATCH_BYTES // (4 * (_PROBES + 1) * weights.size)))
        parts = np.split(places, range(batch, len(places), batch))
        targets = (Target(self._task.outputs.inputs(p), self._logits[p], self._temperature[p]) for p in parts)
        return curvature(self._with_weights(weights), targets, entries, _PROBES, self._generator)

    def _steps(self, diagonal: Float64Array, entries: NDArray[np.int64]) -> Float64Array:
        sums, counts = (np.bincount(self._tensor[entries], w, len(self._ends)) for w in (diagonal[entries], None))
        means = sums / np.maximum(counts, 1)
        floor = 1e-12 * float(means.max()) or 1.0
        steps = _STEP / np.sqrt(np.maximum(means, floor)) * np.where(self._bias, _BIAS_STEP, 1)
        largest = np.maximum.reduceat(np.abs(self._trained - self._origin), np.concatenate([[0], self._ends[:-1]]))
        steps = np.maximum(steps, largest / (LARGEST - 1))
        return np.array([rounded_step(step) for step in steps])

    def _mean_per_tensor(self, values: Float64Array, entries: NDArray[np.int64]) -> Float64Array:
        tensor = self._tensor[entries]
        sums, counts = np.bincount(tensor, values), np.bincount(tensor)
        means = sums[tensor] / counts[tensor]
        return np.maximum(means, 1e-9 * float(means.max()))

    def _divergence(self, tensors: Tensors) -> float:
        """Mean of KL(p || q) over the rows that judge."""
        heat = self._temperature[self._judged, None]
        p = softmax(self._logits[self._judged] / heat)
        q = softmax(self._task.outputs.logits(tensors, self._judged) / heat)
        return float((p * (np.log(p + 1e-30) - np.log(q + 1e-30))).sum(axis=1).mean())

    def _found(self, number: int, levels: Levels64, steps: Float64Array) -> Found:
        code = self._code(levels, steps)
        data = encode(self._task.described.skeleton, code, with_skeleton=self._task.with_skeleton)
        logits = self._task.outputs.logits(code.tensors(self._task.described.skeleton, self._task.prior))
        errors = int(np.sum(~(margins(logits, self._task.labels) > 0)))
        bound = error_bound(errors, len(self._task.labels), 8 * len(data), self._task.delta)
        return Found(code, data, errors, bound, number, self._effort.rounds)

    def _code(self, levels: Levels64, steps: Float64Array) -> NetworkCode:
        described = self._task.described
        pieces = np.split(levels, self._ends[:-1])
        on_lattice = {
            name: Levels(float(step), piece.reshape(described.tensors[name].shape))
            for name, step, piece in zip(described.parameters, steps, pieces, strict=True)
        }
        parts = tuple(on_lattice.get(name) or Exact(values) for name, values in described.tensors.items())
        return NetworkCode(parts, self._task.numbers)

    def _tensors(self, levels: Levels64, steps: Float64Array) -> Tensors:
        return self._code(levels, steps).tensors(self._task.described.skeleton, self._task.prior)

    def _flat(self, tensors: Tensors) -> Float64Array:
        return np.concatenate([tensors[name].ravel() for name in self._task.described.parameters]).astype(np.float64)

    def _with_weights(self, weights: Float64Array) -> Network:
        """The network in float32 with another vector in place of its parameters."""
        pieces = iter(np.split(weights.astype(np.float32), self._ends[:-1]))
        operators = {}
        for layer in self._single.layers:
            operator = layer.operator
            new = next(pieces).reshape(operator.weight.shape)
            bias = None if operator.bias is None else next(pieces).astype(np.float64)
            operators[layer.output] = replace(operator, weight=new, bias=bias).cast(np.float32)
        steps = (replace(step, operator=operators.get(step.output, step.operator)) for step in self._single.steps)
        return replace(self._single, steps=tuple(steps))


def temperatures(logits: Float64Array, labels: NDArray[np.int64]) -> Float64Array:
    """How much of its logits' differences each row can do without, (m,).

    Half the gap of the two largest logits, but no less than half of a low quantile of all gaps; infinite where the
    network errs, so that its own errors are not protected. The more it errs, the more it may err: the quantile is 0.1
    and rises by one and a half times the error.
    """
    ordered = np.sort(logits, axis=1)
    gaps = ordered[:, -1] - ordered[:, -2]
    right = logits.argmax(axis=1) == labels
    lowest = np.quantile(gaps, min(0.5, 0.1 + 1.5 * (1 - right.mean())))
    floor = max(float(lowest), float(np.finfo(np.float32).tiny))
    return np.where(right, np.maximum(gaps, floor) / 2, np.inf)
