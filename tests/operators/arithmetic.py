"""Arithmetic with constants, and branches that meet."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto

from tests.operators.case import ROWS, Case, constant
from tests.operators.gates import SHAPE, node
from tests.operators.pairwise import Settings, describe, pairwise

_CONSTANTS = {
    "scalar": (),
    "one": (1,),
    "channel": (3, 1, 1),
    "batched": (1, 3, 1, 1),
    "last": (5,),
    "plane": (4, 5),
    "full": SHAPE,
}


def _constant(s: Settings) -> Case:
    name = f"{s['op']}[{describe({k: v for k, v in s.items() if k != 'op'})}]"
    constants = {"c": constant(np.random.default_rng(len(name)), *_CONSTANTS[s["constant"]])}
    inputs = "h c" if s["side"] == "right" else "c h"
    return Case(name, [node(s["op"], inputs)], SHAPE, s["opset"], constants, s["before"])


_BESIDE = np.repeat(constant(np.random.default_rng(1), 1, 2, *SHAPE[1:]), ROWS, axis=0)

_NUMBERS = {"c": np.float32(2), "d": constant(np.random.default_rng(2), 3, 1, 5)}


def _read(nodes: Sequence[NodeProto]) -> dict[str, Any]:
    """The constants that the nodes read: of a Concat as long as a batch."""
    made = {name for one in nodes for name in one.output}
    known = {"c": _BESIDE} if nodes[-1].op_type == "Concat" else _NUMBERS
    return {name: known[name] for one in nodes for name in one.input if name in known.keys() - made}


_BRANCHES = {
    "Add": [node("Relu", "h", "a"), node("Add", "a h")],
    "Add itself": [node("Relu", "h", "a"), node("Add", "a a")],
    "Sub": [node("Relu", "h", "a"), node("Sub", "h a")],
    "Sub reversed": [node("Relu", "h", "a"), node("Sub", "a h")],
    "Sum of one": [node("Sum", "h")],
    "Sum with a number": [node("Relu", "h", "a"), node("Sum", "c a h d")],
    "Sum of shapes": [node("MaxPool", "h", "a", kernel_shape=(1, 5)), node("Sum", "a h d")],
    "Sum of three": [node("Relu", "h", "a"), node("LeakyRelu", "h", "b", alpha=-2.0), node("Sum", "a h b")],
    "Concat channels": [node("Relu", "h", "a"), node("Concat", "a h", axis=1)],
    "Concat last": [node("Relu", "h", "a"), node("Concat", "h a h", axis=-1)],
    "Concat rows": [node("MaxPool", "h", "a", kernel_shape=(1, 2)), node("Concat", "h a", axis=3)],
    "Concat middle": [node("Concat", "h h", axis=-2)],
    "Concat of one": [node("Concat", "h", axis=1)],
    "Concat constant": [node("Concat", "c h", axis=1)],
    "Concat constants": [node("Relu", "h", "a"), node("Concat", "c h c a c", axis=-3)],
    "two meetings": [
        node("Relu", "h", "a"),
        node("Add", "a h", "b"),
        node("LeakyRelu", "b", "c", alpha=0.2),
        node("Concat", "c a b", axis=2),
    ],
}

CASES = [
    *map(
        _constant,
        pairwise(
            {
                "op": ("Add", "Sub", "Mul", "Div"),
                "side": ("right", "left"),
                "constant": tuple(_CONSTANTS),
                "before": ("matmul", "conv", "nothing"),
                "opset": (7, 13, 14, 21),
            },
            lambda s: s["op"] != "Div" or s["side"] == "right",
        ),
    ),
    *(
        Case(f"{name}[opset={opset}]", nodes, SHAPE, opset, _read(nodes))
        for name, nodes in _BRANCHES.items()
        for opset in (8, 13, 21)
    ),
]
