"""Pooling and means with their attributes."""

import numpy as np
from onnx import helper

from tests.operators.case import OPSETS, Case
from tests.operators.pairwise import Settings, describe, pairwise
from tests.operators.weighted import MIXED_KERNEL, SIZES, given, lengths, pads, pads_agree

_WINDOWS = {
    "opset": OPSETS,
    "auto_pad": (None, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
    "axes": (1, 2, 3),
    "kernel": (1, 2, 3, "kernel"),
    "stride": (None, 2, "stride"),
    "pads": (None, 1, "asymmetric"),
    "dilation": (None, 2),
    "ceil": (None, 0, 1),
}


def _valid(s: Settings, dilations_since: int) -> bool:
    """Attributes are younger than the operator; a pad has to be shorter than its kernel, a window to fit."""
    axes = s["axes"]
    kernel, stride, size = lengths(s["kernel"], axes), lengths(s["stride"], axes) or (1,) * axes, SIZES[axes]
    assert kernel is not None
    padded = pads(s["pads"], axes)
    if not pads_agree(s):
        return False
    # onnxruntime computes negative pads there.
    if s["auto_pad"] in ("SAME_UPPER", "SAME_LOWER") and any(k < n for k, n in zip(kernel, stride, strict=True)):
        return False
    if padded and any(p >= k for p, k in zip(padded, kernel * 2, strict=True)):
        return False
    if s["ceil"] is not None and s["opset"] < 10:
        return False
    if s["dilation"] is not None and s["opset"] < dilations_since:
        return False
    span = [(s["dilation"] or 1) * (k - 1) + 1 for k in kernel]
    return all(n <= m for n, m in zip(span, size, strict=True))


def _windows(op: str, s: Settings) -> Case:
    axes = s["axes"]
    attributes = given(
        kernel_shape=lengths(s["kernel"], axes),
        strides=lengths(s["stride"], axes),
        dilations=lengths(s["dilation"], axes),
        pads=pads(s["pads"], axes),
        auto_pad=s["auto_pad"],
        ceil_mode=s["ceil"],
        count_include_pad=s.get("count_pads"),
    )
    nodes = [helper.make_node(op, ["h"], ["y"], **attributes)]
    if s["ceil"]:
        # Where a last window would start in the end padding, onnxruntime's kernels drop it but its shape inference
        # does not, and it refuses a matrix of either size behind it. A mean over all windows fits both.
        nodes = [helper.make_node(op, ["h"], ["p"], **attributes), helper.make_node("GlobalAveragePool", ["p"], ["y"])]
    return Case(f"{op}[{describe(s)}]", nodes, (3, *SIZES[axes]), s["opset"])


def _global(op: str, s: Settings) -> Case:
    node = helper.make_node(op, ["h"], ["y"])
    return Case(f"{op}[{describe(s)}]", [node], (3, *SIZES[s["axes"]]), s["opset"])


def _reduce_mean(s: Settings) -> Case:
    name = f"ReduceMean[{describe(s)}]"
    attributes = given(keepdims=s["keepdims"], noop_with_empty_axes=s["noop"])
    if s["opset"] >= 18:
        constants = {"axes": np.array(s["over"], np.int64)}
        node = helper.make_node("ReduceMean", ["h", "axes"], ["y"], **attributes)
    else:
        constants = {}
        node = helper.make_node("ReduceMean", ["h"], ["y"], axes=s["over"], **attributes)
    return Case(name, [node], (3, 4, 5), s["opset"], constants)


def _reduce_valid(s: Settings) -> bool:
    everything_gone = len(s["over"]) == 3 and s["keepdims"] == 0
    if not s["over"] and not s["noop"]:
        return False
    return not everything_gone and (s["noop"] is None or s["opset"] >= 18)


OVERLAPPING = Case(
    "MaxPool[AlexNet]",
    [helper.make_node("MaxPool", ["h"], ["y"], kernel_shape=MIXED_KERNEL[:1] * 2, strides=(2, 2), pads=(1, 1, 1, 1))],
    (3, 7, 7),
)

CASES = [
    *(_windows("MaxPool", s) for s in pairwise(_WINDOWS, lambda s: _valid(s, 10))),
    OVERLAPPING,
    *(_windows("AveragePool", s) for s in pairwise(_WINDOWS | {"count_pads": (None, 0, 1)}, lambda s: _valid(s, 19))),
    *(
        _global(op, s)
        for op in ("GlobalAveragePool", "GlobalMaxPool")
        for s in pairwise({"opset": (7, 11, 21), "axes": (1, 2, 3)})
    ),
    *map(
        _reduce_mean,
        pairwise(
            {
                "opset": OPSETS,
                "over": ((2, 3), (-1,), (-1, -2), (1,), (1, 2, 3), (-1, 1), ()),
                "keepdims": (None, 0, 1),
                "noop": (None, 0, 1),
            },
            _reduce_valid,
        ),
    ),
]
