"""From an ONNX file to a `Network`, and the passes that normalise what exporters write."""

from onnxbound.graph.layer import Layer, Step
from onnxbound.graph.load import load
from onnxbound.graph.network import Network

__all__ = ["Layer", "Network", "Step", "load"]
