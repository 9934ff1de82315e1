"""Check that the rows of a batch are independent, for nets whose graph does not show it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.network import Network
from onnxbound.run.device import Device
from onnxbound.run.logits import Logits
from onnxbound.run.session import open_session, with_outputs

_ROWS = 4
_TOLERANCE = 1e-4
"""Of the largest logit: what float32 may differ by."""


def require_rows_apart(network: Network, rows: Rows, device: Device, threads: int | None) -> None:
    """Run a few rows together and one by one, if the net is read one row at a time and its file takes several.

    A graph that onnxruntime can run only with one row passes: it has no rows to mix.

    Raises:
        ModelError: model-batch, the logits differ.
    """
    if not network.one_row or rows.count < 2:
        return
    inputs = rows.batch(rows.index[:_ROWS]).inputs
    together = _together(network, inputs, device, threads)
    if together is None:
        return
    alone = Logits(network, device, threads).run(inputs)
    difference, scale = float(np.abs(together - alone).max()), float(np.abs(alone).max())
    if not difference <= _TOLERANCE * scale:
        what = f"the logits of {len(inputs)} rows that are run together differ from those of single rows"
        why = f"{what} by {difference:.3g}, where the largest is {scale:.3g}"
        do = "export the model for inference (model.eval()), with the batch along the first axis"
        raise ModelError("model-batch", "Rows of one batch influence each other.", [Problem("logits", why, do)])


def _together(network: Network, inputs: NDArray[Any], device: Device, threads: int | None) -> NDArray[Any] | None:
    try:
        model = with_outputs(network, [network.output])
        session = open_session(model, network.path.parent, device, threads, network.external)
        (logits,) = session.run([network.output], {network.input: inputs})
    except Exception:  # noqa: BLE001 - the file takes one row only, whatever its input says
        return None
    return np.asarray(logits) if np.shape(logits) == (len(inputs), network.classes) else None
