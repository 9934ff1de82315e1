"""A symbol answers as an array does: the same formula, its values by onnx's reference, its shape and its constants."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnxbound.operators import calculus
from onnxbound.operators.calculus import Symbol, Tensor
from onnxbound.operators.emitter import Emitter

RANDOM = np.random.default_rng(8)
X = RANDOM.normal(size=(4, 3, 6)).astype(np.float32)
INDEX = np.array([[5, 0], [2, 2]])
FORMULAS: dict[str, Callable[[Tensor], Tensor]] = {
    "numbers on both sides": lambda x: 2.0 / (1.0 - x * 0.5) - x**2.0,
    "of one row": lambda x: x * np.arange(6, dtype=np.float32) + x.sum(axis=(1, 2), keepdims=True),
    "in place": lambda x: np.multiply(x, -x, out=None) - abs(x),
    "comparisons": lambda x: calculus.where((x > -1) & (x < 1) | (x == 0), x, 0.0),
    "slices": lambda x: x[..., 1:3, ::-2],
    "slice behind the rows": lambda x: x[:, 1:],
    "index": lambda x: x[:, :, INDEX],
    "inferred length": lambda x: x.reshape(2, -1),
    "rows and another axis as one": lambda x: x.reshape(-1, 6) @ RANDOM_MATRIX,
    "axes": lambda x: x.transpose(0, 2, 1) @ x + x.swapaxes(-1, -2).mean(axis=2, keepdims=True),
    "any": lambda x: (x > 2).any(axis=(1, 2)).astype(np.float32),
    "no axes": lambda x: (x.reshape(-1) > 2).any(axis=()).astype(np.float32),
    "side by side": lambda x: calculus.concatenate([*calculus.split(x, [1, 2], 1), x], 1),
    "padded": lambda x: calculus.pad(x, (0, 1, 0), (0, 0, 2), 3.0),
    "zeros": lambda x: calculus.zeros((2, x.shape[0], 5), x),
    "table": lambda x: calculus.take(RANDOM_MATRIX, (x > 0).astype(np.int64) - 1),
    "double": lambda x: np.sqrt((x.astype(np.float64) ** 2.0).sum(axis=2)),
}
RANDOM_MATRIX = RANDOM.normal(size=(6, 2)).astype(np.float32)


def computed(e: Emitter, result: Symbol, x: NDArray[Any]) -> NDArray[Any]:
    """The value of a symbol where "x" has that value."""
    e.rename(result.name, "y")
    model = e.model(
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *x.shape[1:]])],
        [helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(result.dtype), None)],
    )
    (found,) = ReferenceEvaluator(model).run(None, {"x": x})
    return np.asarray(found)


@pytest.mark.parametrize("kind", FORMULAS)
def test_a_formula_of_a_symbol_is_that_of_the_array(kind: str) -> None:
    e = Emitter()
    result = FORMULAS[kind](Symbol(e, "x", (-1, *X.shape[1:])))
    found, expected = computed(e, result, X), np.asarray(FORMULAS[kind](X))
    assert tuple(-n * len(X) if n < 0 else n for n in result.shape) == expected.shape
    assert found.dtype == result.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(3, 4), (1, 4), (4, 1), (1, 1)])
@pytest.mark.parametrize("turned", [False, True])
def test_a_matrix_and_its_transpose_are_one_constant(shape: tuple[int, int], *, turned: bool) -> None:
    """And it is that which a layer names, as an input of a graph may stand in its place."""
    weight = RANDOM.normal(size=shape[::-1]).astype(np.float32).T if turned else RANDOM.normal(size=shape)
    weight = weight.astype(np.float32, copy=False)
    e = Emitter()
    e.variable("weight", calculus.in_memory(weight))
    x = Symbol(e, "x", (-1, shape[1]))
    result = np.matmul(np.matmul(x, weight.T), weight)
    assert result.shape == x.shape
    e.rename(result.name, "y")
    assert not e.model([], []).graph.initializer
