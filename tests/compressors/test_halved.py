"""Nets that compute in floats of 16 bits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.evaluate import reopen, require_agreement
from onnxbound.compressors.fastest import fastest
from onnxbound.compressors.write import to_model
from onnxbound.graph.halved import halved
from onnxbound.graph.load import load
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.compressors.test_fastest import parameters, with_times
from tests.compressors.test_low_rank import DIFFERENT
from tests.compressors.test_smallest import at_noise, rounder_of
from tests.nets import mlp, random_mlp
from tests.oracle.models import public_models

CPU = resolve_device("cpu")


@pytest.mark.parametrize("model", DIFFERENT + public_models(), ids=lambda model: model.name)
def test_every_net(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A valid file of half the size, with inputs and outputs as they were, near what NumPy makes of its numbers."""
    network, path = load(model.path), tmp_path / "half.onnx"
    rounder, noise = at_noise(network)
    compressed = rounder.halved()
    assert compressed is not None
    written = to_model(compressed, {})
    path.write_bytes(written.SerializeToString())
    onnx.checker.check_model(written, full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [each.type for each in (*session.get_inputs(), *session.get_outputs())] == ["tensor(float)"] * 2
    assert [each.name for each in session.get_outputs()] == [each.name for each in onnx.load(model.path).graph.output]
    again = reopen(network, path, halved=True)
    assert 0 < require_agreement(compressed, again.network, Logits(again.network, CPU, 1), noise) < 2.0**-8
    assert load(path, **network.reading.of_model()).depth == network.depth
    kinds = {tensor.data_type for tensor in written.graph.initializer}
    assert TensorProto.FLOAT not in kinds
    assert path.stat().st_size < 0.6 * model.path.stat().st_size


def test_bits_are_counted(tmp_path: Path) -> None:
    rounder = rounder_of(random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4]))
    compressed = rounder.halved()
    assert compressed is not None
    numbers = sum(numpy_helper.to_array(tensor).size for tensor in to_model(compressed, {}).graph.initializer)
    assert compressed.bits == 16 * numbers + 128 * 3


def test_chosen_where_it_is_faster(tmp_path: Path) -> None:
    def timed(compressed: CompressedNetwork) -> tuple[float, float, float]:
        ratio = 0.5 if compressed.halved else 3.0
        return ratio, ratio - 0.01, ratio + 0.01

    net = random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])
    given, seen = with_times(net, {"floats": 1.0, "else": 3.0})
    found = fastest(rounder_of(net), replace(given, timed=timed))
    assert found.compressed.halved
    assert seen == [parameters(found.compressed)] * 2
    assert [attempt.ratio for attempt in found.tried].count(0.5) == 1


def test_what_has_no_16_bits(tmp_path: Path) -> None:
    """Constants beyond the range, and graphs within nodes; then it is no candidate."""
    net = mlp(tmp_path / "net.onnx", [(np.full((4, 3), 1e5), None)])
    with pytest.raises(ValueError, match="exceeds what 16 bits hold"):
        halved(onnx.load(net))
    assert rounder_of(net).halved() is None
    branch = helper.make_graph([], "branch", [], [])
    node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(ValueError, match="If contains a graph"):
        halved(helper.make_model(helper.make_graph([node], "g", [], [])))


def test_constants_that_an_old_file_lists_among_its_inputs(tmp_path: Path) -> None:
    """Of 16 bits they are read like any."""
    net = random_mlp(tmp_path / "net.onnx", [12, 60, 4])
    model, exact = onnx.load(net), load(net)
    for tensor in model.graph.initializer:
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    half = halved(model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in half.graph.input}
    assert {kinds.pop("x")} == {TensorProto.FLOAT}
    assert set(kinds.values()) == {TensorProto.FLOAT16}
    net.write_bytes(half.SerializeToString())
    rows = np.random.default_rng(0).normal(size=(8, 12)).astype(np.float32)
    np.testing.assert_allclose(
        Logits(load(net), CPU, 1).run(rows), Logits(exact, CPU, 1).run(rows), rtol=0.02, atol=0.02
    )
