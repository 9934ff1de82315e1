"""Jacobian-vector products by central differences in onnxruntime, which share no code with the exact ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, helper

from onnxbound.graph.network import Network
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import open_session, with_outputs


@dataclass(frozen=True, slots=True)
class Differences:
    """Central differences at n rows.

    Attributes:
        values: Target to (M(x + h t) - M(x - h t)) / 2h, float64, `(n, *shape)`.
        kinks: Rows on which some target is not linear between x - h t and x + h t, shape (n,): a gate flipped
            there, and the difference is no derivative.
    """

    values: Mapping[str, Float64Array]
    kinks: NDArray[np.bool_]


class FiniteDifferences:
    """The sub-graph from one tensor to others; tensors that are not downstream of the first keep their values."""

    def __init__(
        self, network: Network, source: str, targets: Sequence[str], device: Device, threads: int | None = None
    ) -> None:
        """Open the session.

        Args:
            network: The network.
            source: Tensor that is perturbed.
            targets: Tensors whose change is measured.
            device: Where to run.
            threads: Threads within an operator; None for all cores.
        """
        self._network = network
        self._source = source
        self._targets = tuple(targets)
        # Behind integers, which are looked up in a table, everything is float32.
        self._kind: np.dtype[Any] = np.dtype(np.float64 if network.input_type == np.float64 else np.float32)
        self._epsilon = float(np.finfo(self._kind.type).eps)
        model = with_outputs(network, self._targets)
        if source != network.input:
            _cut_before(model, source, network, self._kind)
        self._session = open_session(model, network.path.parent, device, threads, network.external)

    def __call__(self, rows: Array, at: Array, tangents: Array, step: float, tolerance: float = 1e-3) -> Differences:
        """Differences along one tangent per row.

        Args:
            rows: Inputs of the network, (n, *input_shape).
            at: Value of the source at these rows, (n, *shape of source).
            tangents: Directions, of the same shape.
            step: h; in float32 the rounding error is about 1e-7 |M(x)| / h.
            tolerance: A second difference larger than this part of the first, and than rounding explains, is a kink.
        """
        middle, plus, minus = (self._run(rows, at + sign * step * tangents) for sign in (0.0, 1.0, -1.0))
        values: dict[str, Float64Array] = {}
        kinks = np.zeros(len(rows), bool)
        for name, centre, up, down in zip(self._targets, middle, plus, minus, strict=True):
            values[name] = (up - down) / (2 * step)
            flat = (len(rows), -1)
            second = np.linalg.norm((up + down - 2 * centre).reshape(flat), axis=1)
            first = np.linalg.norm((up - down).reshape(flat), axis=1)
            rounding = 4 * self._epsilon * np.linalg.norm(centre.reshape(flat), axis=1)
            kinks |= second > tolerance * first + rounding
        return Differences(values, kinks)

    def _run(self, rows: Array, at: Array) -> list[Float64Array]:
        batch = self._network.batch or len(rows)
        feeds = {self._network.input: rows, self._source: at.astype(self._kind)}
        names = {value.name for value in self._session.get_inputs()}
        parts = [
            self._session.run(
                list(self._targets),
                {name: np.ascontiguousarray(a[i : i + batch]) for name, a in feeds.items() if name in names},
            )
            for i in range(0, len(rows), batch)
        ]
        return [np.concatenate(values).astype(np.float64) for values in zip(*parts, strict=True)]


def _cut_before(model: ModelProto, source: str, network: Network, kind: np.dtype[Any]) -> None:
    """Make `source` an input of the graph; what computed it computes a tensor that nobody reads."""
    for node in model.graph.node:
        for position, name in enumerate(node.output):
            if name == source:
                node.output[position] = f"{source}/before the cut"
    element = helper.np_dtype_to_tensor_dtype(kind)
    shape = [network.batch, *network.shapes[source]]
    model.graph.input.append(helper.make_tensor_value_info(source, element, shape))
