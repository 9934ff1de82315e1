"""The same quantities by torch.func.jvp and perturbed forward passes: one of each per source layer.

The noise is drawn beforehand and not timed, as torch could draw it in other ways.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import vgg19
from benchmarks.numpy_engine import PROGRAMME, rows_of
from benchmarks.worker import seconds
from onnxbound.graph.load import load
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.operator import Operator
from onnxbound.operators.relu import Relu
from onnxbound.rng import normal_noise

Map = Callable[[Tensor], Tensor]


class TorchTimes:
    """The net cut behind its weighted layers, and what is asked of it."""

    def __init__(self, rows: int, layout: torch.memory_format, device: str = "cpu") -> None:
        network = load(vgg19.path()).cast(np.float32)
        self.layout, self.device = layout, device
        self.x = self._laid_out(torch.from_numpy(rows_of(rows)))
        self.stages: list[list[Map]] = []
        pending: list[Map] = []
        for step in network.steps:
            pending.append(self._translate(step.operator))
            if isinstance(step.operator, Conv | Dense):
                self.stages.append(pending)
                pending = []
        self.noise = [self._noise(layer.index, rows, layer.output_shape) for layer in network.layers[:-1]]

    def _noise(self, layer: int, rows: int, shape: tuple[int, ...]) -> Tensor:
        g = normal_noise(PROGRAMME.seed, layer, np.arange(rows), 0, int(np.prod(shape)))
        return self._laid_out(torch.from_numpy(g.reshape(rows, *shape)))

    def _laid_out(self, t: Tensor) -> Tensor:
        t = t.to(self.device)
        return t.contiguous(memory_format=self.layout) if t.ndim == 4 else t

    def _parameters(self, operator: Conv | Dense) -> tuple[Tensor, Tensor]:
        return self._laid_out(torch.tensor(operator.weight)), self._laid_out(torch.tensor(operator.bias))

    def _translate(self, operator: Operator) -> Map:
        if isinstance(operator, Conv):
            weight, bias = self._parameters(operator)
            return partial(functional.conv2d, weight=weight, bias=bias, padding=1)
        if isinstance(operator, Dense):
            weight, bias = self._parameters(operator)
            return partial(functional.linear, weight=weight, bias=bias)
        if isinstance(operator, Relu):
            return torch.relu
        if isinstance(operator, MaxPool):
            return partial(functional.max_pool2d, kernel_size=2)
        return partial(torch.flatten, start_dim=1)

    def outputs(self, x: Tensor, first: int = 0) -> tuple[Tensor, ...]:
        """x^j for every layer behind the given number of layers."""
        found = []
        for stage in self.stages[first:]:
            for each in stage:
                x = each(x)
            found.append(x)
        return tuple(found)

    def measure(self) -> tuple[Tensor, Tensor]:
        """|J g| and |M(x + eta) - M(x) - J eta| of all pairs, (pairs, n)."""
        jacobians, residuals = [], []
        values = self.outputs(self.x)
        for source, (x, g) in enumerate(zip(values[:-1], self.noise, strict=True), start=1):
            scale = PROGRAMME.radius * length(x) / length(g)
            eta = g * scale.reshape(-1, *(1,) * (x.ndim - 1))
            behind = partial(self.outputs, first=source)
            plain, tangents = torch.func.jvp(behind, (x,), (eta,))  # type: ignore[misc]
            for at, tangent, moved in zip(plain, tangents, behind(x + eta), strict=True):
                jacobians.append(length(tangent) / scale)
                residuals.append(length(moved - at - tangent))
        return torch.stack(jacobians), torch.stack(residuals)

    def gradients(self, *, batched: bool) -> list[tuple[Tensor, ...]]:
        """Of every logit with respect to every layer's output, by autograd: class by class, or all in one batch."""
        with torch.enable_grad():
            *outputs, logits = self.outputs(self.x.clone().requires_grad_())
            if batched:
                units = torch.eye(logits.shape[1])[:, None].expand(-1, len(logits), -1)
                return [torch.autograd.grad(logits, outputs, units, is_grads_batched=True)]
            return [torch.autograd.grad(c.sum(), outputs, retain_graph=True) for c in logits.unbind(1)]

    def gradient_norms(self) -> list[float]:
        """Squared norms of the Jacobians of the first row, layer by layer."""
        per_class = self.gradients(batched=False)
        return [sum(float((g[0].double() ** 2).sum()) for g in layer) for layer in zip(*per_class, strict=True)]


def length(t: Tensor) -> Tensor:
    """Norm per row."""
    norms: Tensor = torch.linalg.vector_norm(t, dim=tuple(range(1, t.ndim)))
    return norms


def tasks(rows: int, threads: int) -> Mapping[str, Callable[[], Any]]:
    """Task name to what it answers: seconds in either memory format, or the measured norms."""
    torch.set_num_threads(threads)
    torch.set_grad_enabled(False)
    plain = TorchTimes(rows, torch.contiguous_format)
    last = TorchTimes(rows, torch.channels_last)

    def norms() -> dict[str, Any]:
        jacobian, residual = plain.measure()
        return {"jacobian": jacobian[:, 0].tolist(), "residual": residual[:, 0].tolist()}

    return {
        "forward": lambda: seconds(partial(plain.outputs, plain.x)),
        "forward, channels last": lambda: seconds(partial(last.outputs, last.x)),
        "all pairs": lambda: seconds(plain.measure),
        "all pairs, channels last": lambda: seconds(last.measure),
        "norms": norms,
        "output": lambda: seconds(partial(plain.gradients, batched=False)),
        "output, batched": lambda: seconds(partial(plain.gradients, batched=True)),
        "output, channels last": lambda: seconds(partial(last.gradients, batched=False)),
        "output norms": plain.gradient_norms,
    }
