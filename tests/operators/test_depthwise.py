"""A depthwise convolution, tap after tap, against one convolution per channel, which is a product of matrices."""

import numpy as np
import pytest

from onnxbound.operators import conv
from onnxbound.operators.conv import Conv
from onnxbound.operators.windows import Windows

GEOMETRIES = {
    "plain": Windows((6, 5), (3, 3), (1, 1), (1, 1), (1, 1), (1, 1)),
    "strided": Windows((9, 8), (3, 2), (2, 3), (1, 1), (1, 0), (0, 1)),
    "dilated": Windows((9, 8), (2, 3), (1, 2), (3, 2), (0, 2), (2, 2)),
    "cut off": Windows((7, 7), (2, 2), (2, 2), (1, 1), (0, 0), (0, 0)),
    "one tap": Windows((4, 4), (1, 1), (2, 2), (1, 1), (0, 0), (0, 0)),
    "a line": Windows((9000,), (3,), (1,), (1,), (1,), (1,)),
    "a volume": Windows((4, 3, 5), (2, 2, 2), (1, 2, 1), (1, 1, 2), (1, 0, 1), (0, 1, 1)),
}


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_each_channel_by_itself(geometry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conv, "_TAP_BYTES", 1)  # row after row
    windows, channels = GEOMETRIES[geometry], 5
    draw = np.random.default_rng(0)
    weight = draw.normal(size=(channels, 1, *windows.kernel))
    together = Conv(weight, None, draw.normal(size=channels), windows, channels)
    x = draw.normal(size=(3, channels, *windows.size))
    c = draw.normal(size=(3, channels, *windows.output))
    apart = [Conv(weight[k : k + 1], None, together.bias[k : k + 1], windows, 1) for k in range(channels)]
    expected = np.concatenate([own.act(x[:, k : k + 1]) for k, own in enumerate(apart)], axis=1)
    np.testing.assert_allclose(together.act(x), expected, rtol=1e-12, atol=1e-12)
    back = [own.transpose(c[:, k : k + 1], (1, *windows.size))[0] for k, own in enumerate(apart)]
    (found,) = together.transpose(c, (channels, *windows.size))
    np.testing.assert_allclose(found, np.concatenate(back, axis=1), rtol=1e-12, atol=1e-12)
