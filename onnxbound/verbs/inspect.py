"""`inspect`."""

from onnxbound.graph.inspection import Inspection, inspection
from onnxbound.verbs.arguments import AnyNetwork, network_of


def inspect(network: AnyNetwork) -> Inspection:
    """Show how onnxbound reads a network: layers, shapes, parameters and folded nodes.

    Args:
        network: The network.

    Returns:
        The model, its operators in order, its weighted layers, and what onnxbound simplified in the graph.

    Raises:
        ModelError: The file cannot be read, or onnxbound does not support some of its nodes. The error lists them.

    >>> from onnxbound import inspect
    >>> inspect("fixtures/mnist_logistic.onnx")
    <Inspection of fixtures/mnist_logistic.onnx: chain of 1 layer, 7,850 parameters>
    """
    return inspection(network_of(network))
