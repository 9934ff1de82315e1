"""`onnxbound compress` as a user and as a pipeline run it: what it says, and what it refuses."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import onnx
import pytest
from onnx import helper

from onnxbound.cli.schemas import every_schema
from onnxbound.compressors.budget import Budget
from onnxbound.compressors.compress import compress
from onnxbound.compressors.method import Method
from onnxbound.compressors.request import Request
from onnxbound.data.open import open_rows
from onnxbound.errors import UsageError
from onnxbound.graph.load import load
from tests.cli.command import failing, onnxbound, write_rows
from tests.nets import mlp, random_mlp, write_model
from tests.oracle.models import fixtures


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [6, 40, 4])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.npz")


def compressed(net: Path, *words: str | Path) -> dict[str, Any]:
    found = onnxbound("compress", net, "-o", net.with_name("out.onnx"), *words, "--json", "--force")
    assert found.code == 0, found.stderr
    document = found.json()
    assert document["schema"] == "onnxbound.compression/1"
    return document


def test_table_and_file(net: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--method", "svd", "--rank", "2", "--data", data, "--bounds")
    assert found.code == 0
    for word in (
        "svd",
        "rank 2",
        "Accuracy",
        "build-and-look",
        "onnx.checker",
    ):
        assert word in found.stdout
    assert "gamma / sqrt 2" not in found.stdout
    commands = "    onnxbound "  # in one line, to be copied
    assert max(len(line) for line in found.stdout.splitlines() if not line.startswith(commands)) <= 100
    assert out.exists()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["net.onnx", "out.onnx", "rows.npz"]


@pytest.mark.parametrize(
    "words",
    [
        ("--method", "matrix-project", "--k", "60"),
        ("--method", "matrix-project", "--keep", "50%", "--sweep"),
        ("--method", "svd", "--energy", "0.9", "--factorise", "--width", "8"),
        ("--method", "quantise", "--bits", "6"),
        ("--method", "quantise", "--max-drop", "1%"),
        ("--method", "svd", "--cut", "0.99", "--sweep"),
    ],
)
def test_json_follows_its_schema(net: Path, data: Path, words: tuple[str, ...]) -> None:
    document = compressed(net, *words, "--data", data)
    assert document["schema"] == "onnxbound.compression/1"
    assert document["accuracy"]["before"] >= 0
    for layer in document["layers"]:
        assert layer["relative_error"] is not None or layer["method"] == "kept"
    if "--sweep" in words:
        accuracies = [point["accuracy"] for point in document["sweep"]["points"]]
        assert len(accuracies) > 5
    if "--max-drop" in words:
        assert document["accuracy"]["before"] - document["accuracy"]["after"] <= 0.01


def test_the_report_says_what_a_second_look_finds(net: Path, data: Path) -> None:
    """Errors, compressibility and margins again, from onnxruntime and NumPy alone."""
    import onnxruntime

    document = compressed(net, "--method", "quantise", "--bits", "3", "--data", data)
    with np.load(data) as arrays:
        x, y = arrays["x"], arrays["y"]
    f, g = (
        onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0].astype(np.float64)
        for path in (net, net.with_name("out.onnx"))
    )
    others = np.where(np.eye(4, dtype=bool)[y], -np.inf, f).max(axis=1)
    margin = f[np.arange(len(y)), y] - others
    gamma = document["margin_loss"]["gamma"]
    distance = np.linalg.norm(f - g, axis=1)
    assert document["accuracy"]["before"] == pytest.approx(np.mean(margin > 0))
    assert document["margin_loss"]["before"] == pytest.approx(np.mean(margin <= gamma))
    assert document["accuracy"]["after"] == pytest.approx(np.mean(g.argmax(axis=1) == y))
    relative = distance / np.linalg.norm(f, axis=1)
    assert document["output"]["relative_error"]["median"] == pytest.approx(np.median(relative), rel=1e-5)
    assert document["output"]["relative_error"]["max"] == pytest.approx(relative.max(), rel=1e-5)
    forms = document["compressibility"]
    assert forms["in_norm"]["violations"] == np.sum(distance > gamma / np.sqrt(2))
    assert forms["per_logit"]["violations"] == np.sum(np.abs(f - g).max(axis=1) > gamma / 2)
    assert forms["own_errors"]["violations"] == np.sum(g.argmax(axis=1) != y)


def test_without_data_outputs_are_compared_on_noise(net: Path) -> None:
    document = compressed(net, "--method", "quantise", "--bits", "8")
    assert document["accuracy"] is document["margin_loss"] is document["compressibility"] is None
    assert document["output"]["source"] == "noise"
    assert 0 < document["output"]["relative_error"]["median"] < 0.1
    assert any("--data" in warning for warning in document["warnings"])


def test_from_python(net: Path, data: Path, tmp_path: Path) -> None:
    network = load(net)
    rows = open_rows(data, network)
    found = compress(network, tmp_path / "small.onnx", Request(Method("quantise"), Budget("bits", 6)), rows)
    jsonschema.validate(found.to_json(), every_schema()["onnxbound.compression/1"])
    assert found.accuracy is not None
    assert found.file.bytes_after == (tmp_path / "small.onnx").stat().st_size
    with pytest.raises(UsageError, match="one budget"):
        Request(Method("quantise"))


def test_only_the_layer_that_was_named(net: Path) -> None:
    document = compressed(net, "--method", "quantise", "--bits", "4", "--layer", "layer2")
    assert [layer["method"] for layer in document["layers"]] == ["kept", "quantise"]
    old, new = (onnx.load(path).graph.initializer for path in (net, net.with_name("out.onnx")))
    assert [a.raw_data == b.raw_data for a, b in zip(old, new, strict=True)] == [True, True, False, True]


def test_distance_to_initialisation(tmp_path: Path) -> None:
    """A net that is its initialisation plus a matrix of rank one, compressed to exactly that."""
    random = np.random.default_rng(3)
    start = random.normal(size=(20, 30))
    moved = start + np.outer(random.normal(size=20), random.normal(size=30))
    last = random.normal(size=(4, 20))
    init = mlp(tmp_path / "init.onnx", [(start, None), (last, None)])
    net = mlp(tmp_path / "net.onnx", [(moved, None), (last, None)])
    words = ("--method", "svd", "--rank", "1", "--layer", "layer1")
    assert compressed(net, *words, "--init", init)["output"]["relative_error"]["max"] < 1e-5
    assert compressed(net, *words)["output"]["relative_error"]["max"] > 0.3


@pytest.mark.parametrize("words", [("vector-compress", "--epsilon", "0.3"), ("vector-project", "--keep", "50%")])
def test_linear_classifiers(words: tuple[str, ...], tmp_path: Path) -> None:
    (model,) = [model for model in fixtures() if model.name == "mnist_logistic"]
    out = tmp_path / "out.onnx"
    found = onnxbound(
        "compress",
        model.path,
        "-o",
        out,
        "--method",
        *words,
        "--data",
        model.data,
        *model.flags,
        "--json",
        "--limit",
        "300",
    )
    document = found.json()
    assert document["schema"] == "onnxbound.compression/1"
    (layer,) = document["layers"]
    assert layer["method"] == words[0]
    assert layer["parameters_after"] < layer["parameters_before"]
    assert layer["bits_after"] < layer["bits_before"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--method", "matrix-project", "--k", "1000"), "compress-no-saving", "nothing would be saved"),
        (("--method", "matrix-project", "--epsilon", "0.001"), "compress-no-saving", "nothing would be saved"),
        (("--method", "svd", "--rank", "6"), "compress-no-saving", "nothing would be saved"),
        (("--method", "svd", "--rank", "0"), "usage", "--rank must be a number of at least 1"),
        (("--method", "matrix-project", "--k", "0"), "usage", "--k must be"),
        (("--method", "matrix-project", "--epsilon", "0"), "usage", "--epsilon must be a number above 0"),
        (("--method", "matrix-project", "--epsilon", "1.5"), "usage", "--epsilon must be a number above 0"),
        (("--method", "matrix-project", "--epsilon", "nan"), "usage", "--epsilon must be a number above 0"),
        (("--method", "svd", "--k", "3"), "usage", "--method svd takes"),
        (("--method", "svd"), "usage", "one budget"),
        (("--method", "svd", "--rank", "1", "--energy", "50%"), "usage", "one budget"),
        (("--method", "svd", "--rank", "1", "--layer", "nothing"), "compress-layer", "'nothing'"),
        (("--method", "matrix-project-conv", "--keep", "0.1"), "compress-method", "convolutions"),
        (("--method", "vector-compress", "--epsilon", "0.1"), "compress-method", "linear classifiers"),
        (("--method", "magic", "--keep", "0.1"), "usage", "--method must be"),
        (("--method", "svd", "--keep", "many"), "usage", "--keep takes a share"),
        (("--method", "svd", "--keep", "110%"), "usage", "--keep must be a share above 0"),
        (("--method", "svd", "--gamma", "1"), "usage", "needs --data"),
        (("--method", "svd", "--rank", "1", "--sweep"), "usage", "needs --data"),
        (("--method", "quantise", "--bits", "1"), "usage", "--bits must be a number from 2"),
        (("--method", "quantise", "--bits", "4", "--factorise"), "usage", "--factorise goes with"),
        (("--method", "quantise", "--keep", "100%"), "compress-no-saving", "nothing would be saved"),
        (("--method", "fp16", "--bits", "4"), "usage", "--method fp16 takes no budget"),
        (("--method", "int8-weights", "--max-drop", "1%"), "usage", "--method int8-weights takes no budget"),
        (("--keep", "10%"), "usage", "--method smallest takes --max-drop alone"),
        ((), "usage", "needs --data"),
    ],
)
def test_refused(net: Path, tmp_path: Path, words: tuple[str, ...], code: str, said: str) -> None:
    error = failing("compress", net, "-o", tmp_path / "out.onnx", *words)
    assert error["code"] == code
    assert said in json.dumps(error)
    assert not (tmp_path / "out.onnx").exists()


def test_an_initialisation_of_another_architecture(net: Path, tmp_path: Path) -> None:
    other = random_mlp(tmp_path / "other.onnx", [6, 41, 4])
    words = ("--method", "svd", "--rank", "1", "--init", other)
    assert failing("compress", net, "-o", tmp_path / "out.onnx", *words)["code"] == "compress-init"


def test_a_margin_that_no_row_has(net: Path, data: Path, tmp_path: Path) -> None:
    words = ("--method", "matrix-project", "--gamma", "1e9", "--data", data)
    assert failing("compress", net, "-o", tmp_path / "out.onnx", *words)["code"] == "compress-margin"


def test_an_accuracy_that_cannot_be_kept(tmp_path: Path) -> None:
    """Labels are the net's own predictions, so that any change costs."""
    (model,) = [model for model in fixtures() if model.name == "mnist_logistic"]
    words = ("--data", model.data, *model.flags, "--limit=200", "--measured=5", "--threads=1", "--max-drop=0")
    error = failing("compress", model.path, "-o", tmp_path / "out.onnx", "--method", "matrix-project", *words)
    assert error["code"] == "compress-target"


def test_nothing_to_compress(tmp_path: Path) -> None:
    """Its only weight is computed from the shape of the rows."""
    nodes = [
        helper.make_node("Cast", ["w"], ["c"], to=1),
        helper.make_node("Add", ["c", "x"], ["s"]),
        helper.make_node("Relu", ["s"], ["logits"]),
    ]
    path = write_model(tmp_path / "net.onnx", nodes, {"w": np.zeros(4, np.float32)}, ["N", 4])
    error = failing("compress", path, "-o", tmp_path / "out.onnx", "--method", "quantise", "--bits", "4")
    assert error["code"] in ("compress-nothing", "model-no-layers")


def test_never_over_a_file_unasked(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.onnx"
    out.write_bytes(b"precious")
    words = ("--method", "quantise", "--bits", "4")
    assert failing("compress", net, "-o", out, *words)["code"] == "output-exists"
    assert out.read_bytes() == b"precious"
    assert onnxbound("compress", net, "-o", out, *words, "--force").code == 0
    assert failing("compress", net, "-o", tmp_path / "no" / "out.onnx", *words)["code"] == "output-unwritable"
    assert failing("compress", net, "-o", "-", *words)["code"] == "usage"
    before = net.read_bytes()
    assert "cannot replace" in failing("compress", net, "-o", net, *words, "--force")["message"]
    assert net.read_bytes() == before


@pytest.mark.parametrize("method", ["matrix-project", "svd"])
def test_a_margin_chooses_the_budget(method: str, tmp_path: Path) -> None:
    """On this net the theory leaves nothing to compress, and the command says so layer by layer."""
    (model,) = [model for model in fixtures() if model.name == "mnist_mlp"]
    words = (
        "--data",
        model.data,
        *model.flags,
        "--limit",
        "100",
        "--measured",
        "20",
        "--method",
        method,
        "--gamma",
        "1",
    )
    error = failing("compress", model.path, "-o", tmp_path / "out.onnx", *words)
    assert error["code"] == "compress-no-saving"
    assert len(error["problems"]) == 3


def test_the_cifar_fixture_factorised(tmp_path: Path) -> None:
    """At the energy that keeps accuracy within half a point: smaller, and either faster or the report says why not."""
    (model,) = [model for model in fixtures() if model.name == "cifar10_cnn"]
    out = tmp_path / "out.onnx"
    words = ("--method", "svd", "--max-drop", "0.5%", "--factorise", "--measured", "5", "--threads", "1")
    found = onnxbound("compress", model.path, "-o", out, *words, "--data", model.data, *model.flags, "--json")
    document = found.json()
    assert document["schema"] == "onnxbound.compression/1"
    assert document["accuracy"]["before"] - document["accuracy"]["after"] <= 0.005
    assert document["file"]["bytes_after"] == out.stat().st_size < document["file"]["bytes_before"]
    assert document["work"]["multiply_adds"]["after"] < document["work"]["multiply_adds"]["before"]
    (said,) = [warning for warning in document["warnings"] if warning.startswith("factorised")]
    work = document["work"]
    assert work["ratio_low"] <= work["ratio"] <= work["ratio_high"]
    assert ("not faster, since" in said) is (work["ratio_low"] >= 1)
    assert ("no difference in time is measurable" in said) is (work["ratio_low"] < 1 <= work["ratio_high"])
