"""One forward pass through onnxruntime per row: logits, and the norms that the cheap properties need.

The norms are computed inside the session, so that only a few numbers per row leave it, and no activations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import failed_run, open_session, with_outputs

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


_SQUARES = (1e-30, 1e36)
"""Mean squares that float32 adds up some at a time to within 1e-7: no square in the sum matters and underflows."""

_AT_A_TIME = (16, 64, 512)
"""Squares that are added up in float32: at least, best, and at most."""


@dataclass(frozen=True, slots=True)
class ForwardNorms:
    """Norms of n rows at d layers, float64; NaN where a layer has no gate behind it.

    Attributes:
        logits: (n, K).
        input_norm: |a^i|, (n, d).
        output_norm: |x^i|, or |A^i a^i| in the linear form, (n, d).
        source_norm: |x^i|, (n, d).
        gate_input_norm: |z| at the first element-wise gate behind x^i, (n, d).
        gate_output_norm: |phi(z)|, (n, d).
    """

    logits: Float64Array
    input_norm: Float64Array
    output_norm: Float64Array
    source_norm: Float64Array
    gate_input_norm: Float64Array
    gate_output_norm: Float64Array


class ForwardPass:
    """Sessions that return logits and norms.

    Some squares at a time are added up in float32, and their sums in float64: all in float64 takes several times as
    long as the net itself. Rows with a norm for which that is not precise are run once more in float64.
    """

    def __init__(self, network: Network, device: Device, threads: int | None, *, without_bias: bool) -> None:
        self._network = network
        self._columns = _columns(network, without_bias=without_bias)
        self._norms = tuple(dict.fromkeys(n for column in self._columns for n in column if n is not None))
        entries = np.array([prod(network.shapes[norm.tensor]) for norm in self._norms], np.float64)
        single = np.array([_at_a_time(network, norm) > 1 for norm in self._norms])
        self._least = np.where(single, entries * _SQUARES[0], -np.inf)
        self._most = np.where(single, entries * _SQUARES[1], np.inf)
        self._place = device, threads
        self._quick = self._session(quick=True)

    def run(self, rows: NDArray[Any]) -> ForwardNorms:
        """Run rows `(n, *input_shape)` of the model's input type; a fixed batch is filled up with the last row.

        Raises:
            DeviceError: device-runtime.
        """
        logits, squared = self._run(self._quick, rows)
        doubtful = ~((squared >= self._least) & (squared <= self._most)).all(axis=1)
        if doubtful.any():
            squared[doubtful] = self._run(self._exact, rows[doubtful])[1]
        norms = dict(zip(self._norms, np.sqrt(squared).T, strict=True))
        nothing = np.full(len(rows), np.nan)
        columns = [
            np.stack([nothing if norm is None else norms[norm] for norm in column], axis=1) for column in self._columns
        ]
        return ForwardNorms(logits.astype(np.float64), *columns)

    @cached_property
    def _exact(self) -> "InferenceSession":
        return self._session(quick=False)

    def _session(self, *, quick: bool) -> "InferenceSession":
        network = self._network
        model = with_outputs(network, [network.output, *(norm.tensor for norm in self._norms)])
        del model.graph.output[1:]
        for number, norm in enumerate(self._norms):
            _append_squared_norm(model, network, norm, _name(number), quick=quick)
        device, threads = self._place
        return open_session(model, network.path.parent, device, threads, network.external)

    def _run(self, session: "InferenceSession", rows: NDArray[Any]) -> tuple[NDArray[Any], Float64Array]:
        """Logits (n, K), and squared norms (n, norms)."""
        batch = self._network.batch or len(rows)
        names = [self._network.output, *map(_name, range(len(self._norms)))]
        parts = []
        for part in _pieces(rows, batch):
            try:
                parts.append(session.run(names, {self._network.input: filled(part, batch)}))
            except Exception as error:
                raise failed_run(error) from error
        logits, *squared = (np.concatenate(values)[: len(rows)] for values in zip(*parts, strict=True))
        return logits, np.stack(squared, axis=1)


def _name(number: int) -> str:
    """Of an output of a session."""
    return f"onnxbound/squared_norm_{number}"


def require_finite(index: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
    """Refuse rows at which a net overflows.

    Args:
        index: Rows in the data file, (n,).
        values: Name of a place in the net to its values, (n, ...), in the order of the net.

    Raises:
        ModelError: model-overflow, with the first such place.
    """
    for place, value in values.items():
        broken = ~np.isfinite(value.reshape(len(index), -1)).all(axis=1)
        if broken.any():
            why = (
                f"it is infinite or not a number at {broken.sum():,} of {len(index):,} rows, first at row"
                f" {index[broken.argmax()]} of the file; the largest float32 is {np.finfo(np.float32).max:.3g}"
            )
            do = "check that `scale`, `mean` and `std` are those of training; if they are, the net itself overflows"
            raise ModelError("model-overflow", "Values of the net overflow.", [Problem(place, why, do)])


@dataclass(frozen=True, slots=True)
class _Norm:
    """The norm of a tensor, less the bias of a layer if one is given."""

    tensor: str
    without_bias_of: int | None = None


def _columns(network: Network, *, without_bias: bool) -> tuple[tuple[_Norm | None, ...], ...]:
    """Per field of `ForwardNorms` behind the logits, the norm that stands in the column of each layer."""
    layers = network.layers

    def output(layer: Layer) -> _Norm:
        biased = without_bias and layer.operator.bias is not None
        return _Norm(layer.output, layer.index if biased else None)

    return (
        tuple(_Norm(layer.input) for layer in layers),
        tuple(map(output, layers)),
        tuple(_Norm(layer.output) for layer in layers),
        tuple(_Norm(layer.gate[0]) if layer.gate else None for layer in layers),
        tuple(_Norm(layer.gate[1]) if layer.gate else None for layer in layers),
    )


def _at_a_time(network: Network, norm: _Norm) -> int:
    """How many squares of a tensor are added up in float32: a divisor of its entries near 64; 1 where there is none."""
    entries = 1 if norm.without_bias_of is not None else prod(network.shapes[norm.tensor])
    least, best, most = _AT_A_TIME
    divisors = [number for number in range(least, min(most, entries // 2) + 1) if entries % number == 0]
    return min(divisors, key=lambda number: max(number, best) / min(number, best), default=1)


def _append_squared_norm(model: ModelProto, network: Network, norm: _Norm, output: str, *, quick: bool) -> None:
    """Nodes that compute |tensor|^2 per row as float64 output `output`; quick, with sums in float32."""
    graph, rank = model.graph, len(network.shapes[norm.tensor])
    value = norm.tensor

    def add(op_type: str, name: str, *others: str, **attributes: Any) -> None:
        nonlocal value
        graph.node.append(helper.make_node(op_type, [value, *others], [f"{output}{name}"], **attributes))
        value = f"{output}{name}"

    def constant(name: str, values: NDArray[Any]) -> str:
        graph.initializer.append(onnx.numpy_helper.from_array(values, f"{output}{name}"))
        return f"{output}{name}"

    def reduce(op_type: str, name: str, axes: range, opset: int) -> None:
        if network.opset >= opset:
            add(op_type, name, constant(f"{name}/axes", np.array(axes)), keepdims=0)
        else:
            add(op_type, name, axes=list(axes), keepdims=0)

    together = _at_a_time(network, norm)
    if quick and together > 1:
        add("Cast", "/single", to=TensorProto.FLOAT)
        shape = np.array([-1, prod(network.shapes[norm.tensor]) // together, together])
        add("Reshape", "/together", constant("/shape", shape))
        reduce("ReduceSumSquare", "/sums", range(2, 3), 18)
        add("Cast", "/double", to=TensorProto.DOUBLE)
        reduce("ReduceSum", "", range(1, 2), 13)
    else:
        add("Cast", "/double", to=TensorProto.DOUBLE)
        if norm.without_bias_of is not None:
            operator = network.layers[norm.without_bias_of - 1].operator
            assert operator.bias is not None
            behind = rank - 1 if operator.channel_axis == 1 else 0
            add("Sub", "/centred", constant("/bias", operator.bias.reshape(-1, *(1,) * behind)))
        if rank:
            reduce("ReduceSumSquare", "", range(1, rank + 1), 18)
        else:
            add("Mul", "", value)
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.DOUBLE, None))


def _pieces(rows: NDArray[Any], batch: int) -> Iterator[NDArray[Any]]:
    for start in range(0, len(rows), batch):
        yield rows[start : start + batch]
