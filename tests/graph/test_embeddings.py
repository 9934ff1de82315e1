"""Tables that are read at the rows' own integers: everything is measured from the embedding on."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from onnxbound import Settings, analyze, certify, load, open_rows, verify
from onnxbound.errors import ModelError
from onnxbound.operators.lookup import Lookup
from tests.nets import write_model

RANDOM = np.random.default_rng(11)
TABLE, FIRST, LAST = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((7, 4), (20, 6), (6, 3)))
POSITIONS = RANDOM.standard_normal((5, 4)).astype(np.float32)
INTEGERS = np.random.default_rng(12).integers(0, 7, (30, 5))
LABELS = np.arange(30) % 3
LATER = {"where": POSITIONS, "flat": np.array([-1, 20]), "w1": FIRST, "w2": LAST}


def behind(embedded: str) -> list[NodeProto]:
    """Positions, Flatten, MatMul, Relu, MatMul."""
    made = helper.make_node
    return [
        made("Add", [embedded, "where"], ["placed"]),
        made("Reshape", ["placed", "flat"], ["a"]),
        made("MatMul", ["a", "w1"], ["u"]),
        made("Relu", ["u"], ["r"]),
        made("MatMul", ["r", "w2"], ["logits"]),
    ]


def gather(path: Path, kind: int = TensorProto.INT64) -> Path:
    """Integers cast to int64, then Gather, as torch writes an Embedding."""
    nodes = [
        helper.make_node("Cast", ["x"], ["i"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "i"], ["e"]),
    ]
    return write_model(path, [*nodes, *behind("e")], {"table": TABLE, **LATER}, ("N", 5), input_type=kind)


def one_hot(path: Path, *, swapped: bool = False, numbers: NDArray[Any] | None = None) -> Path:
    """Equal with a range, Cast and MatMul, as jax.nn.one_hot is exported."""
    range_ = np.arange(7, dtype=np.int32).reshape(1, 1, 7) if numbers is None else numbers
    nodes = [
        helper.make_node("Reshape", ["x", "column"], ["i"]),
        helper.make_node("Equal", ["range", "i"] if swapped else ["i", "range"], ["codes"]),
        helper.make_node("Cast", ["codes"], ["c"], to=TensorProto.FLOAT),
        helper.make_node("MatMul", ["c", "table"], ["e"]),
        *behind("e"),
    ]
    constants = {"table": TABLE, "column": np.array([-1, 5, 1]), "range": range_, **LATER}
    return write_model(path, nodes, constants, ("N", 5), input_type=TensorProto.INT32)


def embedded(path: Path) -> Path:
    """The same net behind its table, over rows of embeddings."""
    return write_model(path, behind("x"), LATER, ("N", 5, 4))


SPELLED = {
    "Gather of int64": gather,
    "Gather of int32": lambda path: gather(path, TensorProto.INT32),
    "codes": one_hot,
    "codes, range first": lambda path: one_hot(path, swapped=True),
}


@pytest.mark.parametrize("spelled", SPELLED)
def test_everything_is_that_of_the_net_behind_the_table(tmp_path: Path, spelled: str) -> None:
    network = load(SPELLED[spelled](tmp_path / "net.onnx"))
    assert network.depth == 2
    assert network.parameters == TABLE.size + POSITIONS.size + FIRST.size + LAST.size
    assert sum(isinstance(step.operator, Lookup) for step in network.steps) == 1
    rows = open_rows((INTEGERS.astype(network.input_type), LABELS), network)
    oracle = load(embedded(tmp_path / "behind.onnx"))
    entries = open_rows((TABLE[INTEGERS], LABELS), oracle)
    expected = analyze(oracle, entries, Settings(engine="numpy"))
    for engine in ("numpy", "onnxruntime"):
        found = analyze(network, rows, Settings(engine=engine))  # type: ignore[arg-type]
        for name, values in expected.samples.items():
            if name == "form":
                continue
            np.testing.assert_allclose(found.samples[name], values, rtol=2e-5, atol=1e-6, err_msg=f"{engine}: {name}")


@pytest.mark.parametrize("spelled", SPELLED)
def test_integers_beyond_the_table_are_read_as_the_runtime_reads_them(tmp_path: Path, spelled: str) -> None:
    path = SPELLED[spelled](tmp_path / "net.onnx")
    network = load(path)
    low, high = (-7, 7) if spelled.startswith("Gather") else (-3, 12)
    integers = np.random.default_rng(13).integers(low, high, (20, 5)).astype(network.input_type)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (expected,) = session.run(["logits"], {"x": integers})
    values: dict[str, NDArray[Any]] = {network.input: integers}
    for step in network.steps:
        values[step.output] = step.operator.act(*(values[name] for name in step.inputs))
    np.testing.assert_allclose(values[network.output], expected, rtol=1e-4, atol=1e-5)


def test_other_comparisons_are_no_codes(tmp_path: Path) -> None:
    numbers = np.array([[[0, 1, 2, 3, 4, 6, 5]]], np.int32)
    with pytest.raises(ModelError, match="Equal"):
        load(one_hot(tmp_path / "net.onnx", numbers=numbers))


def test_a_certificate_by_hold_out(tmp_path: Path) -> None:
    network = load(gather(tmp_path / "net.onnx"))
    rows = open_rows((INTEGERS, LABELS), network)
    made = certify(network, None, tmp_path / "made", holdout=rows)
    assert verify(tmp_path / "made", holdout=rows, model=network).errors == made.document["errors"]
