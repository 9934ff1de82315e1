"""Operators that choose entries, and those that are spelled with others."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from tests.operators.case import Case
from tests.operators.gates import node
from tests.operators.pairwise import pairwise
from tests.operators.shapes import integers

SHAPE = (4, 4, 6)
_FAR = 2**31 - 1


def _case(name: str, nodes: list[NodeProto], opset: int, shape: tuple[int, ...] = SHAPE, **constants: Any) -> Case:
    return Case(f"{name}[opset={opset}]", nodes, shape, opset, constants)


def _slice(opset: int, cut: str) -> Case:
    starts, ends, axes, steps = {
        "one axis": ([1], [3], [2], [1]),
        "to the end": ([1, 0], [_FAR, _FAR], [3, 0], [1, 1]),
        "from the end": ([-3], [-1], [-1], [1]),
        "every second": ([0, 1], [4, _FAR], [1, 3], [2, 2]),
        "backwards": ([-1], [-_FAR], [3], [-1]),
        "backwards, every second": ([3, 4], [0, -7], [2, -1], [-2, -3]),
        "beyond both ends": ([-99], [99], [1], [1]),
    }[cut]
    if opset < 10:
        return _case(f"Slice {cut}", [node("Slice", "h", starts=starts, ends=ends, axes=axes)], opset)
    constants: dict[str, NDArray[Any]] = {
        "starts": integers(*starts), "ends": integers(*ends), "axes": integers(*axes), "steps": integers(*steps),
    }  # fmt: skip
    return _case(f"Slice {cut}", [node("Slice", "h starts ends axes steps")], opset, **constants)


def _split(opset: int, axis: int, lengths: tuple[int, ...] | None) -> Case:
    """Two parts, of which the second is gated and both are joined the other way round."""
    name = f"Split axis={axis} lengths={lengths}"
    constants: dict[str, Any] = {}
    inputs, attributes = ["h"], {"axis": axis}
    if lengths is not None and opset < 13:
        attributes["split"] = lengths  # type: ignore[assignment]
    elif lengths is not None:
        constants["lengths"] = integers(*lengths)
        inputs.append("lengths")
    elif opset >= 18:
        attributes["num_outputs"] = 2
    nodes = [
        helper.make_node("Split", inputs, ["first", "second"], **attributes),
        node("Relu", "second", "gated"),
        node("Concat", "gated first", axis=axis),
    ]
    return _case(name, nodes, opset, **constants)


def _reduced(s: dict[str, Any]) -> Case:
    op, opset, axes, keep = s["op"], s["opset"], s["axes"], s["keepdims"]
    as_input = opset >= (13 if op == "ReduceSum" else 18)
    if as_input:
        nodes = [node(op, "h axes", keepdims=keep)]
        return _case(f"{op} axes={axes} keepdims={keep}", nodes, opset, axes=integers(*axes))
    return _case(f"{op} axes={axes} keepdims={keep}", [node(op, "h", axes=axes, keepdims=keep)], opset)


_VECTOR = np.float32([-0.3, 0.1, 0.4, -0.8, 0.2, 0.6])
_TWO = [node("LeakyRelu", "h", "a", alpha=-0.5), node("Gather", "a turned", "b", axis=1)]
_TURNED = integers(2, 3, 0, 1)

CASES = [
    *(_slice(opset, cut) for opset in (9,) for cut in ("one axis", "to the end", "from the end", "beyond both ends")),
    *(
        _slice(opset, cut)
        for opset in (10, 21)
        for cut in (
            "one axis",
            "to the end",
            "from the end",
            "every second",
            "backwards",
            "backwards, every second",
            "beyond both ends",
        )
    ),
    *(
        _case(f"Gather axis={axis} {index.tolist()}", [node("Gather", "h index", axis=axis)], opset, index=index)
        for opset in (7, 13)
        for axis in ((1, 2) if opset < 11 else (1, 3, -1))
        for index in (np.array(2), integers(3, 1, 1, 0), integers(0, 2).reshape(2, 1))
    ),
    *(
        _split(opset, axis, lengths)
        for opset in (7, 11, 13, 18)
        for axis, lengths in ((1, (1, 3)), (3, None), (2, (2, 2)))
    ),
    *(
        _case(f"DepthToSpace {mode}", [node("DepthToSpace", "h", blocksize=2, mode=mode)], 13)
        for mode in ("DCR", "CRD")
    ),
    _case("DepthToSpace", [node("DepthToSpace", "h", blocksize=2)], 7),
    *(_case("SpaceToDepth", [node("SpaceToDepth", "h", blocksize=2)], opset) for opset in (7, 13)),
    *(
        _case(f"Expand {shape}", [node("Expand", "h to")], opset, (4, 1, 6), to=integers(*shape))
        for opset in (8, 13)
        for shape in ((1, 4, 3, 6), (3, 1), (1,))
    ),
    *(_case(f"Tile {n}", [node("Tile", "h n")], 13, n=integers(*n)) for n in ((1, 1, 2, 1), (1, 3, 1, 2))),
    *map(
        _reduced,
        pairwise(
            {
                "op": ("ReduceMax", "ReduceMin", "ReduceSum"),
                "opset": (7, 13, 18),
                "axes": ((1,), (2, 3), (-1,), (1, 3), (1, 2, 3)),
                "keepdims": (0, 1),
            },
            lambda s: (s["opset"] >= 11 or min(s["axes"]) > 0) and (len(s["axes"]) < 3 or s["keepdims"] == 1),
        ),
    ),
    *(
        _case(f"{op} of two", [*_TWO, node(op, "b h")], opset, turned=_TURNED)
        for op in ("Max", "Min", "Mean")
        for opset in (8, 13)
    ),
    _case(
        "Max of three",
        [*_TWO, node("Gather", "h other", "c", axis=1), node("Max", "b h c")],
        13,
        turned=_TURNED,
        other=integers(1, 2, 3, 0),
    ),
    *(_case(f"{op} vector", [node(op, "h c")], 13, c=_VECTOR) for op in ("Max", "Min")),
    *(_case("Neg", [node("Neg", "h")], opset) for opset in (7, 13)),
    *(_case("Abs", [node("Abs", "h")], opset) for opset in (7, 13)),
    *(_case("HardSigmoid", [node("HardSigmoid", "h", alpha=0.3)], opset) for opset in (7, 13)),
    *(
        _case(f"Einsum {equation}", [node("Einsum", f"h {name}", equation=equation)], 13, **{name: value})
        for equation, name, value in (
            ("bcij,jk->bcik", "m", np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)),
            ("...j, kj -> ...k", "m", np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)),
        )
    ),
]
