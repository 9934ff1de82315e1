"""Operators that move entries, and those that do nothing."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from tests.operators.case import OPSETS, Case
from tests.operators.gates import node
from tests.operators.pairwise import describe, pairwise
from tests.operators.weighted import given


def integers(*values: int) -> NDArray[np.int64]:
    """An int64 constant."""
    return np.array(values, np.int64)


def _case(
    name: str,
    nodes: NodeProto | list[NodeProto],
    shape: tuple[int, ...] = (3, 4, 5),
    opset: int = 17,
    **constants: NDArray[Any],
) -> Case:
    return Case(f"{name}[opset={opset}]", nodes if isinstance(nodes, list) else [nodes], shape, opset, constants)


_TARGETS: Mapping[str, tuple[int, ...]] = {
    "copied batch": (0, -1),
    "free batch": (-1, 60),
    "free batch, split": (-1, 6, 10),
    "copied axes": (0, 0, 20),
    "inferred middle": (0, 2, -1, 5),
    "merged": (0, -1, 1),
}
_RESHAPES = [
    Case(f"Reshape {name}[opset={opset}]", [node("Reshape", "h to")], (3, 4, 5), opset, {"to": integers(*target)})
    for name, target in _TARGETS.items()
    for opset in (7, 13, 21)
]
_ALLOW_ZERO = Case(
    "Reshape allowzero[opset=17]",
    [node("Reshape", "h to", allowzero=1)],
    (3, 4, 5),
    17,
    {"to": integers(-1, 12, 5)},
)


def _shape_arithmetic(opset: int) -> Case:
    """`x.view(x.size(0), -1)` as TorchScript writes it."""
    constants: dict[str, NDArray[Any]] = {"zero": np.array(0, np.int64), "rest": integers(-1)}
    if opset >= 13:
        constants["axes"] = integers(0)
        unsqueeze = node("Unsqueeze", "n axes", "batch")
    else:
        unsqueeze = node("Unsqueeze", "n", "batch", axes=[0])
    nodes = [
        node("Shape", "h", "s"),
        node("Gather", "s zero", "n", axis=0),
        unsqueeze,
        node("Concat", "batch rest", "to", axis=0),
        node("Reshape", "h to"),
    ]
    return Case(f"view(size(0),-1)[opset={opset}]", nodes, (3, 4, 5), opset, constants)


def _slice_arithmetic(opset: int) -> Case:
    """Shape, Slice, Cast, Concat: what tf2onnx and Paddle write."""
    constants = {"start": integers(0), "stop": integers(1), "axis": integers(0), "rest": np.array([12, -1], np.int32)}
    nodes = [
        node("Shape", "h", "s"),
        node("Slice", "s start stop axis", "n"),
        node("Cast", "n", "n32", to=TensorProto.INT32),
        node("Concat", "n32 rest", "to32", axis=0),
        node("Cast", "to32", "to", to=TensorProto.INT64),
        node("Reshape", "h to"),
    ]
    return Case(f"Shape-Slice-Cast[opset={opset}]", nodes, (3, 4, 5), opset, constants)


_START_END = Case(
    "Shape with start and end[opset=15]",
    [
        node("Shape", "h", "n", start=0, end=1),
        node("Shape", "h", "last", start=-1),
        node("Concat", "n rest last", "to", axis=0),
        node("Reshape", "h to"),
    ],
    (3, 4, 5),
    15,
    {"rest": integers(-1)},
)
_SIZE = Case(
    "Size by Shape[opset=13]",
    [
        node("Size", "h", "all"),
        node("Shape", "h", "s"),
        node("Gather", "s zero", "n"),
        node("Div", "all n", "row"),
        node("Unsqueeze", "row axes", "units"),
        node("Concat", "rest units", "to", axis=0),
        node("Reshape", "h to"),
    ],
    (3, 4, 5),
    13,
    {"zero": np.array(0, np.int64), "axes": integers(0), "rest": integers(-1)},
)


def _squeeze(op: str, opset: int, shape: tuple[int, ...], axes: tuple[int, ...] | None) -> Case:
    name = f"{op}[opset={opset},axes={axes}]"
    if axes is None:
        return Case(name, [node(op, "h")], shape, opset)
    if opset < 13:
        return Case(name, [node(op, "h", axes=axes)], shape, opset)
    return Case(name, [node(op, "h axes")], shape, opset, {"axes": integers(*axes)})


def _pad(opset: int, places: str, value: float | None, mode: str | None) -> Case:
    name = f"Pad[opset={opset},{places},value={value},mode={mode}]"
    begin, end = {
        "rows": ((0, 0, 1, 0), (0, 0, 2, 1)),
        "channels": ((0, 2, 0, 1), (0, 1, 0, 0)),
        "none": ((0,) * 4,) * 2,
    }[places]
    if opset < 11:
        return Case(name, [node("Pad", "h", pads=(*begin, *end), **given(value=value, mode=mode))], (3, 4, 5), opset)
    constants: dict[str, NDArray[Any]] = {"pads": integers(*begin, *end)}
    inputs = "h pads"
    if value is not None:
        constants["value"] = np.float32(value)
        inputs += " value"
    if opset >= 18:
        constants["pads"], constants["axes"] = integers(*begin[2:], *end[2:]), integers(-2, 3)
        if places == "channels":
            constants["pads"], constants["axes"] = integers(2, 1, 1, 0), integers(1, -1)
        inputs += " axes" if value is not None else " - axes"
    return Case(name, [node("Pad", inputs, **given(mode=mode))], (3, 4, 5), opset, constants)


_NOTHING = [
    *(_case("Identity", node("Identity", "h"), opset=opset) for opset in (7, 13, 21)),
    *(_case("Cast to float", node("Cast", "h", to=TensorProto.FLOAT), opset=opset) for opset in (7, 13, 21)),
    *(_case("Dropout ratio attribute", node("Dropout", "h", ratio=0.4), opset=opset) for opset in (7, 10)),
    *(_case("Dropout bare", node("Dropout", "h"), opset=opset) for opset in (7, 12, 21)),
    *(
        _case("Dropout ratio input", node("Dropout", "h ratio"), opset=opset, ratio=np.float32(0.4))
        for opset in (12, 13, 21)
    ),
    _case("Dropout training=False", node("Dropout", "h - training"), opset=13, training=np.array(False)),
    _case("Dropout twice, Identity", [node("Dropout", "h", "a"), node("Identity", "a", "b"), node("Dropout", "b")]),
]

CASES = [
    *(_case("Flatten", node("Flatten", "h"), opset=opset) for opset in OPSETS),
    *(_case(f"Flatten axis={axis}", node("Flatten", "h", axis=axis), opset=13) for axis in (1, -3)),
    _case("Flatten vector", node("Flatten", "h"), shape=(7,)),
    *_RESHAPES,
    _ALLOW_ZERO,
    *(_shape_arithmetic(opset) for opset in OPSETS),
    *(_slice_arithmetic(opset) for opset in (10, 13, 21)),
    _START_END,
    _SIZE,
    *(
        Case(f"Transpose[{describe(s)}]", [node("Transpose", "h", perm=s["perm"])], (3, 4, 5), s["opset"])
        for s in pairwise(
            {"opset": (7, 13, 21), "perm": ((0, 1, 2, 3), (0, 2, 3, 1), (0, 3, 1, 2), (0, 3, 2, 1), (0, 1, 3, 2))}
        )
    ),
    *(
        _squeeze("Squeeze", opset, (1, 4, 1, 5), axes)
        for opset in (7, 11, 13, 21)
        for axes in ((1,), (3,), (1, 3), (-2,), (-4, -2), None)
    ),
    *(
        _squeeze("Unsqueeze", opset, (4, 5), axes)
        for opset in (7, 11, 13, 21)
        for axes in ((1,), (3,), (2, 4), (1, 2), *([(-1,), (-3, 1)] if opset >= 11 else []))
    ),
    *(
        _pad(s["opset"], s["places"], s["value"], s["mode"])
        for s in pairwise(
            {
                "opset": OPSETS,
                "places": ("rows", "channels", "none"),
                "value": (None, 0.0, 0.5),
                "mode": (None, "constant"),
            }
        )
    ),
    *_NOTHING,
]
