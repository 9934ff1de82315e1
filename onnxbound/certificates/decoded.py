"""From a code to a network that can be run, with nothing trusted on the way."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onnxbound.codec.architecture import Architecture
from onnxbound.codec.network_code import NetworkCode


@dataclass(frozen=True)
class Decoded:
    """The network that a code describes.

    Attributes:
        architecture: With its tensors.
        model: It as ONNX: what is in decoded.onnx, and what is run.
    """

    architecture: Architecture
    model: ModelProto

    @property
    def input(self) -> str:
        """Empty: which arrays of a file are read is not for a decoded network to say."""
        return ""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.architecture.input_shape

    @property
    def input_type(self) -> np.dtype[Any]:
        """float32."""
        return np.dtype(np.float32)

    @property
    def parts(self) -> Mapping[str, tuple[int, ...]]:
        """Empty: a code has one input."""
        return {}

    @property
    def classes(self) -> int:
        """K."""
        return self.architecture.classes

    @property
    def class_labels(self) -> tuple[int, ...]:
        """0 to K - 1: a code names no classes."""
        return tuple(range(self.classes))

    def to_bytes(self) -> bytes:
        """decoded.onnx."""
        return bytes(self.model.SerializeToString(deterministic=True))


def decoded(code: NetworkCode, prior: Mapping[str, NDArray[np.float32]] | None = None) -> Decoded:
    """The network of a code, and of the tensors that it is the difference from.

    Raises:
        Malformed: A number is not finite, denormal, or larger than 2^60.
    """
    architecture = code.architecture.filled(list(code.tensors(prior).values()))
    return Decoded(architecture, architecture.model())
