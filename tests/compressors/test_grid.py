"""Levels and scales as a file keeps them: what any reader of ONNX makes of them is the matrix."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

from onnxbound.compressors.grid import Grid, Half, add_stored, full_scales
from onnxbound.graph.small_integers import largest_level


def read(stored: Grid | Half, shape: tuple[int, ...], *, transposed: bool) -> tuple[np.ndarray, onnx.ModelProto]:
    graph = helper.make_graph([], "g", [], [helper.make_tensor_value_info("w", TensorProto.FLOAT, shape)])
    opset = [helper.make_opsetid("", max(stored.opset, 19))]  # older ones the reference does not know
    model = helper.make_model(graph, opset_imports=opset, ir_version=helper.OP_SET_ID_VERSION_MAP["ai.onnx", 21])
    add_stored(model, "w", stored, shape, transposed=transposed)
    onnx.checker.check_model(model, full_check=True)
    return np.asarray(ReferenceEvaluator(model).run(None, {})[0]), model


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize(("width", "block"), [(4, 0), (8, 0), (4, 8), (8, 8)])
@pytest.mark.parametrize("units", [3, 30])
def test_levels_and_scales(width: int, block: int, units: int, *, transposed: bool) -> None:
    random = np.random.default_rng(0)
    matrix = random.normal(size=(units, 23))
    last = largest_level(width)
    levels = random.integers(-last, last + 1, matrix.shape)
    grid = Grid(levels, full_scales(matrix, width, block), width, block)
    shape = (23, units) if transposed else (units, 23)
    found, model = read(grid, shape, transposed=transposed)
    np.testing.assert_array_equal(found.T if transposed else found, grid.matrix().astype(np.float32))
    (integers,) = [t for t in model.graph.initializer if t.data_type in (TensorProto.INT4, TensorProto.INT8)]
    assert len(integers.raw_data) == -(-levels.size * width // 8)


def test_many_scales_take_16_bits_and_few_32() -> None:
    matrix = np.random.default_rng(1).normal(size=(40, 9))
    assert full_scales(matrix, 8).dtype == np.float16
    assert full_scales(matrix[:3], 8).dtype == full_scales(1e-6 * matrix, 8).dtype == np.float32


def test_the_largest_entry_is_the_last_level() -> None:
    scales = full_scales(np.array([[3.5, -7.0], [0.0, 0.0]]), 4)
    assert scales.tolist() == [[1.0], [1.0]]


def test_numbers_of_16_bits() -> None:
    matrix = np.random.default_rng(2).normal(size=(4, 2, 3)).astype(np.float16)
    found, _ = read(Half(matrix.reshape(4, 6)), (4, 2, 3), transposed=False)
    np.testing.assert_array_equal(found, matrix.astype(np.float32))
