"""Which parser reads which ONNX operator."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from onnxbound.operators import (
    average_pool,
    branches,
    clip,
    conv,
    dense,
    elementwise_affine,
    leaky_relu,
    lookup,
    max_pool,
    mean,
    pad,
    quantisation,
    relu,
    reshape,
    select,
    smooth,
    softmax,
    transpose,
)
from onnxbound.operators.node import Node
from onnxbound.operators.operator import Operator

_FAMILIES = (
    conv, dense, relu, leaky_relu, clip, max_pool, average_pool, mean, elementwise_affine, branches, reshape,
    transpose, pad, select, smooth, softmax, quantisation, lookup,
)  # fmt: skip

PARSERS: Mapping[str, Callable[[Node], Operator]] = MappingProxyType(
    {op_type: parse for family in _FAMILIES for op_type, parse in family.PARSERS.items()}
)
"""ONNX operator name to the function that parses it, or raises `Unsupported` with a reason.

Names of domains other than the default one have the domain in front.
"""
