"""Activations rounded to 8 bits wherever a runtime's kernels of integers read or write them.

QuantizeLinear and DequantizeLinear stand in a row behind such a tensor, which keeps its name. The grid is chosen at
training rows: of several shares of the range that occurs, the one whose rounding moves the tensor least.
"""

from collections.abc import Container, Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from onnxbound.compressors.sites import Site
from onnxbound.compressors.walk import Walk
from onnxbound.graph.network import Network
from onnxbound.graph.rewrite import Rewriter
from onnxbound.operators.operator import Array
from onnxbound.operators.quantisation import SaturatingRounding
from onnxbound.run.device import Device

Roundings = Mapping[str, SaturatingRounding]
"""Tensor name to the grid that it is rounded to."""

_WRITES_INTEGERS = {"Conv", "Gemm"}
_FUSED = {"Relu", "Clip", "BatchNormalization"}
"""What a kernel does with its result before it rounds it."""

_SAME_GRID = {"MaxPool", "Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"}
_OWN_GRID = {"Add", "AveragePool", "GlobalAveragePool", "Concat"}

_LARGEST = 255
_SHARES = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5, 0.4)
_KEPT = 2000
"""Numbers of each batch that grids are chosen by."""


def calibrated(
    network: Network, found: Mapping[int, Site], rows: Array, device: Device, threads: int | None
) -> dict[str, SaturatingRounding]:
    """The grids of all tensors that kernels of integers need; of a net of 16 bits none.

    Args:
        network: It.
        found: The layers that compute with integers.
        rows: Where ranges are measured, (n, *input_shape).
        device: Where the net runs.
        threads: Threads; None for all cores.
    """
    model = Rewriter(network).model
    floats = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT}
    alike = _rounded_tensors(model, floats & {site.weight for site in found.values()}, {network.output})
    sources = list(dict.fromkeys(alike.values()))
    walk = Walk(network, {}, dict(enumerate(sources)), rows, device, threads)
    grids = {}
    for number, name in enumerate(sources):
        seen = []
        for values in walk.to(number, {}):
            flat = np.sort(values, axis=None)
            seen.append(flat[np.linspace(0, flat.size - 1, min(flat.size, _KEPT)).astype(np.int64)])
        grids[name] = _grid(np.concatenate(seen))
    return {name: grids[source] for name, source in alike.items()}


def add_roundings(model: ModelProto, roundings: Roundings) -> None:
    """Put both nodes behind each tensor of a model that is to be rounded."""
    graph, inputs = model.graph, {value.name for value in model.graph.input}
    names: dict[SaturatingRounding, list[str]] = {}
    for number, rounding in enumerate(dict.fromkeys(roundings.values())):
        values = {f"s{number}": np.float32(rounding.scale), f"z{number}": np.uint8(-rounding.low)}
        graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in values.items())
        names[rounding] = list(values)
    renamed = {name: f"{name}/rounded" for name in roundings if name in inputs}
    nodes = [node for name in renamed for node in _pair(name, renamed[name], names[roundings[name]])]
    for node in graph.node:
        node.input[:] = [renamed.get(name, name) for name in node.input]
        rounded = [name for name in node.output if name in roundings]
        node.output[:] = [f"{name}/exact" if name in roundings else name for name in node.output]
        nodes.append(node)
        nodes += [each for name in rounded for each in _pair(f"{name}/exact", name, names[roundings[name]])]
    copies = [NodeProto.FromString(node.SerializeToString()) for node in nodes]
    del graph.node[:]
    graph.node.extend(copies)


def _pair(source: str, target: str, grid: list[str]) -> Iterator[NodeProto]:
    integers = f"{target}/integers"
    yield helper.make_node("QuantizeLinear", [source, *grid], [integers])
    yield helper.make_node("DequantizeLinear", [integers, *grid], [target])


def _rounded_tensors(model: ModelProto, weights: Container[str], exact: set[str]) -> dict[str, str]:
    """Tensor name to the name of the tensor whose grid it shares, in the order of the file."""
    graph = model.graph
    exact = exact | {value.name for value in graph.output}
    readers: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    alike: dict[str, str] = {}

    def behind(name: str) -> str:
        while name not in exact and [node.op_type in _FUSED for node in readers.get(name, [])] == [True]:
            name = readers[name][0].output[0]
        return name

    for node in graph.node:
        if len(node.input) > 1 and node.input[1] in weights:
            alike.setdefault(node.input[0], node.input[0])
            result = behind(node.output[0])
            if node.op_type in _WRITES_INTEGERS and result not in exact:
                alike.setdefault(result, result)
        elif node.op_type in _SAME_GRID and node.input[0] in alike and node.output[0] not in exact:
            alike[node.output[0]] = alike[node.input[0]]
        elif node.op_type in _OWN_GRID and alike.keys() >= set(node.input):
            result = behind(node.output[0])
            if result not in exact:
                alike.setdefault(result, result)
    return alike


def _grid(values: NDArray[np.float32]) -> SaturatingRounding:
    """The grid of 256 points with 0 among them that moves the values least."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    tried = []
    for share in _SHARES:
        scale = float(np.float32(share * (high - low) / _LARGEST)) or 1.0
        zero = round(-share * low / scale)
        grid = SaturatingRounding(scale, -zero, _LARGEST - zero, is_activation=zero in (0, _LARGEST))
        tried.append((float(np.square(grid.act(values) - values).mean()), -share, grid))
    return min(tried, key=lambda each: each[:2])[2]
