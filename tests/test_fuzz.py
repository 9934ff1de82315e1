"""Mutated files end in a result or in an error with a code; `nox -s fuzz` tries many more of them."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fuzz.child import mutate_bytes_of_data, tried
from fuzz.mutate import mutate_model
from fuzz.seeds import Seed, seeds
from onnxbound.errors import CODES, OnnxboundError
from onnxbound.graph.load import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@cache
def every(folder: Path) -> list[Seed]:
    return seeds(folder)


def pool(folder: Path, *, models: bool) -> list[Seed]:
    return [seed for seed in every(folder) if (seed.kind == "model") == models]


chance = st.integers(0, 2**63)
few = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@few
@given(number=chance)
def test_models(folder: Path, number: int) -> None:
    random = np.random.default_rng(number)
    models = pool(folder, models=True)
    entry = models[int(random.integers(len(models)))]
    (folder / "net.onnx").write_bytes(mutate_model(entry.content, random))
    code = "ok"
    try:
        assert load(folder / "net.onnx").depth >= 1
    except OnnxboundError as error:
        code = error.code
    assert code == "ok" or (code in CODES and code != "internal")


@few
@given(number=chance)
def test_data(folder: Path, number: int) -> None:
    random = np.random.default_rng(number)
    others = pool(folder, models=False)
    entry = others[int(random.integers(len(others)))]
    end, fault = tried(entry, mutate_bytes_of_data(entry, random), number=1)
    assert not fault, fault
    assert end == "ok" or end in CODES


@given(content=st.binary(max_size=300))
@settings(max_examples=100, deadline=None)
def test_bytes_of_no_format(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "net.onnx"
    path.write_bytes(content)
    with pytest.raises(OnnxboundError) as caught:
        load(path)
    assert caught.value.code in ("model-invalid", "model-opset", "model-graph-invalid", "model-not-classifier")
