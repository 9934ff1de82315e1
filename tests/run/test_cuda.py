"""CUDA gives what the CPU gives; skipped, with the provider's own reason, where there is no GPU."""

import json
from pathlib import Path

import numpy as np
import pytest

from onnxbound.certificates.verify import verify
from onnxbound.graph.load import load
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.programme import Form
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.certificates.conftest import Case
from tests.certificates.conftest import case as case
from tests.cli.command import onnxbound
from tests.linear.test_engine import MODELS, programme, require_agreement

FOUND = resolve_device("auto")
pytestmark = pytest.mark.skipif(not FOUND.name.startswith("cuda"), reason=FOUND.note)


@pytest.mark.parametrize("name", MODELS)
def test_logits(name: str) -> None:
    network, (x, _) = load(MODELS[name].path), MODELS[name].rows(np.arange(64))
    here, there = (Logits(network, device, None).run(x) for device in (resolve_device("cpu"), FOUND))
    np.testing.assert_allclose(there, here, rtol=0, atol=1e-5 * np.abs(here).max())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("form", ["affine", "linear"])
def test_engine(name: str, form: Form) -> None:
    network, wanted, index = load(MODELS[name].path), programme(form), np.arange(4)
    x, _ = MODELS[name].rows(index)
    ours = NumpyEngine(network, wanted).measure(index, x)
    require_agreement(ours, OnnxruntimeEngine(network, wanted, FOUND, None).measure(index, x))


@pytest.mark.parametrize("kind", ["compressed", "original_unlabelled", "holdout", "prior"])
@pytest.mark.parametrize("batch_rows", [1000, 77])
def test_a_certificate_made_on_the_cpu_verifies(case: Case, kind: str, batch_rows: int) -> None:
    here = case.verify(kind)
    there = verify(case / kind, case.evidence(kind), FOUND, batch_rows=batch_rows)
    assert (there.errors, there.bound, there.bits) == (here.errors, here.bound, here.bits)


def test_a_certificate_made_on_cuda_verifies(case: Case, tmp_path: Path) -> None:
    data = ("--data", case / "train.npz")
    made = onnxbound(
        "certify", case / "model.onnx", *data, "--effort", "1", "-q", "--device", "cuda", "-o", tmp_path / "made"
    )
    assert made.code == 0, made.stderr
    for device in ("cpu", "cuda"):
        assert onnxbound("verify", tmp_path / "made", *data, "--device", device).code == 0


def test_analyze(tmp_path: Path) -> None:
    """The whole report, number by number: 1e-3 where a gate may fall the other way for a row or two."""
    model = MODELS["cifar10_cnn"]
    documents = []
    for options in (("cpu",), ("cuda", "--precision", "float32")):
        words = ("analyze", model.path, "--data", model.data, *model.flags, "--measured", "100", "--json")
        outcome = onnxbound(*words, "--device", *options)
        assert outcome.code == 0, outcome.stderr
        documents.append(json.loads(outcome.stdout))
    here, there = documents
    assert there["tool"]["device"].startswith("cuda")
    assert there["tool"]["engine"] == "onnxruntime"
    for one, two in zip(here["bounds"], there["bounds"], strict=True):
        assert one["name"] == two["name"]
        if one["log10"] is not None:
            assert two["log10"] == pytest.approx(one["log10"], abs=1e-3)
    for one, two in zip(here["layers"], there["layers"], strict=True):
        for name in ("layer_cushion", "activation_contraction"):
            if one.get(name) is not None and "median" in one[name]:
                assert two[name]["median"] == pytest.approx(one[name]["median"], rel=1e-4)
