"""What is computed for a partition: the forward properties of every row, and the whole programme at some."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Self

import numpy as np

from onnxbound.errors import ModelError, Problem, UsageError
from onnxbound.graph.load import load
from onnxbound.graph.model_file import external_files
from onnxbound.graph.network import Network
from onnxbound.graph.reading import Reading
from onnxbound.linear.choose_engine import build_engine
from onnxbound.linear.engine import Engine, EngineName
from onnxbound.linear.programme import Measurement, Programme
from onnxbound.results import Float64Array
from onnxbound.run.device import resolve_device
from onnxbound.run.forward_norms import ForwardNorms, ForwardPass, require_finite
from onnxbound.run.partitions import Arrays
from onnxbound.run.scratch import scratch
from onnxbound.stability.batches import Batches
from onnxbound.stability.catalogue import FORWARD
from onnxbound.stability.property import WeightNorms, evaluate, weight_norms
from onnxbound.stability.row_margins import margins

DISAGREEMENT = 1e-4
"""Largest difference of two float32 evaluations of a net, relative to max |f(x)|, that their rounding can explain."""

ROUNDED = 2.0**-5
"""The same where the net itself rounds: eight steps of a logit of 8 bits. A gate that is misread changes far more."""


@dataclass(frozen=True, slots=True)
class Arrangement:
    """How partitions are computed, decided once before a run begins.

    Attributes:
        programme: What is measured.
        engine: What evaluates it.
        device: "cpu" or "cuda:N".
        threads: Threads of onnxruntime; None for all cores.
        batches: Rows at a time.
    """

    programme: Programme
    engine: EngineName
    device: str
    threads: int | None
    batches: Batches


@dataclass(frozen=True)
class MeasuringWork:
    """Everything that a partition needs besides its rows.

    Attributes:
        network: The net.
        arrangement: How.
        weights: Norms of its weights.
        forward: Runs it.
        engine: Runs the programme.
    """

    network: Network
    arrangement: Arrangement
    weights: WeightNorms
    forward: ForwardPass
    engine: Engine

    @classmethod
    def build(cls, network: Network, arrangement: Arrangement, engine: Engine | None = None) -> Self:
        """Open the sessions; a given engine is used."""
        device, programme = resolve_device(arrangement.device), arrangement.programme
        forward = ForwardPass(network, device, arrangement.threads, without_bias=programme.form == "linear")
        engine = engine or build_engine(
            arrangement.engine, network, programme, device, arrangement.threads, arrangement.batches.share
        )
        return cls(network, arrangement, weight_norms(network), forward, engine)

    def recipe(self) -> "MeasuringRecipe":
        """The recipe from which a worker elsewhere builds the same work.

        Raises:
            UsageError: The model keeps weights outside its folder; the workers have no such place.
        """
        folder = self.network.path.parent.resolve()
        names = external_files(self.network.model)
        if not all((folder / name).resolve().is_relative_to(folder) for name in names):
            problem = Problem("`external_root`", "workers get the model's own folder only", "put the weights beside it")
            raise UsageError("usage", "`cluster` does not go with weights outside the model's folder.", [problem])
        files = {name: (folder / name).read_bytes() for name in names}
        files[self.network.path.name] = self.network.path.read_bytes()
        return MeasuringRecipe(
            self.network.path.name, self.network.sha256, self.network.reading, self.arrangement, files
        )

    def run(self, stage: str, inputs: Arrays) -> Arrays:
        """One partition: "forward" gives `table`, "test" `wrong` per row, "measure" the fields of a `Measurement`."""
        if stage == "measure":
            measurement = Measurement.merge(
                [self._measure(part) for part in _cut(inputs, self.arrangement.batches.sweep)]
            )
            return {field.name: getattr(measurement, field.name) for field in fields(Measurement)}
        parts = [self._forward(part) for part in _cut(inputs, self.arrangement.batches.forward)]
        table = np.concatenate(parts)
        return {"wrong": ~(table[:, 0] > 0)} if stage == "test" else {"table": table}

    def _forward(self, batch: Arrays) -> Float64Array:
        norms = self._run(batch)
        values = evaluate(FORWARD, self.network, self.weights, norms).values()
        sizes = np.linalg.norm(norms.logits, axis=1)
        return np.stack([margins(norms.logits, batch["labels"]), sizes, *values, *norms.input_norm.T], axis=1)

    def _measure(self, batch: Arrays) -> Measurement:
        measurement = self.engine.measure(batch["index"], batch["inputs"])
        require_finite(batch["index"], {"the logits, in float32": measurement.logits})
        _require_agreement(self.network, measurement.logits, self._run(batch).logits)
        return measurement

    def _run(self, batch: Arrays) -> ForwardNorms:
        norms = self.forward.run(batch["inputs"])
        if not np.isfinite(norms.logits).all():
            columns = zip(self.network.layers, norms.source_norm.T, strict=True)
            places = {layer.place: column for layer, column in columns}
            require_finite(batch["index"], places | {"the logits": norms.logits})
        return norms


@dataclass(frozen=True)
class MeasuringRecipe:
    """A model's files and what is done with them.

    Attributes:
        model: Name of the ONNX file.
        sha256: Its hash.
        reading: How it is read.
        arrangement: How partitions are computed.
        files: Content of the file, and of those with its external data, by name.
    """

    model: str
    sha256: str
    reading: Reading
    arrangement: Arrangement
    files: Mapping[str, bytes] = field(repr=False)

    def build(self) -> MeasuringWork:
        """Load the model from a temporary folder, which is removed once its weights are read or mapped.

        Raises:
            ModelError: model-invalid, the files have changed since they were read.
        """
        with scratch() as folder:
            for name, content in self.files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(content)
            network = load(folder / self.model, **self.reading.of_model())
            if network.sha256 != self.sha256:
                problem = Problem(self.model, "its hash has changed", "do not change its files during a run")
                raise ModelError("model-invalid", f"{self.model} was changed during the run.", [problem])
            return MeasuringWork.build(network, self.arrangement)


def _cut(inputs: Arrays, size: int) -> list[Arrays]:
    rows = len(inputs["index"])
    return [{name: values[i : i + size] for name, values in inputs.items()} for i in range(0, rows, size)]


def _require_agreement(network: Network, ours: Float64Array, runtime: Float64Array) -> None:
    """All rows agree; of a net that rounds the median row, since a value on an edge of two steps falls either way."""
    per_row, scale = np.abs(ours - runtime).max(axis=1), float(np.abs(runtime).max())
    difference = float(np.median(per_row) if network.roundings else per_row.max())
    if not difference <= (ROUNDED if network.roundings else DISAGREEMENT) * scale:
        raise ModelError(
            "model-mismatch",
            "onnxbound's own evaluation of the net differs from onnxruntime's.",
            [
                Problem(
                    "logits",
                    f"they differ by {difference:.3g} where max |f(x)| is {scale:.3g}",
                    "please report the model: onnxbound reads one of its operators wrongly",
                )
            ],
        )
