"""What is said of certificates where [A]'s theorems do not apply, and where they do."""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import betaincinv

from fixtures.zoo.digits import HERE, digits
from onnxbound import Preprocessing, Settings, analyze, certify, load, open_rows
from onnxbound.analysis.result import Report
from onnxbound.certificates.outlook import outlook
from onnxbound.errors import ModelError
from onnxbound.report.verdict import verdict
from onnxbound.run.device import CPU
from onnxbound.run.logits import Logits
from tests.nets import random_mlp


def analysed(folder: Path, name: str, *, test: int | None) -> Report:
    x, y = digits()
    network = load(HERE / "models" / f"{name}.onnx")
    path, held_out = folder / "train.npz", folder / "test.npz"
    x = x.reshape(-1, *network.input_shape)
    np.savez(path, x=x[:200], y=y[:200])
    settings = Settings(measured=20, probes=1)
    if test is None:
        return analyze(network, open_rows(path, network, Preprocessing()), settings)
    np.savez(held_out, x=x[-test:], y=y[-test:])
    rows = (open_rows(file, network, Preprocessing()) for file in (path, held_out))
    return analyze(network, next(rows), settings, test_rows=next(rows))


def test_a_smooth_net_gets_every_bound_that_applies_and_the_rest_are_refused_by_name(tmp_path: Path) -> None:
    report = analysed(tmp_path, "torch_gelu_ts13", test=150)
    bounds = {bound.name: bound for bound in report.bounds}
    assert report.model.piecewise_linear is False
    given = {name for name, bound in bounds.items() if bound.value is not None}
    assert given == {"parameters", "theorem-2.2", "holdout"}
    assert {name for name, bound in bounds.items() if "Gelu" in bound.met_reason} == {
        "l1-inf", "frobenius", "spec-l12", "spec-fro", "arora", "theorem-4.1",
    }  # fmt: skip
    assert bounds["compressed"].met is None
    assert "certify searches for it" in bounds["compressed"].met_reason
    assert any("holdout" in warning and "certify with `rows`" in warning for warning in report.warnings)


def test_the_hold_out_bound_is_the_interval_of_clopper_and_pearson(tmp_path: Path) -> None:
    report = analysed(tmp_path, "torch_gelu_ts13", test=150)
    (bound,) = (bound for bound in report.bounds if bound.name == "holdout")
    assert report.data.test_error is not None
    errors = round(150 * report.data.test_error)
    exact = float(betaincinv(errors + 1, 150 - errors, 0.95))
    assert bound.kind == "certified"
    assert bound.met is True
    assert exact <= (bound.value or 0) <= exact * (1 + 1e-5)
    assert f"{errors} errors on 150 test rows" in bound.met_reason
    said = next(sentence for sentence in verdict(report) if "(holdout)" in sentence)
    assert "over the draw of the test rows" in said
    assert 100 * exact <= float(said.split("at most ")[1].split(" %")[0]) <= 100 * exact + 0.1


@pytest.mark.parametrize(
    ("name", "largest", "obstacle"),
    [("torch_gather_ts17", 1 << 22, ""), ("torch_mlp_ts17", 1 << 22, ""), ("torch_mlp_ts17", 10, "at most 10")],
)
def test_what_no_code_can_hold_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, largest: int, obstacle: str
) -> None:
    monkeypatch.setattr("onnxbound.codec.describe.LARGEST_COUNT", largest)
    bounds = {bound.name: bound for bound in analysed(tmp_path, name, test=None).bounds}
    assert bounds["compressed"].met == (False if obstacle else None)
    assert obstacle in bounds["compressed"].met_reason
    assert "no test set was given" in bounds["holdout"].met_reason
    assert all(bounds[known].vacuous and bounds[known].value is None for known in ("holdout", "compressed"))


def test_no_search_is_promised_that_certify_would_refuse(tmp_path: Path) -> None:
    """With few rows the row of the table says so, as `certify` does; with more rows it is open."""
    network = load(random_mlp(tmp_path / "net.onnx", [50, 100, 10]))
    few, many = (outlook(network, rows, 0, 0.05, 0.9, None)[1] for rows in (100, 10_000))
    assert (few.met, many.met) == (False, None)
    assert "0 errors allow" in few.met_reason
    rows = np.random.default_rng(0).normal(size=(100, 50)).astype(np.float32)
    labels = Logits(network, CPU, 1).run(rows).argmax(axis=1)
    with pytest.raises(ModelError, match="would almost surely be vacuous") as caught:
        certify(network, open_rows((rows, labels), network), tmp_path / "certificate", progress=False)
    assert few.met_reason.partition(",")[0] in caught.value.problems[0].why
