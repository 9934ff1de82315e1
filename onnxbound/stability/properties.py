"""All properties of the measured rows, from their raw norms."""

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.network import Network
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.results import Float64Array
from onnxbound.run.forward import ForwardNorms
from onnxbound.stability.contraction import activation_contraction, between_contraction
from onnxbound.stability.interlayer_cushion import interlayer_cushion
from onnxbound.stability.layer_cushion import layer_cushion
from onnxbound.stability.noise_sensitivity import noise_sensitivity
from onnxbound.stability.smoothness import smoothness_inverse
from onnxbound.stability.well_distributed import well_distributed


@dataclass(frozen=True, slots=True)
class WeightNorms:
    """What the properties need of the weights.

    Attributes:
        frobenius: |A^i|_F, (d,).
        map_squared: |M|_F^2 of each layer's whole linear map, (d,).
    """

    frobenius: Float64Array
    map_squared: Float64Array


def weight_norms(network: Network) -> WeightNorms:
    """Frobenius norms of the weights and of the maps they make, in float64."""
    weights = [sqrt(layer.operator.frobenius_squared()) for layer in network.layers]
    maps = [layer.operator.map_frobenius_squared(layer.input_shape) for layer in network.layers]
    return WeightNorms(np.array(weights), np.array(maps))


@dataclass(frozen=True, slots=True)
class ForwardProperties:
    """Properties that one forward pass gives, each (n, d), NaN where undefined.

    Attributes:
        layer_cushion: mu_i.
        contraction: c_i, of the activation alone.
        between_contraction: Of layer i, the largest over the layers t that x^i feeds.
        noise_sensitivity: psi of the layer's linear map.
    """

    layer_cushion: Float64Array
    contraction: Float64Array
    between_contraction: Float64Array
    noise_sensitivity: Float64Array


def forward_properties(network: Network, weights: WeightNorms, norms: ForwardNorms | Measurement) -> ForwardProperties:
    """From the norms of n rows to their forward properties."""
    depth = range(network.depth)
    cushions = [layer_cushion(norms.output_norm[:, i], weights.frobenius[i], norms.input_norm[:, i]) for i in depth]
    sensitivities = [
        noise_sensitivity(weights.map_squared[i], norms.input_norm[:, i], norms.output_norm[:, i]) for i in depth
    ]
    return ForwardProperties(
        layer_cushion=np.stack(cushions, axis=1),
        contraction=activation_contraction(norms.gate_input_norm, norms.gate_output_norm),
        between_contraction=_between(network, norms),
        noise_sensitivity=np.stack(sensitivities, axis=1),
    )


def _between(network: Network, norms: ForwardNorms | Measurement) -> Float64Array:
    """Column i-1: the largest between contraction over the layers that x^i feeds; NaN if it feeds none.

    A layer that is fed through a map without a Lipschitz constant does not count.
    """
    result = np.full_like(norms.source_norm, np.nan)
    sources = {layer.index: norms.source_norm[:, layer.index - 1] for layer in network.layers}
    for layer in network.layers:
        if not layer.between or not np.isfinite(list(layer.between.values())).all():
            continue
        at_input = between_contraction(layer.between, sources, norms.input_norm[:, layer.index - 1])
        for source in layer.between:
            result[:, source - 1] = np.fmax(result[:, source - 1], at_input)
    return result


@dataclass(frozen=True, slots=True)
class Properties:
    """Every property of n measured rows; `[:, i-1, j-1]` for pairs, NaN where undefined or where there is no pair.

    Attributes:
        index: Rows in the data file, (n,).
        forward: What one forward pass gives.
        interlayer_cushion: mu_{i,j}, (n, d, d).
        interlayer_cushion_error: Its standard error; 0 where exact; (n, d, d).
        jacobian_norm: |J^{i,j}|_F, (n, d, d).
        jacobian_norm_error: Its standard error, (n, d, d).
        smoothness_inverse: 1 / rho_{i,j}, the largest over the probes, (n, d, d).
        beta: beta to the output, (n, d).
    """

    index: NDArray[np.int64]
    forward: ForwardProperties
    interlayer_cushion: Float64Array
    interlayer_cushion_error: Float64Array
    jacobian_norm: Float64Array
    jacobian_norm_error: Float64Array
    smoothness_inverse: Float64Array
    beta: Float64Array


def properties(network: Network, weights: WeightNorms, programme: Programme, measurement: Measurement) -> Properties:
    """From the raw norms of the measured rows to every property of [A]."""
    d = network.depth
    jacobian_norm = np.sqrt(measurement.jacobian_squared)
    cushion, smoothness = np.full_like(jacobian_norm, np.nan), np.full_like(jacobian_norm, np.nan)
    beta = np.full_like(measurement.source_norm, np.nan)
    for layer in network.layers:
        i = layer.index - 1
        beta[:, i] = _beta(network, measurement, layer.index)
        for j in range(i + 1, d):
            pair = (slice(None), i, j)
            cushion[pair] = interlayer_cushion(
                measurement.signal_norm[pair], jacobian_norm[pair], measurement.source_norm[:, i], layer.positions
            )
            smoothness[pair] = smoothness_inverse(
                measurement.residual_norm[pair],
                programme.radius,
                measurement.source_norm[:, i],
                measurement.target_norm[:, j],
            )
    # Delta method: a relative error e of |J|_F^2 is one of e/2 of |J|_F, and of mu, which is its reciprocal.
    relative = np.full_like(jacobian_norm, np.nan)
    np.divide(
        measurement.jacobian_squared_error,
        2 * measurement.jacobian_squared,
        out=relative,
        where=measurement.jacobian_squared > 0,
    )
    return Properties(
        index=measurement.index,
        forward=forward_properties(network, weights, measurement),
        interlayer_cushion=cushion,
        interlayer_cushion_error=relative * cushion,
        jacobian_norm=jacobian_norm,
        jacobian_norm_error=relative * jacobian_norm,
        smoothness_inverse=smoothness,
        beta=beta,
    )


def _beta(network: Network, measurement: Measurement, index: int) -> Float64Array:
    """beta_{i,d} of one layer; 1 for i = d, whose Jacobian to itself is the identity."""
    if index == network.depth:
        return np.ones(len(measurement.index))
    return well_distributed(
        measurement.largest_pixel_squared[:, index - 1],
        measurement.jacobian_squared[:, index - 1, -1],
        network.layers[index - 1].positions,
    )
