"""Compare the outputs of the framework with those of the model: exporters have faults."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from onnxbound.data.array_file import ArrayFile
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.logits import Logits

_ROWS = 1000
_TOLERANCE = 1e-3
"""Relative to the largest value: far above float32's rounding, far below what a wrong layer does."""

_FORMS: Mapping[str, Callable[[Float64Array], Float64Array]] = {
    "the logits": lambda z: z,
    "the probabilities": lambda z: np.asarray(special.softmax(z, axis=1)),
    "the logarithms of the probabilities": lambda z: np.asarray(special.log_softmax(z, axis=1)),
    "the Sigmoid of each logit": lambda z: np.asarray(special.expit(z)),
    "the single logit": lambda z: z[:, 1:],
    "the Sigmoid of the single logit": lambda z: np.asarray(special.expit(z[:, 1:])),
    "the labels": lambda z: z.argmax(axis=1, keepdims=True).astype(np.float64),
}


def require_reference(network: Network, rows: Rows, reference: ArrayFile, device: Device) -> str:
    """Compare the model with outputs that its framework gave on the first rows of the data, at most 1,000.

    Args:
        network: The model.
        rows: The data.
        reference: `(n, K)` logits or probabilities, `(n,)` or `(n, 1)` single logits, probabilities or labels.
        device: Where to run.

    Returns:
        Which outputs agree, and how well, in words.

    Raises:
        ModelError: model-reference, no outputs agree.
        UsageError: The file has more rows than the data.
    """
    count = min(reference.shape[0] if reference.shape else 0, _ROWS)
    if not 1 <= count <= rows.total:
        raise UsageError("usage", f"`reference` holds {count:,} rows, but the data only {rows.total:,}.")
    expected = reference.take(np.arange(count)).astype(np.float64).reshape(count, -1)
    logits = _logits(network, rows, count, device)
    forms = {name: form(logits) for name, form in _FORMS.items() if network.classes == 2 or "single" not in name}
    distances = {
        name: _distance(network, value, expected) for name, value in forms.items() if value.shape == expected.shape
    }
    if not distances:
        why = f"rows of {expected.shape[1]} numbers, and the model has {network.classes} classes"
        raise ModelError("model-reference", "`reference` does not fit the model.", [Problem(reference.name, why, "")])
    best = min(distances, key=lambda name: distances[name])
    if distances[best] > _TOLERANCE:
        why = f"they differ by {distances[best]:.3g} times the largest value on {count} rows"
        do = "export again with another exporter or opset; check that the rows are the same"
        message = f"The outputs of the model differ from the framework's; {best} come closest."
        raise ModelError("model-reference", message, [Problem(reference.name, why, do)])
    return f"{best} of {count} rows agree with the framework's to {distances[best]:.1g} times the largest value"


def _logits(network: Network, rows: Rows, count: int, device: Device) -> NDArray[np.float64]:
    session = Logits(network, device, None)
    parts = np.array_split(np.arange(count), -(-count // 64))
    return np.concatenate([session.run(rows.convert(rows.array.take(part))) for part in parts])


def _distance(network: Network, value: Float64Array, expected: Float64Array) -> float:
    """Of the farthest row; of a net that rounds the median one: values on the edge of two steps fall either way."""
    per_row = np.abs(value - expected).max(axis=1)
    return float((np.median(per_row) if network.roundings else per_row.max()) / max(np.abs(expected).max(), 1e-30))
