"""Mutated files end in a result or in an error with a code; `nox -s fuzz` tries many more of them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.child import mutate, tried
from fuzz.mutate import mutate_model
from fuzz.seeds import Seed, seeds
from onnxbound.errors import OnnxboundError
from onnxbound.graph.load import load
from onnxbound.report.topics import TOPICS


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> list[Seed]:
    return seeds(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.parametrize("number", range(150))
def test_models(every: list[Seed], tmp_path: Path, number: int) -> None:
    random = np.random.default_rng(number)
    models = [seed for seed in every if seed.kind == "model"]
    entry = models[int(random.integers(len(models)))]
    (tmp_path / "net.onnx").write_bytes(mutate_model(entry.content, random))
    code = "ok"
    try:
        assert load(tmp_path / "net.onnx").depth >= 1
    except OnnxboundError as error:
        code = error.code
    assert code == "ok" or (code in TOPICS and code != "internal")


@pytest.mark.parametrize("number", range(150, 300))
def test_data(every: list[Seed], number: int) -> None:
    random = np.random.default_rng(number)
    others = [seed for seed in every if seed.kind != "model"]
    entry = others[int(random.integers(len(others)))]
    end, fault = tried(entry, mutate(entry, random), number=1)
    assert not fault, fault
    assert end == "ok" or end in TOPICS


@given(content=st.binary(max_size=300))
def test_bytes_of_no_format(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(OnnxboundError) as caught:
        load(path)
    assert caught.value.code in ("model-invalid", "model-opset", "model-graph-invalid", "model-not-classifier")
