"""Bytes, test accuracy and time of what `compress` writes, beside what other tools make of the same nets.

    ONNXBOUND_TEST_DATA=DIR python -m benchmarks.compression [NAME ...] [--only WAY ...]

Nets of `DIR/models` and `DIR/models/more` and those of `fixtures/`; 10,000 training rows, or all there are, and all
10,000 test rows. What is measured of a net goes to `compression.json` beside this file, over what is known of it, and
all that is there to `compression.md`. The other tools also need sympy, onnx_ir and onnxsim.
"""

import argparse
import json
import os
import subprocess
import sys
import textwrap
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

import onnxbound
from benchmarks.model_rows import ROWS, Rows, rows_of
from benchmarks.peers import CALIBRATED, Write, of_onnxruntime, of_onnxsim, strip
from onnxbound import Method, Request
from onnxbound.errors import UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.threads import cores
from tests.oracle import models
from tests.oracle.models import FIXTURES, Model, fixtures, full_data, public_models

TIMED, ROUNDS, MAX_DROP = 64, 15, 0.005
HERE = Path(__file__)
TUNED = "tuned int8"
FILES = ("smallest", "int8-weights", "int8", TUNED)
OURS = (*FILES, "codes")
PEERS = ("static int8", "dynamic int8", "fp16", "MatMulNBits", "onnxsim")
WITH_CODES = {"mnist_lenet5": 0.001, "vnn21_marabou_cifar10_large": 0.014}
"""Nets whose codes are measured, and the drop on training rows that they may have."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One way to write one net.

    Attributes:
        size: Bytes of the file, constants that nothing reads removed; 0 where there is none.
        accuracy: On the test rows.
        time: Quartiles of its time over that of the original, in alternating runs.
        note: What else is to be said.
        state: Of the code that made it; empty for other tools.
    """

    size: int
    accuracy: float
    time: tuple[float, ...] = ()
    note: str = ""
    state: str = ""


def entries_of(model: Model, folder: Path, ways: tuple[str, ...]) -> dict[str, Entry]:
    """Those ways, by their names, and the original."""
    network = onnxbound.load(model.path)
    train, test = rows_of(model)
    result = {"float32": measured(model.path, network, test)}
    before = result["float32"].accuracy
    peers = of_onnxruntime(network, train[0], folder)
    for way in ways:
        if way in FILES:
            method = Method("int8-weights", fine_tune=True) if way == TUNED else Method(way)  # type: ignore[arg-type]
            try:
                result[way] = ours(network, before, method, train, test, folder / "ours.onnx")
            except UsageError:
                result[way] = Entry(0, float("nan"), note="too few rows")
        elif way == "codes" and model.name in WITH_CODES:
            result[way] = coded(network, WITH_CODES[model.name], train, test, folder / "coded.onnx")
        elif way in peers:
            result[way] = made_by(peers[way], network, test, folder / "peer.onnx")
        elif way == "onnxsim":
            result[way] = best_of(of_onnxsim(network, train[0]), network, before, test, folder / "peer.onnx")
    return result


def made_by(write: Write, network: Network, test: Rows, out: Path) -> Entry:
    """What a tool writes; a tool that fails is a finding too."""
    try:
        write(out)
        strip(out)
        return measured(out, network, test)
    except Exception as error:  # noqa: BLE001
        return Entry(0, float("nan"), note=(str(error).splitlines() or [type(error).__name__])[0][:60])


def best_of(ways: dict[str, Write], network: Network, before: float, test: Rows, out: Path) -> Entry:
    """The smallest file that loses at most as much as ours may, chosen in its favour by the test rows themselves."""
    found = [replace(made_by(write, network, test, out), note=name) for name, write in ways.items()]
    found = [entry for entry in found if entry.size]
    enough = [entry for entry in found if before - entry.accuracy <= MAX_DROP]
    if not found:
        return Entry(0, float("nan"), note="fails")
    return min(enough, key=lambda e: e.size) if enough else max(found, key=lambda e: e.accuracy)


def state() -> str:
    """Of the code that compresses."""
    words = ("git", "rev-parse", "--short", "HEAD:onnxbound/compressors")
    return subprocess.run(words, capture_output=True, text=True, check=True, cwd=HERE.parent).stdout.strip()


def ours(network: Network, before: float, method: Method, train: Rows, test: Rows, out: Path) -> Entry:
    """What `compress` makes; what it says of bytes and rows is counted again."""
    rows, unseen = (onnxbound.open_rows(part, network) for part in (train, test))
    started, now = process_time(), perf_counter()
    found = onnxbound.compress(network, rows, out, Request(method), test=unseen, force=True, progress=False)
    seconds, wall = process_time() - started, perf_counter() - now
    assert found.guarantee is not None
    assert found.guarantee.measured.limit is not None
    entry = measured(out, network, test, unfused=method.name != "int8")
    assert found.file.bytes_after == entry.size
    assert abs(found.guarantee.measured.drop - (before - entry.accuracy)) < 1e-9
    held = "" if found.guarantee.held else "not guaranteed, "
    note = f"{held}at most {found.guarantee.measured.limit:.2%}, {seconds:.0f} s ({wall:.0f})"
    return replace(entry, note=note, state=state())


def coded(network: Network, drop: float, train: Rows, test: Rows, out: Path) -> Entry:
    """What codes come to, chosen by training rows alone."""
    rows, request = onnxbound.open_rows(train, network), Request(max_drop=drop)
    codes, again = out.with_suffix(".codes"), out.with_suffix(".again.onnx")
    onnxbound.compress(network, rows, out, request, codes=codes, force=True, progress=False)
    onnxbound.decompress(codes, again)
    assert again.read_bytes() == out.read_bytes()
    accuracy = measured(out, network, test, unfused=True).accuracy
    return Entry(codes.stat().st_size, accuracy, note=f"{drop:.1%}", state=state())


def session(path: Path, *, unfused: bool) -> onnxruntime.InferenceSession:
    """As onnxruntime runs it by default, or with the rounding that the file says, as the guide tells."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = cores()
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


def nets() -> list[Model]:
    """All that are measured: public ones, and our own whose test accuracy is above that of a guess."""
    models.NOT_PIECEWISE_LINEAR = set()
    names = ("mnist_small", "mnist_lenet5", "cifar10_narrow", "cifar10_residual", "cifar10_mobile")
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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="nets; all if none")
    parser.add_argument("--only", nargs="+", choices=(*OURS, *PEERS, "nothing"), default=[*OURS, *PEERS])
    asked = parser.parse_args()
    if not os.environ.get("ONNXBOUND_TEST_DATA"):
        sys.exit("Set ONNXBOUND_TEST_DATA to the folder with the public models.")
    kept = HERE.with_suffix(".json")
    table: dict[str, dict[str, Any]] = json.loads(kept.read_text()) if kept.exists() else {}
    for model in nets() if asked.only != ["nothing"] else ():
        if model.name not in (asked.names or [model.name]):
            continue
        with TemporaryDirectory() as folder:
            found = entries_of(model, Path(folder), tuple(asked.only))
        table.setdefault(model.name, {}).update({name: asdict(entry) for name, entry in found.items()})
        print(model.name, {name: asdict(entry) for name, entry in found.items()}, flush=True)
        kept.write_text(json.dumps(table, indent=1) + "\n")
    HERE.with_suffix(".md").write_text(page(table), encoding="utf-8")


def page(table: dict[str, dict[str, Any]]) -> str:
    """The tables with what they say."""
    against = {net: each for net, each in table.items() if each.get("static int8", {}).get("size")}
    share = {net: e["smallest"]["size"] / e["static int8"]["size"] for net, e in against.items()}
    lost = {net: e["float32"]["accuracy"] - e["smallest"]["accuracy"] for net, e in against.items()}
    good = {net for net in against if share[net] <= 0.6 and lost[net] <= MAX_DROP}
    beaten = {net for net in against if _is_beaten(against[net])}
    simmed = {net: e for net, e in table.items() if e.get("onnxsim", {}).get("size")}
    smaller = [net for net, e in simmed.items() if e["smallest"]["size"] < e["onnxsim"]["size"]]
    now = state()
    columns = (
        f"* smallest: `compress` with {ROWS:,} training rows (or all); it may lose {100 * MAX_DROP:g} points",
        "* int8-weights: `compress --method int8-weights`; tuned int8: the same with `--fine-tune`",
        "* int8: `compress --method int8`, which also rounds activations",
        f"* static int8: static quantisation by onnxruntime (QDQ, per channel, calibrated on {CALIBRATED} rows)",
        "* dynamic int8, fp16, MatMulNBits (4 bits, blocks of 32): conversions by onnxruntime",
        "* onnxsim: the best file of onnxsim 0.8.1, as described below",
    )
    found = (
        f"On {len(good)} of {len(against)} nets{_but(against, good)}, the *smallest* file has at most 60 % of the bytes"
        " of static int8 and loses at most 0.5 points of accuracy. Its share of the bytes of static int8 is"
        f" {np.median(list(share.values())):.0%} in the median, and {max(share.values()):.0%} at most. On {len(beaten)}"
        f" of {len(against)} nets{_but(against, beaten)}, one of our files is no larger and no less accurate than that"
        f" of static int8. On {len(smaller)} of {len(simmed)} nets, the *smallest* file is smaller than onnxsim's."
    )
    marks = (
        "Nodes and constants that nothing reads were removed from the files of other tools. A file marked † was made by"
        " an earlier state of `compress`. A dash without a reason in brackets means: not measured. Versions: "
        + ", ".join(f"{each.__name__} {each.__version__}" for each in (onnxruntime, onnx, np))
        + "."
    )
    peer = (
        "The budgets of onnxsim 0.8.1 limit the relative error of the outputs, not the loss of accuracy. onnxsim writes"
        " 4 bits only for MatMul and Gemm. These functions of onnxsim ran on each net:"
    )
    ran = (
        "* `recommend_quantization`, which searches over formats, with both default budgets, 0.02 and 0.1",
        "* `search_mixed_precision_for_budget`, which chooses 4 or 8 bits per layer, with the same two budgets",
        "* `apply_optimization_pipeline`, once without pruning, and once with a quarter of the channels pruned",
        "* `auto_quantize_int4` and `apply_gptq` (GPTQ)",
    )
    chosen = (
        "The column onnxsim shows the smallest of these files that loses at most 0.5 points, or the most accurate one"
        " if all lose more. The test rows themselves decide this, which favours onnxsim."
    )
    limit = (
        "The column limit bounds the drop in accuracy of the *smallest* file on new rows, with 95 % confidence, by the"
        " test of this file alone. If `compress` tests several files, it may promise a larger limit, but at most 0.5"
        " points. The seconds are the processor time of `compress` (in brackets: wall time), beside other work."
    )
    times = (
        "A time is the running time of a file divided by that of the original. The table gives the median and, in"
        f" brackets, the quartiles of {ROUNDS} alternating runs of {TIMED} rows. Other work ran on the same machine. A"
        " time is left out if its quartiles differ by more than a factor of 2. The files of `compress`, except int8,"
        " ran with the session option `session.disable_quant_qdq`."
    )
    names = ("float32", *FILES, *PEERS)
    lead = "This page compares files that `compress` writes with files of other tools. The columns of the tables:"
    lines = ["# Compression", "", lead, "", *columns, "", *_paragraphs(found, marks, peer)]
    lines += [*ran, "", *_paragraphs(chosen), "Bytes of each file, and its accuracy on 10,000 test rows:", ""]
    lines += ["| net | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for net, entries in table.items():
        lines.append(f"| `{net}` | " + " | ".join(_size(entries.get(name), now) for name in names) + " |")
    lines += ["", *_paragraphs(limit, times)]
    lines += ["| net | limit | " + " | ".join(names[1:]) + " |", "|---" * (len(names) + 1) + "|"]
    for net, entries in table.items():
        ratios = (_time(entries.get(name)) for name in names[1:])
        lines.append(f"| `{net}` | {entries['smallest']['note']} | " + " | ".join(ratios) + " |")
    coded = "Entropy codes (`--codes`, without `--test`). From each, `decompress` made the file of `compress` again:"
    lines += ["", coded, "", "| net | `--max-drop` | bytes and accuracy |", "|---|---|---|"]
    for net, entries in table.items():
        if "codes" in entries:
            lines.append(f"| `{net}` | {entries['codes']['note']} | {_size(entries['codes'], now)} |")
    return "\n".join(lines) + "\n"


def _is_beaten(entries: dict[str, Any]) -> bool:
    """Whether one of our files is no larger than that of static int8, and no less accurate."""
    peer, mine = entries["static int8"], (entries.get(name) for name in FILES)
    return any(e and e["size"] <= peer["size"] and e["accuracy"] >= peer["accuracy"] for e in mine)


def _but(nets: dict[str, Any], some: set[str]) -> str:
    others = sorted(set(nets) - some)
    return f" (not on {', '.join(f'`{net}`' for net in others)})" if others else ""


def _paragraphs(*texts: str) -> list[str]:
    return [line for text in texts for line in (*textwrap.wrap(text, 120), "")]


def _size(entry: dict[str, Any] | None, now: str) -> str:
    if entry is None or not entry["size"]:
        return f"– ({entry['note']})" if entry and entry["note"] else "–"
    older = "†" if entry["state"] not in ("", now) else ""
    return f"{entry['size']:,}, {entry['accuracy']:.2%}{older}"


def _time(entry: dict[str, Any] | None) -> str:
    if entry is None or not entry["time"] or entry["time"][2] > 2 * entry["time"][0]:
        return "–"
    low, middle, high = entry["time"]
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


if __name__ == "__main__":
    main()
