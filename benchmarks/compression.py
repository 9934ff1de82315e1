"""Bytes and test accuracy of the smallest file that `compress` finds, beside what onnxruntime's own tools make.

    ONNXBOUND_TEST_DATA=DIR python -m benchmarks.compression [NAME ...]

Nets of `DIR/models` and `DIR/models/more`: 10,000 training rows, all test rows. Writes
`compression.md` beside this file.
"""

import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

import onnxbound
from onnxbound import Network
from onnxbound.graph.newer_opset import raised
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from tests.oracle.models import Model, public_models

ROWS, CALIBRATED, SEED = 10_000, 200, 0
_PER_CHANNEL = 13
"""The oldest opset in which weights have a scale per channel."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to write one net.

    Attributes:
        size: Bytes of the file, constants that nothing reads removed.
        accuracy: On the test rows.
        note: What else is to be said.
    """

    size: int
    accuracy: float
    note: str = ""


class Reader(CalibrationDataReader):  # type: ignore[misc]
    """Rows for onnxruntime's calibration."""

    def __init__(self, name: str, rows: NDArray[np.float32], batch: int) -> None:
        self._parts: Iterator[dict[str, NDArray[np.float32]]] = iter(
            {name: rows[start : start + batch]} for start in range(0, len(rows), batch)
        )

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """A batch, or None behind the last."""
        return next(self._parts, None)


def entries_of(model: Model, folder: Path) -> dict[str, Entry]:
    """Every way, by its name."""
    network = onnxbound.load(model.path)
    draw = np.random.default_rng(SEED)
    count = 60_000 if model.dataset != "cifar10" else 50_000
    train = model.rows(np.sort(draw.choice(count, ROWS, replace=False)))
    test = model.rows(np.arange(10_000), "test")
    result = {"float32": Entry(model.path.stat().st_size, accuracy_of(network, test))}
    result["onnxbound"] = smallest(network, train, test, folder / "small.onnx")
    source = folder / "source.onnx"
    source.write_bytes(raised(onnx.load(model.path), _PER_CHANNEL).SerializeToString())
    prepared = folder / "prepared.onnx"
    try:
        quant_pre_process(str(source), str(prepared))
    except Exception:  # noqa: BLE001 - its shape inference does not know every net; then the net itself is quantised
        prepared = source
    peers: dict[str, Callable[[Path], None]] = {
        "static int8": lambda out: quantize_static(
            str(prepared),
            str(out),
            Reader(network.input, train[0][:CALIBRATED], network.batch or 50),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
        ),
        "dynamic int8": lambda out: quantize_dynamic(
            str(prepared), str(out), per_channel=True, weight_type=QuantType.QInt8
        ),
    }
    for name, write in peers.items():
        out = folder / "peer.onnx"
        try:
            write(out)
            result[name] = Entry(stripped(out), accuracy_as_it_is(out, network, test))
        except Exception as error:  # noqa: BLE001 - a peer that fails is a finding
            result[name] = Entry(0, float("nan"), type(error).__name__)
    return result


def smallest(
    network: Network,
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    test: tuple[NDArray[np.float32], NDArray[np.int64]],
    out: Path,
) -> Entry:
    """What `compress` makes with its defaults."""
    rows, unseen = (onnxbound.open_rows(part, network) for part in (train, test))
    started = process_time()
    found = onnxbound.compress(network, rows, out, test=unseen, force=True, progress=False)
    seconds = process_time() - started
    assert found.guarantee is not None
    limit = found.guarantee.measured.limit
    assert limit is not None
    held = "" if found.guarantee.held else "not guaranteed, "
    note = f"{held}drop at most {limit:.2%}; {seconds:.0f} s of processor time"
    return Entry(out.stat().st_size, accuracy_of(onnxbound.load(out), test), note)


def accuracy_of(network: Network, test: tuple[NDArray[np.float32], NDArray[np.int64]]) -> float:
    """As the file says."""
    runner, (x, y) = Logits(network, resolve_device("cpu"), None), test
    parts = np.array_split(np.arange(len(x)), 40)
    return float(np.mean(np.concatenate([runner.run(x[part]).argmax(axis=1) for part in parts]) == y))


def accuracy_as_it_is(path: Path, network: Network, test: tuple[NDArray[np.float32], NDArray[np.int64]]) -> float:
    """As onnxruntime runs it by default."""
    import onnxruntime

    session, (x, y) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]), test
    batch, output = network.batch or 250, session.get_outputs()[0].name
    starts = range(0, len(x), batch)
    found = [session.run([output], {network.input: x[start : start + batch]})[0] for start in starts]
    return float(np.mean(np.concatenate(found).argmax(axis=1) == y))


def stripped(path: Path) -> int:
    """Bytes without constants that nothing reads and without shapes that can be inferred."""
    model = onnx.load(path)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in read]:
        model.graph.initializer.remove(tensor)
    del model.graph.value_info[:]
    return int(model.ByteSize())


def main() -> None:
    """Run, print and write."""
    if not os.environ.get("ONNXBOUND_TEST_DATA"):
        sys.exit("Set ONNXBOUND_TEST_DATA to the folder with the public models.")
    table: dict[str, dict[str, Entry]] = {}
    for model in public_models() + public_models("models/more"):
        if len(sys.argv) > 1 and model.name not in sys.argv[1:]:
            continue
        with TemporaryDirectory() as folder:
            table[model.name] = entries_of(model, Path(folder))
        print(model.name, table[model.name], flush=True)
    if len(sys.argv) == 1:
        Path(__file__).with_name("compression.md").write_text(page(table), encoding="utf-8")


def page(table: dict[str, dict[str, Entry]]) -> str:
    """The table with what it says."""
    against = [e for e in table.values() if e["static int8"].size]
    share = [e["onnxbound"].size / e["static int8"].size for e in against]
    lost = [e["float32"].accuracy - e["onnxbound"].accuracy for e in against]
    good = sum(s <= 0.6 and drop <= 0.005 for s, drop in zip(share, lost, strict=True))
    said = (
        f"`compress` with its defaults ({ROWS:,} training rows, 10,000 test rows) beside onnxruntime's static (QDQ, per"
        f" channel, {CALIBRATED} rows) and dynamic int8, constants that nothing reads removed from their files. On"
        f" {good} of {len(against)} nets at most 60 % of the bytes of static int8 with a drop of at most 0.5 points;"
        f" the median share is {np.median(share):.0%}, the largest {max(share):.0%}."
    )
    names = ("float32", "onnxbound", "static int8", "dynamic int8")
    lines = ["# Compression", "", *textwrap.wrap(said, 120), ""]
    lines += [
        "| net | " + " | ".join(f"{name} | accuracy" for name in names) + " | |",
        "|---" * (2 * len(names) + 2) + "|",
    ]
    for net, entries in table.items():
        cells = [
            f"{e.size:,} | {e.accuracy:.2%}" if e.size else f"– | {e.note}" for e in (entries[name] for name in names)
        ]
        lines.append(f"| `{net}` | " + " | ".join(cells) + f" | {entries['onnxbound'].note} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
