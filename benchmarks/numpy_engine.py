"""The measurement as onnxbound does it, its own forward pass, and the matrix product both are made of."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks import vgg19
from benchmarks.worker import seconds
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.engine import NumpyEngine
from onnxbound.linear.graph_engine import OnnxruntimeEngine
from onnxbound.linear.jacobian_norm import ExactJacobians, exact_jacobians, plan_exact_pairs, units_in_parts
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.operators.operator import Array
from onnxbound.run.device import CPU

PROGRAMME = Programme(
    form="affine", probes=1, exact_pairs=False, exact_output=False, radius=0.1, output_only=False, seed=0
)
WHOLE = replace(PROGRAMME, exact_output=True)
WHOLE_ROWS = 64
GEMM = (2048, 2304, 256)
"""A product of the shape that the widest of VGG-19's convolutions have."""


def rows_of(count: int) -> Array:
    """Standard normal rows, the same in every engine."""
    return np.random.default_rng(1).standard_normal((count, *vgg19.INPUT_SHAPE)).astype(np.float32)


def forward(network: Network, rows: Array) -> Array:
    """A plain forward pass, the unit of cost: the same operators, nothing remembered."""
    live = {network.input: rows}
    for step in network.steps:
        live[step.output] = step.operator.act(*(live[name] for name in step.inputs))
    return live[network.output]


def multiply_adds(network: Network) -> tuple[int, int]:
    """Multiply-adds per row of a forward pass, and of all pairs with smoothness: tangents and deviations."""
    per_layer = [layer.parameters * layer.positions for layer in network.layers]
    streams = [1 + 2 * (layer.index - 1) for layer in network.layers]
    return sum(per_layer), sum(cost * count for cost, count in zip(per_layer, streams, strict=True))


def gemm_seconds() -> float:
    """Best of a few single-precision products."""
    generator = np.random.default_rng(2)
    m, k, n = GEMM
    a, b = generator.random((m, k), np.float32), generator.random((k, n), np.float32)
    out = np.empty((m, n), np.float32)
    return min(seconds(partial(np.matmul, a, b, out=out)) for _ in range(10))


def norms(measured: Measurement) -> dict[str, Any]:
    """What both engines have to agree on, of the first row."""
    pairs = np.triu_indices(measured.jacobian_squared.shape[1], 1)
    return {
        "jacobian": np.sqrt(measured.jacobian_squared[0][pairs]).tolist(),
        "residual": measured.residual_norm[0][pairs].tolist(),
    }


def output_norms(network: Network, rows: Array) -> ExactJacobians:
    """|J|_F and the largest of its parts per pixel from every layer to the logits, exactly: one cotangent per class."""
    at = linearise(network, rows, [])
    units = units_in_parts(network, len(rows), rows.dtype)
    return exact_jacobians(at.linearisation, plan_exact_pairs(network, PROGRAMME), units, output=True)


def tasks(rows: int, threads: int) -> Mapping[str, Callable[[], Any]]:
    """Task name to what it answers: seconds, or the measured norms."""
    loaded = load(vgg19.path())
    network = loaded.cast(np.float32)
    x, index = rows_of(rows), np.arange(rows)
    sweep = partial(measure, network, PROGRAMME, index, x)
    runtime = cache(lambda: OnnxruntimeEngine(loaded, PROGRAMME, CPU, threads))
    whole = cache(lambda: (NumpyEngine(loaded, WHOLE, threads), OnnxruntimeEngine(loaded, WHOLE, CPU, threads)))
    return {
        "whole rows": lambda: seconds(partial(whole()[0].measure, index, x)),
        "whole rows, onnxruntime": lambda: seconds(partial(whole()[1].measure, index, x)),
        "gemm": gemm_seconds,
        "forward": lambda: seconds(partial(forward, network, x)),
        "all pairs": lambda: seconds(sweep),
        "all pairs, onnxruntime": lambda: seconds(partial(runtime().measure, index, x)),
        "norms": lambda: norms(sweep()),
        "output": lambda: seconds(partial(output_norms, network, x)),
        "output norms": lambda: [float(squared[0]) for _, squared in sorted(output_norms(network, x).squared.items())],
    }
