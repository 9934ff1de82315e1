"""`analyze` end to end: what must not change when the net is written differently."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.analysis.result import Report
from onnxbound.errors import UsageError
from tests.nets import mlp

RANDOM = np.random.default_rng(11)
WEIGHTS = [(RANDOM.normal(size=(o, i)) / 2, RANDOM.normal(size=o) / 4) for i, o in ((6, 8), (8, 7), (7, 4))]


def report(folder: Path, factors: tuple[float, float, float], settings: Settings) -> Report:
    """Layer i times factors[i], its bias times all factors so far: f times their product."""
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    product: float = 1.0
    layers: list[tuple[NDArray[np.float64], NDArray[np.float64] | None]] = []
    for (weight, bias), factor in zip(WEIGHTS, factors, strict=True):
        product *= factor
        layers.append((weight * factor, bias * product))
    network = load(mlp(folder / f"{factors}.onnx", layers))
    np.savez(folder / "rows.npz", x=x, y=np.arange(60) % 4)
    return analyze(network, open_rows(folder / "rows.npz", network, Preprocessing()), settings)


def test_capacities_are_invariant_under_scaling_the_function_and_the_margin(tmp_path: Path) -> None:
    plain = report(tmp_path, (1, 1, 1), Settings())
    scaled = report(tmp_path, (1, 1, 16), Settings())
    assert scaled.margin.gamma == pytest.approx(16 * (plain.margin.gamma or 0), rel=1e-6)
    for before, after in zip(plain.bounds, scaled.bounds, strict=True):
        assert after.met == before.met
        if before.value is not None:
            assert after.value == pytest.approx(before.value, rel=1e-5), before.name


def test_stability_is_invariant_under_rebalancing_and_norms_are_not(tmp_path: Path) -> None:
    plain = report(tmp_path, (1, 1, 1), Settings())
    moved = report(tmp_path, (8, 0.5, 0.25), Settings())
    for before, after in zip(plain.layers, moved.layers, strict=True):
        for name in ("layer_cushion", "contraction", "between_contraction", "noise_sensitivity", "beta"):
            one, two = getattr(before, name), getattr(after, name)
            assert (one is None) == (two is None)
            if one is not None:
                assert two.median == pytest.approx(one.median, rel=1e-5), name
        assert after.effective_parameters == pytest.approx(before.effective_parameters, rel=1e-4)
    assert moved.layers[0].frobenius_norm == pytest.approx(8 * plain.layers[0].frobenius_norm, rel=1e-6)


def test_the_form_makes_a_difference_only_through_biases(tmp_path: Path) -> None:
    affine, linear = (report(tmp_path, (1, 1, 1), Settings(form=form)) for form in ("affine", "linear"))
    for one, two in zip(affine.layers, linear.layers, strict=True):
        assert one.layer_cushion is not None
        assert two.layer_cushion is not None
        assert two.layer_cushion.max <= 1 + 1e-6
        assert one.layer_cushion.median != pytest.approx(two.layer_cushion.median, rel=1e-4)
        assert one.beta == two.beta


@pytest.mark.parametrize(
    "wrong",
    [
        {"measured": 0}, {"probes": 0}, {"noise_radius": 0.0}, {"gamma": -1.0}, {"gamma_quantile": 0.0}, {"delta": 1.0},
        {"zeta": 1.0}, {"seed": -1}, {"threads": 0},
    ],
)  # fmt: skip
def test_settings_are_checked(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong)  # type: ignore[arg-type]


def test_progress_counts_every_row(tmp_path: Path) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        assert done >= seen.get(stage, (0, 0))[0]
        seen[stage] = (done, total)

    network = load(mlp(tmp_path / "net.onnx", [(w, b) for w, b in WEIGHTS]))
    np.savez(tmp_path / "rows.npz", x=np.ones((60, 6), np.float32), y=np.arange(60) % 4)
    rows = open_rows(tmp_path / "rows.npz", network, Preprocessing())
    analyze(network, rows, Settings(measured=10), test_rows=rows.sample(40, 0), progress=progress)
    assert seen == {"forward": (60, 60), "test": (40, 40), "measure": (10, 10), "weights": (15, 15), "norms": (3, 3)}
