"""What every engine returns for a batch, and its conversion to a `Measurement`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import ExactJacobians
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array


@dataclass(frozen=True, slots=True)
class Arrival:
    """Squared norms of what arrives at a target from one source, float64.

    Attributes:
        tangents: |J g|^2 per probe, for standard normal g, (probes, n).
        residuals: Squared norm of the deviation per probe, (probes, n).
        signal: |J x^i|^2, (n,); None in the affine form.
    """

    tangents: Array
    residuals: Array
    signal: Array | None


@dataclass(frozen=True, slots=True)
class Observation:
    """Squared norms of n rows, float64.

    Attributes:
        logits: (n, K).
        ties: Rows at which a gate has no derivative, (n,).
        squared: Tensor name to |value|^2, (n,), for what `observed` names.
        without_bias: Layer to |A^i a^i|^2, (n,); empty in the affine form.
        arrivals: (source, target) to the norms there, for every pair with a path.
        exact: What the programme wants exactly.
    """

    logits: Array
    ties: NDArray[np.bool_]
    squared: Mapping[str, Float64Array]
    without_bias: Mapping[int, Float64Array]
    arrivals: Mapping[tuple[int, int], Arrival]
    exact: ExactJacobians


def join_probes(parts: Sequence[Mapping[tuple[int, int], Arrival]]) -> dict[tuple[int, int], Arrival]:
    """Arrivals of the same rows and of different probes, in the order given."""

    def joined(pair: tuple[int, int]) -> Arrival:
        arrivals = [part[pair] for part in parts]
        tangents, residuals = (
            np.concatenate([getattr(a, kind) for a in arrivals]) for kind in ("tangents", "residuals")
        )
        return Arrival(tangents, residuals, arrivals[0].signal)

    return {pair: joined(pair) for pair in parts[0]}


def observed(network: Network) -> frozenset[str]:
    """The tensors whose norms a measurement needs."""
    names = {network.output}
    for layer in network.layers:
        names |= {layer.input, layer.output, *(layer.gate or ())}
    return frozenset(names)


def to_measurement(network: Network, programme: Programme, index: Array, observation: Observation) -> Measurement:
    """The norms of a batch as arrays over layers and pairs."""
    layers, depth = network.layers, network.depth

    def per_layer(names: list[str | None]) -> Float64Array:
        nothing = np.full(len(index), np.nan)
        return np.stack([nothing if name is None else np.sqrt(observation.squared[name]) for name in names], axis=1)

    source_norm = per_layer([layer.output for layer in layers])
    target_norm = per_layer([network.target(layer.index) for layer in layers])
    output_norm = source_norm
    if observation.without_bias:
        output_norm = np.sqrt(np.stack([observation.without_bias[layer.index] for layer in layers], axis=1))
    signal, jacobian, error, residual = (np.full((len(index), depth, depth), np.nan) for _ in range(4))
    for (source, target), arrival in observation.arrivals.items():
        if programme.output_only and target != depth:
            continue
        pair = (slice(None), source - 1, target - 1)
        signal[pair] = target_norm[:, target - 1] if arrival.signal is None else np.sqrt(arrival.signal)
        jacobian[pair] = arrival.tangents.mean(axis=0)
        if programme.probes > 1:
            error[pair] = arrival.tangents.std(axis=0, ddof=1) / np.sqrt(programme.probes)
        residual[pair] = np.sqrt(arrival.residuals.max(axis=0))
    largest_pixel = np.full_like(source_norm, np.nan)
    for i, largest in observation.exact.largest_pixel.items():
        largest_pixel[:, i - 1] = largest
    for (i, j), squared in observation.exact.squared.items():
        jacobian[:, i - 1, j - 1] = squared
        error[:, i - 1, j - 1] = np.where(np.isnan(squared), np.nan, 0.0)
    return Measurement(
        index=np.asarray(index, np.int64),
        logits=observation.logits.astype(np.float64),
        ties=observation.ties,
        input_norm=per_layer([layer.input for layer in layers]),
        output_norm=output_norm,
        source_norm=source_norm,
        target_norm=target_norm,
        gate_input_norm=per_layer([layer.gate[0] if layer.gate else None for layer in layers]),
        gate_output_norm=per_layer([layer.gate[1] if layer.gate else None for layer in layers]),
        signal_norm=signal,
        jacobian_squared=jacobian,
        jacobian_squared_error=error,
        residual_norm=residual,
        largest_pixel_squared=largest_pixel,
    )
