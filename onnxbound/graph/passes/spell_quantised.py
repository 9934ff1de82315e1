"""Integer operators (QOperator format) become float operators between DequantizeLinear and QuantizeLinear (QDQ).

An integer tensor q with scale s and zero point z stands for the floats s (q - z), its twin. An operator such as
QLinearConv is what it says on the twins of its inputs, with a QuantizeLinear behind it; one that only moves integers
about, such as MaxPool or Reshape, does the same to the twin, since s > 0. A constant's twin is a constant.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.graph.passes.drop_no_ops import reading
from onnxbound.graph.passes.fold_constants import room_for_constants
from onnxbound.graph.screen import too_large
from onnxbound.operators.operator import Array
from onnxbound.operators.quantisation import dequantised
from onnxbound.words import counted

QUANTIZE = {"QuantizeLinear", "com.microsoft::QuantizeLinear"}
DEQUANTIZE = {"DequantizeLinear", "com.microsoft::DequantizeLinear"}

_MOVING = {
    "DepthToSpace", "Expand", "Flatten", "Gather", "GlobalMaxPool", "Identity", "MaxPool", "Reshape", "Slice",
    "SpaceToDepth", "Squeeze", "Tile", "Transpose", "Unsqueeze",
}  # fmt: skip
"""Operators whose outputs are entries of their first input."""

Grid = tuple[str, str]
"""Names of the scale and of the zero point, which is empty for 0."""


class _NotStatic(Exception):  # noqa: N818 - a node that stays as it is, and is refused by name later
    """A scale, or what has to be constant beside it, is computed from the rows."""


def spell_quantised(graph: OnnxGraph) -> PassResult:
    """Rewrite every operator on integers with floats, and let one DequantizeLinear read each QuantizeLinear."""
    if not any(node.op_type in QUANTIZE or node.op_type in _SPELLINGS for node in graph.nodes):
        return PassResult(graph, False, "")
    spelling = _Spelling(graph, NodeWriter(graph))
    for node in graph.nodes:
        spelling.visit(reading(node, tuple(spelling.renamed.get(name, name) for name in node.inputs)))
    write, outputs = spelling.write, tuple(map(spelling.output, graph.outputs))
    spelled = replace(
        graph,
        nodes=tuple(write.nodes),
        constants={**graph.constants, **write.constants},
        origins={**graph.origins, **write.origins},
        outputs=outputs,
    )
    return PassResult(
        spelled,
        True,
        f"rewrote {counted(spelling.count, 'integer operator')} in floats between roundings" if spelling.count else "",
    )


@dataclass
class _Spelling:
    graph: OnnxGraph
    write: NodeWriter
    grids: dict[str, Grid] = field(default_factory=dict)
    twins: dict[tuple[str, Grid], str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    count: int = 0
    room: int = 0

    def __post_init__(self) -> None:
        self.room = room_for_constants(self.graph)

    def visit(self, node: GraphNode) -> None:
        """Spell the node, or keep it as it is; what was written until it turned out to be of another kind is unused."""
        self.write.instead_of(node)
        try:
            kept = self._read(node)
        except (_NotStatic, LookupError, TypeError, ValueError):
            kept = node
        if kept is not None:
            self.write.keep(kept)

    def _read(self, node: GraphNode) -> GraphNode | None:
        """The node that stays; None if others stand for it."""
        if node.op_type in QUANTIZE:
            (q,) = node.outputs
            self.grids[q] = _grid(node)
        elif node.op_type in DEQUANTIZE and node.inputs[0] in self.grids:
            (output,) = node.outputs
            key = (node.inputs[0], self.grid_of(node.inputs[0], *_grid(node)))
            if key in self.twins:
                self.renamed[output] = self.twins[key]
                return None
            self.twins[key] = output
            return reading(node, _inputs(*key))
        elif node.op_type in _SPELLINGS or (node.op_type in _MOVING and node.inputs[0] in self.grids):
            _SPELLINGS.get(node.op_type, _moved)(node, self)
            self.count += 1
            return None
        return node

    def output(self, name: str) -> str:
        """An output of the graph, its twin if it is of integers."""
        name = self.renamed.get(name, name)
        return self.twin(name, *self.grids[name]) if name in self.grids else name

    def twin(self, name: str, scale: str, zero_point: str, axis: int | None = None) -> str:
        """The floats that integers stand for; of a constant, by one scale per entry of an axis."""
        if name in self.graph.constants:
            values, scales, zeros = self.constant(name), self.number(scale), self.zero(zero_point)
            if axis is None and (scales.size > 1 or zeros.size > 1):
                raise _NotStatic
            return self._constant(dequantised(values, scales, zeros, axis or 0), name)
        key = (name, self.grid_of(name, scale, zero_point))
        if key not in self.twins:
            self.twins[key] = self.write.add("DequantizeLinear", *_inputs(*key))
        return self.twins[key]

    def grid_of(self, name: str, scale: str, zero_point: str) -> Grid:
        """The grid by which a tensor is read, under the names of that by which it was written if they are equal."""
        own = self.grids.get(name)
        given = (scale, zero_point)
        return given if own is None or (own != given and self._values(*own) != self._values(*given)) else own

    def _values(self, scale: str, zero_point: str) -> tuple[list[float], list[float]]:
        return self.number(scale).ravel().tolist(), self.zero(zero_point).ravel().tolist()

    def bias(self, name: str, factor: Array) -> str:
        """Integers of 32 bits, their scale the product of those of the factors."""
        return self._constant((np.asarray(self.constant(name), np.float64) * factor).astype(np.float32), name)

    def _constant(self, values: Array, origin: str) -> str:
        self.room -= values.nbytes
        if self.room < 0:
            raise too_large(
                f"tensor {origin!r}", "converted to floats, its integers take many times the size of the file"
            )
        return self.write.constant(values, origin)

    def rounded(self, x: str, node: GraphNode, scale: str, zero_point: str) -> None:
        """A QuantizeLinear that writes what the node writes."""
        self.number(scale), self.zero(zero_point)
        (q,) = node.outputs
        self.write.add("QuantizeLinear", *_inputs(x, (scale, zero_point)), output=q)
        self.grids[q] = (scale, zero_point)

    def constant(self, name: str) -> Array:
        if name not in self.graph.constants:
            raise _NotStatic
        return self.graph.constants[name]

    def number(self, name: str) -> Array:
        """A scale, float64."""
        return np.asarray(self.constant(name), np.float64)

    def zero(self, name: str) -> Array:
        """A zero point, float64; 0 where it is absent."""
        return self.number(name) if name else np.zeros(())


def _grid(node: GraphNode) -> Grid:
    _, scale, *zero_point = node.inputs
    return scale, zero_point[0] if zero_point else ""


def _inputs(name: str, grid: Grid) -> tuple[str, ...]:
    """Of a QuantizeLinear or a DequantizeLinear."""
    return name, *filter(None, grid)


def _moved(node: GraphNode, to: _Spelling) -> None:
    """MaxPool, Reshape, ...: entries of the input, in another place."""
    (output,), (x, *others) = node.outputs, node.inputs
    grid = to.grids[x]
    to.twins[output, grid] = to.write.add(node.op_type, to.twin(x, *grid), *others, **node.attributes())
    to.grids[output] = grid


def _conv(node: GraphNode, to: _Spelling) -> None:
    x, xs, xz, w, ws, wz, ys, yz, *bias = node.inputs
    inputs = [to.twin(x, xs, xz), to.twin(w, ws, wz, axis=0)]
    to.constant(w)
    inputs += [to.bias(b, to.number(xs) * to.number(ws)) for b in bias]
    to.rounded(to.write.add("Conv", *inputs, name=node.proto.name, **node.attributes()), node, ys, yz)


def _matmul(node: GraphNode, to: _Spelling) -> None:
    a, a_s, az, b, bs, bz, ys, yz = node.inputs
    product = to.write.add("MatMul", to.twin(a, a_s, az), to.twin(b, bs, bz, axis=-1), name=node.proto.name)
    to.rounded(product, node, ys, yz)


def _gemm(node: GraphNode, to: _Spelling) -> None:
    """QGemm; without a scale for its output it does not round."""
    a, a_s, az, b, bs, bz, c, *grid = (*node.inputs, *[""] * (9 - len(node.inputs)))
    attributes = {"transA": 0, "transB": 0, "alpha": 1.0} | node.attributes()
    inputs = [to.twin(a, a_s, az), to.twin(b, bs, bz, axis=1 - attributes["transB"])]
    inputs += [to.bias(c, attributes["alpha"] * to.number(a_s) * to.number(bs))] if c else []
    output = "" if grid[0] else node.outputs[0]
    product = to.write.add("Gemm", *inputs, output=output, name=node.proto.name, **attributes)
    if grid[0]:
        to.rounded(product, node, *grid)


def _binary(op_type: str) -> Callable[[GraphNode, _Spelling], None]:
    def spell(node: GraphNode, to: _Spelling) -> None:
        a, a_s, az, b, bs, bz, ys, *yz = node.inputs
        result = to.write.add(op_type, to.twin(a, a_s, az), to.twin(b, bs, bz))
        to.rounded(result, node, ys, *(yz or [""]))

    return spell


def _unary(op_type: str) -> Callable[[GraphNode, _Spelling], None]:
    def spell(node: GraphNode, to: _Spelling) -> None:
        x, xs, xz, ys, *yz = node.inputs
        attributes = dict(node.attributes())
        if attributes.pop("channels_last", 0):
            raise _NotStatic
        to.rounded(to.write.add(op_type, to.twin(x, xs, xz), **attributes), node, ys, *(yz or [""]))

    return spell


def _softmax(node: GraphNode, to: _Spelling) -> None:
    """QLinearSoftmax, which says by which opset its axis is meant."""
    attributes = dict(node.attributes())
    if (attributes.pop("opset", 13) >= 13) != (to.write.opset >= 13):
        raise _NotStatic
    x, xs, xz, ys, *yz = node.inputs
    to.rounded(to.write.add("Softmax", to.twin(x, xs, xz), **attributes), node, ys, *(yz or [""]))


def _concat(node: GraphNode, to: _Spelling) -> None:
    ys, yz, *parts = node.inputs
    pieces = [to.twin(x, xs, xz) for x, xs, xz in zip(parts[::3], parts[1::3], parts[2::3], strict=True)]
    to.rounded(to.write.add("Concat", *pieces, **node.attributes()), node, ys, yz)


_SPELLINGS: dict[str, Callable[[GraphNode, _Spelling], None]] = {
    "QLinearConv": _conv,
    "QLinearMatMul": _matmul,
    "com.microsoft::QGemm": _gemm,
    "com.microsoft::QLinearAdd": _binary("Add"),
    "com.microsoft::QLinearMul": _binary("Mul"),
    "com.microsoft::QLinearAveragePool": _unary("AveragePool"),
    "com.microsoft::QLinearGlobalAveragePool": _unary("GlobalAveragePool"),
    "com.microsoft::QLinearLeakyRelu": _unary("LeakyRelu"),
    "com.microsoft::QLinearSigmoid": _unary("Sigmoid"),
    "com.microsoft::QLinearSoftmax": _softmax,
    "com.microsoft::QLinearConcat": _concat,
}

SPELLED = frozenset(_SPELLINGS)
"""The operators that are spelled with others."""
