"""The fastest file: what counts as faster, which layers compute with integers, and what the command says."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.fastest import fastest
from onnxbound.compressors.guarantee import Changed
from onnxbound.compressors.smallest import Trials
from tests.cli.command import failing, onnxbound
from tests.compressors.test_guarantee import changed_rows
from tests.compressors.test_smallest import rounder_of, rows_of, trials
from tests.nets import random_mlp


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])


def parameters(compressed: CompressedNetwork) -> int:
    return sum(layer.parameters for layer in compressed.network.layers)


def integers(compressed: CompressedNetwork) -> list[int]:
    return [weight.layer.index for weight in compressed.weights.values() if weight.method != "kept"]


def with_times(net: Path, times: dict[str, float], worse: int = 0, spread: float = 0.01) -> tuple[Trials, list[int]]:
    """Times by what a net is: narrower in proportion to its weights, integers by their layers."""
    seen: list[int] = []

    def timed(compressed: CompressedNetwork) -> tuple[float, float, float]:
        layers = "".join(map(str, integers(compressed)))
        ratio = times.get(layers, times["else"]) if layers else times["floats"] * parameters(compressed) / 3280
        return ratio, ratio - spread, ratio + spread

    def tested(compressed: CompressedNetwork) -> Changed:
        seen.append(parameters(compressed))
        return Changed.of(changed_rows(10_000, worse * (3280 - parameters(compressed)) // 1000, 0), 0.05)

    def chosen(compressed: CompressedNetwork) -> tuple[object, int]:
        return changed_rows(10_000, 10 * (parameters(compressed) < 3280), 0), 1

    found = trials(net, {}, {}, [], 0.01)
    return replace(found, timed=timed, tested=tested, chosen=chosen), seen


def test_narrower_nets_count_where_they_are_faster(net: Path) -> None:
    given, seen = with_times(net, {"floats": 1.0, "else": 3.0})
    found = fastest(rounder_of(net), given)
    assert parameters(found.compressed) == min(attempt.weights for attempt in found.tried if attempt.ratio < 1)
    assert seen == sorted(seen, reverse=True)
    assert not integers(found.compressed)
    given, seen = with_times(net, {"floats": 1.5, "else": 3.0}, spread=2.0)
    found = fastest(rounder_of(net), given)
    assert parameters(found.compressed) == 3280
    assert seen == [3280]


def test_tests_go_from_the_slowest_on(net: Path) -> None:
    """Those that drop too much on test rows are not written, however fast."""
    given, seen = with_times(net, {"floats": 1.0, "else": 3.0}, worse=100)
    found = fastest(rounder_of(net), given)
    assert min(attempt.weights for attempt in found.tried) < parameters(found.compressed) < 3280
    assert seen[-1] < parameters(found.compressed)


def test_layers_compute_with_integers_where_that_is_faster(net: Path) -> None:
    times = {"floats": 1.0, "123": 0.4, "23": 0.2, "3": 0.3, "2": 0.25, "else": 0.9}
    given, _ = with_times(net, times, spread=0.05)
    rounder = rounder_of(net)
    given = replace(given, max_drop=0.0015)
    found = fastest(rounder, given)
    assert integers(found.compressed) == [2, 3]
    assert found.compressed.roundings
    assert found.tried[-1].ratio == 0.2


def test_layers_of_low_rank_are_two_where_that_is_faster(net: Path) -> None:
    """The first layer stays one, and the test rows see what is written; where it is slower, all stay one."""

    def timed(compressed: CompressedNetwork, slower: float) -> tuple[float, float, float]:
        low = [weight.layer.index for weight in compressed.weights.values() if weight.method == "svd"]
        ratio = 3.0 if parameters(compressed) < 3280 or len(low) < len(integers(compressed)) else 1.0
        ratio *= slower ** (1 in low) * 0.5 ** (2 in low)
        return ratio, ratio - 0.01, ratio + 0.01

    given, seen = with_times(net, {"floats": 1.0, "else": 3.0})
    for slower, expected in ((1.2, [2]), (0.9, [1, 2])):
        found = fastest(rounder_of(net), replace(given, timed=partial(timed, slower=slower))).compressed
        assert [index for index in integers(found) if index < 3] == expected
        assert all(weight.method in ("svd", "kept") for weight in found.weights.values())
        assert sum(weight.parameters for weight in found.weights.values()) < 0.8 * 3280
    assert seen


def test_the_command(net: Path, tmp_path: Path) -> None:
    """Every candidate has a ratio, and what is said of the file is so."""
    data, test, out = rows_of(net, 300, 0.1), rows_of(net, 2000, 0.1, seed=1), tmp_path / "out.onnx"
    words = ("compress", net, "-o", out, "--data", data, "--test", test, "--max-drop", "5%", "--fastest", "--json")
    found = onnxbound(*words, "--force")
    assert found.code in (0, 1), found.stderr
    document = found.json()
    assert document["method"] == "fastest"
    assert document["tried"][0]["ratio"] == 1
    assert all(attempt["ratio"] > 0 for attempt in document["tried"])
    assert document["file"]["bytes_after"] == out.stat().st_size
    with np.load(test) as arrays:
        assert document["guarantee"]["measured"]["rows"] == len(arrays["y"])
    error = failing("compress", net, "-o", out, "--data", data, "--fastest", "--method", "int8")
    assert "--fastest or --method int8" in error["message"]
