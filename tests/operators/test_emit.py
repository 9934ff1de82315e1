"""What every operator writes as ONNX computes what it computes in NumPy."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, checker, helper

from onnxbound.graph.layer import Step
from onnxbound.linear.linearisation import linearise
from onnxbound.operators.calculus import Symbol
from onnxbound.operators.emitter import Emitter
from tests.operators.battery import CASES
from tests.operators.case import ROWS, Built, build

STREAMS = 3


@pytest.fixture(scope="module", params=CASES, ids=lambda case: case.name)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    return build(request.param, tmp_path_factory.getbasetemp())


def written(step: Step, feeds: dict[str, NDArray[Any]], shapes: list[tuple[int, ...]]) -> dict[str, NDArray[Any]]:
    """act, jvp, vjp, residual and ties of one operator, through onnxruntime."""
    e, operator, count = Emitter(), step.operator, len(shapes)

    def symbols(kind: str, *leading: int) -> tuple[Symbol, ...]:
        return tuple(Symbol(e, f"{kind}{k}", (*leading, *shapes[k])) for k in range(count))

    x, t, w = symbols("x", -1), symbols("t", STREAMS, -1), symbols("w", STREAMS, -1)
    state = operator.linearise(*x)
    cotangent = Symbol(e, "c", (STREAMS, -1, *operator.output_shape(*shapes)))
    written = {
        "act": operator.act(*x),
        "jvp": operator.jvp(state, *t),
        "residual": operator.residual(state, x, t, w),
    } | {f"vjp{k}": g for k, g in enumerate(operator.vjp(state, cotangent, *shapes))}
    ties = operator.ties(*x)
    if ties is not None:
        written["ties"] = ties
    results = {name: tensor.name for name, tensor in written.items()}
    for name, tensor in results.items():
        e.rename(tensor, name)
    rank = {v.name: ["n" if n < 0 else n for n in v.shape] for v in (*x, *t, *w, cotangent)}
    model = e.model(
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in rank.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in results],
    )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    needed = {value.name for value in session.get_inputs()}
    outputs = session.run(None, {name: values for name, values in feeds.items() if name in needed})
    for (name, tensor), values in zip(written.items(), outputs, strict=True):
        lengths = tuple(-n * ROWS if n < 0 else n for n in tensor.shape)
        assert (values.shape, values.dtype) == (lengths, tensor.dtype), (step.op, name)
    return dict(zip(results, outputs, strict=True))


def test_what_is_written_computes_the_same(built: Built) -> None:
    network = built.network.cast(np.float32)
    names = {network.input, *(step.output for step in network.steps)}
    values = linearise(network, built.rows, names).values
    random = np.random.default_rng(built.case.seed())
    for step in network.steps:
        x = [values[name] for name in step.inputs]
        shapes = [value.shape[1:] for value in x]
        t, w = ([random.normal(size=(STREAMS, *v.shape)).astype(np.float32) for v in x] for _ in range(2))
        if not getattr(step.operator, "is_activation", True):  # a root or a logarithm: stay where it is defined
            t, w = ([np.float32(0.02) * np.abs(v) * d for v, d in zip(x, kind, strict=True)] for kind in (t, w))
        c = random.normal(size=(STREAMS, *values[step.output].shape)).astype(np.float32)
        feeds = {"c": c} | {
            f"{kind}{k}": v for kind, all_ in (("x", x), ("t", t), ("w", w)) for k, v in enumerate(all_)
        }
        found = written(step, {name: np.ascontiguousarray(v) for name, v in feeds.items()}, shapes)
        state = step.operator.linearise(*x)
        expected = {
            "act": step.operator.act(*x),
            "jvp": step.operator.jvp(state, *t),
            "residual": step.operator.residual(state, tuple(x), tuple(t), tuple(w)),
        } | {f"vjp{k}": g for k, g in enumerate(step.operator.vjp(state, c, *shapes))}
        for name, values_ in expected.items():
            scale = max(1.0, float(np.abs(values_).max(initial=0.0)))
            assert found[name].shape == values_.shape, (step.op, name)
            np.testing.assert_allclose(found[name], values_, rtol=0, atol=2e-5 * scale, err_msg=f"{step.op}: {name}")
        ties = step.operator.ties(*x)
        assert (ties is None) == ("ties" not in found)
        if ties is not None:
            np.testing.assert_array_equal(found["ties"] > 0, ties)


def test_written_ties_are_seen() -> None:
    from onnxbound.operators.max_pool import MaxPool
    from onnxbound.operators.windows import Windows

    pool = MaxPool(Windows((3, 3), (2, 2), (1, 1), (1, 1), (0, 0), (0, 0)))
    x = np.arange(27, dtype=np.float32).reshape(3, 1, 3, 3)
    x[1, 0, 2, 2] = x[1, 0, 2, 1]
    e = Emitter()
    e.rename(pool.ties(Symbol(e, "x", (-1, 1, 3, 3))).name, "ties")
    model = e.model(
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 1, 3, 3])],
        [helper.make_tensor_value_info("ties", TensorProto.FLOAT, ["n"])],
    )
    checker.check_model(model)
    (found,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    assert found.tolist() == [0, 1, 0]
    assert pool.ties(x).tolist() == [False, True, False]
