"""Element-wise gates in all their spellings."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper

from tests.operators.case import Case, constant
from tests.operators.pairwise import describe, pairwise
from tests.operators.weighted import given

ZERO = np.zeros((), np.float32)
SHAPE = (3, 4, 5)


def node(op: str, inputs: str, output: str = "y", **attributes: Any) -> NodeProto:
    """A node whose inputs are written as one string; "-" is an absent one."""
    return helper.make_node(op, [name.replace("-", "") for name in inputs.split()], output.split(), **attributes)


_SPELLINGS: Sequence[tuple[str, Sequence[NodeProto], Sequence[int]]] = [
    ("Relu", [node("Relu", "h")], (7, 13, 14, 21)),
    ("Max(x,0)", [node("Max", "h zero")], (8, 13, 21)),
    ("Max(0,x)", [node("Max", "zero h")], (8, 13, 21)),
    ("Where(x>0)", [node("Greater", "h zero", "p"), node("Where", "p h zero")], (9, 17)),
    ("Where(x>=0)", [node("GreaterOrEqual", "h zero", "p"), node("Where", "p h zero")], (12, 17)),
    ("Where(0<x)", [node("Less", "zero h", "p"), node("Where", "p h zero")], (9, 17)),
    ("Where(x<0)", [node("Less", "h zero", "p"), node("Where", "p zero h")], (9, 17)),
    ("Where(x<=0)", [node("LessOrEqual", "h zero", "p"), node("Where", "p zero h")], (12, 17)),
    ("Where(0>x)", [node("Greater", "zero h", "p"), node("Where", "p zero h")], (9, 17)),
    (
        "Mul(x,Cast(x>0))",
        [node("Greater", "h zero", "p"), node("Cast", "p", "m", to=TensorProto.FLOAT), node("Mul", "h m")],
        (7, 9, 13),
    ),
    (
        "Mul(Cast(x>0),x)",
        [node("Greater", "h zero", "p"), node("Cast", "p", "m", to=TensorProto.FLOAT), node("Mul", "m h")],
        (9, 21),
    ),
]
_RELUS = [
    Case(f"{name}[opset={opset},zero={zero.shape}]", nodes, SHAPE, opset, {} if name == "Relu" else {"zero": zero})
    for name, nodes, opsets in _SPELLINGS
    for opset in opsets
    for zero in ([ZERO] if name == "Relu" else [ZERO, np.zeros(1, np.float32)])
]
_VECTOR_RELU = Case("Relu[vector]", [node("Relu", "h")], (7,))

_ENDS = {"both": (-0.4, 0.6), "relu6": (0.0, 6.0), "low": (-0.3, None), "zero": (0.0, None), "high": (None, 0.5)}


def _clip(opset: int, ends: str, largest: bool) -> Case:
    """Attributes below opset 11; "no end" is either absent or the largest float32."""
    low, high = _ENDS[ends]
    if largest:
        limit = float(np.finfo(np.float32).max)
        low, high = (-limit if low is None else low), (limit if high is None else high)
    name = f"Clip[opset={opset},{ends}{',largest' if largest else ''}]"
    if opset < 11:
        return Case(name, [node("Clip", "h", **given(min=low, max=high))], SHAPE, opset)
    constants = {key: np.float32(value) for key, value in (("low", low), ("high", high)) if value is not None}
    inputs = ["h", "low" if low is not None else "-", *(["high"] if high is not None else [])]
    return Case(name, [node("Clip", " ".join(inputs))], SHAPE, opset, constants)


_MIN_MAX = [
    Case(f"{name}[opset={opset}]", nodes, SHAPE, opset, {"low": np.float32([-0.5]), "high": np.float32(0.7)})
    for opset in (8, 12, 21)
    for name, nodes in (
        ("Max(x,c)", [node("Max", "h low")]),
        ("Max(c,x)", [node("Max", "low h")]),
        ("Min(x,c)", [node("Min", "h high")]),
        ("Min(c,x)", [node("Min", "high h")]),
        ("Min(Max)", [node("Max", "h low", "m"), node("Min", "m high")]),
    )
]
_LEAKY = [
    Case(f"LeakyRelu[{describe(s)}]", [node("LeakyRelu", "h", **given(alpha=s["alpha"]))], SHAPE, s["opset"])
    for s in pairwise({"opset": (7, 16, 21), "alpha": (None, 0.1, 0.0, -0.5, 1.5)})
]
_SLOPES = {"one": (1,), "scalar": (), "channel": (3, 1, 1), "batched": (1, 3, 1, 1), "last": (5,), "full": SHAPE}
_PRELU = [
    Case(
        f"PRelu[{describe(s)}]",
        [node("PRelu", "h slope")],
        SHAPE,
        s["opset"],
        {"slope": constant(np.random.default_rng(1), *_SLOPES[s["slope"]])},
    )
    for s in pairwise({"opset": (7, 9, 16, 21), "slope": tuple(_SLOPES)})
]

CASES = [
    *_RELUS,
    _VECTOR_RELU,
    *(_clip(opset, ends, largest) for opset in (7, 9, 11, 12, 13, 21) for ends in _ENDS for largest in (False, True)),
    *_MIN_MAX,
    *_LEAKY,
    *_PRELU,
]
