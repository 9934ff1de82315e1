"""Boolean masks computed from a row become the numbers 0 and 1; Not, And and Where on them become arithmetic.

* `Cast(x, to=BOOL)` of integers x is `Clip(x x, 0, 1)`;
* `Not(b)` is `1 - b`, and `And(a, b)` is `a b`;
* `Where(b, s, t)` is `b s + (1 - b) t`, which is s or t exactly, for a mask b and finite s and t.

A Where therefore has the derivatives of the side that the mask chooses.
"""

from dataclasses import replace

import numpy as np
from onnx import TensorProto

from onnxbound.graph.node_writer import NodeWriter
from onnxbound.graph.onnx_graph import GraphNode, OnnxGraph, PassResult
from onnxbound.words import counted

_MOVES = {"Slice", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Expand", "Gather"}
_WHOLE = (TensorProto.INT8, TensorProto.UINT8, TensorProto.INT32, TensorProto.INT64)
_LOWEST = -1e30
"""In place of -inf, which times 0 is no number; a softmax makes 0 of both."""


def spell_masks(graph: OnnxGraph) -> PassResult:
    """Rewrite every mask that comes from integers of the rows; any other Where stays as it is."""
    whole = {value.name for value in graph.inputs if value.type is not None and value.type.kind in "iub"}
    masks, write, count = {value.name for value in graph.inputs if value.type == np.bool_}, NodeWriter(graph), 0
    for node in graph.nodes:
        write.instead_of(node)
        first = node.inputs[0] if node.inputs else ""
        if not _spelled(node, graph, write, whole, masks):
            write.keep(node)
            if node.op_type == "Cast" and node.attributes().get("to") in _WHOLE:
                whole.update(node.outputs)
            for known in (whole, masks) if node.op_type in _MOVES else ():
                known.update(node.outputs if first in known else ())
            continue
        count += 1
    graph = replace(graph, nodes=tuple(write.nodes), constants={**graph.constants, **write.constants})
    return PassResult(graph, count > 0, f"read {counted(count, 'operator')} on masks as arithmetic" if count else "")


def _spelled(node: GraphNode, graph: OnnxGraph, write: NodeWriter, whole: set[str], masks: set[str]) -> bool:
    """Write an operator on masks as arithmetic, if it is one."""
    inputs, output = node.inputs, node.outputs[0] if node.outputs else ""

    def number(value: float) -> str:
        return write.constant(np.array(value, np.float32))

    def side(name: str) -> str:
        values = graph.constants.get(name)
        return name if values is None else write.constant(np.maximum(np.asarray(values, np.float32), _LOWEST))

    if node.op_type == "Cast" and node.attributes().get("to") == TensorProto.BOOL and inputs[0] in whole | masks:
        x = write.add("Cast", inputs[0], to=TensorProto.FLOAT)
        write.add("Clip", write.add("Mul", x, x), number(0), number(1), output=output)
    elif node.op_type == "Not" and inputs[0] in masks:
        write.add("Sub", number(1), inputs[0], output=output)
    elif node.op_type == "And" and masks.issuperset(inputs):
        write.add("Mul", *inputs, output=output)
    elif node.op_type == "Expand" and inputs[0] in masks:
        write.add("Identity", inputs[0], output=output)  # what it is multiplied with has the shape
    elif node.op_type == "Where" and inputs[0] in masks:
        other = write.add("Sub", number(1), inputs[0])
        taken = (write.add("Mul", *pair) for pair in ((inputs[0], side(inputs[1])), (other, side(inputs[2]))))
        write.add("Add", *taken, output=output)
        return True
    else:
        return False
    masks.add(output)
    return True
