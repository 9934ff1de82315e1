"""From an ONNX file to a `Network`, and the passes that normalise what exporters write."""

from onnxbound.graph.load import load
from onnxbound.graph.network import Layer, Network, Step

__all__ = ["Layer", "Network", "Step", "load"]
