"""A case of the battery: nodes from the tensor "h" to the tensor "y", put into a small net that can be loaded."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network

OPSETS = (7, 9, 11, 13, 17, 18, 21)
CLASSES = 3
ROWS = 6

Constants = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """An operator with its attributes.

    Attributes:
        name: For the report.
        nodes: What lies between "h" and "y".
        shape: Shape of one row of "h".
        opset: Of the default domain.
        constants: What the nodes read beside "h".
        before: What computes "h": a MatMul over the last axis, a 1x1 Conv over the channels, or nothing, so that "h"
            is the net's input.
    """

    name: str
    nodes: Sequence[NodeProto]
    shape: tuple[int, ...]
    opset: int = 17
    constants: Constants = field(default_factory=dict)
    before: Literal["matmul", "conv", "nothing"] = "matmul"

    def seed(self) -> int:
        """One seed per case, the same in every run."""
        return int.from_bytes(self.name.encode()) % (2**32)


@dataclass(frozen=True)
class Built:
    """A case as a net.

    Attributes:
        case: What it was built from.
        network: As loaded.
        model: The ONNX model, h -> y -> Flatten -> MatMul -> logits.
        rows: Normally distributed, float32: no ties.
        logits: Runs onnxruntime.
    """

    case: Case
    network: Network
    model: onnx.ModelProto
    rows: NDArray[np.float32]
    logits: Callable[[NDArray[np.float32]], NDArray[np.float32]]


def build(case: Case, folder: Path) -> Built:
    """Write the net and load it."""
    random = np.random.default_rng(case.seed())
    rows = random.normal(size=(ROWS, *case.shape)).astype(np.float32)
    head, constants = _head(case, random)
    (y,) = run(_model(case, head, constants, "y"), {_input(case): rows})
    constants["tail"] = _weight(random, prod(y.shape[1:]), CLASSES)
    tail = [helper.make_node("Flatten", ["y"], ["flat"]), helper.make_node("MatMul", ["flat", "tail"], ["logits"])]
    model = _model(case, [*head, *tail], constants, "logits")
    path = folder / "net.onnx"
    path.write_bytes(model.SerializeToString())
    session = _session(model)
    name = _input(case)
    return Built(case, load(path), model, rows, lambda x: session.run(None, {name: x})[0])


def run(model: onnx.ModelProto, feeds: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The outputs that onnxruntime computes."""
    results: list[NDArray[Any]] = _session(model).run(None, dict(feeds))
    return results


def constant(random: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    """Normally distributed, no entry near zero: divisors and scales stay away from it."""
    values = random.normal(size=shape)
    return np.asarray(values + 0.2 * np.sign(values), np.float32)


def _input(case: Case) -> str:
    return "h" if case.before == "nothing" else "x"


def _head(case: Case, random: np.random.Generator) -> tuple[list[NodeProto], dict[str, NDArray[Any]]]:
    constants = dict(case.constants)
    if case.before == "nothing":
        return list(case.nodes), constants
    if case.before == "matmul":
        constants["head"] = _weight(random, case.shape[-1], case.shape[-1])
        first = helper.make_node("MatMul", ["x", "head"], ["h"], name="head")
    else:
        channels = case.shape[0]
        kernel = _weight(random, channels, channels).reshape(channels, channels, *(1,) * (len(case.shape) - 1))
        constants["head"] = kernel
        first = helper.make_node("Conv", ["x", "head"], ["h"], name="head")
    return [first, *case.nodes], constants


def _weight(random: np.random.Generator, rows: int, columns: int) -> NDArray[np.float32]:
    return (random.normal(size=(rows, columns)) / np.sqrt(rows)).astype(np.float32)


def _model(case: Case, nodes: Sequence[NodeProto], constants: Constants, output: str) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(_input(case), TensorProto.FLOAT, ["N", *case.shape])],
        [onnx.ValueInfoProto(name=output)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", case.opset)], ir_version=8)


def _session(model: onnx.ModelProto) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
