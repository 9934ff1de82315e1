"""Twelve kinds of certificates with false statements, as a hostile issuer would write them: each is refused.

The issuer knows every row and all of this program; what he writes is consistent, down to checksums and bounds.
"""

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

import onnxbound
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certificate import CodeFile, preprocessing_said
from onnxbound.certificates.decisions import Evaluation, decided, disagreements, errors
from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.evidence import Evidence
from onnxbound.certificates.verify import verify
from onnxbound.codec.architecture import Architecture, Node
from onnxbound.codec.describe import describe
from onnxbound.codec.network_code import NetworkCode, architecture_bits, encode
from onnxbound.codec.parts import Exact, Levels
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import DataError, ModelError, OnnxboundError, VerificationError
from onnxbound.operators.dense import Dense
from onnxbound.operators.pad import Pad
from onnxbound.operators.reshape import Reshape
from onnxbound.run.device import CPU
from tests.certificates.conftest import PRIOR_ROWS, Case, rewrite
from tests.cli.command import failing
from tests.cli.command import onnxbound as command
from tests.nets import mlp, write_model

Copy = Callable[[str], Path]


@pytest.fixture
def copy(case: Case, tmp_path: Path) -> Copy:
    return lambda kind: Path(shutil.copytree(case / kind, tmp_path / kind, dirs_exist_ok=True))


def linear(inputs: int, weight: Any) -> NetworkCode:
    """A code of one dense layer."""
    levels = np.asarray(weight, np.int64).reshape(-1, inputs)
    architecture = Architecture((inputs,), (Node(Dense(levels.astype(np.float32), None, None), (0,)),))
    return NetworkCode(architecture, (Levels(1.0, levels),))


def data_of(case: Case, **changes: Any) -> Evidence:
    return replace(Evidence(data=case.opener("train.npz")), **changes)


def refused(folder: Path, evidence: Evidence, why: str, **options: Any) -> None:
    """Refused, with the reason."""
    with pytest.raises((VerificationError, DataError, ModelError)) as error:
        verify(folder, evidence, CPU, 1, **options)
    said = " ".join([error.value.message, *(f"{p.where} {p.why}" for p in error.value.problems)])
    assert why in said, said


def entries(folder: Path, **changes: Any) -> None:
    """Other entries in a document, its checksum made right."""
    path = folder / "certificate.json"
    path.write_bytes(canonical_json(read_canonical(path.read_bytes()) | changes))


def with_code(folder: Path, code: NetworkCode) -> None:
    """Another code in a folder, its hashes, bits and bound made right."""
    content, net = encode(code), decoded(code)
    (folder / "code.bin").write_bytes(content)
    (folder / "decoded.onnx").write_bytes(net.to_bytes())
    said = CodeFile.of(content, code, net.to_bytes())
    named = {name: getattr(said, name) for name in ("sha256", "decoder_version", "architecture", "decoded_sha256")}
    rewrite(folder, code=named, bits=8 * len(content), preprocessing=preprocessing_said(code, None))


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
    refused(case / "compressed", data_of(case, data=case.opener(tmp_path / "rows.npz")), "cannot be told apart")
    words = ("verify", case / "compressed", "--data", tmp_path / "rows.npz")
    assert failing(*words, "--x-key", "y", "--y-key", "y")["code"] == "usage"


# 2. Rows that read each other


@pytest.mark.parametrize("aim", [1, 377, 500])
def test_a_net_that_minds_the_size_of_its_batch(tmp_path: Path, aim: int) -> None:
    """Logits that are turned over in batches of one size, by arithmetic on the shape: seen, or never read at all."""
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
    error = failing("certify", model, "--holdout", tmp_path / "rows.npz", "-o", tmp_path / "c")
    assert error["code"] in ("model-batch", "model-unsupported-operator")


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
    refused(tmp_path / "c", evidence, "errors it says 0, found 500")


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
    refused(folder, case.evidence(kind), "is not what it says")
    inputs = [dict(entry, rows=entry["rows"] - 1000) for entry in document["inputs"]]
    rewrite(folder, rows=document["rows"] - 1000, errors=0, inputs=inputs)
    refused(folder, case.evidence(kind), "is not what it says")
    entries(folder, seed=17)
    refused(folder, case.evidence(kind), "is not what it says")


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
    nodes: list[Node] = []
    length = 10
    for _ in range(count):
        before, behind = (int(n) for n in random.integers(0, 32, 2))
        nodes.append(Node(Pad((before,), (behind,), 0.0), (len(nodes),)))
        length += before + behind
        nodes.append(Node(Reshape((1, length)), (len(nodes),)))
        nodes.append(Node(Reshape((length,)), (len(nodes),)))
    plain = (Node(Dense(np.zeros((4, 10), np.float32), None, None), (0,)),)
    last = Node(Dense(np.zeros((4, length), np.float32), None, None), (len(nodes),))
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
    refused(folder, case.evidence("prior"), "the very network that is certified")
    refused(case / "prior", case.evidence("prior", prior=onnxbound.load(case / "model.onnx")), "decoded.onnx")
    refused(case / "prior", case.evidence("prior", prior_rows=PRIOR_ROWS - 1), "is not what it says")


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
    architecture = Architecture((10,), (Node(Dense(weight, None, None), (0,)),))
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
