"""`onnxbound analyze` as a user and as a pipeline run it."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import onnxbound, write_rows
from tests.nets import random_mlp
from tests.oracle.models import FIXTURES


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [6, 5, 4])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.npz")


def test_table(net: Path, data: Path) -> None:
    found = onnxbound("analyze", net, "--data", data)
    assert found.code == 0
    assert "theorem-2.2" in found.stdout
    assert "\x1b" not in found.stdout
    commands = "    onnxbound "  # in one line, to be copied
    assert max(len(line) for line in found.stdout.splitlines() if not line.startswith(commands)) <= 100


def test_more_tables_on_demand(net: Path, data: Path) -> None:
    assert "\nNorms of the weights\n" in onnxbound("analyze", net, "--data", data, "-v").stdout


def test_json_follows_its_schema_and_warnings_go_to_stderr(net: Path, data: Path) -> None:
    found = onnxbound("analyze", net, "--data", data, "--json")
    assert found.code == 0
    document = found.json()
    assert document["schema"] == "onnxbound.report/1"
    assert document["warnings"]
    assert all(warning in found.stderr for warning in document["warnings"])
    assert onnxbound("analyze", net, "--data", data, "--json", "-q").stderr == ""


def test_the_same_command_gives_the_same_report(net: Path, data: Path) -> None:
    first, second = (onnxbound("analyze", net, "--data", data, "--json").json() for _ in range(2))
    for document in (first, second):
        document["tool"].pop("seconds")
        document["tool"].pop("peak_rss_bytes")
    assert first == second


def test_csv(net: Path, data: Path) -> None:
    found = onnxbound("analyze", net, "--data", data, "--format", "csv")
    lines = dict(list(csv.reader(io.StringIO(found.stdout)))[1:])
    assert lines["model.depth"] == "2"
    assert float(lines["bounds.arora.value"]) > 0


def test_files(net: Path, data: Path, tmp_path: Path) -> None:
    report, samples = tmp_path / "report.json", tmp_path / "samples.npz"
    found = onnxbound("analyze", net, "--data", data, "--json", "-o", report, "--samples", samples)
    assert (found.code, found.stdout) == (0, "")
    document = json.loads(report.read_text())
    with np.load(samples, allow_pickle=False) as arrays:
        assert len(arrays["index"]) == document["data"]["measured_rows"] == 30
    assert onnxbound("analyze", net, "--data", data, "--json", "-o", report).code == 6
    assert onnxbound("analyze", net, "--data", data, "--json", "-o", report, "--force").code == 0


def test_dash_is_stdout(net: Path, data: Path) -> None:
    assert onnxbound("analyze", net, "--data", data, "--json", "-o", "-").json()["schema"] == "onnxbound.report/1"


def test_gates(net: Path, data: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    found = onnxbound(
        "analyze", net, "--data", data, "--json", "-o", report,
        "--fail-if", "model.depth > 1", "--fail-if", "model.depth > 9", "--fail-if", "settings.gamma > 0",
    )  # fmt: skip
    assert found.code == 1
    assert report.exists(), "the report is written all the same"
    assert "--fail-if model.depth > 1: it is 2" in found.stderr
    assert "model.depth > 9" not in found.stderr
    assert "settings.gamma is null" in found.stderr
    assert onnxbound("analyze", net, "--data", data, "--fail-if", "model.depth > 9").code == 0
    for name in ("data.test_error", "data.gap", "holdout"):
        untested = onnxbound("analyze", net, "--data", data, "--fail-if", f"{name} > 0.03")
        assert (untested.code, f"{name} needs a test set\n    -> give --test" in untested.stderr) == (2, True)


def test_settings_are_in_the_report(net: Path, data: Path) -> None:
    options = {
        "form": "linear", "measured": "7", "probes": "2", "pairs": "output", "noise": "gaussian:0.5", "gamma": "0.25",
        "delta": "0.01", "zeta": "0.1", "seed": "5", "device": "cpu", "threads": "1",
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    document = onnxbound("analyze", net, "--data", data, "--json", *words).json()
    settings = document["settings"]
    expected = {
        "form": "linear", "measured": 7, "probes": 2, "pairs": "output", "noise_radius": 0.5, "gamma": 0.25,
        "delta": 0.01, "zeta": 0.1, "seed": 5, "device": "cpu", "threads": 1,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected
    assert document["data"]["measured_rows"] == 7
    assert document["margin"]["gamma"] == 0.25


def test_limit_draws_rows(net: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "many.npz", count=500)
    one, two = (
        onnxbound("analyze", net, "--data", data, "--limit", "50", "--json", "--seed", seed).json() for seed in "01"
    )
    assert one["data"]["rows"] == two["data"]["rows"] == 50
    assert one["data"]["sha256"] != two["data"]["sha256"]


def test_test_set_gives_the_true_gap(net: Path, data: Path, tmp_path: Path) -> None:
    test = write_rows(
        tmp_path / "test.npz", x=None, y=None, x_test=np.ones((9, 6), np.float32), y_test=np.zeros(9, int)
    )
    document = onnxbound("analyze", net, "--data", data, "--test", test, "--json").json()
    assert document["data"]["test_error"] in (0.0, 1.0)
    assert document["data"]["rows"] == 30


def test_dry_run_measures_nothing_but_one_batch(net: Path, data: Path, tmp_path: Path) -> None:
    found = onnxbound("analyze", net, "--data", data, "--dry-run", "--samples", tmp_path / "samples.npz")
    assert found.code == 0
    assert "estimated time" in found.stdout
    assert not (tmp_path / "samples.npz").exists()
    document = onnxbound("analyze", net, "--data", data, "--dry-run", "--probes", "exact", "--json").json()
    assert document["schema"] == "onnxbound.plan/1"
    assert document["rows"] == document["measured_rows"] == 30
    assert document["jacobian_products"] == 4


def test_wrong_preprocessing_warns(data: Path, net: Path) -> None:
    # The labels have nothing to do with the rows: the net is near chance.
    assert "probably not those of training" in onnxbound("analyze", net, "--data", data).stdout


def test_the_readmes_example() -> None:
    """The conv net of the fixtures, on the rows it was trained on."""
    found = onnxbound(
        "analyze", FIXTURES / "cifar10_cnn.onnx", "--data", FIXTURES / "data" / "cifar10.npz", "--layout", "nhwc",
        "--scale", "1/255", "--mean", "0.4914,0.4822,0.4465", "--std", "0.2471,0.2435,0.2616",
        "--measured", "20", "--probes", "1", "--json",
    )  # fmt: skip
    document = found.json()
    assert document["data"]["train_error"] == 0
    (theorem,) = [bound for bound in document["bounds"] if bound["name"] == "theorem-2.2"]
    assert theorem["met"]
    assert theorem["vacuous"]
    assert theorem["value"] > 0.5


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime"])
def test_engines_agree(net: Path, data: Path, engine: str) -> None:
    found = onnxbound("analyze", net, "--data", data, "--json", "--engine", engine).json()
    auto = onnxbound("analyze", net, "--data", data, "--json").json()
    assert found["tool"]["engine"] == engine
    assert auto["tool"]["engine_note"].startswith("auto chose")
    for one, two in zip(found["layers"], auto["layers"], strict=True):
        assert one["beta"]["max"] == pytest.approx(two["beta"]["max"], rel=1e-5)
        assert one["effective_parameters"] == pytest.approx(two["effective_parameters"], rel=1e-4)


def test_exact_jacobians_are_numpys(net: Path, data: Path) -> None:
    found = onnxbound("analyze", net, "--data", data, "--engine", "onnxruntime", "--probes", "exact")
    assert found.code == 2
    assert "--engine numpy" in found.stderr


def test_a_kept_run_is_resumed(net: Path, data: Path, tmp_path: Path) -> None:
    command = ["analyze", net, "--data", data, "--json", "--run", tmp_path / "run"]
    first = onnxbound(*command).json()
    again = onnxbound(*command)
    assert again.code == 6
    assert again.json()["code"] == "run-exists"
    resumed = onnxbound(*command, "--resume").json()
    for document in (first, resumed):
        document.pop("tool")
    assert resumed == first


def test_less_memory_gives_the_same_numbers(net: Path, data: Path) -> None:
    one, two = (onnxbound("analyze", net, "--data", data, "--json", "--memory", m).json() for m in ("301MiB", "4GiB"))
    for layer, other in zip(one["layers"], two["layers"], strict=True):
        assert layer["layer_cushion"]["min"] == pytest.approx(other["layer_cushion"]["min"], rel=1e-6)
