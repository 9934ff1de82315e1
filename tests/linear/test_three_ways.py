"""Masks in NumPy, the ONNX programme and finite differences give the same |J g| on every real net."""

from dataclasses import replace

import numpy as np
import pytest

from onnxbound.graph.load import load
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.finite_differences import FiniteDifferences
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.linearisation import linearise
from onnxbound.rng import normal_noise
from onnxbound.run.device import CPU
from tests.linear.test_engine import MODELS, programme

STEP = 2.0**-11
ROWS = 8
DEEP = [name for name, model in MODELS.items() if load(model.path).depth > 1]


@pytest.mark.parametrize("name", DEEP)
def test_three_ways(name: str) -> None:
    """Differences to 1 %, where no gate flips between x - h g and x + h g."""
    network, wanted = load(MODELS[name].path), replace(programme("affine", 1), exact_output=False)
    index = np.arange(ROWS)
    x, _ = MODELS[name].rows(index)
    engines = (NumpyEngine(network, wanted), OnnxruntimeEngine(network, wanted, CPU, 1))
    norms = [np.sqrt(engine.measure(index, x).jacobian_squared) for engine in engines]
    outputs = linearise(network.cast(np.float32), x, [layer.output for layer in network.layers]).values
    compared = 0
    for layer in network.layers[:-1]:
        targets = [j for j in range(layer.index + 1, network.depth + 1) if network.has_path(layer.index, j)]
        at = outputs[layer.output]
        g = normal_noise(wanted.seed, layer.index, index, 0, int(np.prod(layer.output_shape)))
        length = np.linalg.norm(at.reshape(ROWS, -1), axis=1) / np.linalg.norm(g, axis=1)
        tangents = (g * length[:, None]).reshape(at.shape).astype(np.float32)
        differences = FiniteDifferences(network, layer.output, [network.target(j) for j in targets], CPU)
        found = differences(x, at, tangents, STEP)
        smooth = ~found.kinks
        compared += int(smooth.sum())
        for j in targets:
            central = np.linalg.norm(found.values[network.target(j)].reshape(ROWS, -1), axis=1)
            for norm in norms:
                expected = norm[:, layer.index - 1, j - 1] * length
                np.testing.assert_allclose(central[smooth], expected[smooth], rtol=1e-2, err_msg=f"{layer.index}, {j}")
    assert compared >= 2
