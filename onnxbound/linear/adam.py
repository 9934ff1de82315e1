"""Adam (Kingma, Ba 2015): steps along the mean of the slopes so far, over the root of the mean of their squares."""

import numpy as np
from numpy.typing import NDArray

Float32Array = NDArray[np.float32]

_MEAN_DECAY, _SQUARE_DECAY = 0.9, 0.99
_TINY = np.float32(1e-8)


class Adam:
    """Running means for P parameters.

    Attributes:
        mean: Of the slopes, (P,).
        bias: What the mean is to be multiplied by, since it began at 0.
    """

    def __init__(self, size: int) -> None:
        self.mean, self._square = np.zeros(size, np.float32), np.zeros(size, np.float32)
        self.bias, self._seen = np.float32(1), 0

    def root(self, slope: Float32Array) -> Float32Array:
        """Take in a slope (P,); the root of the mean square since the start, above 0, (P,)."""
        self._seen += 1
        self.mean += np.float32(1 - _MEAN_DECAY) * (slope - self.mean)
        self._square += np.float32(1 - _SQUARE_DECAY) * (slope * slope - self._square)
        self.bias = np.float32(1 / (1 - _MEAN_DECAY**self._seen))
        root: Float32Array = np.sqrt(self._square / np.float32(1 - _SQUARE_DECAY**self._seen))
        return root + _TINY
