"""The per-sample noise-stability properties in float64, by dense Jacobians from reverse-mode differentiation.

Independent of onnxbound but for the noise, which both must share. Names, shapes and undefined values are those of
`onnxbound analyze --samples`; the definitions are Arora et al. 2018, Definitions 4 to 9, in the form with biases
("affine") and the one printed ("linear").
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from onnxbound.rng import normal_noise
from tests.oracle.gate_ties import ties
from tests.oracle.lipschitz import between
from tests.oracle.torch_net import GATES, Net

CHUNK = 256
"""Cotangents in one backward sweep."""

Array = NDArray[np.float64]
Values = Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Dense:
    """What is kept of J^{i,j} at one row: squared entries per pixel of x^i, and its product with some tangents."""

    squared_per_pixel: Tensor
    products: Tensor

    @property
    def norm(self) -> float:
        """|J|_F."""
        return float(self.squared_per_pixel.sum().sqrt())


def _norm(x: Tensor) -> Array:
    """Euclidean norm of every row of (n, ...)."""
    norms: Array = x.detach().flatten(1).norm(dim=1).numpy()
    return norms


def _ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, 0 where the numerator is 0, NaN (undefined) where only the denominator is."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator / denominator
    quotient[(numerator != 0) & (denominator == 0)] = np.nan
    quotient[numerator == 0] = 0.0
    return quotient


def margin(logits: Array, labels: NDArray[np.int64]) -> Array:
    """The label's logit minus the largest of the others, (n, K) to (n,)."""
    rows = np.arange(len(labels))
    others = logits.copy()
    others[rows, labels] = -np.inf
    return logits[rows, labels] - others.max(axis=1)


def layer_cushion(net: Net, values: Values, form: str) -> Array:
    """mu_i = |x^i| / (|A^i|_F |a^i|), in the linear form |A^i a^i| in place of |x^i|; shape (n, d)."""
    columns = []
    for layer in net.layers:
        entering = values[layer.entering]
        leaving = values[layer.leaving] if form == "affine" else layer.linear(entering)
        arriving = _norm(entering)
        column = _ratio(_norm(leaving), float(layer.weight.norm()) * arriving)
        column[arriving == 0] = np.nan
        columns.append(column)
    return np.stack(columns, axis=1)


def contraction(net: Net, values: Values) -> Array:
    """c_i = |z| / |phi(z)| at the first gate after x^i, before any other weighted layer; shape (n, d)."""
    result = np.full((len(values[net.input]), len(net.layers)), np.nan)
    weighted = {name for layer in net.layers for name in layer.nodes}
    for i, layer in enumerate(net.layers):
        reached = {layer.leaving}
        for node in net.nodes:
            if node.output in weighted or not reached.intersection(node.inputs):
                continue
            if node.op in GATES:
                before, after = _norm(values[node.inputs[0]]), _norm(values[node.output])
                result[:, i] = np.where(after == 0, np.nan, before / np.where(after == 0, 1, after))
                break
            reached.add(node.output)
    return result


def between_contraction(net: Net, values: Values) -> Array:
    """The largest, over the layers t that x^i feeds, of sum_k l_{k,t} |x^k| / |a^t|, k over all that feed t."""
    constants = [between(net, i, values) for i in range(len(net.layers))]
    result = np.full((len(values[net.input]), len(net.layers)), np.nan)
    for i, fed in enumerate(constants):
        at_layers = []
        for t in fed:
            arriving = sum(
                other[t] * _norm(values[net.layers[k].leaving]) for k, other in enumerate(constants) if t in other
            )
            entering = _norm(values[net.layers[t].entering])
            at_layers.append(np.where(entering == 0, np.nan, arriving / np.where(entering == 0, 1, entering)))
        if at_layers:
            result[:, i] = np.max(at_layers, axis=0)
    return result


def jacobians(net: Net, row: Tensor, tangents: list[Tensor]) -> dict[tuple[int, int], Dense]:
    """J^{i,j} at one row for all i < j with a path, one vector-Jacobian product per unit of x^j.

    Args:
        net: The network.
        row: Its input, shape (1, ...).
        tangents: Per layer i, vectors (size of x^i, v) to multiply every J^{i,j} with.
    """
    values = net.evaluate(row.expand(CHUNK, *row.shape[1:]).contiguous().requires_grad_())
    depth = len(net.layers)
    found: dict[tuple[int, int], Dense] = {}
    for j in range(1, depth):
        target = values[net.target(j)]
        size = target[0].numel()
        sources = [i for i in range(j) if net.target(j) in net.reaches(net.layers[i].leaving)]
        leaving = [values[net.layers[i].leaving] for i in sources]
        squared = {i: torch.zeros((), dtype=torch.float64) for i in sources}
        products: dict[int, list[Tensor]] = {i: [] for i in sources}
        for start in range(0, size if sources else 0, CHUNK):
            units = torch.eye(min(CHUNK, size - start), size, dtype=torch.float64).roll(start, dims=1)
            cotangents = torch.zeros(CHUNK, size, dtype=torch.float64)
            cotangents[: len(units)] = units
            rows = torch.autograd.grad(target, leaving, cotangents.reshape(target.shape), retain_graph=True)
            for i, jacobian in zip(sources, rows, strict=True):
                pixels = net.layers[i].pixel_axes(jacobian)
                summed = tuple(axis for axis in range(jacobian.ndim) if axis not in pixels)
                squared[i] = squared[i] + jacobian.square().sum(summed)
                products[i].append(jacobian[: len(units)].flatten(1) @ tangents[i])
        found |= {(i, j): Dense(squared[i], torch.cat(products[i])) for i in sources}
    return found


def noise(net: Net, values: Values, index: NDArray[np.int64], seed: int, radius: float, probes: int) -> list[Tensor]:
    """eta = r |x^i| g / |g| for every layer, each (probes, n, size of x^i)."""
    result = []
    for i, layer in enumerate(net.layers):
        leaving = values[layer.leaving].flatten(1)
        draws = np.stack([normal_noise(seed, i + 1, index, probe, leaving.shape[1]) for probe in range(probes)])
        directions = torch.from_numpy(draws).double()
        result.append(radius * leaving.norm(dim=1)[:, None] * directions / directions.norm(dim=2, keepdim=True))
    return result


def perturbed(net: Net, x: Tensor, values: Values, layer: int, etas: Tensor) -> dict[int, Tensor]:
    """M^{i,j}(x^i + eta) for every j > i, each (probes, n, size), `etas` (probes, n, size of x^i)."""
    leaving = values[net.layers[layer].leaving]
    runs = [net.evaluate(x, {net.layers[layer].leaving: leaving + eta.reshape(leaving.shape)}) for eta in etas]
    return {j: torch.stack([run[net.target(j)].flatten(1) for run in runs]) for j in range(layer + 1, len(net.layers))}


def measure(
    net: Net,
    x: Tensor,
    labels: NDArray[np.int64],
    index: NDArray[np.int64],
    *,
    seed: int = 0,
    radius: float = 0.1,
    probes: int = 4,
) -> dict[str, NDArray[Any]]:
    """All per-sample arrays at rows x.

    Args:
        net: The network.
        x: Preprocessed rows (n, ...), float64.
        labels: Their labels (n,).
        index: Their 0-based rows in the data file (n,), which fix the noise.
        seed: The run's seed.
        radius: r of the noise `gaussian:r`.
        probes: Noise vectors per row and layer; smoothness is the worst of them.

    Returns:
        The arrays of `--samples`, float64; `layer_cushion`, `interlayer_cushion` and `smoothness_inverse` once per
        form, with the suffix `_affine` or `_linear`. Also `logits` (n, K), `frobenius_norm` and `positions` (d,),
        `ties` and `gate_gap` (n,) as `gate_ties` defines them, and the settings.
    """
    n, depth = len(x), len(net.layers)
    with torch.no_grad():
        values = net.evaluate(x)
        etas = noise(net, values, index, seed, radius, probes)
        shifted = [perturbed(net, x, values, i, etas[i]) for i in range(depth)]
        logits: Array = values[net.logits].numpy()
        tied, gap = ties(net, values)
        arrays: dict[str, NDArray[Any]] = {
            "index": index,
            "margin": margin(logits, labels),
            "contraction": contraction(net, values),
            "layer_cushion_affine": layer_cushion(net, values, "affine"),
            "layer_cushion_linear": layer_cushion(net, values, "linear"),
            "logits": logits,
            "frobenius_norm": np.array([float(layer.weight.norm()) for layer in net.layers]),
            "positions": np.array([layer.positions(values[layer.leaving]) for layer in net.layers]),
            "ties": tied,
            "gate_gap": gap,
            "seed": np.array(seed),
            "radius": np.array(radius),
            "probes": np.array(probes),
        }
    arrays["between_contraction"] = between_contraction(net, values)
    pairs = ["jacobian_norm", *(f"{name}_{form}" for name in _PER_FORM for form in ("affine", "linear"))]
    arrays |= {name: np.full((n, depth, depth), np.nan) for name in pairs}
    arrays["beta"] = np.full((n, depth), np.nan)
    arrays["beta"][:, arrays["positions"] == 1] = 1.0
    arrays["beta"][:, -1] = 1.0
    for r in range(n):
        sizes = [values[layer.leaving][r].flatten() for layer in net.layers]
        tangents = [torch.stack([sizes[i], *etas[i][:, r]], dim=1) for i in range(depth)]
        for (i, j), dense in jacobians(net, x[r : r + 1], tangents).items():
            at_target = values[net.target(j)][r].flatten()
            _store_pair(arrays, (r, i, j), dense, sizes[i], at_target, shifted[i][j][:, r])
    return arrays


_PER_FORM = ("interlayer_cushion", "smoothness_inverse")


def _store_pair(
    arrays: dict[str, NDArray[Any]],
    where: tuple[int, int, int],
    dense: Dense,
    at_source: Tensor,
    at_target: Tensor,
    shifted: Tensor,
) -> None:
    """Definitions 5, 7, 8 and 9 for one row and pair; `shifted` is M(x^i + eta), (probes, size of x^j)."""
    row, i, j = where
    positions = float(arrays["positions"][i])
    source, target = float(at_source.norm()), float(at_target.norm())
    jacobian_x, jacobian_eta = dense.products[:, 0], dense.products[:, 1:].T
    residuals = {"affine": shifted - at_target - jacobian_eta, "linear": shifted - jacobian_x - jacobian_eta}
    numerators = {"affine": target, "linear": float(jacobian_x.norm())}
    arrays["jacobian_norm"][where] = dense.norm
    for form in ("affine", "linear"):
        cushion = _ratio(np.array([positions**0.5 * numerators[form]]), np.array([dense.norm * source]))
        arrays[f"interlayer_cushion_{form}"][where] = cushion[0]
        worst = float(residuals[form].norm(dim=1).max())
        radius = float(arrays["radius"])
        inverse = _ratio(np.array([worst]), np.array([radius * target]))
        arrays[f"smoothness_inverse_{form}"][where] = inverse[0] if source > 0 else np.nan
    if j == arrays["beta"].shape[1] - 1 and positions > 1:
        spread = positions**0.5 * float(dense.squared_per_pixel.max().sqrt())
        arrays["beta"][row, i] = spread / dense.norm if dense.norm > 0 else np.nan
