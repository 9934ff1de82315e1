"""Unit vectors that share a product against one product each, and the fields against the Jacobian's zeros."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import exact_jacobians, plan_exact_pairs, units_in_parts
from onnxbound.linear.linearisation import Linearisation, linearise
from onnxbound.linear.programme import Programme
from onnxbound.linear.receptive_field import receptive_fields
from tests.nets import write_model

ROWS = 2
ALL_PAIRS = Programme("affine", 1, exact_pairs=True, exact_output=False, radius=0.1, output_only=False, seed=0)


def conv_net(path: Path, middle: dict[str, dict[str, Any]], *, residual: bool = False) -> Network:
    """Two-channel 9x9 input; four convolutions, the given nodes between the second and the third, a dense layer."""
    random = np.random.default_rng(3)
    constants: dict[str, NDArray[Any]] = {}
    nodes, name = [], "x"

    def add(op: str, *inputs: str, **attributes: Any) -> None:
        nonlocal name
        nodes.append(helper.make_node(op, [name, *inputs], [f"t{len(nodes)}"], **attributes))
        name = f"t{len(nodes) - 1}"

    def conv(channels: int, width: int, kernel: int, **attributes: Any) -> None:
        weight, bias = f"w{len(constants)}", f"b{len(constants)}"
        constants[weight] = random.normal(size=(channels, width, kernel, kernel)).astype(np.float32)
        constants[bias] = random.normal(size=channels).astype(np.float32)
        add("Conv", weight, bias, **attributes)

    conv(3, 2, 3, pads=[1, 1, 1, 1])
    add("Relu")
    conv(4, 3, 2, pads=[0, 1, 1, 0])
    for op, attributes in middle.items():
        add(op, **attributes)
    add("Relu")
    shortcut = name
    conv(4, 4, 3, pads=[1, 1, 1, 1])
    if residual:
        add("Add", shortcut)
    conv(3, 4, 3, pads=[2, 2, 2, 2], dilations=[2, 2])
    add("GlobalAveragePool")
    add("Flatten")
    constants["dense"] = random.normal(size=(3, 4)).astype(np.float32)
    nodes.append(helper.make_node("MatMul", [name, "dense"], ["logits"]))
    return load(write_model(path / "net.onnx", nodes, constants, ["N", 2, 9, 9])).cast(np.float64)


MIDDLES: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {},
    "max": {"MaxPool": {"kernel_shape": [2, 2], "strides": [2, 2]}},
    "overlapping max": {"MaxPool": {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}},
    "dilated average": {"AveragePool": {"kernel_shape": [3, 2], "strides": [3, 1], "pads": [0, 1, 0, 0]}},
    "transposed": {"Transpose": {"perm": [0, 1, 3, 2]}},
}


def linearised(network: Network) -> Linearisation:
    rows = np.random.default_rng(4).normal(size=(ROWS, *network.input_shape))
    return linearise(network, rows).linearisation


def dense_jacobian(at: Linearisation, source: str, target: str) -> NDArray[np.float64]:
    """(n, *source shape, *target shape), column by column."""
    shape = at.network.shapes[source]
    units = np.eye(int(np.prod(shape))).reshape(-1, 1, *shape).repeat(ROWS, axis=1)
    columns = np.ascontiguousarray(at.jvp(source, units, (target,))[target])
    return np.moveaxis(columns, 1, 0).reshape(ROWS, *shape, *columns.shape[2:])


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("middle", MIDDLES)
def test_shared_products_give_the_norm_of_the_dense_jacobian(tmp_path: Path, middle: str, residual: bool) -> None:
    network = conv_net(tmp_path, MIDDLES[middle], residual=residual)
    at = linearised(network)
    units = units_in_parts(network, ROWS, np.dtype(np.float64))
    found = exact_jacobians(at, plan_exact_pairs(network, ALL_PAIRS), units, output=False).squared
    for source in range(1, network.depth + 1):
        for target in range(1, network.depth + 1):
            if source >= target:
                assert (source, target) not in found
                continue
            dense = dense_jacobian(at, network.layers[source - 1].output, network.target(target))
            squared = (dense**2).reshape(ROWS, -1).sum(axis=1)
            np.testing.assert_allclose(found[source, target], squared, rtol=1e-12, err_msg=f"{source} to {target}")


@pytest.mark.parametrize("middle", [name for name in MIDDLES if name != "transposed"])
def test_fields_contain_every_entry_of_the_jacobian(tmp_path: Path, middle: str) -> None:
    network = conv_net(tmp_path, MIDDLES[middle], residual=True)
    at = linearised(network)
    source = network.layers[0].output
    fields = receptive_fields(network, source)
    for layer in network.layers[1:4]:
        field = fields[layer.output]
        assert field is not None
        nonzero = np.argwhere(dense_jacobian(at, source, layer.output))
        assert len(nonzero)
        for entry in nonzero:
            bounds = zip(entry[2:4], entry[5:7], field.jump, field.first, field.last, strict=True)
            assert all(o * jump + first <= p <= o * jump + last for p, o, jump, first, last in bounds)


def test_a_plain_pair_of_3x3_convolutions_takes_nine_products_per_channel(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    constants = {
        "w1": random.normal(size=(5, 1, 3, 3)).astype(np.float32),
        "w2": random.normal(size=(4, 5, 3, 3)).astype(np.float32),
        "w3": random.normal(size=(4 * 64, 2)).astype(np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 4),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1] * 4),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("MatMul", ["e", "w3"], ["logits"]),
    ]
    network = load(write_model(tmp_path / "net.onnx", nodes, constants, ["N", 1, 8, 8]))
    plan = plan_exact_pairs(network, ALL_PAIRS)
    assert plan.targets == {2: (4, 3, 3), 3: (2,)}
    assert not plan.sources
    assert plan.products == 4 * 9 + 2
