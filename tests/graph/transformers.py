"""A small transformer by hand, with two inputs per row: token numbers, and a mask that hides the last of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, checker, helper, numpy_helper

LENGTH, TOKENS, WIDTH, HEADS, CLASSES = 6, 11, 8, 2, 3
Mask = Literal["added", "where", "expanded"]
MASKS: tuple[Mask, ...] = ("added", "where", "expanded")
"""(1 - mask) * -10,000 added to the scores; Where with -10,000; Where with -inf behind And, Not and Expand."""


def _node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(), [output], name=output, **attributes)


def _masked(mask: Mask) -> list[NodeProto]:
    raised = _node("Unsqueeze", "attention_mask axes", "m0")
    if mask == "added":
        return [
            raised,
            _node("Cast", "m0", "m1", to=TensorProto.FLOAT),
            _node("Sub", "one m1", "m2"),
            _node("Mul", "m2 low", "m3"),
            _node("Add", "s1 m3", "s2"),
        ]
    seen = _node("Cast", "m0", "m1", to=TensorProto.BOOL)
    if mask == "where":
        return [raised, seen, _node("Where", "m1 s1 low", "s2")]
    return [
        raised,
        seen,
        _node("And", "m1 m1", "m2"),
        _node("Expand", "m2 full", "m3"),
        _node("Not", "m3", "m4"),
        _node("Where", "m4 none s1", "s2"),
    ]


def transformer(
    path: Path,
    mask: Mask = "added",
    *,
    types: Sequence[int] = (TensorProto.INT64, TensorProto.INT64),
    names: tuple[str, str] = ("input_ids", "attention_mask"),
    length: int | str = LENGTH,
) -> Path:
    """One block of attention behind an embedding, and a layer on the first token."""
    random = np.random.default_rng(5)

    def weight(*shape: int) -> NDArray[np.float32]:
        return (random.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    constants: dict[str, Any] = {name: weight(WIDTH, WIDTH) for name in ("wq", "wk", "wv", "wo")} | {
        "table": 2 * weight(TOKENS, WIDTH), "places": weight(LENGTH, WIDTH), "w1": weight(WIDTH, 16), "b1": weight(16),
        "w2": weight(16, WIDTH), "wc": weight(WIDTH, CLASSES), "bc": weight(CLASSES), "heads": [0, LENGTH, HEADS, -1],
        "flat": [0, LENGTH, WIDTH], "scale": np.float32(0.5), "one": np.float32(1), "low": np.float32(-1e4),
        "none": np.float32(-np.inf), "axes": [1, 2], "full": [1, 1, LENGTH, LENGTH], "first": 0,
        "gain": np.ones(WIDTH, np.float32), "shift": np.zeros(WIDTH, np.float32),
    }  # fmt: skip
    nodes = [_node("Gather", "table input_ids", "e"), _node("Add", "e places", "x0")]
    for name, axes in (("q", [0, 2, 1, 3]), ("k", [0, 2, 3, 1]), ("v", [0, 2, 1, 3])):
        nodes += [_node("MatMul", f"x0 w{name}", f"{name}0"), _node("Reshape", f"{name}0 heads", f"{name}1")]
        nodes.append(_node("Transpose", f"{name}1", name, perm=axes))
    nodes += [_node("MatMul", "q k", "s0"), _node("Mul", "s0 scale", "s1"), *_masked(mask)]
    nodes += [
        _node("Softmax", "s2", "p", axis=-1),
        _node("MatMul", "p v", "o0"),
        _node("Transpose", "o0", "o1", perm=[0, 2, 1, 3]),
        _node("Reshape", "o1 flat", "o2"),
        _node("MatMul", "o2 wo", "o3"),
        _node("Add", "x0 o3", "x1"),
        _node("LayerNormalization", "x1 gain shift", "x2"),
        _node("MatMul", "x2 w1", "h0"),
        _node("Add", "h0 b1", "h1"),
        _node("Relu", "h1", "h2"),
        _node("MatMul", "h2 w2", "h3"),
        _node("Add", "x2 h3", "x3"),
        _node("Gather", "x3 first", "token", axis=1),
        _node("Gemm", "token wc bc", "logits"),
    ]
    for node in nodes:
        node.input[:] = [dict(zip(("input_ids", "attention_mask"), names, strict=True)).get(x, x) for x in node.input]
    graph = helper.make_graph(
        nodes,
        "transformer",
        [helper.make_tensor_value_info(n, kind, ["N", length]) for n, kind in zip(names, types, strict=True)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", CLASSES])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


def sentences(count: int) -> dict[str, NDArray[np.int64]]:
    """Token numbers, and masks that show the first one to six of them."""
    random = np.random.default_rng(6)
    ids = random.integers(0, TOKENS, (count, LENGTH))
    shown = np.arange(LENGTH) < random.integers(1, LENGTH + 1, (count, 1))
    return {"input_ids": ids, "attention_mask": shown.astype(np.int64)}
