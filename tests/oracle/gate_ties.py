"""Rows at which a gate has no derivative, or nearly none: there two correct engines may differ."""

import math

import numpy as np
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from tests.oracle.torch_net import GATES, Net, Node
from tests.oracle.torch_ops import pad, window


def _windows(node: Node, x: Tensor) -> Tensor:
    """The entries of every window of a 2-d max-pooling, sorted downwards, (n, channels * windows, entries)."""
    kernel = node.attributes["kernel_shape"]
    stride, dilation, pads = window(x, kernel, node.attributes)
    padded = pad(x, pads, -math.inf)
    columns = F.unfold(padded.flatten(0, 1)[:, None], kernel, dilation, 0, stride)
    return columns.transpose(1, 2).reshape(len(x), -1, math.prod(kernel)).sort(dim=2, descending=True).values


def ties(net: Net, values: dict[str, Tensor]) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Exact ties, and the distance to the nearest one, for every row.

    Args:
        net: The network.
        values: Its tensors at n rows.

    Returns:
        `ties` (n,): a gate's input is exactly 0, or a window has equal maxima. `gate_gap` (n,): the smallest distance
        to a tie that is not an exact one, relative to the largest entry of the gate's input at that row.
    """
    rows = len(values[net.input])
    tied, gap = np.zeros(rows, np.bool_), np.full(rows, np.inf)
    for node in net.nodes:
        if node.op not in GATES | {"MaxPool"}:
            continue
        x = values[node.inputs[0]]
        if node.op == "MaxPool":
            highest = _windows(node, x)
            distance = (highest[..., 0] - highest[..., 1]).numpy()
        else:
            distance = x.flatten(1).abs().numpy()
        tied |= (distance == 0).any(axis=1)
        scale = x.flatten(1).abs().max(dim=1).values.numpy()
        distance = np.where(distance == 0, np.inf, distance).min(axis=1)
        gap = np.minimum(gap, distance / np.where(scale == 0, 1, scale))
    return tied, gap
