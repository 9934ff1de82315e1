"""A scale and a shift per channel directly after a weighted layer are folded into the layer.

With `y = A x + b` and the map `z = s y + t`, s and t one number per output channel, z = (s A) x + (s b + t). That is a
BatchNormalization at inference, a bias written as an Add, or both spelled as Mul and Add. A map that differs between
positions, or whose layer is also read by others, stays where it is.
"""

from collections import Counter
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from onnxbound.graph.layer import Step
from onnxbound.operators.elementwise_affine import ElementwiseAffine
from onnxbound.operators.operator import Shape
from onnxbound.operators.weighted import Weighted


def fold_affine(steps: tuple[Step, ...], shapes: dict[str, Shape], logits: str) -> tuple[tuple[Step, ...], bool, str]:
    """Fold every element-wise affine step into the weighted step that alone feeds it."""
    readers = Counter(name for step in steps for name in step.inputs)
    position: dict[str, int] = {}
    result: list[Step] = []
    folded: list[str] = []
    for step in steps:
        producer = position.get(step.inputs[0])
        merged = None
        if producer is not None and readers[step.inputs[0]] == 1 and step.inputs[0] != logits:
            merged = _merge(result[producer], step, shapes[step.output])
        if merged is None:
            position[step.output] = len(result)
            result.append(step)
        else:
            assert producer is not None
            result[producer] = merged
            position[merged.output] = producer
            folded.append(step.op)
    kinds = ", ".join(f"{count} {op}" for op, count in sorted(Counter(folded).items()))
    return tuple(result), bool(folded), f"folded into the layer before: {kinds}" if folded else ""


def _merge(layer: Step, step: Step, shape: Shape) -> Step | None:
    """`layer` with `step` folded in; None if it is not of that kind."""
    if not isinstance(layer.operator, Weighted) or not isinstance(step.operator, ElementwiseAffine):
        return None
    axis = 0 if layer.operator.channel_axis == 1 else len(shape) - 1
    scale = _one_per_channel(step.operator.scale, shape, axis)
    shift = _one_per_channel(step.operator.shift, shape, axis)
    if scale is None or shift is None:
        return None
    return replace(
        layer,
        operator=layer.operator.followed_by(scale, shift),
        output=step.output,
        trained=(*layer.trained, *step.trained),
        folded=(*layer.folded, step.op),
    )


def _one_per_channel(constant: NDArray[np.float64], shape: Shape, axis: int) -> NDArray[np.float64] | None:
    """The constant as one number per channel, shape (h,); None if it varies along another axis."""
    padded = constant.reshape((1,) * (len(shape) - constant.ndim) + constant.shape)
    if any(n > 1 for other, n in enumerate(padded.shape) if other != axis):
        return None
    return np.broadcast_to(padded.ravel(), (shape[axis],)).copy()
