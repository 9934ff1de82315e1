"""What is measured by masks in NumPy against arrays that reverse-mode differentiation in PyTorch computed.

Every model, at least 8 rows, both forms, float64 and float32.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.linear.linearisation import linearise
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Form, Measurement, Programme
from onnxbound.results import Float64Array
from tests.oracle.models import Model, fixtures, public_models, stored
from tests.stability.properties import arrays_of

MODELS = {model.name: model for model in (*fixtures(), *public_models())}


@cache
def network_of(name: str) -> Network:
    return load(MODELS[name].path)


def measured(name: str, dtype: DTypeLike) -> dict[Form, tuple[Measurement, dict[str, Float64Array]]]:
    """Both forms at the stored rows; |J|_F does not depend on the form and is computed once."""
    network, oracle = network_of(name), stored(name)
    x, _ = MODELS[name].rows(oracle["index"])
    common = {"probes": int(oracle["probes"]), "radius": float(oracle["radius"]), "seed": int(oracle["seed"])}
    affine = Programme("affine", exact_pairs=True, exact_output=True, output_only=False, **common)
    linear = replace(affine, form="linear", exact_pairs=False)
    working = network.cast(dtype)
    first = measure(working, affine, oracle["index"], x.astype(dtype))
    second = replace(
        measure(working, linear, oracle["index"], x.astype(dtype)), jacobian_squared=first.jacobian_squared
    )
    return {
        "affine": (first, arrays_of(network, first, affine)),
        "linear": (second, arrays_of(network, second, linear)),
    }


def arrays(form: Form, measurement: Measurement, found: dict[str, Float64Array]) -> dict[str, NDArray[np.float64]]:
    """What was measured under the names of the stored arrays."""
    return {
        "logits": measurement.logits,
        f"layer_cushion_{form}": found["layer_cushion"],
        "contraction": found["contraction"],
        "between_contraction": found["between_contraction"],
        f"interlayer_cushion_{form}": found["interlayer_cushion"],
        "jacobian_norm": found["jacobian_norm"],
        "beta": found["beta"],
        f"smoothness_inverse_{form}": found["smoothness_inverse"],
    }


@pytest.mark.parametrize("name", MODELS)
def test_float64_agrees_with_the_oracle(name: str) -> None:
    oracle = stored(name)
    assert len(oracle["index"]) >= 8
    for form, (measurement, found) in measured(name, np.float64).items():
        np.testing.assert_array_equal(measurement.ties, oracle["ties"].astype(bool), err_msg="ties")
        for key, values in arrays(form, measurement, found).items():
            # A smoothness of exactly 0 in one sum is rounding in another: 1e-12 of 1/rho is nothing.
            atol = 1e-12 if key.startswith("smoothness") else 0
            np.testing.assert_allclose(values, oracle[key], rtol=1e-9, atol=atol, err_msg=f"{key}, {form}")


@pytest.mark.parametrize("name", MODELS)
def test_float32_agrees_with_the_oracle_where_no_gate_flips(name: str) -> None:
    oracle, same = stored(name), ~flipped(name, stored(name)["index"])
    for form, (measurement, found) in measured(name, np.float32).items():
        for key, values in arrays(form, measurement, found).items():
            atol = 1e-6 if key.startswith("smoothness") else 0
            if key == "logits":
                atol = 1e-5 * float(np.abs(oracle[key]).max())
            np.testing.assert_allclose(values[same], oracle[key][same], rtol=1e-4, atol=atol, err_msg=f"{key}, {form}")


def test_less_than_one_row_in_a_hundred_flips_a_gate_in_float32() -> None:
    index = np.arange(100)
    flips = {name: int(flipped(name, index).sum()) for name in MODELS}
    assert sum(flips.values()) < 0.01 * len(index) * len(MODELS), flips


def flipped(name: str, index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows at which some gate differs between float32 and float64."""
    model: Model = MODELS[name]
    x, _ = model.rows(index)
    low, high = (
        linearise(network_of(name).cast(dtype), x.astype(dtype)).linearisation.states
        for dtype in (np.float32, np.float64)
    )
    result = np.zeros(len(index), bool)
    for a, b in zip(low, high, strict=True):
        if a is not None and b is not None:
            result |= (np.abs(a - b) > 1e-6).reshape(len(index), -1).any(axis=1)
    return result
