"""Cotangents of weights and biases against derivatives by differences, which are exact: a layer is linear in them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxbound.operators.calculus import Symbol
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.emitter import Emitter
from onnxbound.operators.weighted import Weighted
from onnxbound.operators.windows import Windows
from onnxbound.run.device import CPU
from onnxbound.run.session import Runner

SQUARE = Windows((6, 5), (3, 2), (1, 1), (1, 1), (1, 0), (1, 1))
STRIDED = Windows((7, 7), (3, 3), (2, 1), (1, 2), (0, 2), (1, 2))
FEW = Windows((4, 4), (3, 3), (1, 1), (1, 1), (0, 0), (0, 0))
LAYERS = {
    "dense": (lambda w: Dense(w, None, np.zeros(4)), (4, 5), (5,)),
    "dense at positions": (lambda w: Dense(w, None, np.zeros(4)), (4, 5), (3, 5)),
    "conv": (lambda w: Conv(w, None, np.zeros(4), SQUARE, 1), (4, 3, 3, 2), (3, 6, 5)),
    "strided, dilated": (lambda w: Conv(w, None, np.zeros(2), STRIDED, 1), (2, 3, 3, 3), (3, 7, 7)),
    "grouped": (lambda w: Conv(w, None, np.zeros(4), SQUARE, 2), (4, 3, 3, 2), (6, 6, 5)),
    "depthwise": (lambda w: Conv(w, None, np.zeros(6), SQUARE, 3), (6, 1, 3, 2), (3, 6, 5)),
    "few positions": (lambda w: Conv(w, None, None, FEW, 2), (12, 4, 3, 3), (8, 4, 4)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_against_differences(kind: str) -> None:
    make, weight_shape, row_shape = LAYERS[kind]
    generator = np.random.Generator(np.random.Philox(11))
    layer: Weighted = make(generator.normal(size=weight_shape))
    x = generator.normal(size=(3, *row_shape))
    y = layer.act(x)
    c = generator.normal(size=(2, *y.shape))
    weights, biases = whole(layer, x, c), layer.bias_cotangent(c)
    assert weights.shape == (2, 3, *weight_shape)
    assert biases.shape == (2, 3, weight_shape[0])
    for place in np.ndindex(weight_shape):
        unit = np.zeros(weight_shape)
        unit[place] = 1
        moved = replace(layer, weight=layer.weight + unit).act(x) - y
        expected = (c * moved).reshape(2, 3, -1).sum(axis=2)
        np.testing.assert_allclose(weights[(slice(None), slice(None), *place)], expected, rtol=1e-9, atol=1e-9)
    for channel in range(weight_shape[0]):
        moved = replace(layer, bias=np.eye(weight_shape[0])[channel]).act(x) - y
        expected = (c * moved).reshape(2, 3, -1).sum(axis=2)
        np.testing.assert_allclose(biases[:, :, channel], expected, rtol=1e-9, atol=1e-9)


def drawn(kind: str, generator: np.random.Generator) -> tuple[Weighted, np.ndarray, np.ndarray]:
    """A layer, three rows, and two cotangents at each."""
    make, weight_shape, row_shape = LAYERS[kind]
    layer = make(generator.normal(size=weight_shape))
    x = generator.normal(size=(3, *row_shape))
    return layer, x, generator.normal(size=(2, *layer.act(x).shape))


def whole(layer: Weighted, x: np.ndarray, c: np.ndarray) -> np.ndarray:
    """All entries, `(s, n, *weight.shape)`."""
    return layer.weight_cotangent(x, c, np.arange(layer.weight.size)).reshape(*c.shape[:2], *layer.weight.shape)


@pytest.mark.parametrize("kind", LAYERS)
def test_some_entries(kind: str) -> None:
    """In the order that they are asked for, as among all."""
    layer, x, c = drawn(kind, np.random.Generator(np.random.Philox(16)))
    entries = np.array([7, 0, layer.weight.size - 1])
    expected = whole(layer, x, c).reshape(2, 3, -1)[:, :, entries]
    np.testing.assert_array_equal(layer.weight_cotangent(x, c, entries), expected)
    assert layer.weight_cotangent(x, c, entries[:0]).shape == (2, 3, 0)


@pytest.mark.parametrize("kind", LAYERS)
def test_the_sum_over_rows_as_a_graph(kind: str) -> None:
    layer, x, c = drawn(kind, np.random.Generator(np.random.Philox(15)))
    e = Emitter()
    gradient = layer.weight_gradient(Symbol(e, "x", (-1, *x.shape[1:])), Symbol(e, "c", (-1, *c.shape[2:])))
    assert gradient.shape == layer.weight.shape
    e.rename(gradient.name, "sum")
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in (("x", x.shape[1:]), ("c", c.shape[2:]))
    ]
    model = e.model(inputs, [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)])
    found = Runner(model, Path(), CPU, 1).run({"x": x.astype(np.float32), "c": c[1].astype(np.float32)})["sum"]
    expected = whole(layer, x, c)[1].sum(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("kind", LAYERS)
def test_squared_without_the_cotangent_itself(kind: str) -> None:
    generator = np.random.Generator(np.random.Philox(12))
    layer, x, c = drawn(kind, generator)
    expected = (whole(layer, x, c).reshape(2, 3, -1) ** 2).sum(axis=2)
    np.testing.assert_allclose(layer.weight_cotangent_squared(x, c), expected, rtol=1e-12)
