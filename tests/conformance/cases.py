"""The node tests that the onnx package generates, run against the intermediate representation.

An operator passes a case if the values it gives are the expected ones, and its Jacobian, forward and transposed, agrees
with finite differences of onnx's reference implementation in float64. The rows may enter at any floating input, the
others being constants; a case passes if every place that is read agrees, and at least one is.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator

from onnxbound.errors import ModelError
from onnxbound.graph.layer import Step
from onnxbound.graph.lower import _Lowering
from onnxbound.graph.model_file import WeightReader
from onnxbound.graph.onnx_graph import build_graph
from onnxbound.graph.passes.drop_no_ops import drop_no_ops
from onnxbound.graph.passes.fold_constants import fold_constants
from onnxbound.graph.passes.spell_relu import spell_relu
from onnxbound.graph.screen import screen
from onnxbound.graph.spellings import SPELLINGS
from onnxbound.operators.registry import PARSERS
from tests.conformance import quantised

IN_PASSES = ("Identity", "Dropout", "Cast", "Where", "Constant")
"""Operators that the normalising passes read."""

STEP = 1e-8
"""So short that of a hundred thousand gates none flips on the way, and long enough for six digits in float64."""

IN_FLOAT32, LONG_STEP = ("Erf", "Gelu", "GroupNormalization"), 3e-3
"""The reference implementation computes these in float32, whose rounding takes a longer step."""

_TYPES = (np.float32, np.float64)
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Result:
    """How a case ended.

    Attributes:
        op: Its operator.
        case: Its name.
        status: "passed", "skipped", "refused" or "failed".
        reason: Why, or which inputs were rows.
    """

    op: str
    case: str
    status: str
    reason: str


def operators() -> list[str]:
    """Every operator of the default domain that is claimed."""
    return sorted({op for op in PARSERS if "::" not in op} | {*SPELLINGS, *IN_PASSES, *quantised.OPERATORS})


def run_all() -> list[Result]:
    """Every case of one node of a claimed operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # generating the cases overflows and divides by zero on purpose
        from onnx.backend.test.case import node

        every = () if not signature(node.collect_testcases).parameters else (None,)  # onnx before 1.23
        cases = node.collect_testcases(*every)
    claimed = set(operators())
    results = {}
    for case in cases:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].op_type in claimed and nodes[0].domain in ("", "ai.onnx"):
            results[case.name] = Result(nodes[0].op_type, case.name, *_run(case.model, *case.data_sets[0]))
    return sorted(results.values(), key=lambda result: (result.op, result.case))


def _run(model: ModelProto, inputs: Sequence[Any], outputs: Sequence[Any]) -> tuple[str, str]:
    """Status and reason."""
    inputs, outputs = ([_as_array(value) for value in values] for values in (inputs, outputs))
    if model.graph.node[0].op_type in quantised.OPERATORS:
        return quantised.run(model, inputs, outputs)
    unfit = _unfit(inputs, outputs)
    if unfit:
        return "skipped", unfit
    names = [value.name for value in model.graph.input]
    values = dict(zip(names, map(np.asarray, inputs), strict=True))
    read = [name for name in names if name in model.graph.node[0].input]
    floating = [name for name in read if values[name].dtype in _TYPES and values[name].ndim]
    if not floating:
        return "skipped", "no tensor that the node reads has rows of float32 or float64"
    agreed, refused = [], []
    for rows in _choices(floating, values):
        try:
            check = _Check.read(model, values, rows)
        except ModelError as error:
            refused.append(error.problems[0].why if error.problems else error.message)
            continue
        fault = check.fault(np.asarray(outputs[0]))
        if fault:
            return "failed", f"rows at {', '.join(rows)}: {fault}"
        agreed.append(" and ".join(rows))
    if agreed:
        return "passed", f"rows at {', or '.join(agreed)}"
    return "refused", next(iter(dict.fromkeys(refused)))


def _as_array(value: Any) -> Any:
    """Types that NumPy does not have are given as messages."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def _unfit(inputs: Sequence[Any], outputs: Sequence[Any]) -> str:
    if not all(isinstance(value, np.ndarray | np.generic) for value in (*inputs, *outputs)):
        return "sequences or optional values"
    if len(outputs) != 1:
        return f"{len(outputs)} outputs"
    kinds = [np.asarray(value).dtype for value in inputs]
    if not any(kind in _TYPES for kind in kinds):
        return f"no input is float32 or float64 ({', '.join(dict.fromkeys(map(str, kinds)))})"
    if np.asarray(outputs[0]).dtype not in _TYPES:
        return f"the output is {np.asarray(outputs[0]).dtype}"
    return ""


def _choices(floating: Sequence[str], values: dict[str, Array]) -> Iterator[tuple[str, ...]]:
    """Each floating input as the rows, and all of them that have as many as the first."""
    yield from ((name,) for name in floating)
    alike = tuple(name for name in floating if len(values[name]) == len(values[floating[0]]))
    if len(alike) > 1:
        yield alike


@dataclass(slots=True)
class _Check:
    """A case with rows at some of its inputs."""

    model: ModelProto
    values: dict[str, Array]
    rows: tuple[str, ...]
    steps: tuple[Step, ...]
    output: str
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    @classmethod
    def read(cls, model: ModelProto, values: dict[str, Array], rows: tuple[str, ...]) -> "_Check":
        """Lower the case; raises ModelError where it is refused."""
        held = ModelProto()
        held.CopyFrom(model)
        kept = [value for value in model.graph.input if value.name in rows]
        del held.graph.input[:]
        held.graph.input.extend(kept)
        constants = (numpy_helper.from_array(v, n) for n, v in values.items() if n not in rows)
        held.graph.initializer.extend(constants)
        screen(held)
        reader = WeightReader(Path())
        graph = drop_no_ops(spell_relu(fold_constants(build_graph(held, reader), reader).graph).graph).graph
        shapes = {name: values[name].shape[1:] for name in rows}
        lowering = _Lowering(graph, len(values[rows[0]]), dict(graph.constants), shapes)
        lowering.run()
        return cls(model, values, rows, tuple(lowering.steps), graph.outputs[0])

    def fault(self, expected: Array) -> str:
        """What does not agree; empty if everything does."""
        given = {name: self.values[name].astype(np.float64) for name in self.rows}
        found = self._act(given)
        if self.output not in given and found.shape != expected.shape:
            return f"a result of shape {found.shape}, where {expected.shape} is expected"
        typed = np.array_equal(np.round(expected, 4), expected) and not np.array_equal(np.round(expected), expected)
        if not np.allclose(found, expected, rtol=1e-5, atol=1e-4 if typed else 1e-6, equal_nan=True):
            return f"values differ by up to {np.nanmax(np.abs(found - expected)):.3g}"
        # Beside the data of the case, where two entries of a pool may be equal or a gate stand at its kink.
        finite = {name: np.nan_to_num(value, posinf=1.0, neginf=-1.0) for name, value in given.items()}
        at = {name: value + 0.01 * self.random.normal(size=value.shape) for name, value in finite.items()}
        tangents = {name: self.random.normal(size=value.shape) for name, value in at.items()}
        single = self.model.graph.node[0].op_type in IN_FLOAT32
        h = LONG_STEP if single else STEP
        ahead = {name: value + h * tangents[name] for name, value in at.items()}
        behind = {name: value - h * tangents[name] for name, value in at.items()}
        quotient = (self._reference(ahead) - self._reference(behind)) / (2 * h)
        jacobian, cotangents, c = self._linearised(at, tangents)
        scale = max(1.0, float(np.abs(quotient).max(initial=0)))
        rounding = max(float(np.finfo(float).eps * np.abs(value).max(initial=0) / h) for value in at.values())
        if not np.allclose(jacobian, quotient, atol=(1e-4 if single else 1e-6) * scale + rounding, rtol=1e-6):
            return f"J t differs from finite differences by up to {np.abs(jacobian - quotient).max():.3g}"
        forward, back = np.vdot(jacobian, c), sum(np.vdot(tangents[name], cotangents[name]) for name in self.rows)
        if not np.isclose(forward, back, rtol=1e-9, atol=1e-9 * scale):
            return f"<J t, c> = {forward:.6g} and <t, J^T c> = {back:.6g}"
        return ""

    def _act(self, given: dict[str, Array]) -> Array:
        values = dict(given)
        for step in self.steps:
            values[step.output] = step.operator.cast(np.float64).act(*(values[name] for name in step.inputs))
        return values[self.output]

    def _linearised(self, at: dict[str, Array], tangents: dict[str, Array]) -> tuple[Array, dict[str, Array], Array]:
        """J t, J^T c and a random c."""
        values, moved = dict(at), {name: t[None] for name, t in tangents.items()}
        states = []
        for step in self.steps:
            operator, inputs = step.operator.cast(np.float64), [values[name] for name in step.inputs]
            states.append(operator.linearise(*inputs))
            values[step.output] = operator.act(*inputs)
            moved[step.output] = operator.jvp(states[-1], *(moved[name] for name in step.inputs))
        c = self.random.normal(size=moved[self.output].shape)
        sent = {self.output: c}
        for step, state in zip(reversed(self.steps), reversed(states), strict=True):
            shapes = (values[name].shape[1:] for name in step.inputs)
            gradients = step.operator.cast(np.float64).vjp(state, sent.pop(step.output), *shapes)
            for name, gradient in zip(step.inputs, gradients, strict=True):
                sent[name] = sent.get(name, 0) + gradient
        zero = {name: np.zeros((1, *value.shape)) for name, value in at.items()}
        return moved[self.output][0], {name: (zero | sent)[name][0] for name in at}, c[0]

    def _reference(self, rows: dict[str, Array]) -> Array:
        """The case in onnx's own implementation, every floating input in float64."""
        feeds = {
            name: value.astype(np.float64) if value.dtype.kind == "f" else value for name, value in self.values.items()
        }
        double = ModelProto()
        double.CopyFrom(self.model)
        for value in (*double.graph.input, *double.graph.output):
            if value.type.tensor_type.elem_type in (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16):
                value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
        for attribute in double.graph.node[0].attribute:
            if attribute.name == "to":
                attribute.i = onnx.TensorProto.DOUBLE
        return np.asarray(ReferenceEvaluator(double).run(None, feeds | rows)[0], np.float64)
