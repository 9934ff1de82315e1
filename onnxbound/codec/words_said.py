"""A code in words for people."""

from itertools import groupby

from onnxbound.codec.architecture import Architecture, CodedNode
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.operators.average_pool import AveragePool
from onnxbound.operators.conv import Conv
from onnxbound.operators.dense import Dense
from onnxbound.operators.max_pool import MaxPool
from onnxbound.operators.smooth import Smooth

_LONGEST = 2000
"""Characters of an architecture in words; what is more is counted."""


def architecture_in_words(architecture: Architecture) -> str:
    """One line: the shape of a row, and every operator in order; `<-` precedes inputs other than the previous tensor.

    Dense and Conv with their units, Conv and pools with kernel and stride.
    """
    said = ["x".join(map(str, architecture.input_shape)) + " and its mirror image" * architecture.mirrored]
    said += [_said(node, place) for place, node in enumerate(architecture.nodes)]
    text = ", ".join(
        f"{word} ({count} times)" if (count := len(list(run))) > 1 else word for word, run in groupby(said)
    )
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ... ({len(architecture.nodes):,} operators)"


def _said(node: CodedNode, place: int) -> str:
    operator = node.operator
    name = operator.form if isinstance(operator, Smooth) else type(operator).__name__
    if isinstance(operator, Dense):
        name = f"Dense {operator.channels}"
    elif isinstance(operator, Conv | MaxPool | AveragePool):
        windows = operator.windows
        kernel, stride = ("x".join(map(str, n)) for n in (windows.kernel, windows.strides))
        name += f" {kernel}" + (f"x{operator.channels}" if isinstance(operator, Conv) else "") + f"/{stride}"
    return name if node.inputs == (place,) else f"{name} <- {' '.join(map(str, node.inputs))}"


def preprocessing_in_words(preprocessing: Preprocessing) -> str:
    """Every number of a preprocessing, exactly.

    >>> preprocessing_in_words(Preprocessing(scale=1 / 255, mean=(0.5,)))
    'scale 1/255, mean 0.5, std 1.0, layout of the network'
    """
    scale = {None: "none", 1 / 255: "1/255"}.get(preprocessing.scale, repr(preprocessing.scale))
    mean, std = (" ".join(map(repr, numbers)) for numbers in (preprocessing.mean, preprocessing.std))
    return f"scale {scale}, mean {mean}, std {std}, layout {preprocessing.layout or 'of the network'}"
