"""Twelve kinds of certificates with false statements, as a hostile issuer would write them: each is refused.

The issuer knows every row and all of this program. Here: kinds 7 to 12, and some more: what is said beside the code.
"""

import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxbound
from onnxbound.certificates.canonical import read_canonical
from onnxbound.certificates.decisions import Evaluation, errors
from onnxbound.certificates.statement import Statement
from onnxbound.certificates.verify import verify
from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, architecture_bits, encode
from onnxbound.codec.tensors import Exact, Levels
from onnxbound.data.open import open_rows
from onnxbound.errors import OnnxboundError
from onnxbound.operators.dense import Dense
from onnxbound.operators.pad import Pad
from onnxbound.operators.reshape import Reshape
from onnxbound.run.device import CPU
from tests.certificates.conftest import PRIOR_ROWS, Case
from tests.certificates.forging import Copy, data_of, entries, refused
from tests.cli.command import failing
from tests.nets import mlp

# 7. Two readings of one file


@pytest.mark.parametrize("entry", [{"fix": {"t": 2}}, {"logits": "other"}, {"labels_start": 1}])
def test_how_a_model_is_read_is_the_verifiers(case: Case, copy: Copy, entry: dict[str, Any]) -> None:
    folder = copy("holdout")
    reading = read_canonical((folder / "certificate.json").read_bytes())["reading"]
    entries(folder, reading=reading | entry)
    refused(folder, case.evidence("holdout"), "reading")


# 8. Rows learnt by heart in the architecture


@pytest.mark.parametrize("count", [1, 8, 40])
def test_whatever_an_architecture_says_is_paid(count: int) -> None:
    """Pads and shapes chosen at random cost about as many bits as there are choices."""
    random = np.random.default_rng(count)
    nodes: list[CodedNode] = []
    length = 10
    for _ in range(count):
        before, behind = (int(n) for n in random.integers(0, 32, 2))
        nodes.append(CodedNode(Pad((before,), (behind,), 0.0), (len(nodes),)))
        length += before + behind
        nodes.append(CodedNode(Reshape((1, length)), (len(nodes),)))
        nodes.append(CodedNode(Reshape((length,)), (len(nodes),)))
    plain = (CodedNode(Dense(np.zeros((4, 10), np.float32), None, None), (0,)),)
    last = CodedNode(Dense(np.zeros((4, length), np.float32), None, None), (len(nodes),))
    more = architecture_bits(Architecture((10,), (*nodes, last))) - architecture_bits(Architecture((10,), plain))
    assert more >= 10 * count


def test_a_file_of_another_architecture_than_the_code(case: Case, copy: Copy) -> None:
    folder = copy("compressed")
    for spoil in ("node", "value", "name"):
        model = onnx.load(case / "compressed" / "decoded.onnx")
        if spoil == "node":
            model.graph.node[1].op_type = "Abs" if model.graph.node[1].op_type == "Relu" else "Relu"
        elif spoil == "value":
            weight = model.graph.initializer[0]
            weight.raw_data = bytes([weight.raw_data[0] ^ 1]) + weight.raw_data[1:]
        else:
            model.producer_name = "trusted"
        onnx.save(model, folder / "decoded.onnx")
        refused(folder, data_of(case), "decoded.onnx")


# 9. The model as its own prior


def test_a_prior_that_has_seen_everything(case: Case, copy: Copy, tmp_path: Path) -> None:
    words = ("--data", case / "train.npz", "--scale", "1", "--prior-rows", "2000", "-o", tmp_path / "c")
    error = failing("certify", case / "model.onnx", *words, "--prior", case / "model.onnx")
    assert "the model itself" in error["message"]
    folder = copy("prior")
    described = describe(onnxbound.load(case / "prior.onnx"))
    parts = tuple(Levels(1.0, np.zeros(values.shape, np.int64)) for values in described.tensors.values())
    code = NetworkCode(described.architecture, parts, difference=True)
    (folder / "code.bin").write_bytes(encode(code))
    refused(folder, case.evidence("prior"), "it is the one that is certified")
    refused(case / "prior", case.evidence("prior", prior=onnxbound.load(case / "model.onnx")), "decoded.onnx")
    refused(case / "prior", case.evidence("prior", prior_rows=PRIOR_ROWS - 1), "another value for rows")


# 10. Few rows, many times


@pytest.mark.parametrize("different", [1, 5, 4999])
def test_rows_that_are_copies(case: Case, tmp_path: Path, different: int) -> None:
    rows = np.load(case / "train.npz")
    places = np.arange(10_000) % different
    np.savez(tmp_path / "rows.npz", x=rows["x"][places], y=rows["y"][places])
    refused(case / "compressed", data_of(case, data=case.opener(tmp_path / "rows.npz")), "different values")
    words = ("--holdout", tmp_path / "rows.npz", "--scale", "1", "-o", tmp_path / "c")
    assert failing("certify", case / "model.onnx", *words)["code"] == "data-repeated"


# 11. Unlabelled rows that are none


@pytest.mark.parametrize("share", [1.0, 0.3, 0.001])
def test_unlabelled_rows_that_were_seen(case: Case, tmp_path: Path, share: float) -> None:
    seen, fresh = np.load(case / "train.npz")["x"], np.load(case / "fresh.npz")["x"].copy()
    count = int(share * len(fresh))
    fresh[:count] = seen[:count]
    np.savez(tmp_path / "fresh.npz", x=fresh.astype(np.float64))
    evidence = case.evidence("original_unlabelled", unlabelled=case.opener(tmp_path / "fresh.npz", labelled=False))
    refused(case / "original_unlabelled", evidence, f"{count:,} rows are in both")


# 12. What nobody looks at


@pytest.mark.parametrize("name", ["train_error", "parameters", "baselines", "tau", "audited_by"])
@pytest.mark.parametrize("kind", ["compressed", "holdout"])
def test_entries_that_follow_from_nothing(case: Case, copy: Copy, kind: str, name: str) -> None:
    folder = copy(kind)
    entries(folder, **{name: 0.001})
    refused(folder, case.evidence(kind), name)


@pytest.mark.parametrize("name", ["decoded_int4.onnx", "decoded_int8.onnx", "model.onnx", "notes.md", ".hidden"])
def test_files_that_follow_from_nothing(case: Case, copy: Copy, name: str) -> None:
    folder = copy("compressed")
    shutil.copy(case / "model.onnx", folder / name)
    refused(folder, data_of(case), name)


# Others


@pytest.mark.parametrize("one", ["compressed", "prior", "original_unlabelled"])
@pytest.mark.parametrize("name", ["code.bin", "decoded.onnx", "certificate.json"])
def test_files_of_another_certificate(case: Case, copy: Copy, one: str, name: str) -> None:
    """Swapped between folders; the code of the two plain kinds is the same file."""
    other = "prior" if one != "prior" else "compressed"
    folder = copy(one)
    shutil.copy(case / other / name, folder / name)
    with pytest.raises(OnnxboundError):
        verify(folder, case.evidence(one), CPU, 1)


@pytest.mark.parametrize("value", [2.0**61, 1e-40, np.inf])
def test_numbers_that_a_device_may_flush_or_overflow(case: Case, copy: Copy, value: float) -> None:
    folder = copy("compressed")
    weight = np.zeros((4, 10), np.float32)
    weight[1, 2] = value
    architecture = Architecture((10,), (CodedNode(Dense(weight, None, None), (0,)),))
    (folder / "code.bin").write_bytes(encode(NetworkCode(architecture, (Exact(weight),))))
    refused(folder, data_of(case), "denormal")


def test_a_net_that_decides_by_rounding(tmp_path: Path) -> None:
    """(x + 2^30) - 2^30: what it leads by is within the slack of what it is made of, on every row."""
    big = 2.0**30
    model = mlp(tmp_path / "net.onnx", [(np.eye(4, 6), np.full(4, big)), (np.eye(4), np.zeros(4))])
    x = np.random.default_rng(2).normal(size=(600, 6)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=x[:, :4].argmax(axis=1))
    network = onnxbound.load(model)
    rows = open_rows(tmp_path / "rows.npz", network)
    assert errors(Evaluation(CPU, 1)(network, rows), rows.labels) == 600


# 13. What plays no part, types that compare equal, files that are none


@pytest.mark.parametrize(
    ("kind", "idle"), [("compressed", "model"), ("compressed", "holdout"), ("prior", "unlabelled")]
)
def test_evidence_that_the_statement_does_not_rest_on_is_refused(case: Case, kind: str, idle: str) -> None:
    """Whoever gives a model or other rows expects a statement about them; the folder may not choose another one."""
    other = {
        "model": case.evidence("holdout").model,
        "holdout": case.opener("test.npz"),
        "unlabelled": case.opener("fresh.npz"),
    }
    refused(case / kind, case.evidence(kind, **{idle: other[idle]}), f"{idle} the statement does not depend on it")


@pytest.mark.parametrize(("entry", "value"), [("labels_start", False), ("labels_start", 0.0)])
def test_nested_entries_have_their_types(case: Case, copy: Copy, entry: str, value: object) -> None:
    folder = copy("compressed")
    entries(folder, reading={entry: value})
    refused(folder, data_of(case), "reading")


@pytest.mark.parametrize("more", [1, 10**30])
def test_no_more_disagreements_than_rows(case: Case, copy: Copy, more: int) -> None:
    folder = copy("original_unlabelled")
    said = read_canonical((folder / "certificate.json").read_bytes())["disagreements"]
    entries(folder, disagreements=said | {"count": said["rows"] + more})
    refused(folder, case.evidence("original_unlabelled"), f"found {said['rows']} rows")


@pytest.mark.parametrize("name", ["certificate.json", "code.bin"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(case: Case, copy: Copy, name: str) -> None:
    folder = copy("compressed")
    (folder / name).unlink()
    os.mkfifo(folder / name)
    refused(folder, data_of(case), "not a file" if name == "certificate.json" else "missing")


@pytest.mark.parametrize("delta", ["nan", "0", "1", "-0.1"])
def test_a_delta_that_is_none(case: Case, delta: str) -> None:
    assert failing("verify", case / "compressed", "--data", case / "train.npz", "--delta", delta)["code"] == "usage"
    words = ("certify", case / "model.onnx", "--data", case / "train.npz", "-o", case / "none", "--delta", delta)
    assert failing(*words)["code"] == "usage"


def test_a_tiny_delta_is_no_certainty() -> None:
    said = Statement("holdout", 1000, 0, 0, Decimal("1e-300"), 10, 100).sentence()
    assert "100 %" not in said
    assert f"99.{298 * '9'} %" in said
