"""Norms of Jacobians that are estimated: how many probes, within what, and what is marked as following from them."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.analysis.result import Analysis
from tests.nets import mlp

BOTTLENECK = [6, 120, 1, 130, 3]
"""Between layers 1 and 3 the Jacobian is 130 x 120 of rank 1; every other pair has a small side."""

WIDE = [6, 120, 300, 130, 3]
"""Its Jacobians between layers 1, 2 and 3 have some twenty singular values that count."""


def analysis(folder: Path, sizes: list[int], settings: Settings, rows: int = 40) -> Analysis:
    random = np.random.default_rng(1)
    weights = [random.normal(size=(o, i)) * np.sqrt(2 / i) for i, o in itertools.pairwise(sizes)]
    if sizes is BOTTLENECK:
        weights[1] = np.abs(weights[1])  # so that the single unit is never dead
    network = load(mlp(folder / "net.onnx", [(weight, None) for weight in weights]))
    x = np.random.default_rng(0).normal(size=(rows, 6)).astype(np.float32)
    np.savez(folder / "rows.npz", x=x, y=np.arange(rows) % 3)
    return analyze(network, open_rows(folder / "rows.npz", network, Preprocessing()), settings)


def methods(found: Analysis) -> dict[tuple[int, int], str]:
    return {(pair.source, pair.target): pair.method for pair in found.pairs}


def test_a_small_side_makes_a_jacobian_exact(tmp_path: Path) -> None:
    found, exact = (analysis(tmp_path, BOTTLENECK, Settings(probes=p)) for p in (4, "exact"))
    assert [pair for pair, method in methods(found).items() if method == "hutchinson"] == [(1, 3)]
    for (i, j), method in methods(found).items():
        one, two = (x.samples["jacobian_norm"][:, i - 1, j - 1] for x in (found, exact))
        defined = two > 0
        assert defined.any()
        if method == "exact":
            np.testing.assert_allclose(one, two, rtol=1e-5)
        else:
            assert np.abs(one[defined] / two[defined] - 1).max() > 0.1


def test_probes_are_added_until_the_error_is_small_and_the_number_says_the_same_again(tmp_path: Path) -> None:
    found = analysis(tmp_path, BOTTLENECK, Settings())
    assert found.settings["probes"] == 64
    norm = next(pair for pair in found.pairs if pair.method == "hutchinson").jacobian_norm
    assert norm.standard_error / np.sqrt(np.nanmean(found.samples["jacobian_norm"][:, 0, 2] ** 2)) == pytest.approx(
        0.088, rel=0.15
    )
    again = analysis(tmp_path, BOTTLENECK, Settings(probes=64, measured=found.settings["measured"]))
    for name in found.samples:
        np.testing.assert_array_equal(found.samples[name], again.samples[name])
    assert analysis(tmp_path, WIDE, Settings()).settings["probes"] in (4, 8)


def test_no_more_probes_where_they_are_said_or_would_take_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert analysis(tmp_path, BOTTLENECK, Settings(probes=4)).settings["probes"] == 4
    monkeypatch.setattr("onnxbound.analysis.budget._SHORT", 0.0)
    assert analysis(tmp_path, BOTTLENECK, Settings(measured=20)).settings["probes"] == 4
    assert analysis(tmp_path, BOTTLENECK, Settings(time=1e-3)).settings["probes"] == 4


@pytest.mark.parametrize("sizes", [BOTTLENECK, WIDE])
@pytest.mark.parametrize("probes", [4, 64])
def test_what_is_exact_lies_within_what_is_said(tmp_path: Path, sizes: list[int], probes: int) -> None:
    found, exact = (analysis(tmp_path, sizes, Settings(probes=p)) for p in (probes, "exact"))
    checked = 0
    for one, two in zip(found.pairs, exact.pairs, strict=True):
        for name in ("interlayer_cushion", "jacobian_norm"):
            estimate, true = one.statistics[name], two.statistics[name]
            assert (estimate.within is None) == (estimate.kind == "measured") == (one.method == "exact")
            assert (estimate.probes is None) == (estimate.standard_error is None) == (one.method == "exact")
            if estimate.within:
                for extreme in ("min", "q05", "median", "max"):
                    low, high = (factor * getattr(estimate, extreme) for factor in estimate.within)
                    assert low <= getattr(true, extreme) <= high
                    checked += 1
    assert checked


def test_what_follows_from_estimates_says_so(tmp_path: Path) -> None:
    found = analysis(tmp_path, BOTTLENECK, Settings(probes=4))
    assert [layer.basis for layer in found.layers] == ["estimated", "measured", "measured", "measured"]
    assert {bound.name: bound.basis for bound in found.bounds if bound.basis == "estimated"} == {"arora": "estimated"}
    document = found.to_json()
    assert document["layers"][0]["basis"] == "estimated"
    assert document["layers"][0]["minimal_interlayer_cushion"]["clipped"]["within"][0] < 1
    console = Console(record=True, width=200)
    found.render(console)
    printed = console.export_text()
    table = [line for line in printed.splitlines() if " layer1 " in line or " layer2 " in line]
    assert [line.count("≈") for line in table] == [3, 0]
    assert printed.split("arora")[1].splitlines()[0].count("≈") == 1
    pytest.importorskip("matplotlib", reason="the extra report is not installed")
    page = found.to_html()
    assert page.count("≈") > 5
    exact = analysis(tmp_path, BOTTLENECK, Settings(probes="exact"))
    assert {layer.basis for layer in exact.layers} | {bound.basis for bound in exact.bounds} == {"measured"}
