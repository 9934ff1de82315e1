"""The search for the smallest file, and what it may promise."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from onnxbound.bounds.paired_drop import accuracy_drop_limit
from onnxbound.compressors.budget import Budget
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.evaluate import Baseline, Reopened, reopen, require_agreement
from onnxbound.compressors.guarantee import Changed
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.rounder import FORMATS, Rounder
from onnxbound.compressors.search import tightest
from onnxbound.compressors.smallest import Trials, smallest, split
from onnxbound.compressors.widths import narrowed
from onnxbound.compressors.write import to_model
from onnxbound.data.open import open_rows
from onnxbound.errors import ModelError, UsageError
from onnxbound.graph.load import load
from onnxbound.graph.network import Network
from onnxbound.run.device import resolve_device
from onnxbound.run.logits import Logits
from onnxbound.stability.collect import silent
from tests.cli.command import failing, onnxbound
from tests.compressors.test_guarantee import changed_rows
from tests.nets import mlp, random_mlp
from tests.oracle.models import fixtures, public_models

CPU = resolve_device("cpu")
RANDOM = np.random.default_rng(0)


def rows_of(path: Path, count: int, noise: float, seed: int = 0) -> Path:
    """Rows whose labels are the net's own decisions, but for a share of random ones."""
    network = load(path)
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, *network.input_shape)).astype(np.float32)
    y = Logits(network, CPU, 1).run(x).argmax(axis=1)
    y = np.where(random.random(count) < noise, random.integers(0, network.classes, count), y)
    found = path.with_name(f"rows{seed}.npz")
    np.savez(found, x=x, y=y)
    return found


def at_noise(network: Network) -> tuple[Rounder, np.ndarray]:
    """What rounds a network at 64 rows of noise, and they."""
    noise = Baseline(network, CPU, 1, None, 0).sample(64)
    rows = open_rows((noise, np.zeros(len(noise), np.int64)), network)
    return Rounder(network, (), rows, CPU, 1, 0), noise


def in_file(compressed: CompressedNetwork, path: Path) -> tuple[onnx.ModelProto, Reopened]:
    """A compressed network, written and checked, and as it is read again."""
    model = to_model(compressed, {"method": "test"})
    path.write_bytes(model.SerializeToString())
    onnx.checker.check_model(model, full_check=True)
    again = reopen(compressed.network, path)
    assert not again.why_not
    assert again.network.batch == compressed.network.batch
    return model, again


def test_a_scale_per_block(net: Path, tmp_path: Path) -> None:
    """A unit with one large weight costs the others of its block their steps, not all others."""
    model = onnx.load(net)
    (tensor,) = [tensor for tensor in model.graph.initializer if tensor.name == load(net).layers[0].weight_name]
    weight = numpy_helper.to_array(tensor).copy()
    units = weight if weight.shape[0] == load(net).layers[0].operator.channels else weight.T
    units[:, 0] *= 20
    tensor.CopyFrom(numpy_helper.from_array(weight, tensor.name))
    onnx.save(model, net)
    rounder = rounder_of(net)
    errors = []
    for block in (0, 4):
        written, again = in_file(rounder.everywhere(4, block), tmp_path / f"{block}.onnx")
        sizes = [a.i for node in written.graph.node for a in node.attribute if a.name == "block_size"]
        assert sizes == ([block] * len(rounder.sites) if block else [])
        found, before = (each.layers[0].operator.effective_weight() for each in (again.network, rounder.network))
        errors.append(np.abs(found - before)[:, 4:].mean())
    assert errors[1] < 0.5 * errors[0]


@pytest.mark.parametrize("width", FORMATS)
@pytest.mark.parametrize("model", fixtures() + public_models(), ids=lambda model: model.name)
def test_every_format_of_every_net(model, width: int, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """A valid file, names and free batch kept, which onnxruntime and NumPy compute alike, and smaller."""
    network = load(model.path)
    rounder, noise = at_noise(network)
    compressed, path = rounder.everywhere(width), tmp_path / "small.onnx"
    written, again = in_file(compressed, path)
    assert again.network.class_labels == network.class_labels
    require_agreement(compressed, again.network, Logits(again.network, CPU, 1), noise)
    original = onnx.load(model.path)
    constants = {tensor.name for tensor in original.graph.initializer}
    inputs = [value for value in original.graph.input if value.name not in constants]
    assert list(written.graph.input) == inputs
    assert [value.name for value in written.graph.output] == [value.name for value in original.graph.output]
    kept = {entry.key: entry.value for entry in written.metadata_props}
    assert {entry.key: entry.value for entry in original.metadata_props}.items() <= kept.items()
    numbers = sum(weight.weight.size for weight in compressed.weights.values() if weight.method != "kept")
    saved = model.path.stat().st_size - path.stat().st_size
    assert saved > 0.8 * numbers * (32 - width) / 8


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])


def rounder_of(net: Path) -> Rounder:
    network = load(net)
    rows = open_rows(rows_of(net, 300, 0.1), network)
    return Rounder(network, (), split(rows, 0)[0], CPU, 1, 0)


def widths(compressed: CompressedNetwork) -> list[str]:
    return [weight.method for weight in compressed.weights.values()]


def trials(net: Path, drops: dict[str, int], tested: dict[str, int] | None, seen: list[str], most: float) -> Trials:
    """Rows of 10,000 that get worse under a plan, named by its last but one layer's method and its bits."""

    def of(table: dict[str, int], compressed: CompressedNetwork) -> PairedLogits:
        return changed_rows(10_000, table["-".join(name[:4] for name in widths(compressed))], 0)

    def on_test(compressed: CompressedNetwork) -> Changed:
        assert tested is not None
        seen.append("-".join(name[:4] for name in widths(compressed)))
        return Changed.of(of(tested, compressed), 0.05)

    return Trials(
        chosen=lambda compressed: (of(drops, compressed), compressed.bits),
        tested=on_test,
        timed=lambda _: (1.0, 1.0, 1.0),
        fine_tuned=lambda *_: None,
        test_rows=0 if tested is None else 10_000,
        max_drop=most,
        delta=0.05,
        folder=net.parent,
        progress=silent,
    )


class Table(dict[str, int]):
    """A drop for each plan; plans that are not named lose as much as their number of layers of 4 bits says."""

    def __missing__(self, plan: str) -> int:
        return 100 * plan.count("int4")


def test_the_smallest_that_keeps_accuracy_is_chosen(net: Path) -> None:
    seen: list[str] = []
    found = smallest(rounder_of(net), trials(net, Table({}), None, seen, 0.0105))
    assert widths(found.compressed).count("int4-weights") == 1
    assert not seen
    assert found.apart.limit is None
    assert found.apart.drop == 0.01
    assert all(attempt.tested_by is None for attempt in found.tried)
    assert not found.tests


def test_tests_go_from_the_safest_on_and_stop_at_the_first_failure(net: Path) -> None:
    seen: list[str] = []
    fails = dict.fromkeys(("int4-int4-int4",), 300)
    found = smallest(rounder_of(net), trials(net, Table({}), Table(fails), seen, 0.025))
    assert widths(found.compressed).count("int4-weights") == 2
    assert seen[0] == "fp16-fp16-fp16"
    assert seen == sorted(seen, key=lambda plan: plan.count("int4"))
    passed = [a for a in found.tried if a.tested_by is not None and a.tested_by.limit <= 0.025]
    assert min(attempt.bytes for attempt in passed) == found.compressed.bits

    seen.clear()
    everything = Table(dict.fromkeys(("fp16-fp16-fp16", "int8-int8-int8", "int4-int4-int4"), 9000))
    for plan in ("int4-int8-int8", "int8-int4-int8", "int4-int4-int8", "int8-int4-int4"):
        everything[plan] = 9_000
    found = smallest(rounder_of(net), trials(net, Table({}), everything, seen, 0.025))
    assert seen == ["fp16-fp16-fp16"]
    assert widths(found.compressed) == ["fp16"] * 3
    assert not any(a.tested_by is not None and a.tested_by.limit <= 0.025 for a in found.tried)


def test_drops_need_not_rise_along_the_steps() -> None:
    """A step that fails alone bars its layer, and no other."""
    seen: list[dict[int, int]] = []

    def passes(plan: Mapping[int, int]) -> bool:
        seen.append(dict(plan))
        return plan[1] == 8 and (plan[2] == 8 or plan[3] == 4)  # the second alone fails, with the third it passes

    narrowed(dict.fromkeys(range(5), 8), [(i, 4) for i in (1, 2, 3, 0, 4)], passes, 20)
    assert {0: 4, 1: 8, 2: 8, 3: 4, 4: 4} in seen or {0: 4, 1: 8, 2: 4, 3: 4, 4: 4} in seen
    assert len({tuple(plan.values()) for plan in seen}) == len(seen)


def test_the_tightest_budget_is_found_where_drops_are_not_monotone() -> None:
    budgets = [Budget("bits", float(bits)) for bits in (2, 3, 4, 5)]
    drops = dict(zip(budgets, (0.3, 0.01, 0.2, 0.0), strict=True))
    assert tightest(budgets, drops.__getitem__, 0.02) == budgets[1]
    with pytest.raises(UsageError, match="Every budget that was tried loses more than") as caught:
        tightest(budgets[:1], drops.__getitem__, 0.005)
    assert "even `bits=2` loses 30 %" in caught.value.problems[0].why


def recount(path: Path, data: Path) -> tuple[NDArray[np.bool_], int]:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    with np.load(data) as arrays:
        return session.run(None, {"x": arrays["x"]})[0].argmax(axis=1) == arrays["y"], path.stat().st_size


def verdict(text: str) -> str:
    """What stands first, on one line."""
    return " ".join(text.split()).removeprefix("Verdict * ")


def test_what_is_said_is_counted_again(net: Path, tmp_path: Path) -> None:
    data, test, out = rows_of(net, 800, 0.2), rows_of(net, 3000, 0.2, seed=1), tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--data", data, "--test", test, "--max-drop", "5%", "--json")
    assert found.code == 0, found.stderr
    document = found.json()
    (before, size_before), (after, size_after) = recount(net, test), recount(out, test)
    measured = document["guarantee"]["measured"]
    assert measured["rows"] == 3000
    assert (measured["worse"], measured["better"]) == (np.sum(before & ~after), np.sum(after & ~before))
    assert measured["limit"] == accuracy_drop_limit(measured["worse"], measured["better"], 3000, 0.05) <= 0.05
    tests = [attempt["tested_by"]["limit"] for attempt in document["tried"] if attempt["tested_by"]]
    passed = all(limit <= 0.05 for limit in tests)
    assert document["guarantee"]["limit"] == (max(tests) if passed else 0.05) >= measured["limit"]
    assert document["guarantee"]["held"] is True
    assert (document["file"]["bytes_before"], document["file"]["bytes_after"]) == (size_before, size_after)
    assert size_after < 0.4 * size_before
    tensors = list(onnx.load(out).graph.initializer)
    wide = {
        onnx.TensorProto.INT4: 4,
        onnx.TensorProto.INT8: 8,
        onnx.TensorProto.FLOAT16: 16,
        onnx.TensorProto.FLOAT: 32,
    }
    bits = sum(wide[tensor.data_type] * int(np.prod(tensor.dims)) for tensor in tensors)
    stored = [layer for layer in document["layers"] if layer["method"] != "kept"]
    assert sum(layer["bits_after"] for layer in stored) == bits + 128 * len(stored)
    text = onnxbound("compress", net, "-o", out, "--data", data, "--test", test, "--max-drop", "5%", "--force")
    assert verdict(text.stdout).startswith("On new rows accuracy falls by at most")


def test_what_cannot_be_guaranteed_is_written_and_said_first(net: Path, tmp_path: Path) -> None:
    data, test, out = rows_of(net, 300, 0.2), rows_of(net, 100, 0.2, seed=1), tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--data", data, "--test", test)
    assert found.code == 1
    assert verdict(found.stdout).startswith("NOT GUARANTEED")
    assert out.exists()


def test_without_test_rows_nothing_is_guaranteed(net: Path, tmp_path: Path) -> None:
    data, out = rows_of(net, 300, 0.2), tmp_path / "out.onnx"
    found = onnxbound("compress", net, "-o", out, "--data", data)
    assert found.code == 0
    assert verdict(found.stdout).startswith(
        "Not guaranteed, since no test rows were given. On the training rows that chose this file:"
    )
    document = json.loads(onnxbound("compress", net, "-o", out, "--data", data, "--json", "--force").stdout)
    assert document["guarantee"]["held"] is document["guarantee"]["measured"]["limit"] is None
    assert document["guarantee"]["measured"]["rows"] == 150


def test_rows_that_guarantee_nothing_are_refused(net: Path, tmp_path: Path) -> None:
    data, out = rows_of(net, 100, 0.2), tmp_path / "out.onnx"
    for words in (("compress", net, "-o", out), ("analyze", net), ("compare", net, net), ("rank", net, net)):
        refused = failing(*words, "--data", data, "--test", data)
        assert refused["message"] == "The test rows are the training rows."
        assert "say nothing about new rows" in refused["problems"][0]["why"]
    assert not out.exists()


def test_a_file_that_does_not_become_smaller(tmp_path: Path) -> None:
    net = mlp(tmp_path / "net.onnx", [(RANDOM.normal(size=(3, 2)), None)])
    data, out = rows_of(net, 100, 0.1), tmp_path / "out.onnx"
    words = ("compress", net, "-o", out, "--data", data, "--method", "int8-weights")
    error = failing(*words)
    assert error["code"] == "compress-no-saving"
    assert not out.exists()
    assert onnxbound(*words, "--force").code == 0
    assert out.exists()


def test_a_weight_that_cannot_be_rewritten(tmp_path: Path) -> None:
    """Integers stay integers, and the layer is named; with no other there is nothing to do."""
    net = random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])
    data = rows_of(net, 200, 0.1)
    out, again = tmp_path / "out.onnx", tmp_path / "again.onnx"
    words = ("--data", data, "--method", "int8-weights")
    assert onnxbound("compress", net, "-o", out, *words, "--layer", "layer2").code == 0
    found = onnxbound("compress", out, "-o", again, *words, "--json").json()
    assert [layer["method"] for layer in found["layers"]] == ["int8-weights", "kept", "int8-weights"]
    assert "cannot be rewritten" in found["layers"][1]["reason"]
    assert again.stat().st_size < out.stat().st_size
    with pytest.raises(ModelError, match="no weight that could be compressed"):
        Rounder(load(again), (), open_rows(data, load(again)), CPU, 1, 0)
