"""What a search lowers: the cross-entropy of the decisions that a network is to make."""

from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.space import Space
from onnxbound.linear.curvature import Target, curvature, in_batches
from onnxbound.linear.gradient import CrossEntropy, gaps
from onnxbound.results import Float64Array

_SHARPNESS = 4.0
"""Median gap of the two largest logits of the trained network, over the temperature of the loss."""

_ENTRY = 150
"""Multiply-adds that take as long as an activation: measured on nine nets, forwards and back."""

_PART_ROWS = 256


class Loss:
    """The mean cross-entropy over the rows that matter, as a function of the parameters, and its derivatives.

    Attributes:
        rows: All, m.
        kept: Places of the rows that matter, ascending.
        work: For the forward pass of a row, in multiply-adds.

    Args:
        space: Of the network.
        outputs: Where rows come from.
        logits: Of the trained network at all rows, (m, K).
        wanted: The classes that a network is to decide for, (m,); -1 for rows that do not matter.
    """

    def __init__(self, space: Space, outputs: Outputs, logits: Float64Array, wanted: NDArray[np.int64]) -> None:
        self._space, self._outputs, self._wanted = space, outputs, wanted
        views = 1 + outputs.architecture.mirrored
        net = space.network(space.trained)
        self._entropy = CrossEntropy(net, outputs.device, outputs.threads, views)
        self.work = views * (net.multiply_adds + _ENTRY * sum(prod(shape) for shape in net.shapes.values()))
        gap = float(np.median(gaps(logits)))
        self._temperature = max(gap, float(np.finfo(np.float32).tiny)) / _SHARPNESS
        self._classes = logits.shape[1]
        self.rows, self.kept = len(wanted), np.flatnonzero(wanted >= 0)

    def slope(self, at: Float64Array | NDArray[np.float32], places: NDArray[np.int64]) -> Float64Array:
        """The gradient at parameters (P,), as a mean over some rows, (P,)."""
        network, total = self._space.network(at), np.zeros(len(at))
        for start in range(0, len(places), _PART_ROWS):
            part = places[start : start + _PART_ROWS]
            wanted = np.eye(self._classes, dtype=np.float32)[self._wanted[part]]
            found = self._entropy.gradient(network, self._outputs.views(part), wanted, self._temperature)
            total += len(part) / len(places) * found
        return total

    def bend(
        self,
        at: Float64Array,
        places: NDArray[np.int64],
        entries: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> NDArray[np.float32]:
        """The Gauss-Newton matrix of some entries, estimated from some rows, (E, E)."""
        # The matrix is the same whatever outputs are wanted.
        targets = (
            Target(
                self._outputs.views(part), np.zeros((len(part), self._classes)), np.full(len(part), self._temperature)
            )
            for part in in_batches(places, len(at), 1)
        )
        return curvature(self._space.network(at), targets, 1, generator, entries).matrix
