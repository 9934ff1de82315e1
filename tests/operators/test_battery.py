"""One battery over all operators: every pair of attribute values, against onnxruntime and against the definitions."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import DTypeLike, NDArray
from onnx.reference import ReferenceEvaluator
from packaging.version import Version

from onnxbound.graph.layer import Step
from onnxbound.graph.network import Network
from onnxbound.graph.spellings import SPELLINGS
from onnxbound.linear.linearisation import linearise
from onnxbound.operators.operator import Array, join_streams, split_streams
from onnxbound.operators.registry import PARSERS
from tests.operators.battery import CASES
from tests.operators.case import ROWS, Built, build

STEP = 2.0**-9
"""Of the differences: a power of two, so that x + h t costs few bits; rounding is then some 1e-5 of a tangent."""

REWRITTEN = {"Where", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}
NO_EFFECT = {"Identity", "Dropout", "Cast"}
SHAPE_ARITHMETIC = {"Shape", "Size"}
ELSEWHERE = {"Swish", "QuantizeLinear", "DequantizeLinear"}
"""An operator of opset 24, which few runtimes take: other opsets spell it, and a pass reads the formula. And what
rounds, whose differences say nothing of its slope: in test_quantise.py."""


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    return build(request.param, tmp_path_factory.getbasetemp())


def values_at(network: Network, x: Array) -> dict[str, Array]:
    """Every tensor of the net."""
    names = {network.input, *(step.output for step in network.steps)}
    return dict(linearise(network, x, names).values)


def logits_at(network: Network, x: Array) -> Array:
    return linearise(network, x, {network.output}).values[network.output]


def tangents_at(network: Network, x: Array, t: Array) -> Array:
    """J t from the net's input to its logits, t `(s, n, *input_shape)`."""
    return linearise(network, x).linearisation.jvp(network.input, t, [network.output])[network.output]


def steps_with_inputs(built: Built) -> Iterator[tuple[Step, list[Array], np.random.Generator]]:
    """Every step in float64 with the values that enter it."""
    network = built.network.cast(np.float64)
    values = values_at(network, built.rows.astype(np.float64))
    for step in network.steps:
        yield step, [values[name] for name in step.inputs], np.random.default_rng(built.case.seed())


def like(random: np.random.Generator, values: list[Array], streams: int, scale: float = 1.0) -> tuple[Array, ...]:
    return tuple(scale * random.normal(size=(streams, *value.shape)) for value in values)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 1e-5), (np.float64, 1e-5)])
def test_logits_are_those_of_onnxruntime(built: Built, dtype: DTypeLike, tolerance: float) -> None:
    expected = built.logits(built.rows)
    ours = logits_at(built.network.cast(dtype), built.rows.astype(dtype))
    assert ours.dtype == dtype
    assert ours.shape == expected.shape
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * np.abs(expected).max())


REFERENCE_FAILS = {"MaxPool", "AveragePool", "GlobalMaxPool", "Squeeze", "Upsample"}
"""Operators that onnx's reference implementation cannot always compute: some paddings, 1-d and 3-d pooling, negative
axes in old opsets, interpolation in Upsample."""


def test_logits_are_those_of_the_reference(built: Built) -> None:
    ops = {node.op_type for node in built.case.nodes}
    if "BatchNormalization" in ops and built.case.opset < 14:
        pytest.skip("the reference implementation takes the batch's own mean and variance below opset 14")
    if "LRN" in ops:
        pytest.skip("the reference implementation takes the number of rows for that of channels")
    if "MaxPool" in ops and len(built.case.shape) == 2:
        pytest.skip("the reference implementation ignores the pads of 1-d max pooling")
    named = any(a.name == "auto_pad" and a.s != b"NOTSET" for node in built.case.nodes for a in node.attribute)
    if "Conv" in ops and named and Version(onnx.__version__) < Version("1.23"):
        pytest.skip("the reference implementation gets auto_pad of Conv wrong before onnx 1.23")
    try:
        (expected,) = ReferenceEvaluator(built.model).run(None, {built.network.input: built.rows})
    except (TypeError, ValueError, IndexError, AssertionError, RuntimeError) as error:
        if not ops & REFERENCE_FAILS:
            raise
        pytest.skip(f"the reference implementation fails on {', '.join(sorted(ops))}: {type(error).__name__}")
    ours = logits_at(built.network.cast(np.float64), built.rows.astype(np.float64))
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def test_tangents_are_differences_of_onnxruntime(built: Built) -> None:
    x = built.rows
    t = np.random.default_rng(built.case.seed() + 1).normal(size=x.shape).astype(np.float32)
    if not piecewise_linear(built):
        require_tangents_of_the_network_itself(built, t)
        return
    up, centre, down = (built.logits(x + np.float32(sign * STEP) * t).astype(np.float64) for sign in (1, 0, -1))
    first, second = np.linalg.norm(up - down, axis=1), np.linalg.norm(up + down - 2 * centre, axis=1)
    smooth = second <= 2e-4 * first + 1e-6 * np.linalg.norm(centre, axis=1)
    assert smooth.any(), "a gate flips between x - h t and x + h t on every row"
    ours = tangents_at(built.network.cast(np.float32), x, t[None])[0]
    expected = (up - down) / (2 * STEP)
    np.testing.assert_allclose(ours[smooth], expected[smooth], rtol=0, atol=1e-3 * np.abs(expected).max())


def piecewise_linear(built: Built) -> bool:
    return not built.network.smooth_operators


def require_tangents_of_the_network_itself(built: Built, t: Array) -> None:
    """In float64: float32 leaves too little of a difference where the net is curved; its values are checked above."""
    network, x, h = built.network.cast(np.float64), built.rows.astype(np.float64), 1e-6
    expected = (logits_at(network, x + h * t) - logits_at(network, x - h * t)) / (2 * h)
    ours = tangents_at(network, x, t[None].astype(np.float64))[0]
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-7 * np.abs(expected).max())


def test_transpose_is_adjoint(built: Built) -> None:
    network, random = built.network.cast(np.float64), np.random.default_rng(built.case.seed())
    x = built.rows.astype(np.float64)
    at = linearise(network, x).linearisation
    t, c = random.normal(size=(2, *x.shape)), random.normal(size=(2, ROWS, network.classes))
    forward = at.jvp(network.input, t, [network.output])[network.output]
    back = at.vjp(network.output, c, [network.input])[network.input]
    assert back.shape == t.shape
    products = (forward * c).sum(axis=2), (t * back).reshape(2, ROWS, -1).sum(axis=2)
    np.testing.assert_allclose(*products, rtol=0, atol=1e-10 * np.abs(forward).max() * np.abs(c).max())


def test_transpose_of_each_operator_is_adjoint(built: Built) -> None:
    for step, x, random in steps_with_inputs(built):
        state = step.operator.linearise(*x)
        t = like(random, x, 2)
        forward = step.operator.jvp(state, *t)
        c = random.normal(size=forward.shape)
        back = step.operator.vjp(state, c, *(value.shape[1:] for value in x))
        assert [g.shape for g in back] == [tangent.shape for tangent in t]
        left, right = (forward * c).sum(), sum((a * b).sum() for a, b in zip(t, back, strict=True))
        assert left == pytest.approx(right, rel=0, abs=1e-10 * np.linalg.norm(forward) * np.linalg.norm(c))


def test_a_batch_is_its_rows(built: Built) -> None:
    network, x = built.network.cast(np.float64), built.rows.astype(np.float64)
    t = np.random.default_rng(built.case.seed()).normal(size=(3, *x.shape))
    logits, tangents = logits_at(network, x), tangents_at(network, x, t)
    for row in range(ROWS):
        one = slice(row, row + 1)
        np.testing.assert_allclose(logits_at(network, x[one]), logits[one], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(tangents_at(network, x[one], t[:, one]), tangents[:, one], rtol=1e-12, atol=1e-12)
    alone = tangents_at(network, x, t[1:2])
    np.testing.assert_allclose(alone, tangents[1:2], rtol=1e-12, atol=1e-12)


def test_residual_is_the_deviation_from_linearity(built: Built) -> None:
    for step, x, random in steps_with_inputs(built):
        operator, streams = step.operator, 3
        state = operator.linearise(*x)
        t, w = like(random, x, streams, 3.0), like(random, x, streams, 1.0)
        if not getattr(operator, "is_activation", True):  # a root or a logarithm: stay where it is defined
            t, w = (tuple(0.02 * np.abs(value) * d for value, d in zip(x, kind, strict=True)) for kind in (t, w))
        moved = [join_streams(value + a + b) for value, a, b in zip(x, t, w, strict=True)]
        if state is not None and operator.piecewise_linear:
            flipped = split_streams(np.asarray(operator.linearise(*moved)), (streams, ROWS)) != state
            assert flipped.any() or not has_gates(step, x), "no gate flipped"
        expected = split_streams(operator.act(*moved), (streams, ROWS)) - operator.act(*x) - operator.jvp(state, *t)
        found = operator.residual(state, tuple(x), t, w)
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * max(1.0, np.abs(expected).max()))


def has_gates(step: Step, x: list[Array]) -> bool:
    """Whether anything can flip: a window of one entry, or a slope that is 1 on both sides, cannot."""
    windows = getattr(step.operator, "windows", None)
    return windows is None or max(windows.kernel) > 1


def test_residual_is_exactly_zero_where_no_gate_flips(built: Built) -> None:
    for step, x, random in steps_with_inputs(built):
        if not step.operator.piecewise_linear:
            continue
        state = step.operator.linearise(*x)
        t, w = like(random, x, 1, 1e-9), tuple(np.zeros((1, *value.shape)) for value in x)
        np.testing.assert_array_equal(step.operator.residual(state, tuple(x), t, w), 0)


def test_lipschitz_constant_holds(built: Built) -> None:
    for step, x, random in steps_with_inputs(built):
        constants = step.operator.lipschitz(*(value.shape[1:] for value in x))
        assert len(constants) == len(x)
        if not np.isfinite(constants).all():
            continue
        for scale in (0.1, 3.0):
            y = [value + d[0] for value, d in zip(x, like(random, x, 1, scale), strict=True)]
            moved = row_norms(step.operator.act(*y) - step.operator.act(*x))
            allowed = sum(factor * row_norms(b - a) for factor, a, b in zip(constants, x, y, strict=True))
            assert (moved <= allowed * (1 + 1e-9)).all()


def row_norms(values: Array) -> NDArray[np.float64]:
    return np.linalg.norm(values.reshape(len(values), -1), axis=1)


def test_lipschitz_constant_bounds_the_norm_of_the_matrix(built: Built) -> None:
    for step, x, _ in steps_with_inputs(built):
        one = [value[:1] for value in x]
        state = step.operator.linearise(*one)
        constants = step.operator.lipschitz(*(value.shape[1:] for value in x))
        for position, constant in enumerate(constants):
            matrix = dense(step, state, one, position)
            norm = np.linalg.norm(matrix, 2)
            assert norm <= constant * (1 + 1e-9)
            if type(step.operator).__name__ in (
                "ElementwiseAffine",
                "Mean",
                "Reshape",
                "Transpose",
                "Pad",
                "Concat",
                "Add",
            ):
                assert norm == pytest.approx(constant, rel=1e-9)


def dense(step: Step, state: Any, x: list[Array], position: int) -> NDArray[np.float64]:
    """The Jacobian of one row with respect to one input, `(outputs, inputs)`."""
    size = x[position].size
    t = [np.zeros((size, *value.shape)) for value in x]
    t[position] = np.eye(size).reshape(size, *x[position].shape)
    return step.operator.jvp(state, *t).reshape(size, -1).T


def test_the_matrix_of_a_weighted_layer_is_its_effective_weight(built: Built) -> None:
    for layer in built.network.cast(np.float64).layers:
        x = np.zeros((1, *layer.input_shape))
        matrix = dense(layer.step, None, [x], 0)
        assert layer.operator.map_frobenius_squared(layer.input_shape) == pytest.approx((matrix**2).sum(), rel=1e-12)
        assert layer.operator.effective_weight().size == layer.parameters
        assert matrix.shape[0] == layer.operator.channels * layer.positions


def test_ties_are_seen_and_dithered_rows_have_none(built: Built) -> None:
    for step, x, _ in steps_with_inputs(built):
        ties = step.operator.ties(*x)
        state = step.operator.linearise(*x)
        differentiable = not step.operator.piecewise_linear and not getattr(step.operator, "breakpoints", ())
        assert (ties is None) == (state is None or differentiable), "what has a state has ties"
        if ties is not None and not fed_by_a_gate(built, step):
            np.testing.assert_array_equal(ties, False)
        if ties is None or not has_gates(step, x):
            continue
        tied = [value.copy() for value in x]
        for value in tied:
            value[1] = tie(step, value[1])
        found = step.operator.ties(*tied)
        assert found is not None
        assert found[1]


def fed_by_a_gate(built: Built, step: Step) -> bool:
    """Behind a Relu zeros are common, so that ties are expected."""
    producers = {other.output: other for other in built.network.steps}
    return any(name in producers and producers[name].op == "Relu" for name in step.inputs)


def tie(step: Step, row: Array) -> Array:
    """The row with a tie: one entry at the last breakpoint, or, for pooling, all entries equal."""
    breakpoints = getattr(step.operator, "breakpoints", None)
    if breakpoints is None:
        return np.full_like(row, 0.25)
    result = row.copy()
    result[(-1,) * row.ndim] = breakpoints[-1]
    return result


def test_every_operator_is_in_the_battery() -> None:
    seen = {node.op_type for case in CASES for node in case.nodes}
    assert {name for name in PARSERS if "::" not in name} - ELSEWHERE | set(SPELLINGS) <= seen
    assert seen <= set(PARSERS) | set(SPELLINGS) | REWRITTEN | NO_EFFECT | SHAPE_ARITHMETIC


def test_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
