"""inspect, explain, env, and the command itself."""

import csv
import io
from pathlib import Path

import pytest

from onnxbound.cli.schemas import every_schema
from onnxbound.report.topics import TOPICS
from onnxbound.version import __version__
from tests.cli.command import onnxbound
from tests.oracle.models import fixtures


@pytest.mark.parametrize("model", fixtures(), ids=lambda model: model.name)
def test_inspect(model) -> None:  # type: ignore[no-untyped-def]
    document = onnxbound("inspect", model.path, "--json").json()
    table = onnxbound("inspect", model.path)
    assert table.code == 0
    for layer in document["layers"]:
        assert layer["name"] in table.stdout
    lines = dict(list(csv.reader(io.StringIO(onnxbound("inspect", model.path, "--format", "csv").stdout)))[1:])
    assert lines["schema"] == document["schema"] == "onnxbound.inspect/1"


def test_inspect_shows_the_tree_and_what_was_folded_where() -> None:
    path = Path(__file__).parents[2] / "fixtures/zoo/models/keras_batch_norm_tf15.onnx"
    document = onnxbound("inspect", path, "--json").json()
    first, second, last = document["layers"]
    # 4 filters of 3 x 3 at 4 x 4 pixels, 4 of one channel each, and 10 x 4.
    assert [layer["multiply_adds"] for layer in (first, second, last)] == [576, 576, 40]
    assert document["model"]["multiply_adds"] == 1192
    assert first["folded"] == ["Mul", "Add"]
    assert [step["op"] for step in document["steps"] if step["layer"] is None] == [
        "Reshape", "Clip", "LeakyRelu", "GlobalAveragePool", "Squeeze",
    ]  # fmt: skip
    shown = onnxbound("inspect", path).stdout
    assert "Conv + Mul + Add" in shown
    assert "  LeakyRelu" in shown
    assert "a chain of 3 weighted layers" in shown
    smooth = onnxbound("inspect", path.with_name("torch_gelu_ts13.onnx")).stdout
    assert "not piecewise linear (Gelu)" in smooth


@pytest.mark.parametrize("topic", TOPICS)
def test_explain(topic: str) -> None:
    found = onnxbound("explain", topic)
    assert found.code == 0
    assert found.stdout.startswith(topic)
    assert max(map(len, found.stdout.splitlines())) <= 100
    assert onnxbound("explain", topic, "--json").json()["name"] == topic


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("w. noise", "weight_noise_sensitivity"),
        ("value / rows", "capacity"),
        ("weight_noise.error_without_noise", "weight_noise"),
        ("layers.3.error_under_weight_noise.mean", "error_under_weight_noise"),
        ("max(layers.beta.max)", "beta"),
        ("bounds.theorem-2.2.value", "theorem-2.2"),
    ],
)
def test_explain_takes_what_is_printed_and_what_is_gated(name: str, topic: str) -> None:
    assert onnxbound("explain", name, "--json").json()["name"] == topic


def test_explain_lists_everything_and_prints_schemas() -> None:
    listed = onnxbound("explain").stdout
    assert all(topic in listed for topic in TOPICS)
    assert onnxbound("explain", "onnxbound.report/1").json() == every_schema()["onnxbound.report/1"]
    assert "errors" not in onnxbound("explain", "--json").json()["topics"]


def test_env() -> None:
    assert onnxbound("env").stdout.startswith("onnxbound")
    assert onnxbound("env", "--json").json()["schema"] == "onnxbound.env/1"


def test_version_and_help() -> None:
    assert onnxbound("--version").stdout == f"onnxbound {__version__}\n"
    shown = onnxbound("--help").stdout
    assert all(verb in shown for verb in ("inspect", "analyze", "explain", "env"))
    assert "--fail-if" in onnxbound("analyze", "-h").stdout


def test_the_bare_command_is_a_question() -> None:
    bare = onnxbound()
    assert (bare.code, bare.stderr) == (0, "")
    assert bare.stdout == onnxbound("--help").stdout
