"""Every value of a network at some rows, and the values that change when one tensor does."""

import numpy as np

from onnxbound.graph.network import Network
from onnxbound.operators.operator import Array, Tensor


def all_values(network: Network, rows: Tensor) -> dict[str, Tensor]:
    """Evaluate a network.

    Args:
        network: Cast to the type of the rows.
        rows: `(n, *input_shape)`.

    Returns:
        Tensor name to `(n, *shape)`, the input included.
    """
    values = {network.input: rows}
    for step in network.steps:
        values[step.output] = step.operator.act(*(values[name] for name in step.inputs))
    return values


def changed_values(
    network: Network,
    values: dict[str, Array],
    name: str,
    changed: Array,
    keep: frozenset[str] | None = None,
    *,
    quickly: bool = False,
) -> dict[str, Array]:
    """Evaluate a network again after one tensor has changed; tensors that are not downstream keep their values.

    Args:
        network: Cast to the type of the values.
        values: From `all_values`, at n rows.
        name: The tensor.
        changed: Its new values, r versions of the n rows one after the other, `(r * n, *shape)`.
        keep: Tensors to return; others are freed after their last use; None for all.
        quickly: Whether `Operator.act_quickly` is good enough.

    Returns:
        Name of that tensor and of each one downstream of it to its values, `(r * n, *shape)`.
    """
    versions = len(changed) // len(values[name])
    result = {name: changed}
    last_use = {x: position for position, step in enumerate(network.steps) for x in step.inputs}
    for position, step in enumerate(network.steps):
        if step.output not in result and not result.keys().isdisjoint(step.inputs):
            inputs = (result[x] if x in result else np.concatenate([values[x]] * versions) for x in step.inputs)
            result[step.output] = (step.operator.act_quickly if quickly else step.operator.act)(*inputs)
            for x in () if keep is None else set(step.inputs) - keep:
                if last_use[x] == position:
                    result.pop(x, None)
    return result
