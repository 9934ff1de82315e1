"""One forward pass through onnxruntime per row: logits, and the norms of every tensor the cheap properties need.

The norms are computed inside the session, in float64, so that a row costs a few numbers and not its activations.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper

from onnxbound.errors import ModelError, Problem
from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.network import Layer, Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import failed_run, open_session, with_outputs


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
    """A session that returns logits and norms."""

    def __init__(self, network: Network, device: Device, threads: int | None, *, without_bias: bool) -> None:
        self._network = network
        self._columns = _columns(network, without_bias=without_bias)
        norms = dict.fromkeys(n for column in self._columns for n in column if n is not None)
        model = with_outputs(network, [network.output, *(norm.tensor for norm in norms)])
        del model.graph.output[1:]
        self._names: dict[_Norm, str] = {}
        for number, norm in enumerate(norms):
            self._names[norm] = f"onnxbound/squared_norm_{number}"
            _append_squared_norm(model, network, norm, self._names[norm])
        self._session = open_session(model, network.path.parent, device, threads, network.external)

    def run(self, rows: NDArray[Any]) -> ForwardNorms:
        """Run rows `(n, *input_shape)` of the model's input type; a fixed batch is filled up with the last row.

        Raises:
            DeviceError: device-runtime.
        """
        batch = self._network.batch or len(rows)
        parts = [self._run_batch(part, batch) for part in _pieces(rows, batch)]
        outputs = [np.concatenate(values)[: len(rows)] for values in zip(*parts, strict=True)]
        norms = {norm: np.sqrt(values) for norm, values in zip(self._names, outputs[1:], strict=True)}
        nothing = np.full(len(rows), np.nan)
        columns = [
            np.stack([nothing if norm is None else norms[norm] for norm in column], axis=1) for column in self._columns
        ]
        return ForwardNorms(outputs[0].astype(np.float64), *columns)

    def _run_batch(self, rows: NDArray[Any], batch: int) -> list[NDArray[Any]]:
        names = [self._network.output, *self._names.values()]
        try:
            return list(self._session.run(names, {self._network.input: filled(rows, batch)}))
        except Exception as error:
            raise failed_run(error) from error


def require_finite(index: NDArray[np.int64], values: Mapping[str, NDArray[Any]]) -> None:
    """Refuse rows at which a net overflows.

    Args:
        index: Rows in the data file, (n,).
        values: Name of a place in the net to what comes out there, (n, ...), in the order of the net.

    Raises:
        ModelError: model-overflow, with the first such place.
    """
    for place, value in values.items():
        broken = ~np.isfinite(value.reshape(len(index), -1)).all(axis=1)
        if broken.any():
            why = (
                f"at {broken.sum():,} of {len(index):,} rows, row {index[broken.argmax()]} of the file the first, it is"
                f" infinite or not a number; float32 ends at {np.finfo(np.float32).max:.3g}"
            )
            do = "check that `scale`, `mean` and `std` are those of training; if they are, the net is broken there"
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


def _append_squared_norm(model: ModelProto, network: Network, norm: _Norm, output: str) -> None:
    """Nodes that compute |tensor|^2 per row in float64, as output `output`."""
    graph = model.graph
    shape = network.shapes[norm.tensor]
    graph.node.append(helper.make_node("Cast", [norm.tensor], [f"{output}/double"], to=TensorProto.DOUBLE))
    value = f"{output}/double"
    if norm.without_bias_of is not None:
        operator = network.layers[norm.without_bias_of - 1].operator
        assert operator.bias is not None
        behind = len(shape) - 1 if operator.channel_axis == 1 else 0
        bias = operator.bias.reshape(-1, *(1,) * behind)
        graph.initializer.append(onnx.numpy_helper.from_array(bias, f"{output}/bias"))
        graph.node.append(helper.make_node("Sub", [value, f"{output}/bias"], [f"{output}/centred"]))
        value = f"{output}/centred"
    axes = list(range(1, len(shape) + 1))
    if not axes:
        node = helper.make_node("Mul", [value, value], [output])
    elif network.opset >= 18:
        graph.initializer.append(onnx.numpy_helper.from_array(np.array(axes), f"{output}/axes"))
        node = helper.make_node("ReduceSumSquare", [value, f"{output}/axes"], [output], keepdims=0)
    else:
        node = helper.make_node("ReduceSumSquare", [value], [output], axes=axes, keepdims=0)
    graph.node.append(node)
    graph.output.append(helper.make_tensor_value_info(output, TensorProto.DOUBLE, None))


def _pieces(rows: NDArray[Any], batch: int) -> Iterator[NDArray[Any]]:
    for start in range(0, len(rows), batch):
        yield rows[start : start + batch]
