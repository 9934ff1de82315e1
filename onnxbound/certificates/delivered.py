"""What the file of an original network delivers for a row: every output that it declares, and they have to agree."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from onnxbound.certificates.winner import UNCLEAR, decided
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.fixed_batch import filled
from onnxbound.graph.network import Network
from onnxbound.graph.screen import nested
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.session import failed_run, open_session, with_outputs

_DRAWS = (
    "Bernoulli",
    "Dropout",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


class Delivered:
    """Runs a network's own file; its class is the one that all its outputs give, or there is none.

    Outputs may be scores (n, K), names of classes, or one score per row of a network with two classes. Where `logits`
    names a tensor, that alone decides.
    """

    def __init__(
        self,
        network: Network,
        labels_start: int,
        device: Device,
        threads: int | None,
        *,
        hidden: bool = False,
        as_written: bool = False,
    ) -> None:
        """A session of its own.

        Args:
            network: Its file runs, with the outputs that everyone gets.
            labels_start: The label of the first class.
            device: Where.
            threads: None for all cores.
            hidden: Whether the tensor that was read as the logits is asked for too, and has to agree.
            as_written: Whether the graph runs as it is written, or as onnxruntime rearranges it.
        """
        self._network = network
        self._columns = _columns(network.class_labels, labels_start)
        asked = network.reading.logits
        declared = [asked] if asked else [value.name for value in network.model.graph.output]
        self._names = list(dict.fromkeys([*([network.output] if hidden else ()), *declared]))
        model = with_outputs(network, self._names)
        _require_no_chance(network, model)
        folder, weights = network.path.parent, network.external
        self._session = open_session(model, folder, device, threads, weights, as_written=as_written)

    def logits(self, inputs: NDArray[Any]) -> Float64Array:
        """Scores (n, K) of rows, at most as many as the model takes; NaN where the outputs do not agree.

        A batch is filled up with its last row where the model has a fixed length, so that a row alone meets itself.

        Raises:
            DeviceError: device-runtime.
            ModelError: model-not-classifier.
        """
        count = len(inputs)
        batch = filled(inputs, self._network.batch or count)
        try:
            values = self._session.run(self._names, {self._network.input: batch})
        except Exception as error:
            raise failed_run(error) from error
        first, *others = (self._scores(*named, len(batch))[:count] for named in zip(self._names, values, strict=True))
        winner = decided(first)
        agreed = np.logical_and.reduce([winner != UNCLEAR, *(decided(other) == winner for other in others)])
        return np.where(agreed[:, None], first, np.nan)[:, self._columns]

    def _scores(self, name: str, value: Any, rows: int) -> Float64Array:
        """An output as numbers of which the largest is its class."""
        network, labels = self._network, self._network.class_labels
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):  # of a ZipMap
            value = np.array([[row.get(label, np.nan) for label in labels] for row in value])
        value = np.asarray(np.nan if isinstance(value, list) else value)
        if value.dtype.kind == "f" and value.shape == (rows, network.classes):
            return np.asarray(value, np.float64)
        if value.size == rows:
            value = value.reshape(rows)
            if value.dtype.kind == "f" and network.classes == 2:
                between = np.full(rows, 0.5 if name in network.heads else 0.0)
                return np.stack([between, value.astype(np.float64)], axis=1)
            if value.dtype.kind == "f":
                value = np.where(value == np.rint(value), value, -1).astype(np.int64)
            named = value[:, None].astype(str) == np.array(labels).astype(str)
            return np.asarray(named, np.float64)
        raise ModelError(
            "model-not-classifier",
            f"The output {name!r} of the model has the shape {value.shape} for {rows} rows.",
            [Problem(name, "it does not give one class per row", "`logits` names the output that decides")],
        )


def _require_no_chance(network: Network, model: ModelProto) -> None:
    """Refuse operators that draw numbers: they hold state, and whoever chooses the seed chooses what is drawn here.

    Up to the logits every operator has been read, and there is none.
    """
    read = {name for node in with_outputs(network, [network.output]).graph.node for name in node.output}
    behind = [node for node in model.graph.node if read.isdisjoint(node.output)]
    drawn = [node for node in nested(behind) if node.op_type in _DRAWS]
    if drawn:
        what = [Problem(f"{node.op_type} {node.name!r}", "it draws numbers", "export without it") for node in drawn]
        raise ModelError("model-not-classifier", "The outputs of the model depend on random numbers.", what)


def _columns(labels: Sequence[int | str], start: int) -> list[int]:
    """The place among a network's classes of the class that a label counts, (K,)."""
    classes = len(labels)
    if list(labels) == list(range(classes)):
        return list(range(classes))
    counted = range(start, start + classes)
    if sorted(labels, key=str) != sorted(counted, key=str):
        listed = ", ".join(map(str, labels[:6]))
        raise ModelError(
            "model-not-classifier",
            "A certificate counts the classes, and the model calls them otherwise.",
            [Problem("classes", f"{listed}, not {start} to {start + classes - 1}", "`labels_start`, or `logits`")],
        )
    return [labels.index(label) for label in counted]
