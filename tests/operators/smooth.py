"""Operators that are not piecewise linear: smooth functions, products of activations, normalisation, attention."""

from typing import Any

import numpy as np
from onnx import NodeProto

from tests.operators.case import Case
from tests.operators.gates import node
from tests.operators.shapes import integers

SHAPE = (3, 4, 6)
_RANDOM = np.random.default_rng(8)


def _case(name: str, nodes: list[NodeProto], opset: int, shape: tuple[int, ...] = SHAPE, **constants: Any) -> Case:
    return Case(f"{name}[opset={opset}]", nodes, shape, opset, constants)


def _one(op: str, opset: int, **attributes: Any) -> Case:
    name = f"{op} {attributes}" if attributes else op
    return _case(name, [node(op, "h", **attributes)], opset)


def _positive(op: str) -> Case:
    """Of numbers above 1: the function has no value, or no bounded slope, at others."""
    nodes = [node("Abs", "h", "a"), node("Add", "a one", "b"), node(op, "b")]
    return _case(op, nodes, 13, one=np.float32(1))


_SCALE, _SHIFT = (_RANDOM.normal(size=6).astype(np.float32) for _ in range(2))
_CHANNEL_SCALE, _CHANNEL_SHIFT = (_RANDOM.normal(size=4).astype(np.float32) for _ in range(2))
_ATTENTION = [
    node("MatMul", "h wq", "q"),
    node("MatMul", "h wk", "k"),
    node("MatMul", "h wv", "v"),
    node("Transpose", "k", "turned", perm=[0, 1, 3, 2]),
    node("MatMul", "q turned", "scores"),
    node("Softmax", "scores", "p", axis=-1),
    node("MatMul", "p v"),
]
_PROJECTIONS = {name: (_RANDOM.normal(size=(6, 6)) / 2).astype(np.float32) for name in ("wq", "wk", "wv")}

CASES = [
    *(_one(op, opset) for op in ("Sigmoid", "Tanh", "Softplus", "Softsign") for opset in (7, 13)),
    *(_one("Erf", opset) for opset in (9, 13)),
    *(_one("Gelu", 20, approximate=kind) for kind in ("none", "tanh")),
    _one("Mish", 18),
    _one("HardSwish", 14),
    *(_one("Elu", opset, alpha=alpha) for opset in (7, 13) for alpha in (1.0, 0.3)),
    _one("Celu", 12, alpha=0.5),
    *(_one("Selu", opset) for opset in (7, 13)),
    _one("Exp", 13),
    *map(_positive, ("Log", "Sqrt", "Reciprocal")),
    *(_case(f"Pow {n}", [node("Pow", "h n")], 13, n=np.float32(n)) for n in (2, 3)),
    _case("Swish spelled", [node("Sigmoid", "h", "s"), node("Mul", "h s")], 13),
    _case(
        "Swish of a multiple",
        [node("Mul", "h a", "m"), node("Sigmoid", "m", "s"), node("Mul", "s h")],
        13,
        a=np.float32(1.7),
    ),
    _case("Mish spelled", [node("Softplus", "h", "s"), node("Tanh", "s", "t"), node("Mul", "h t")], 13),
    _case("HardSwish spelled", [node("HardSigmoid", "h", "s", alpha=1 / 6), node("Mul", "h s")], 13),
    _case(
        "HardSwish by Clip",
        [node("Add", "h three", "a"), node("Clip", "a zero six", "b"), node("Mul", "h b", "c"), node("Div", "c six")],
        13,
        three=np.float32(3),
        zero=np.float32(0),
        six=np.float32(6),
    ),
    _case(
        "Gelu spelled",
        [
            node("Div", "h root", "a"),
            node("Erf", "a", "b"),
            node("Add", "b one", "c"),
            node("Mul", "h c", "d"),
            node("Mul", "d half"),
        ],
        13,
        root=np.float32(np.sqrt(2)),
        one=np.float32(1),
        half=np.float32(0.5),
    ),
    _case(
        "Gelu by tanh spelled",
        [
            node("Pow", "h three", "a"),
            node("Mul", "a cube", "b"),
            node("Add", "h b", "c"),
            node("Mul", "c root", "d"),
            node("Tanh", "d", "e"),
            node("Add", "e one", "f"),
            node("Mul", "h half", "g"),
            node("Mul", "g f"),
        ],
        13,
        three=np.float32(3),
        cube=np.float32(0.044715),
        root=np.float32(np.sqrt(2 / np.pi)),
        one=np.float32(1),
        half=np.float32(0.5),
    ),
    _case(
        "Softplus with a threshold",
        [node("Softplus", "h", "s"), node("Greater", "h far", "b"), node("Where", "b h s")],
        13,
        far=np.float32(20),
    ),
    *(_case("Mul itself", [node("Mul", "h h")], opset) for opset in (7, 13)),
    _case("Mul of two", [node("LeakyRelu", "h", "a", alpha=-0.5), node("Mul", "a h")], 13),
    _case(
        "Mul of a gate per channel",
        [node("GlobalAveragePool", "h", "g"), node("Sigmoid", "g", "s"), node("Mul", "h s")],
        13,
    ),
    _case("Div of two", [node("Abs", "h", "a"), node("Add", "a one", "b"), node("Div", "h b")], 13, one=np.float32(1)),
    *(_case("attention", _ATTENTION, opset, **_PROJECTIONS) for opset in (11, 13)),
    *(
        _case(
            f"Attention {attributes}",
            [node("LeakyRelu", "h", "k", alpha=-0.5), node("Attention", "h k h", **attributes)],
            23,
        )
        for attributes in ({}, {"is_causal": 1, "scale": 0.3})
    ),
    _case(
        "Attention of flat heads with a mask",
        [node("Attention", "h h h mask", q_num_heads=3, kv_num_heads=3)],
        23,
        (4, 6),
        mask=np.array([[True, False, True, True]] * 4),
    ),
    *(_one("Softmax", opset, axis=axis) for opset, axis in ((11, 3), (13, -1), (13, 1))),
    *(_case("Sub of a mean", [node("GlobalAveragePool", "h", "m"), node("Sub", "h m")], opset) for opset in (8, 13)),
    _case("LayerNormalization", [node("LayerNormalization", "h scale shift", axis=-1)], 17, scale=_SCALE, shift=_SHIFT),
    _case(
        "LayerNormalization over two axes",
        [node("LayerNormalization", "h scale", axis=2, epsilon=0.1)],
        17,
        scale=_RANDOM.normal(size=(4, 6)).astype(np.float32),
    ),
    *(
        _case(
            "InstanceNormalization",
            [node("InstanceNormalization", "h s b")],
            opset,
            (4, 3, 6),
            s=_CHANNEL_SCALE,
            b=_CHANNEL_SHIFT,
        )
        for opset in (7, 18)
    ),
    _case(
        "GroupNormalization",
        [node("GroupNormalization", "h s b", num_groups=2)],
        21,
        (4, 3, 6),
        s=_CHANNEL_SCALE,
        b=_CHANNEL_SHIFT,
    ),
    *(
        _case(f"{op} {attributes}", [node(op, "h", **attributes)], opset)
        for op in ("ReduceSumSquare", "ReduceL2")
        for opset in (7, 13)
        for attributes in ({"axes": [1]}, {"axes": [2, 3], "keepdims": 0})
    ),
    *(
        _case(f"{op} with axes as input", [node(op, "h axes", keepdims=0)], 18, axes=integers(-1))
        for op in ("ReduceSumSquare", "ReduceL2")
    ),
    *(
        _case(
            f"Einsum {equation} of two",
            [node("LeakyRelu", "h", "a", alpha=-0.5), node("Einsum", "a h", equation=equation)],
            13,
        )
        for equation in ("bcij,bckj->bcik", "bcij,bcik->bkjc", "bcij,bclm->bclmij", "bcij,bcij->bi")
    ),
    *(
        _case("weight on the left", [node("MatMul", "w h")], opset, w=_RANDOM.normal(size=(5, 4)).astype(np.float32))
        for opset in (7, 13)
    ),
    _case(
        "Resize nearest",
        [
            node(
                "Resize",
                "h - scales",
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        ],
        13,
        scales=np.float32([1, 1, 2, 1.5]),
    ),
    *(_case(f"LRN {size}", [node("LRN", "h", size=size, alpha=0.5, beta=0.6)], 13, (5, 3, 4)) for size in (3, 5)),
    *(
        _case(
            f"Resize linear {mode} {scales}",
            [node("Resize", "h - scales", mode="linear", coordinate_transformation_mode=mode)],
            13,
            scales=np.float32([1, 1, *scales]),
        )
        for mode in ("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
        for scales in ((2, 1.5), (0.5, 1))
    ),
    _case(
        "Resize linear to sizes",
        [node("Resize", "h - - sizes", mode="linear", axes=[2, 3])],
        18,
        sizes=integers(7, 1),
    ),
    _case("Resize linear to itself", [node("Resize", "h - one", mode="linear")], 13, one=np.ones(4, np.float32)),
    _case("Upsample linear", [node("Upsample", "h scales", mode="linear")], 9, scales=np.float32([1, 1, 2, 3])),
    _case("Upsample", [node("Upsample", "h scales", mode="nearest")], 9, scales=np.float32([1, 1, 2, 3])),
    _case(
        "Resize to sizes",
        [
            node("Shape", "h", "s"),
            node("Slice", "s zero one", "n"),
            node("Concat", "n to", "sizes", axis=0),
            node("Resize", "h - - sizes", mode="nearest"),
        ],
        13,
        zero=integers(0),
        one=integers(1),
        to=integers(3, 8, 6),
    ),
]
