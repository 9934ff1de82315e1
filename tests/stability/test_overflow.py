"""A net whose values leave float32 is said to overflow, and where; it is not called a misreading."""

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from onnxbound import Preprocessing, Settings, analyze, load, open_rows
from onnxbound.errors import ModelError
from onnxbound.experiments.attenuation import attenuate
from onnxbound.linear.measure import measure
from onnxbound.linear.programme import Programme
from tests.linear.test_measure import net
from tests.nets import mlp
from tests.stability.properties import arrays_of

RANDOM = np.random.default_rng(4)
WEIGHTS = [RANDOM.normal(size=shape) for shape in ((8, 6), (7, 8), (4, 7))]


@pytest.mark.parametrize("engine", ["numpy", "onnxruntime", "auto"])
@pytest.mark.parametrize(("scales", "place"), [((1e20, 1e20, 1), "layer 2"), ((1e15, 1e15, 1e15), "layer 3")])
def test_the_first_layer_that_overflows_is_named(
    tmp_path: Path, engine: str, scales: tuple[float, ...], place: str
) -> None:
    layers = [(weight * scale, np.zeros(len(weight))) for weight, scale in zip(WEIGHTS, scales, strict=True)]
    network = load(mlp(tmp_path / "net.onnx", layers))
    np.savez(tmp_path / "rows.npz", x=RANDOM.normal(size=(9, 6)).astype(np.float32), y=np.arange(9) % 4)
    rows = open_rows(tmp_path / "rows.npz", network, Preprocessing())
    settings = Settings(engine=engine)  # type: ignore[arg-type]
    for run in (analyze, attenuate):
        with pytest.raises(ModelError, match="overflow") as raised:
            run(network, rows, settings)
        assert raised.value.code == "model-overflow"
        (problem,) = raised.value.problems
        assert problem.where.startswith(place)
        assert "of 9 rows" in problem.why
        assert "`scale`" in problem.do


def test_one_row_is_enough(tmp_path: Path) -> None:
    network = load(mlp(tmp_path / "net.onnx", [(weight, np.zeros(len(weight))) for weight in WEIGHTS]))
    x = RANDOM.normal(size=(9, 6)).astype(np.float32)
    x[5] = 3e38
    np.savez(tmp_path / "rows.npz", x=x, y=np.arange(9) % 4)
    with pytest.raises(ModelError) as raised:
        analyze(network, open_rows(tmp_path / "rows.npz", network, Preprocessing()), Settings(measured=2))
    assert "at 1 of 9 rows, first at row 5 of the file" in raised.value.problems[0].why


def test_norms_that_overflow_or_vanish_make_properties_undefined(tmp_path: Path) -> None:
    """Tangents may leave float32 where no value does: no warning of NumPy comes of it, nor anything but a number."""
    network, programme = (
        net(tmp_path / "net.onnx", "convolutional"),
        Programme("affine", 2, False, True, 0.1, True, seed=0),
    )
    rows = RANDOM.normal(size=(40, *network.input_shape)).astype(np.float32)
    norms = measure(network.cast(np.float32), programme, np.arange(40), rows)
    extremes = np.array([0.0, 1e-300, 1.0, 1e300, np.inf, np.nan])
    for name in (field.name for field in fields(norms) if getattr(norms, field.name).dtype == np.float64):
        norms = replace(norms, **{name: RANDOM.choice(extremes, getattr(norms, name).shape)})
    for values in arrays_of(network, norms, programme).values():
        assert not np.any(values < 0)
