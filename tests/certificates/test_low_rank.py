"""Layers as products of two: the same function, the best factors, and a search that takes them where they pay."""

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession

import onnxbound
from onnxbound.certificates.low_rank import factored, factors_of
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.search import search
from onnxbound.certificates.space import Space
from onnxbound.certificates.task import Effort, Task
from onnxbound.codec.describe import Description, describe
from onnxbound.codec.network_code import decode, encode, rounded_step
from onnxbound.codec.tensors import LowRank
from onnxbound.compressors.svd import Factors
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.graph.network import Network
from onnxbound.linear.curvature import Target, curvature, sides
from onnxbound.linear.linearisation import linearise
from onnxbound.results import Float64Array
from onnxbound.run.device import CPU
from tests.cli.command import write_rows
from tests.nets import mlp


def opened(described: Description) -> bytes:
    """The architecture with its tensors as inputs."""
    architecture = described.architecture
    return architecture.model(open_holes=range(len(architecture.holes))).SerializeToString()


def logits(network: Network, rows: Float64Array) -> Float64Array:
    return linearise(network, rows, [network.output]).values[network.output]


def low_rank_net(path: Path, rank: int = 3) -> Network:
    """40-60-50-4; the two large weights are of low rank, and the classes about as frequent."""
    random = np.random.default_rng(5)
    weights, x = [], random.normal(size=(2000, 40))
    for rows, columns in ((60, 40), (50, 60), (4, 50)):
        left, right = random.normal(size=(rows, rank)), random.normal(size=(rank, columns))
        weight = left @ right / np.sqrt(rank * columns) if rows > 4 else random.normal(size=(rows, columns))
        weights.append((weight, -(x @ weight.T).mean(axis=0)))
        x = np.maximum(x @ weight.T + weights[-1][1], 0)
    return onnxbound.load(mlp(path, weights))


def targets(network: Network, count: int) -> list[Target]:
    rows = np.random.default_rng(1).normal(size=(count, *network.input_shape)).astype(np.float32)
    return [Target(rows, logits(network, rows), np.ones(count))]


def generator() -> np.random.Generator:
    return np.random.Generator(np.random.Philox(2))


@pytest.mark.parametrize("name", ["cifar10_cnn", "cifar10_resnet", "mnist_mlp"])
def test_factors_are_the_network_and_its_code(name: str) -> None:
    """At full rank the same function; on a lattice, NumPy's two layers and the tensor that a decoder fills in agree."""
    network = onnxbound.load(f"fixtures/{name}.onnx").cast(np.float32)
    random = np.random.default_rng(4)
    rows = random.normal(size=(6, *network.input_shape)).astype(np.float32)
    svd = {}
    for layer in network.layers:
        weight = layer.operator.effective_weight()
        u, sigma, v = np.linalg.svd(weight.reshape(len(weight), -1), full_matrices=False)
        svd[layer.output] = Factors(u * np.sqrt(sigma), np.sqrt(sigma)[:, None] * v, 32)
    twice = factored(network, svd)
    assert twice.depth == 2 * network.depth
    expected = logits(network, rows)
    np.testing.assert_allclose(logits(twice.cast(np.float32), rows), expected, atol=1e-4 * np.abs(expected).max())

    described = describe(network)
    few = {layer.output: svd[layer.output] for layer in network.layers[1:]}
    few = {place: Factors(f.left[:, :3], f.right[:3], 32) for place, f in few.items()}
    space = Space(network, described, None, Preprocessing(), few)
    steps = np.array([rounded_step(s) for s in np.maximum.reduceat(np.abs(space.trained), space.starts) / 7 + 1e-3])
    levels = np.rint(space.trained / steps[space.tensor]).astype(np.int64)
    moved = levels * steps[space.tensor]
    code = space.code(levels, steps)
    assert sum(isinstance(part, LowRank) for part in code.parts) == network.depth - 1
    for name, values in space.filled(moved).items():
        np.testing.assert_allclose(values, space.tensors(levels, steps)[name], rtol=1e-6, atol=1e-6)
    session = InferenceSession(opened(described))
    (found,) = session.run(None, {"input": rows, **space.tensors(levels, steps)})
    expected = logits(space.network(moved), rows)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_sides_add_up_the_curvature(tmp_path: Path) -> None:
    """E[G G^T] and E[G^T G] are sums over the columns and over the rows of the curvature of the entries."""
    network = onnxbound.load(mlp(tmp_path / "net.onnx", [(np.random.default_rng(3).normal(size=(3, 4)), None)]))
    single = network.cast(np.float32)
    many = targets(single, 8) * 4000
    ((rows, columns),) = sides(single, iter(many), generator())
    matrix = curvature(single, iter(many), np.arange(12), 1, generator()).matrix.reshape(3, 4, 3, 4)
    for found, expected in ((rows, np.einsum("rasa->rs", matrix)), (columns, np.einsum("rarb->ab", matrix))):
        np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())


def test_low_rank_is_found_and_shared_out(tmp_path: Path) -> None:
    """With numbers enough, both layers get just the ranks that they have, and the function stays."""
    network = low_rank_net(tmp_path / "net.onnx").cast(np.float32)
    seen = sides(network, iter(targets(network, 300)), generator())
    factors = factors_of(network, seen, 3 * (100 + 110))
    assert [found.rank for found in factors.values()] == [3, 3]
    rows = targets(network, 50)[0].rows
    expected = logits(network, rows)
    found = logits(factored(network, factors).cast(np.float32), rows)
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())
    fewer = factors_of(network, seen, 4 * 105)
    assert 300 < sum(found.parameters for found in fewer.values()) <= 420
    whole = low_rank_net(tmp_path / "whole.onnx", rank=50).cast(np.float32)
    assert factors_of(whole, sides(whole, iter(targets(whole, 300)), generator()), 100_000) == {}


def test_a_search_takes_low_rank_where_it_pays(tmp_path: Path) -> None:
    """A net of 5,654 numbers, of which 900 may move: its code has fewer bits than it has numbers, and errs little."""
    network = low_rank_net(tmp_path / "net.onnx", rank=2)
    x = np.random.default_rng(6).normal(size=(20_000, 40)).astype(np.float32)
    labels = logits(network.cast(np.float32), x).argmax(axis=1)
    rows = open_rows(write_rows(tmp_path / "rows.npz", x=x, y=labels), network)
    described = describe(network)
    outputs = Outputs(described.architecture, rows, CPU, None)
    task = Task(network, described, outputs, rows.labels, None, Preprocessing(), delta=Decimal("0.05"))
    best = min(search(task, Effort(rounds=2, rows=1500, entries=900), generator()), key=lambda found: found.bound)
    assert [part.left.levels.shape for part in best.code.parts if isinstance(part, LowRank)] == [(60, 2), (50, 2)]
    assert encode(decode(best.data)) == best.data
    assert 8 * len(best.data) < network.parameters
    assert best.bound < 0.3
