"""`inspect`."""

from onnxbound.graph.inspection import Inspection, inspection
from onnxbound.verbs.arguments import AnyNetwork, network_of


def inspect(network: AnyNetwork) -> Inspection:
    """Show a network as onnxbound sees it: layers, shapes, parameters, what was folded. No row is needed.

    Args:
        network: The network.

    Returns:
        The model, every step in its order, the weighted layers, and what each pass over the graph did.

    Raises:
        ModelError: The file cannot be read, or contains what onnxbound does not support; every place is listed.

    >>> from onnxbound import inspect
    >>> inspect("fixtures/mnist_logistic.onnx")
    <Inspection of fixtures/mnist_logistic.onnx: chain of 1 layer, 7,850 parameters>
    """
    return inspection(network_of(network))
