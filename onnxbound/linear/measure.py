"""Interpret a programme at one batch in NumPy."""

from collections.abc import Callable

import numpy as np

from onnxbound.graph.network import Layer, Network
from onnxbound.linear.jacobian_norm import output_jacobians, pair_jacobians
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.norms import squared_norms
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.linear.sweep import Sweep, Sweeper
from onnxbound.operators.operator import Array
from onnxbound.results import Float64Array
from onnxbound.rng import normal_noise


def measure(network: Network, programme: Programme, index: Array, rows: Array) -> Measurement:
    """Run a programme on n rows.

    Args:
        network: Cast to float32 for work, or to float64 as the oracle.
        programme: What to measure.
        index: Rows in the data file, (n,); the noise depends on them, not on the batch they come in.
        rows: Preprocessed inputs of the network's type, (n, *input_shape).
    """

    def noise(layer: Layer, probe: int) -> Array:
        g = normal_noise(programme.seed, layer.index, index, probe, int(np.prod(layer.output_shape)))
        return g.reshape(len(index), *layer.output_shape).astype(rows.dtype, copy=False)

    signals = programme.form == "linear"
    keep = {network.output} | {name for layer in network.layers for name in (layer.input, layer.output)}
    keep |= {name for layer in network.layers for name in layer.gate or ()}
    sweeper = Sweeper(network, programme.probes, programme.radius, noise, signals=signals, keep=frozenset(keep))
    sweep = sweeper.run(rows)
    norm = _norms(sweep)
    layers = network.layers
    source_norm = np.stack([norm(layer.output) for layer in layers], axis=1)
    linear_norm = np.stack([_without_bias(sweep, layer) for layer in layers], axis=1) if signals else source_norm
    target_norm = np.stack([norm(network.target(layer.index)) for layer in layers], axis=1)
    nothing = np.full(len(rows), np.nan)
    gates = [(norm(layer.gate[0]), norm(layer.gate[1])) if layer.gate else (nothing, nothing) for layer in layers]
    signal_norm, jacobian, error, residual = _pairs(sweep, target_norm, network.depth, programme)
    largest_pixel = np.full_like(source_norm, np.nan)
    at = Linearisation(network, sweep.states)
    if programme.exact_output:
        exact, largest_pixel = output_jacobians(at, len(rows), rows.dtype)
        jacobian[:, :, -1], error[:, :, -1] = exact, np.where(np.isnan(exact), np.nan, 0.0)
    if programme.exact_pairs:
        jacobian = pair_jacobians(at, len(rows), rows.dtype)
        error = np.where(np.isnan(jacobian), np.nan, 0.0)
    return Measurement(
        index=np.asarray(index, np.int64),
        logits=sweep.values[network.output].astype(np.float64),
        ties=sweep.ties,
        input_norm=np.stack([norm(layer.input) for layer in layers], axis=1),
        output_norm=linear_norm,
        source_norm=source_norm,
        target_norm=target_norm,
        gate_input_norm=np.stack([before for before, _ in gates], axis=1),
        gate_output_norm=np.stack([after for _, after in gates], axis=1),
        signal_norm=signal_norm,
        jacobian_squared=jacobian,
        jacobian_squared_error=error,
        residual_norm=residual,
        largest_pixel_squared=largest_pixel,
    )


def _norms(sweep: Sweep) -> Callable[[str], Float64Array]:
    known: dict[str, Float64Array] = {}

    def norm(name: str) -> Float64Array:
        if name not in known:
            known[name] = np.sqrt(squared_norms(sweep.values[name], 1))
        return known[name]

    return norm


def _without_bias(sweep: Sweep, layer: Layer) -> Float64Array:
    """|A^i a^i|."""
    value = sweep.values[layer.output]
    if layer.operator.bias is None:
        return np.sqrt(squared_norms(value, 1))
    axis = layer.operator.channel_axis % value.ndim
    bias = layer.operator.bias.reshape(-1, *(1,) * (value.ndim - 1 - axis))
    return np.sqrt(squared_norms(value - bias, 1))


def _pairs(
    sweep: Sweep, target_norm: Float64Array, depth: int, programme: Programme
) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
    """Signal norm, |J|_F^2, its standard error and the residual norm of every pair that the sweep met, (n, d, d)."""
    signal, jacobian, error, residual = (np.full((len(target_norm), depth, depth), np.nan) for _ in range(4))
    for (source, target), arrival in sweep.arrivals.items():
        if programme.output_only and target != depth:
            continue
        pair = (slice(None), source - 1, target - 1)
        signal[pair] = target_norm[:, target - 1] if arrival.signal is None else np.sqrt(arrival.signal)
        jacobian[pair] = arrival.tangents.mean(axis=0)
        if programme.probes > 1:
            error[pair] = arrival.tangents.std(axis=0, ddof=1) / np.sqrt(programme.probes)
        residual[pair] = np.sqrt(arrival.residuals.max(axis=0))
    return signal, jacobian, error, residual
