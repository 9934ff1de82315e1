"""Which numbers of a file are parameters: those that training has set, each once."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from onnxbound.bounds.description import other_bits
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.graph.trained import by_hand
from tests.nets import write_model

RANDOM = np.random.default_rng(0)
W, V = (RANDOM.normal(size=shape).astype(np.float32) for shape in ((4, 5), (5, 3)))
WEIGHTS = 20 + 15


def node(op: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(op, inputs.split(" "), [output], **attributes)


def between(folder: Path, nodes: list[NodeProto], opset: int = 17, **constants: Any) -> Network:
    """The nodes from "h" to "a" between two dense layers."""
    every = [node("MatMul", "x w", "h"), *nodes, node("MatMul", "a v", "logits")]
    arrays = {"w": W, "v": V} | {name: np.asarray(value) for name, value in constants.items()}
    return load(write_model(folder / "net.onnx", every, arrays, ["N", 4], opset=opset))


@pytest.mark.parametrize(
    ("nodes", "constants", "count"),
    [
        ([node("Clip", "h low high", "a")], {"low": np.float32(0), "high": np.float32(6)}, 0),
        ([node("Clip", "h low high", "a")], {"low": np.float32(0), "high": np.float32([3.2481723])}, 1),
        ([node("Clip", "h low high", "a")], {"low": np.float32(-0.7312448), "high": np.float32(3.2481723)}, 2),
        ([node("Clip", "h low high", "b"), node("Clip", "b low high", "a")],
         {"low": np.float32(0), "high": np.float32(3.2481723)}, 1),
        ([node("LeakyRelu", "h", "a", alpha=0.01)], {}, 0),
        ([node("LeakyRelu", "h", "a", alpha=0.2340981)], {}, 1),
        ([node("LeakyRelu", "h", "b", alpha=0.2340981), node("LeakyRelu", "b", "a", alpha=0.2340981)], {}, 2),
        ([node("Where", "open h below", "a")], {}, 1),
        ([node("PRelu", "h slope", "a")], {"slope": np.float32([0.25])}, 1),
        ([node("Elu", "h", "a", alpha=1.0)], {}, 0),
        ([node("Elu", "h", "a", alpha=1.3412349)], {}, 1),
        ([node("Selu", "h", "a", alpha=1.6732632, gamma=1.050701)], {}, 0),
        ([node("Mul", "h factor", "a")], {"factor": np.float32(48**-0.5)}, 0),
        ([node("Mul", "h factor", "a")], {"factor": np.float32(48**-0.25)}, 0),
        ([node("Mul", "h factor", "a")], {"factor": np.float32([48**-0.25])}, 0),
        ([node("Mul", "h factor", "a")], {"factor": np.float32(0.1441239)}, 1),
        ([node("Add", "h shift", "a")], {"shift": np.float32(0.5)}, 0),
        ([node("Add", "h shift", "a")], {"shift": np.float32([0.5])}, 1),
        ([node("Mul", "h factor", "a")], {"factor": np.full(5, 0.5, np.float32)}, 5),
    ],
)  # fmt: skip
def test_single_numbers(tmp_path: Path, nodes: list[NodeProto], constants: dict[str, Any], count: int) -> None:
    if nodes[0].op_type == "Where":
        nodes = [node("Greater", "h zero", "open"), node("Mul", "h slope", "below"), *nodes]
        constants = {"zero": np.float32(0), "slope": np.float32(0.2340981)}
    network = between(tmp_path, nodes, **constants)
    assert network.parameters == WEIGHTS + count
    if not {"Add", "Mul", "Where"} & {entry.op_type for entry in nodes}:  # a factor is folded into the weight
        assert 64 * count <= other_bits(network) <= 64 * count * len(nodes)


def test_ends_as_attributes(tmp_path: Path) -> None:
    assert between(tmp_path, [node("Clip", "h", "a", min=0.0, max=6.0)], 9).parameters == WEIGHTS
    learnt = between(tmp_path, [node("Clip", "h", "a", min=0.0, max=3.2481723)], 9)
    assert learnt.parameters == WEIGHTS + 1
    assert other_bits(learnt) == 64


def expanded(name: str) -> list[NodeProto]:
    return [node("Shape", "x", "n", start=0, end=1), node("Concat", "n rest", name, axis=0)]


TOKENS = {
    "expanded": [*expanded("shape"), node("Expand", "token shape", "tokens")],
    "added to zeros": [
        *expanded("shape"),
        node("ConstantOfShape", "shape", "zeros"),
        node("Add", "zeros token", "tokens"),
    ],
    "tiled": [node("Tile", "token repeats", "tokens")],
    "times ones": [
        *expanded("shape"),
        helper.make_node("ConstantOfShape", ["shape"], ["ones"], value=helper.make_tensor("v", 1, [1], [1.0])),
        node("Mul", "token ones", "tokens"),
    ],
}


@pytest.mark.parametrize("spelling", TOKENS)
@pytest.mark.parametrize("count", [1, 3])
def test_a_class_token_counts_once(tmp_path: Path, spelling: str, count: int) -> None:
    """However many rows, patches and copies of it there are."""
    nodes = [
        node("MatMul", "x w", "patches"),
        *TOKENS[spelling],
        node("Concat", "tokens patches", "all", axis=1),
        node("Add", "all position", "placed"),
        node("Relu", "placed", "a"),
        node("Gather", "a zero", "first", axis=1),
        node("MatMul", "first v", "logits"),
    ]
    constants = {
        "w": W, "v": V, "token": RANDOM.normal(size=(1, 1, 5)).astype(np.float32), "rest": np.array([count, 5]),
        "repeats": np.array([1, count, 1]), "zero": np.array(0),
        "position": RANDOM.normal(size=(1, 6 + count, 5)).astype(np.float32),
    }  # fmt: skip
    batch = 1 if spelling == "tiled" else "N"
    network = load(write_model(tmp_path / "net.onnx", nodes, constants, [batch, 6, 4]))
    assert network.parameters == WEIGHTS + 5 + (6 + count) * 5


def test_trained_numbers_are_rarely_taken_for_written_ones() -> None:
    random = np.random.default_rng(1)
    learnt = np.float32(random.normal(size=20_000))
    assert np.mean([by_hand(float(value)) for value in learnt]) < 0.005
    written = [
        0.0,
        1.0,
        6.0,
        -1.0,
        0.01,
        0.2,
        1 / 3,
        1 / 6,
        1 / 255,
        64**-0.5,
        96**-0.5,
        80**-0.25,
        2**0.5,
        1e-5,
        128.0,
    ]
    assert all(by_hand(float(np.float32(value))) for value in written)
    assert by_hand(float("inf"))
