"""Conv, Gemm, MatMul and BatchNormalization with their attributes."""

from typing import Any

import numpy as np
from onnx import helper

from tests.operators.case import OPSETS, Case, constant
from tests.operators.pairwise import Settings, describe, pairwise

SIZES = {1: (9,), 2: (7, 6), 3: (5, 4, 6)}
MIXED_KERNEL, MIXED_STRIDE = (3, 2, 3), (2, 1, 3)
BEGIN, END = (0, 1, 1), (1, 0, 2)


def lengths(value: int | str | None, axes: int) -> tuple[int, ...] | None:
    """One number for all axes, or "mixed"; None for an attribute that is absent."""
    if value is None:
        return None
    mixed = {"kernel": MIXED_KERNEL, "stride": MIXED_STRIDE}
    return mixed[value][:axes] if isinstance(value, str) else (value,) * axes


def pads(value: int | str | None, axes: int) -> tuple[int, ...] | None:
    """Pads on both sides, or asymmetric ones."""
    if value is None:
        return None
    return (*BEGIN[:axes], *END[:axes]) if isinstance(value, str) else (value,) * 2 * axes


def given(**attributes: Any) -> dict[str, Any]:
    """The attributes that are not None."""
    return {name: value for name, value in attributes.items() if value is not None}


def _conv(s: Settings) -> Case:
    name = f"Conv[{describe(s)}]"
    random = np.random.default_rng(len(name))
    axes, kernel = s["axes"], lengths(s["kernel"], s["axes"])
    groups, per_group = {"one": (1, 3), "two": (2, 3), "depthwise": (4, 1), "multiplied": (4, 2)}[s["groups"]]
    channels = 4
    constants = {"w": constant(random, groups * per_group, channels // groups, *kernel)}
    if s["bias"]:
        constants["b"] = constant(random, groups * per_group)
    attributes = given(
        kernel_shape=kernel if s["says_kernel"] else None,
        strides=lengths(s["stride"], axes),
        dilations=lengths(s["dilation"], axes),
        pads=pads(s["pads"], axes),
        auto_pad=s["auto_pad"],
        group=groups if groups > 1 else None,
    )
    node = helper.make_node("Conv", ["h", *constants], ["y"], **attributes)
    return Case(name, [node], (channels, *SIZES[axes]), s["opset"], constants, "nothing")


def pads_agree(s: Settings) -> bool:
    """Pads are either given or automatic, and onnxruntime refuses SAME with dilations."""
    same = s["auto_pad"] in ("SAME_UPPER", "SAME_LOWER")
    return (s["auto_pad"] in (None, "NOTSET") or s["pads"] is None) and not (same and s["dilation"] == 2)


def _gemm(s: Settings) -> Case:
    name = f"Gemm[{describe(s)}]"
    random = np.random.default_rng(len(name))
    inputs, outputs = 5, 4
    constants = {"w": constant(random, *((outputs, inputs) if s["transB"] else (inputs, outputs)))}
    if s["C"] != "absent":
        shape = {"vector": (outputs,), "row": (1, outputs), "scalar": (), "one": (1,)}[s["C"]]
        constants["c"] = constant(random, *shape)
    node = helper.make_node("Gemm", ["h", *constants], ["y"], **given(**{k: s[k] for k in ("transB", "alpha", "beta")}))
    return Case(name, [node], (inputs,), s["opset"], constants, "nothing")


def _matmul(s: Settings) -> Case:
    name = f"MatMul[{describe(s)}]"
    random = np.random.default_rng(len(name))
    shape: tuple[int, ...] = {1: (5,), 2: (3, 5), 3: (2, 3, 5)}[s["rank"]]
    units = 4
    constants = {"w": constant(random, *((1, 5, units) if s["weight"] == "stacked" else (5, units)))}
    nodes = [helper.make_node("MatMul", ["h", "w"], ["y" if s["bias"] is None else "m"])]
    if s["bias"] is not None:
        constants["b"] = constant(random, *{"vector": (units,), "row": (1, units), "scalar": ()}[s["bias"]])
        nodes.append(helper.make_node("Add", ["b", "m"] if s["bias_first"] else ["m", "b"], ["y"]))
    return Case(name, nodes, shape, s["opset"], constants, "nothing")


def _batch_normalization(s: Settings) -> Case:
    name = f"BatchNormalization[{describe(s)}]"
    random = np.random.default_rng(len(name))
    shape: tuple[int, ...] = {2: (5,), 3: (4, 5), 4: (3, 4, 5), 5: (2, 3, 2, 3)}[s["rank"]]
    each = shape if s["spatial"] == 0 else shape[:1]
    constants = {name: constant(random, *each) for name in ("scale", "shift", "mean")}
    constants["variance"] = constant(random, *each) ** 2
    attributes = given(epsilon=s["epsilon"], momentum=s["momentum"], spatial=s["spatial"])
    node = helper.make_node("BatchNormalization", ["h", *constants], ["y"], **attributes)
    return Case(name, [node], shape, s["opset"], constants, s["before"])


def _wide_conv(size: tuple[int, int], pads: tuple[int, ...]) -> Case:
    """3x3 of stride 1 with enough channels for Winograd's algorithm, on even and on odd lengths."""
    name = f"Conv[wide,size={size[0]}x{size[1]},pads={','.join(map(str, pads))}]"
    random = np.random.default_rng(len(name))
    constants = {"w": constant(random, 17, 16, 3, 3) / np.float32(12), "b": constant(random, 17)}
    node = helper.make_node("Conv", ["h", *constants], ["y"], pads=pads)
    return Case(name, [node], (16, *size), 17, constants, "conv")


CASES = [
    *(
        _wide_conv(size, pads)
        for size in ((6, 6), (5, 8), (3, 3), (4, 7), (2, 2), (1, 2))
        for pads in ((1, 1, 1, 1), (0, 0, 0, 0), (0, 2, 1, 0))
        if min(size) > 2 or pads == (1, 1, 1, 1)
    ),
    *map(
        _conv,
        pairwise(
            {
                "opset": OPSETS,
                "auto_pad": (None, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"),
                "axes": (1, 2, 3),
                "kernel": (1, 2, "kernel"),
                "stride": (None, 2, "stride"),
                "pads": (None, 1, "asymmetric"),
                "dilation": (None, 2),
                "groups": ("one", "two", "depthwise", "multiplied"),
                "bias": (True, False),
                "says_kernel": (True, False),
            },
            pads_agree,
        ),
    ),
    *map(
        _gemm,
        pairwise(
            {
                "opset": OPSETS,
                "transB": (None, 0, 1),
                "alpha": (None, 0.5, -2.0),
                "beta": (None, 0.0, -1.5),
                "C": ("absent", "vector", "row", "scalar", "one"),
            },
            lambda s: s["C"] != "absent" or s["opset"] >= 11,
        ),
    ),
    *map(
        _matmul,
        pairwise(
            {
                "opset": (7, 9, 13, 21),
                "rank": (1, 2, 3),
                "weight": ("matrix", "stacked"),
                "bias": (None, "vector", "row", "scalar"),
                "bias_first": (False, True),
            },
            lambda s: s["rank"] > 1 or s["weight"] == "matrix",
        ),
    ),
    *map(
        _batch_normalization,
        pairwise(
            {
                "opset": (7, 9, 11, 14, 15, 21),
                "rank": (2, 3, 4, 5),
                "epsilon": (None, 1e-3, 0.25),
                "momentum": (None, 0.9),
                "spatial": (None, 0, 1),
                "before": ("matmul", "conv", "nothing"),
            },
            lambda s: (s["rank"] > 2 or s["before"] != "conv") and (s["spatial"] is None or s["opset"] == 7),
        ),
    ),
]
