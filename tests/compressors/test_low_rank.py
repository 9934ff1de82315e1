"""Layers of low rank: the nearest ones, at the ranks that do least damage, written as two."""

from itertools import product
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxbound.compressors.codes import decode, encode
from onnxbound.compressors.compressed import predict
from onnxbound.compressors.evaluate import reopen, require_agreement
from onnxbound.compressors.low_rank import at_rank, low_rank, ranks_of
from onnxbound.compressors.write import saves, to_model
from onnxbound.graph.load import load
from onnxbound.graph.rewrite import multiply_adds
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.compressors.test_smallest import at_noise, rounder_of
from tests.nets import random_mlp
from tests.oracle.models import fixtures, public_models

CPU = resolve_device("cpu")
DIFFERENT = [model for model in fixtures() if not model.name.startswith("cifar10_cnn_")]


def test_no_matrix_of_that_rank_is_nearer(tmp_path: Path) -> None:
    """Against the truncation of W H^(1/2) itself, and, of course, that of W."""
    rounder = rounder_of(random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4]))
    site, random = rounder.sites[2], np.random.default_rng(0)
    x = (random.normal(size=(1, 5000, 60)) * np.geomspace(1, 0.01, 60)).astype(np.float32)
    found = at_rank(site, x, x, 8).grid.matrix()
    assert np.linalg.matrix_rank(found, tol=1e-4) == 8
    centred = (x[0] - x[0].mean(axis=0)).astype(np.float64)

    def error(matrix: np.ndarray) -> float:
        return float(np.square(centred @ (matrix - site.matrix).T).sum())

    root = np.linalg.cholesky(centred.T @ centred)
    least = np.square(np.linalg.svd(site.matrix @ root, compute_uv=False)[8:]).sum()
    u, sigma, v = np.linalg.svd(site.matrix, full_matrices=False)
    assert least < error(found) * (1 + 1e-9) < 1.05 * least < 0.8 * error(u[:, :8] * sigma[:8] @ v[:8])


def test_the_worst_damage_is_least(tmp_path: Path) -> None:
    """Against all ranks of both layers that can save anything."""
    rounder = rounder_of(random_mlp(tmp_path / "net.onnx", [12, 16, 10, 4]))
    layers, importance = rounder.network.layers, {1: 0.5, 2: 2.0, 3: 1.0}
    whole = sum(layer.parameters for layer in layers)

    def cost(ranks: dict[int, int]) -> int:
        one_or_two = (multiply_adds(each, ranks.get(each.index, 0)) for each in layers)
        return sum(two or one for one, two in one_or_two)

    def damage(ranks: dict[int, int]) -> float:
        total = 0.0
        for index, rank in ranks.items():
            matrix, moment = rounder.sites[index].matrix, rounder.calibration.moments[index][0]
            values = np.linalg.svd(matrix @ np.linalg.cholesky(moment + 1e-9 * np.eye(len(moment))), compute_uv=False)
            total = max(total, importance[index] ** 2 * np.square(values[rank:]).sum() / np.square(values).sum())
        return total

    every = [
        {i: rank for i, rank in zip((1, 2, 3), ranks, strict=True) if rank and saves(layers[i - 1], rank)}
        for ranks in product(range(7), range(7), range(3))
    ]
    for share in (0.9, 0.7, 0.5):
        found = dict(ranks_of(rounder, importance, share))
        assert cost(found) <= share * whole
        allowed = [ranks for ranks in every if cost(ranks) <= share * whole]
        assert damage(found) == pytest.approx(min(map(damage, allowed)), rel=1e-4)


@pytest.mark.parametrize("model", DIFFERENT + public_models(), ids=lambda model: model.name)
def test_every_net(model, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A valid file, two nodes for a layer, that onnxruntime and NumPy compute alike, nearer than without its biases."""
    network = load(model.path)
    rounder, noise = at_noise(network)
    ranks = ranks_of(rounder, dict.fromkeys(rounder.sites, 1.0), 0.6)
    compressed, path = low_rank(rounder, ranks), tmp_path / "low.onnx"
    written = to_model(compressed, {}, factorise=True)
    path.write_bytes(written.SerializeToString())
    onnx.checker.check_model(written, full_check=True)
    again = reopen(network, path)
    assert again.network.depth == network.depth + len(ranks)
    require_agreement(compressed, again.network, Logits(again.network, CPU, 1), noise)
    before = sum(layer.parameters for layer in network.layers)
    assert sum(weight.parameters for weight in compressed.weights.values()) < before
    exact, near = (predict(each, noise) for each in (rounder.compressed({}), compressed))
    assert np.linalg.norm(near - exact) < 0.5 * np.linalg.norm(exact)


def test_codes_keep_both_factors(tmp_path: Path) -> None:
    rounder = rounder_of(random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4]))
    compressed = low_rank(rounder, {1: 3, 2: 5})
    written = to_model(compressed, {}, factorise=True)
    data = encode(compressed, written, None)
    assert decode(data, None, None, 1) == written.SerializeToString(deterministic=True)
