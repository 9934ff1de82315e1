"""A written model is opened again, run on the user's rows, and compared with the original and with NumPy."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from onnxbound.compressors.compressed import CompressedNetwork, predict
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.load import load
from onnxbound.graph.model_file import WeightReader, read_model
from onnxbound.graph.network import Network
from onnxbound.graph.passes.fix_lengths import fix_lengths
from onnxbound.graph.passes.hold_inputs import hold_inputs
from onnxbound.graph.passes.inline_functions import inline_functions
from onnxbound.graph.passes.pack_inputs import pack_inputs
from onnxbound.results import Float64Array
from onnxbound.rng import normal_noise
from onnxbound.run.batched import rows_at_once
from onnxbound.run.device import Device
from onnxbound.run.forward_norms import require_finite
from onnxbound.run.logits import Logits

_AGREEMENT = 1e-4
"""Largest difference between onnxruntime and NumPy, over the largest logit, that float32 can explain."""

_OF_16_BITS = {TensorProto.FLOAT16: 2.0**-6, TensorProto.BFLOAT16: 2.0**-4}
"""And that weights of 16 bits can: 32 half steps of a number near 1."""

_OF_ROUNDING = 2.0**-5
"""And that activations of 8 bits can: some lie at the edge between two integers."""

_KEPT_INPUTS = 1 << 26
"""Bytes of rows that are kept for the next comparison; more are read again."""

_KEPT_LOGITS = 1 << 24
"""Logits of the original that are kept for the next comparison; with more it is run again."""

_NOISE_ROWS = _TIMED_ROWS = 32
_ROUNDS, _SECONDS = 9, 4e-3
"""Rounds of a comparison of times, and what each net runs in each at least."""


@dataclass(frozen=True, slots=True)
class Reopened:
    """A written model, ready to run.

    Attributes:
        network: Its network; where onnxbound cannot read the file, the original's with the file's message.
        why_not: Why onnxbound cannot read it; empty if it can.
    """

    network: Network
    why_not: str


def reopen(original: Network, path: Path, *, halved: bool = False) -> Reopened:
    """Read what was written, as the original was read; what computes in 16 bits runs in 16 bits."""
    reading = original.reading
    try:
        network = load(path, **reading.of_model())
        return Reopened(replace(network, model=read_model(path)[0]) if halved else network, "")
    except ModelError as error:
        message, sha256 = read_model(path)
        message, _, _ = inline_functions(message)
        message, _, _ = hold_inputs(message, reading.fixed)
        message, _, _ = fix_lengths(message, reading.lengths)
        message, _, _ = pack_inputs(message)
        computed = {name for node in message.graph.node for name in node.output}
        if original.output not in computed:
            problem = Problem(str(path), "its logits are not a tensor of the file", "use another `method`")
            raise ModelError(
                "compress-method", "The compressed model cannot be run for comparison.", [problem]
            ) from error
        reader = WeightReader(path.parent)
        sha256, external = reader.fingerprint(message, sha256), reader.external(message)
        instead = replace(original, path=path, sha256=sha256, model=message, external=external)
        return Reopened(instead, error.message)


class Baseline:
    """The original on all rows, to be compared with as many compressed nets as need be.

    Attributes:
        logits: Runs it.
        count: Rows that are compared.
    """

    def __init__(
        self,
        network: Network,
        device: Device,
        threads: int | None,
        rows: Rows | None,
        seed: int,
        *,
        fused: bool = False,
    ) -> None:
        """Of some rows, or of normal noise; `fused` as in `open_session`."""
        self._network, self._device, self._threads, self._rows, self._fused = network, device, threads, rows, fused
        self.logits = self.runner(network)
        self._noise = _noise_rows(network, seed)
        self._step = rows_at_once(network)
        self.count = len(self._noise) if rows is None else rows.count
        self._kept: list[tuple[NDArray[Any], NDArray[np.int64]]] | None = None
        if 4 * self.count * prod(network.input_shape) <= _KEPT_INPUTS:
            self._kept = list(self._batches())
        self._before: list[Float64Array] | None = None
        if self.count * network.classes <= _KEPT_LOGITS:
            self._before = [self.logits.run(inputs) for inputs, _ in self._batches()]

    def runner(self, network: Network) -> Logits:
        """A session for another net, like the original's."""
        return Logits(network, self._device, self._threads, fused=self._fused, together=True)

    def rounds(self, network: Network) -> tuple[Float64Array, int]:
        """What `rounds` gives for the original and another net, and how many rows it gave them at once."""
        rows = self.sample(self._network.batch or _TIMED_ROWS)
        return rounds(self.logits, self.runner(network), rows), len(rows)

    def sample(self, count: int) -> NDArray[Any]:
        """Some of the rows, in the model's element type, (n, *input_shape)."""
        if self._rows is None:
            return self._noise[:count]
        every = self._rows.index
        return self._rows.batch(every[np.unique(np.linspace(0, len(every) - 1, count).astype(np.int64))]).inputs

    def compare(self, network: Network, progress: Callable[[str, int, int], None]) -> PairedLogits:
        """f and g on every row."""
        runner = self.runner(network)
        parts, done = [], 0
        for number, (inputs, labels) in enumerate(self._batches()):
            before = self.logits.run(inputs) if self._before is None else self._before[number]
            parts.append(PairedLogits.of(before, runner.run(inputs), labels))
            done += len(before)
            progress("compare", done, self.count)
        return PairedLogits.merge(parts)

    def _batches(self) -> Iterator[tuple[NDArray[Any], NDArray[np.int64]]]:
        if self._kept is not None:
            yield from self._kept
            return
        if self._rows is None:
            yield self._noise, np.zeros(len(self._noise), np.int64)
            return
        for batch in self._rows.batches(self._step):
            yield batch.inputs, batch.labels


def require_agreement(compressed: CompressedNetwork, network: Network, runner: Logits, rows: NDArray[Any]) -> float:
    """The largest difference between onnxruntime on the written file and NumPy on the compressed net.

    Returns:
        Relative to the largest logit.

    Raises:
        ModelError: model-mismatch, it is more than weights of their element type can explain; model-overflow.
    """
    runtime = runner.run(rows)
    require_finite(np.arange(len(rows)), {"the logits": runtime})
    ours = predict(compressed, rows.astype(np.float32)).astype(np.float64)
    difference, scale = float(np.abs(ours - runtime).max()), float(np.abs(runtime).max())
    relative = difference / scale if scale > 0 else difference
    rounding = _OF_ROUNDING if compressed.roundings else 0.0
    of_16_bits = max(_of_16_bits(net) for net in (compressed.network, network))
    if not relative <= _AGREEMENT and not relative <= max(rounding, of_16_bits):
        why = f"logits differ by {difference:.3g} where the largest is {scale:.3g}"
        problem = Problem(str(network.path), why, "please report the model: it was written wrongly")
        raise ModelError(
            "model-mismatch", "The written model and the compressed net compute different logits.", [problem]
        )
    return relative


def _of_16_bits(network: Network) -> float:
    """What the element types of the file's weights can explain."""
    names = {layer.weight_name for layer in network.layers}
    stored = [tensor.data_type for tensor in read_model(network.path)[0].graph.initializer if tensor.name in names]
    return max((_OF_16_BITS.get(kind, 0.0) for kind in stored), default=0.0)


def rounds(first: Logits, second: Logits, rows: NDArray[Any]) -> Float64Array:
    """Milliseconds of both per row in alternating rounds, (rounds, 2)."""

    def seconds(runner: Logits, runs: int) -> float:
        started = perf_counter()
        for _ in range(runs):
            runner.run(rows)
        return (perf_counter() - started) / runs

    runners = (first, second)
    for runner in runners:
        runner.run(rows)
    runs = 1 + int(_SECONDS / max(seconds(first, 1), 1e-6))
    taken = np.array([[seconds(runner, runs) for runner in runners] for _ in range(_ROUNDS + 1)])
    taken *= 1e3 / len(rows)
    return taken[1:]  # the first run allocates


def ratio_of(taken: Float64Array) -> tuple[float, float, float]:
    """The median ratio of second to first, and two limits between which that of all rounds lies in 96 of 100 cases.

    The second smallest and the second largest of nine independent ratios have the median between them with probability
    1 - 20 / 2^9.
    """
    ratios = np.sort(taken[:, 1] / taken[:, 0])
    return float(np.median(ratios)), float(ratios[1]), float(ratios[-2])


def _noise_rows(network: Network, seed: int) -> NDArray[Any]:
    """Normal rows where the user gave none; bytes in the middle of their range for a net that reads integers."""
    count = network.batch or _NOISE_ROWS
    size = int(np.prod(network.input_shape))
    noise = normal_noise(seed, 0, np.arange(count), 0, size).reshape(count, *network.input_shape)
    if network.input_type.kind in "iu":
        noise = np.clip(128 + 50 * noise, 0, 127 if network.input_type == np.int8 else 255)
    return noise.astype(network.input_type)
