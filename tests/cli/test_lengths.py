"""Lengths that a model leaves open come from the rows or from --input-shape, in every verb."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.command import failing, onnxbound
from tests.graph.test_lengths import open_net


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return open_net(tmp_path / "net.onnx")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((40, 6, 10, 3)).astype(np.float32), rng.integers(0, 2, 40)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    return tmp_path / "rows.npz"


def test_rows_say_the_lengths(net: Path, rows: Path) -> None:
    report = onnxbound("analyze", net, "--data", rows, "--layout", "nhwc", "--json").json()
    assert report["layers"][0]["output_shape"] == [4, 6, 10]
    assert "for this run: rows of x (3, 6, 10)" in report["coverage"]["normalised"][0]


def test_an_option_says_them_and_a_layout_that_is_missing_is_still_found(net: Path, rows: Path) -> None:
    inspected = onnxbound("inspect", net, "--input-shape", "3,6,10", "--json").json()
    assert inspected["model"]["input_shape"] == [3, 6, 10]
    assert "channels last: --layout nhwc" in failing("analyze", net, "--data", rows)["problems"][0]["do"]
    assert "--input-shape takes lengths" in failing("inspect", net, "--input-shape", "3,-6")["message"]
    assert "--input-shape" in failing("inspect", net)["problems"][0]["do"]


def test_a_certificate_says_them_and_a_verifier_finds_them_in_its_own_rows(
    net: Path, rows: Path, tmp_path: Path
) -> None:
    made = ("certify", net, "--holdout", rows, "--layout", "nhwc", "-o", tmp_path / "made")
    assert onnxbound(*made).code == 0
    document = json.loads((tmp_path / "made" / "certificate.json").read_text())
    assert document["reading"]["input_shape"] == {"x": [3, 6, 10]}
    check = ("verify", tmp_path / "made", "--holdout", rows, "--model", net, "--layout", "nhwc")
    assert onnxbound(*check).code == 0
    other = failing(*check, "--input-shape", "3,4,15")
    assert (other["exit_code"], other["code"]) == (4, "data-shape")
