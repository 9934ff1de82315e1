"""What one way to run a network makes right is right in none: optimisers, functions and chance decide nothing."""

from pathlib import Path
from types import ModuleType

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, save

from onnxbound import load
from onnxbound.certificates.decisions import Evaluation, errors
from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.evidence import ByFile
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.network_code import NetworkCode, decode, encode
from onnxbound.codec.tensors import Exact
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError
from onnxbound.operators.conv import Conv
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.reshape import Reshape
from onnxbound.operators.windows import Windows
from onnxbound.run.device import CPU
from tests.certificates.test_delivered import LABEL, W, X, Y, Z, delivered, node
from tests.certificates.test_delivered import decided as decided_by
from tests.nets import model_of, write_model

ROWS = np.random.default_rng(2).normal(size=(600, 6)).astype(np.float32)
LABELS = ROWS[:, :4].argmax(axis=1)


def rounding(size: float) -> NetworkCode:
    """(x + size) - size, of which onnxruntime makes x when it moves both shifts into the Conv."""
    weight = np.eye(4, 6, dtype=np.float32)[:, :, None, None]
    pixel = Windows((1, 1), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0))
    ones = np.ones((4, 1, 1))
    operators = (
        Reshape((6, 1, 1)),
        Conv(weight, None, np.full(4, size), pixel, 1),
        ElementwiseAffine(ones, -size * ones, 0),
        Reshape((4,)),
    )
    architecture = Architecture((6,), tuple(CodedNode(operator, (k,)) for k, operator in enumerate(operators)))
    values = {"weight": weight, "bias": np.full(4, size), "scale": ones, "shift": -size * ones}
    return NetworkCode(architecture, tuple(Exact(np.float32(values[hole.attribute])) for hole in architecture.holes))


def as_written(model: bytes) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    (logits,) = onnxruntime.InferenceSession(model, options).run(None, {"input": ROWS})
    return np.asarray(logits).argmax(axis=1)


@pytest.mark.parametrize("size", [2.0**16, 2.0**24, 2.0**40])
def test_a_code_that_decides_by_rounding(second: ModuleType, size: float) -> None:
    data = encode(rounding(size))
    code = decode(data)
    net = decoded(code)
    (optimised,) = onnxruntime.InferenceSession(net.to_bytes()).run(None, {"input": ROWS})
    wrong = int(np.sum(as_written(net.to_bytes()) != LABELS))
    assert np.array_equal(np.asarray(optimised).argmax(axis=1), LABELS)
    assert wrong > 0
    assert errors(Evaluation(CPU, 1)(net, open_rows((ROWS, LABELS), net, code.preprocessing)), LABELS) >= wrong
    preprocessing, nodes, shapes, mirrored = second.read_code(data)
    assert second.count_errors(nodes, shapes, mirrored, preprocessing, ROWS, LABELS) >= wrong


@pytest.mark.parametrize("between", [[], ["Softmax"]])
def test_a_file_that_decides_by_rounding(tmp_path: Path, between: list[str]) -> None:
    numbers = {"axes": np.array([2, 3]), "k": W[:, :, None, None], "b": np.full(3, 2.0**30, np.float32)}
    nodes = [
        node("Unsqueeze", "x axes", "u"),
        node("Conv", "u k b", "z"),
        node("Add", "z back", "q"),
        node("Flatten", "q", "v"),
        node(*(between or ["Identity"]), "v", "out"),
    ]
    back = np.full((1, 3, 1, 1), -(2.0**30), np.float32)
    path = write_model(tmp_path / "net.onnx", nodes, numbers | {"back": back}, ["N", 6], output="out")
    assert np.array_equal(delivered(tmp_path).argmax(axis=1), Y)
    network = load(path)
    found = Evaluation(CPU, 1)(network, open_rows((X, Y), ByFile.of(network)))
    assert errors(found, Y) > 0.5 * len(Y)


@pytest.mark.parametrize("rounds", [False, True])
def test_a_file_that_turns_over_where_it_is_alone_and_rearranged(tmp_path: Path, rounds: bool) -> None:
    """Right beside others, and right alone as it is written; the two switches meet where everyone runs it."""
    first = np.zeros((1, 6, 1, 1), np.float32)
    first[0, 0] = 1
    numbers = {"zero": 0.0, "one": 1.0, "two": 2.0, "steep": 1e3, "width": 0.05}
    constants = {"axes": np.array([2, 3]), "k": first, "b": np.float32([2.0**30]), "place": np.array(0)}
    constants |= {"back": np.full((1, 1, 1, 1), -(2.0**30), np.float32), "alone": np.array(1)}
    nodes = [
        Z,
        node("Shape", "x", "s"),
        node("Gather", "s place", "n"),
        node("Equal", "n alone", "e"),
        node("Cast", "e", "f", to=TensorProto.FLOAT),
        node("Unsqueeze", "x axes", "u"),
        node("Conv", "u k b", "c"),
        node("Add", "c back", "d"),
        node("Flatten", "d", "v"),
        node("Mul", "v steep", "t"),
        node("Clip", "t zero one", "on"),
        node("Mul", "on f", "g"),
        node("Mul", "g two", "h"),
        node("Mul", "z h", "m"),
        node("Sub", "z m", "y"),
        *([node("QuantizeLinear", "y width", "q"), node("DequantizeLinear", "q width", "r")] if rounds else []),
        node("Identity", "r" if rounds else "y", "logits"),
    ]
    constants |= {name: np.float32(value) for name, value in numbers.items()}
    found = decided_by(tmp_path, nodes, "logits", **constants)
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    alone = np.array([np.argmax(session.run(None, {"x": row[None]})[0]) for row in X])
    assert np.mean(alone != Y) > 0.3
    np.testing.assert_array_equal(found[alone != Y] == Y[alone != Y], False)


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize(("domain", "name"), [("", "Neg"), ("", "Abs"), ("com.microsoft", "Gelu")])
def test_functions_do_not_stand_for_operators(tmp_path: Path, domain: str, name: str, nested: bool) -> None:
    """onnxruntime computes Neg whatever the body of a function Neg says; here the body would be right."""
    opsets = [helper.make_opsetid(d, n) for d, n in (("", 17), ("com.microsoft", 1), ("own", 1))]
    call = helper.make_node(name, ["p"], ["q"], domain=domain)
    body = [helper.make_node("Identity", ["p"], ["q"])]
    functions = [helper.make_function(domain, name, ["p"], ["q"], body, opsets)]
    if nested:
        functions.append(helper.make_function("own", "Head", ["p"], ["q"], [call], opsets))
        call = helper.make_node("Head", ["p"], ["q"], domain="own")
    call.input[:], call.output[:] = ["z"], ["logits"]
    model = model_of([Z, call], {"w": W.T.copy()}, ["N", 6])
    model.functions.extend(functions)
    model.opset_import.extend(opsets[1:])
    save(model, tmp_path / "net.onnx")
    assert np.mean(delivered(tmp_path).argmax(axis=1) != Y) > 0.05
    with pytest.raises(ModelError, match="have names of ONNX operators"):
        load(tmp_path / "net.onnx")


@pytest.mark.parametrize("seed", [1, 2])
def test_chance_takes_no_part(tmp_path: Path, seed: int) -> None:
    """Some labels are dropped: which ones follows from a seed, and from how often the file has been run."""
    nodes = [
        Z,
        node("ArgMax", "z", "place", axis=1, keepdims=0),
        node("Cast", "place", "number", to=TensorProto.FLOAT),
        node("Dropout", "number share always", "kept", seed=seed),
        node("Cast", "kept", "label", to=TensorProto.INT64),
    ]
    with pytest.raises(ModelError, match="depend on random numbers"):
        decided_by(tmp_path, nodes, "label", share=np.float32(1e-4), always=np.array(True))


def test_an_output_that_is_a_list_says_nothing(tmp_path: Path) -> None:
    nodes = [Z, node("Identity", "z", "logits"), node("SequenceConstruct", "z", "all")]
    model = model_of(nodes, {"w": W.T.copy()}, ["N", 6])
    model.graph.output.append(helper.make_tensor_sequence_value_info("all", TensorProto.FLOAT, None))
    save(model, tmp_path / "net.onnx")
    network = load(tmp_path / "net.onnx")
    with pytest.raises(ModelError, match="'all'") as raised:
        Evaluation(CPU, 1)(network, open_rows((X, Y), ByFile.of(network)))
    assert raised.value.code == "model-not-classifier"


def test_labels_may_be_written_as_floats(tmp_path: Path) -> None:
    nodes = [Z, *LABEL[:1], node("Gather", "classes place", "label")]
    found = decided_by(tmp_path, nodes, "label", classes=np.float32([2, 0, 1]))
    np.testing.assert_array_equal(found, delivered(tmp_path))
