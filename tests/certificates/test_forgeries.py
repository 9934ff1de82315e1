"""Twelve kinds of certificates with false statements, as a hostile issuer would write them: each is refused.

The issuer knows every row and all of this program. Here: kinds 1 to 6: what is read and decided.
"""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import onnxbound
from onnxbound.certificates.canonical import read_canonical
from onnxbound.certificates.decisions import decided, disagreements, errors
from onnxbound.certificates.evidence import Evidence
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from tests.certificates.conftest import Case, rewrite
from tests.certificates.forging import Copy, data_of, entries, linear, refused, with_code
from tests.cli.command import failing
from tests.cli.command import onnxbound as command
from tests.nets import write_model

# 1. The labels as inputs


def test_a_net_that_only_labels_fit_is_not_given_them(case: Case, copy: Copy) -> None:
    """A row of one number: rank and shape of a net do not choose the array."""
    folder = copy("compressed")
    with_code(folder, linear(1, [[0], [1], [2], [3]]))
    refused(folder, data_of(case), "expected rows (1,)")


@pytest.mark.parametrize("entry", [{"x_key": "y"}, {"input": "y"}, {"reading": {"labels_start": 0, "x_key": "y"}}])
def test_a_document_does_not_choose_arrays(case: Case, copy: Copy, entry: dict[str, Any]) -> None:
    folder = copy("compressed")
    entries(folder, **entry)
    refused(folder, data_of(case), next(iter(entry)))


@pytest.mark.parametrize("more", ["X", "images", "data"])
def test_a_file_of_several_inputs_is_refused_whatever_the_net(case: Case, tmp_path: Path, more: str) -> None:
    rows = np.load(case / "train.npz")
    np.savez(tmp_path / "rows.npz", x=rows["x"], y=rows["y"], **{more: rows["y"][:, None].astype(np.float32)})
    refused(case / "compressed", data_of(case, data=case.opener(tmp_path / "rows.npz")), "It is not clear which array")
    words = ("verify", case / "compressed", "--data", tmp_path / "rows.npz")
    assert failing(*words, "--x-key", "y", "--y-key", "y")["code"] == "usage"


# 2. Rows that read each other


@pytest.mark.parametrize("aim", [1, 377, 500])
def test_a_net_that_minds_the_size_of_its_batch(tmp_path: Path, aim: int) -> None:
    """Logits that are turned over in batches of one size, by arithmetic on the shape: seen, or of no account."""
    constants = {
        "w": np.eye(4, 6, dtype=np.float32), "zero": np.array(0), "aim": np.array(aim), "two": np.float32(2),
        "one": np.float32(1),
    }  # fmt: skip
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["z"], transB=1),
        helper.make_node("Shape", ["x"], ["s"]),
        helper.make_node("Gather", ["s", "zero"], ["n"]),
        helper.make_node("Equal", ["n", "aim"], ["e"]),
        helper.make_node("Cast", ["e"], ["f"], to=1),
        helper.make_node("Mul", ["f", "two"], ["g"]),
        helper.make_node("Sub", ["one", "g"], ["h"]),
        helper.make_node("Mul", ["z", "h"], ["logits"]),
    ]
    model = write_model(tmp_path / "net.onnx", nodes, constants, ["N", 6])
    x = np.random.default_rng(1).normal(size=(1500, 6)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=x[:, :4].argmax(axis=1))
    words = ("certify", model, "--holdout", tmp_path / "rows.npz", "-o", tmp_path / "c")
    if aim == 377:  # no batch has that size, and for one row at a time the net is right
        assert command(*words).code == 0
    else:
        assert failing(*words)["code"] == "model-batch"


# 3. What stands behind the logits


@pytest.mark.parametrize("scale", [1e4, 1e6, 1e8])
def test_a_head_that_makes_all_classes_alike(tmp_path: Path, scale: float) -> None:
    """A Sigmoid that saturates: the delivered net is constant, whatever stands before it."""
    constants = {"w": scale * np.abs(np.random.default_rng(1).normal(size=(4, 6))).astype(np.float32)}
    nodes = [helper.make_node("Gemm", ["x", "w"], ["z"], transB=1), helper.make_node("Sigmoid", ["z"], ["p"])]
    model = write_model(tmp_path / "net.onnx", nodes, constants, ["N", 6], output="p")
    x = 1 + np.random.default_rng(1).random(size=(500, 6)).astype(np.float32)
    np.savez(tmp_path / "rows.npz", x=x, y=(x @ constants["w"].T).argmax(axis=1))
    outcome = command("certify", model, "--holdout", tmp_path / "rows.npz", "-o", tmp_path / "c")
    assert outcome.code == 0
    assert read_canonical((tmp_path / "c" / "certificate.json").read_bytes())["errors"] == 500
    rewrite(tmp_path / "c", errors=0)
    evidence = Evidence(
        model=onnxbound.load(model), holdout=lambda reader, how: open_rows(tmp_path / "rows.npz", reader, how)
    )
    refused(tmp_path / "c", evidence, "errors the certificate says 0, found 500")


def test_a_delivered_file_with_a_head(case: Case, copy: Copy) -> None:
    folder = copy("compressed")
    model = onnx.load(folder / "decoded.onnx")
    model.graph.node[-1].output[0] = "before"
    model.graph.node.append(helper.make_node("Sigmoid", ["before"], ["logits"]))
    onnx.save(model, folder / "decoded.onnx")
    document = read_canonical((folder / "certificate.json").read_bytes())
    digest = hashlib.sha256((folder / "decoded.onnx").read_bytes()).hexdigest()
    entries(folder, code=document["code"] | {"decoded_sha256": digest})
    refused(folder, data_of(case), "decoded.onnx")


# 4. Ties and NaN


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e30])
def test_nets_that_decide_nothing_agree_on_nothing(value: float) -> None:
    """Two constant nets, nets of NaN, and a lead within the slack."""
    logits = np.full((50, 4), value)
    logits[:, 2] += 1.0
    logits = np.where(logits == 1.0, 0.0, logits)
    assert disagreements(decided(logits), decided(logits)) == 50
    assert errors(decided(logits), np.full(50, 2)) == 50


# 5. Fitted preprocessing


@pytest.mark.parametrize(
    "said",
    ["of the original network: scale 1.0, mean 0.26, std 2.0, layout of the network", "none", "scale 1.0"],
)
def test_preprocessing_of_an_original_net_is_the_verifiers(case: Case, copy: Copy, said: str) -> None:
    folder = copy("holdout")
    entries(folder, preprocessing=said)
    refused(folder, case.evidence("holdout"), "preprocessing")
    other = case.evidence("holdout", preprocessing=Preprocessing(1.0, tuple(np.linspace(0, 1, 10)), (2.0,)))
    refused(case / "holdout", other, "preprocessing")


# 6. Rows that were chosen


@pytest.mark.parametrize("kind", ["compressed", "holdout", "original_unlabelled"])
def test_some_of_the_rows_are_no_evidence(case: Case, copy: Copy, kind: str) -> None:
    folder = copy(kind)
    document = read_canonical((folder / "certificate.json").read_bytes())
    rewrite(folder, rows=document["rows"] - 1000, errors=0)
    refused(folder, case.evidence(kind), "it states another value")
    inputs = [dict(entry, rows=entry["rows"] - 1000) for entry in document["inputs"]]
    rewrite(folder, rows=document["rows"] - 1000, errors=0, inputs=inputs)
    refused(folder, case.evidence(kind), "it states another value")
    entries(folder, seed=17)
    refused(folder, case.evidence(kind), "it states another value")
