"""Bytes, test accuracy and time of what `compress` writes, beside what onnxruntime's own tools make of the same nets.

    ONNXBOUND_TEST_DATA=DIR python -m benchmarks.compression [NAME ...]

Nets of `DIR/models` and `DIR/models/more` and those of `fixtures/`; 10,000 training rows, or all there are, and all
10,000 test rows. What is measured of a net goes to `compression.json` beside this file, and all of it to
`compression.md`. onnxruntime's tools also need sympy and onnx_ir.
"""

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.quantization.shape_inference import quant_pre_process
from onnxruntime.transformers.float16 import convert_float_to_float16

import onnxbound
from onnxbound import Method, Request
from onnxbound.compressors.compressed import MethodName
from onnxbound.graph.network import Network
from onnxbound.graph.newer_opset import raised
from tests.oracle import models
from tests.oracle.models import FIXTURES, Model, fixtures, full_data, public_models

ROWS, CALIBRATED, SEED, TIMED, ROUNDS = 10_000, 200, 0, 64, 15
HERE = Path(__file__)
WITH_CODES = {"mnist_lenet5", "vnn21_marabou_cifar10_large"}
_PER_CHANNEL = 13
"""The oldest opset in which weights have a scale per channel."""

Rows = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to write one net.

    Attributes:
        size: Bytes of the file, constants that nothing reads removed; 0 where there is none.
        accuracy: On the test rows.
        time: Quartiles of its time over that of the original, in alternating runs.
        note: What else is to be said.
    """

    size: int
    accuracy: float
    time: tuple[float, ...] = ()
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
    train, test = rows_of(model)
    result = {"float32": measured(model.path, network, test)}
    before = result["float32"].accuracy
    result["smallest"] = ours(network, before, "smallest", train, test, folder / "small.onnx")
    result["int8"] = ours(network, before, "int8", train, test, folder / "qdq.onnx")
    if model.name in WITH_CODES:
        said = coded(network, train, test, folder / "coded.onnx")
        result["smallest"] = replace(result["smallest"], note=f"{result['smallest'].note}; {said}")
    source = folder / "source.onnx"
    source.write_bytes(raised(onnx.load(model.path), _PER_CHANNEL).SerializeToString())
    prepared = folder / "prepared.onnx"
    try:
        quant_pre_process(str(source), str(prepared))
    except Exception:  # noqa: BLE001 - its shape inference does not know every net; then the net itself is quantised
        prepared = source

    def static(out: Path) -> None:
        reader = Reader(network.input, train[0][:CALIBRATED], network.batch or 50)
        types = {"quant_format": QuantFormat.QDQ, "weight_type": QuantType.QInt8}
        quantize_static(str(prepared), str(out), reader, per_channel=True, **types)

    def four_bits(out: Path) -> None:
        quantiser = MatMulNBitsQuantizer(onnx.load(source), bits=4, block_size=32, is_symmetric=True)
        quantiser.process()
        if not any(node.op_type == "MatMulNBits" for node in quantiser.model.model.graph.node):
            raise ValueError("no MatMul")
        quantiser.model.save_model_to_file(str(out))

    peers: dict[str, Callable[[Path], object]] = {
        "static int8": static,
        "dynamic int8": lambda out: quantize_dynamic(
            str(prepared), str(out), per_channel=True, weight_type=QuantType.QInt8
        ),
        "fp16": lambda out: onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), out),
        "MatMulNBits": four_bits,
    }
    for name, write in peers.items():
        out = folder / "peer.onnx"
        try:
            write(out)
            result[name] = replace(measured(out, network, test), size=stripped(out))
        except Exception as error:  # noqa: BLE001 - a peer that fails is a finding
            result[name] = Entry(0, float("nan"), note=str(error).splitlines()[0][:60])
    result["int8-weights"] = Entry(0, float("nan"), note="not needed")
    if result["smallest"].accuracy < result["static int8"].accuracy:
        result["int8-weights"] = ours(network, before, "int8-weights", train, test, folder / "int8.onnx")
    return result


def rows_of(model: Model) -> tuple[Rows, Rows]:
    """Training rows, of the full set where the net was trained on it, and all test rows of the full set."""
    whole = full_data(model.dataset)
    assert whole is not None
    count = {"cifar10": 50_000}.get(model.dataset, 60_000)
    if model in fixtures():
        count = {"cifar10": 600}.get(model.dataset, 1_000)
    chosen = np.sort(np.random.default_rng(SEED).choice(count, min(ROWS, count), replace=False))
    return model.rows(chosen), replace(model, data=whole).rows(np.arange(10_000), "test")


def ours(network: Network, before: float, method: MethodName, train: Rows, test: Rows, out: Path) -> Entry:
    """What `compress` makes; what it says of bytes and rows is counted again."""
    rows, unseen = (onnxbound.open_rows(part, network) for part in (train, test))
    started = process_time()
    found = onnxbound.compress(network, rows, out, Request(Method(method)), test=unseen, force=True, progress=False)
    seconds = process_time() - started
    assert found.guarantee is not None
    assert found.guarantee.measured.limit is not None
    entry = measured(out, network, test, unfused=method != "int8")
    assert found.file.bytes_after == entry.size
    assert abs(found.guarantee.measured.drop - (before - entry.accuracy)) < 1e-9
    held = "" if found.guarantee.held else "not guaranteed, "
    return replace(entry, note=f"{held}at most {found.guarantee.measured.limit:.2%}, {seconds:.0f} s")


def coded(network: Network, train: Rows, test: Rows, out: Path) -> str:
    """What codes come to."""
    rows, unseen = (onnxbound.open_rows(part, network) for part in (train, test))
    codes, again = out.with_suffix(".codes"), out.with_suffix(".again.onnx")
    onnxbound.compress(network, rows, out, test=unseen, codes=codes, force=True, progress=False)
    onnxbound.decompress(codes, again)
    assert again.read_bytes() == out.read_bytes()
    return f"codes {codes.stat().st_size:,} bytes at {measured(out, network, test, unfused=True).accuracy:.2%}"


def session(path: Path, *, unfused: bool) -> onnxruntime.InferenceSession:
    """As onnxruntime runs it by default, or with the rounding that the file says, as the guide tells."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 2
    if unfused:
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def measured(path: Path, network: Network, test: Rows, *, unfused: bool = False) -> Entry:
    """Accuracy and time of a file; its bytes as they are."""
    runner, original = session(path, unfused=unfused), session(network.path, unfused=False)
    batch, (x, y) = network.batch or 250, test
    names = [value.name for value in onnx.load(path).graph.output]
    output = network.output if network.output in names else names[0]

    def logits(runs: onnxruntime.InferenceSession, rows: NDArray[np.float32], wanted: str) -> NDArray[np.float32]:
        parts = (rows[start : start + batch] for start in range(0, len(rows), batch))
        return np.concatenate([runs.run([wanted], {network.input: part})[0] for part in parts])

    accuracy = float(np.mean(logits(runner, x, output).reshape(len(x), -1).argmax(axis=1) == y))
    if path == network.path:
        return Entry(path.stat().st_size, accuracy)
    ratios = []
    for _ in range(ROUNDS):
        times = []
        for runs in (original, runner):
            started = perf_counter()
            logits(runs, x[:TIMED], output)
            times.append(perf_counter() - started)
        ratios.append(times[1] / times[0])
    return Entry(path.stat().st_size, accuracy, tuple(np.quantile(ratios, (0.25, 0.5, 0.75)).tolist()))


def stripped(path: Path) -> int:
    """Bytes without constants that nothing reads and without shapes that can be inferred."""
    model = onnx.load(path)
    read = {name for node in model.graph.node for name in node.input} | {value.name for value in model.graph.output}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in read]:
        model.graph.initializer.remove(tensor)
    del model.graph.value_info[:]
    return int(model.ByteSize())


def nets() -> list[Model]:
    """All that are measured: public ones, and our own whose test accuracy is above that of a guess."""
    models.NOT_PIECEWISE_LINEAR = set()
    names = ("mnist_small", "mnist_lenet5", "cifar10_narrow")
    normal = next(model for model in fixtures() if model.name == "cifar10_cnn")
    certified = []
    for name in names:
        dataset = name.split("_")[0]
        data = full_data(dataset)
        assert data is not None
        own = replace(normal, name=name, path=FIXTURES / "certified" / f"{name}.onnx", dataset=dataset, data=data)
        certified.append(own if dataset == "cifar10" else replace(own, row_shape=(1, 28, 28), mean=(0.0,), std=(1.0,)))
    trained = ("mnist_logistic", "mnist_mlp", "cifar10_cnn", "cifar10_alexnet", "cifar10_resnet")
    return certified + public_models() + public_models("models/more") + [m for m in fixtures() if m.name in trained]


def main() -> None:
    """Run, print and write."""
    if not os.environ.get("ONNXBOUND_TEST_DATA"):
        sys.exit("Set ONNXBOUND_TEST_DATA to the folder with the public models.")
    kept = HERE.with_suffix(".json")
    table = json.loads(kept.read_text()) if kept.exists() else {}
    for model in nets():
        if model.name not in (sys.argv[1:] or [model.name]):
            continue
        with TemporaryDirectory() as folder:
            found = entries_of(model, Path(folder))
        table[model.name] = {name: asdict(entry) for name, entry in found.items()}
        print(model.name, table[model.name], flush=True)
        kept.write_text(json.dumps(table, indent=1) + "\n")
        HERE.with_suffix(".md").write_text(page(table), encoding="utf-8")


def page(table: dict[str, dict[str, Any]]) -> str:
    """The tables with what they say."""
    against = {net: each for net, each in table.items() if each["static int8"]["size"]}
    share = {net: e["smallest"]["size"] / e["static int8"]["size"] for net, e in against.items()}
    lost = {net: e["float32"]["accuracy"] - e["smallest"]["accuracy"] for net, e in against.items()}
    good = sum(share[net] <= 0.6 and lost[net] <= 0.005 for net in against)
    beaten = [
        net
        for net, e in against.items()
        if any(
            e[own]["size"] <= e["static int8"]["size"] and e[own]["accuracy"] >= e["static int8"]["accuracy"]
            for own in ("smallest", "int8-weights", "int8")
        )
    ]
    versions = ", ".join(f"{each.__name__} {each.__version__}" for each in (onnxruntime, onnx, np))
    others = sorted(set(against) - set(beaten))
    said = (
        f"`compress` with its defaults ({ROWS:,} training rows or all there are, 10,000 test rows, at most 0.5 points),"
        " `--method int8` (weights and activations), and, where the smallest is less accurate than static int8,"
        " `--method int8-weights`, beside onnxruntime's static int8"
        f" (QDQ, per channel, {CALIBRATED} rows), dynamic int8, fp16 and MatMulNBits (4 bits, blocks of 32); constants"
        f" that nothing reads removed from their files. {versions}. On {good} of {len(against)} nets the smallest file"
        " has at most 60 % of the bytes of static int8"
        f" and loses at most 0.5 points; the median share is {np.median(list(share.values())):.0%}, the largest"
        f" {max(share.values()):.0%}. On {len(beaten)} of {len(against)} one of our files is no larger and at least"
        f" as accurate as static int8{'' if not others else '; not on ' + ', '.join(others)}. The limit is"
        " that of the smallest file's own test; what is promised after several tests is no less, and at most 0.5"
        " points. Seconds are of processor time. Times are those of a run over the original's, medians and quartiles of"
        f" {ROUNDS} alternating runs of {TIMED} rows on a machine that was busy with other work, left out where the"
        " quartiles are more than a factor of 2 apart; our files of weights alone ran with `session.disable_quant_qdq`."
    )
    names = ("float32", "smallest", "int8-weights", "int8", "static int8", "dynamic int8", "fp16", "MatMulNBits")
    lines = ["# Compression", "", *textwrap.wrap(said, 120), "", "Bytes and accuracy on 10,000 test rows:", ""]
    lines += ["| net | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for net, entries in table.items():
        cells = (
            f"{e['size']:,}, {e['accuracy']:.2%}" if e["size"] else f"– ({e['note']})"
            for e in (entries[n] for n in names)
        )
        lines.append(f"| `{net}` | " + " | ".join(cells) + " |")
    lines += ["", "Limit of the smallest file, and times:", ""]
    lines += ["| net | limit | " + " | ".join(names[1:]) + " |", "|---" * (len(names) + 1) + "|"]
    for net, entries in table.items():
        times = (
            f"{e['time'][1]:.2f} ({e['time'][0]:.2f} to {e['time'][2]:.2f})"
            if e["time"] and e["time"][2] <= 2 * e["time"][0]
            else "–"
            for e in (entries[n] for n in names[1:])
        )
        lines.append(f"| `{net}` | {entries['smallest']['note']} | " + " | ".join(times) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
