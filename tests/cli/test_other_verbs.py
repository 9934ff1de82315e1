"""inspect, explain, env, and the command itself."""

import csv
import io

import pytest

from onnxbound import __version__
from onnxbound.report.schema import report_schema
from onnxbound.report.topics import TOPICS
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


@pytest.mark.parametrize("topic", TOPICS)
def test_explain(topic: str) -> None:
    found = onnxbound("explain", topic)
    assert found.code == 0
    assert found.stdout.startswith(topic)
    assert max(map(len, found.stdout.splitlines())) <= 100
    assert onnxbound("explain", topic, "--json").json()["name"] == topic


def test_explain_lists_everything_and_prints_schemas() -> None:
    listed = onnxbound("explain").stdout
    assert all(topic in listed for topic in TOPICS)
    assert onnxbound("explain", "onnxbound.report/1").json() == report_schema()
    assert "errors" not in onnxbound("explain", "--json").json()["topics"]


def test_env() -> None:
    assert onnxbound("env").stdout.startswith("onnxbound")
    assert onnxbound("env", "--json").json()["schema"] == "onnxbound.env/1"


def test_version_and_help() -> None:
    assert onnxbound("--version").stdout == f"onnxbound {__version__}\n"
    shown = onnxbound("--help").stdout
    assert all(verb in shown for verb in ("inspect", "analyze", "explain", "env"))
    assert "--fail-if" in onnxbound("analyze", "-h").stdout
