"""compare, track and rank: what they say of each net is what analyze says, and of two is true."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxbound.analysis import budget
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.budget import Costs
from onnxbound.analysis.settings import Settings
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.experiments.comparison import compare
from onnxbound.experiments.nets import Subject
from onnxbound.experiments.paired import Paired
from onnxbound.experiments.ranking import rank
from onnxbound.graph.load import load
from onnxbound.report.view import Table
from onnxbound.stability.work import MeasuringWork
from onnxbound.words import number, percent
from tests.nets import random_mlp

SETTINGS = Settings(probes="exact", measured=None)


@pytest.fixture
def subjects(tmp_path: Path) -> list[Subject]:
    """Nets of different depth on 60 rows, with 40 test rows."""
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "rows.npz",
        x_train=random.normal(size=(60, 5)).astype(np.float32),
        y_train=np.arange(60) % 3,
        x_test=random.normal(size=(40, 5)).astype(np.float32),
        y_test=np.arange(40) % 3,
    )
    made = []
    for place, sizes in enumerate(([5, 8, 3], [5, 7, 6, 3], [5, 8, 3], [5, 4, 3], [5, 16, 3])):
        network = load(random_mlp(tmp_path / f"net{place}.onnx", sizes))
        rows = [open_rows(tmp_path / "rows.npz", network, Preprocessing(), role=role) for role in ("train", "test")]
        made.append(Subject(network, *rows))
    return made


def test_compare(subjects: list[Subject]) -> None:
    chosen = [subjects[0], subjects[1], subjects[0]]
    found = compare(chosen, ["a", "b", "c"], SETTINGS)
    report = analyze(subjects[1].network, subjects[1].rows, SETTINGS)
    for layer in found.properties:
        counts = [sum(h.counts) for h in layer.histograms if h is not None]
        assert set(counts) <= {60 if layer.property != "weight_noise_sensitivity" else 20}
        assert len({h.edges for h in layer.histograms if h is not None}) == 1
        for statement in layer.statements:
            if (statement.first, statement.second) == (1, 3):
                assert (statement.larger, statement.equal, statement.distance) == (0, statement.rows, 0.0)
        if layer.property == "layer_cushion":
            statistic = report.layers[layer.layer - 1].layer_cushion
            assert layer.medians[1] == pytest.approx(statistic.median if statistic else None, rel=1e-5)
    deepest = [layer for layer in found.properties if (layer.property, layer.layer) == ("layer_cushion", 3)]
    assert [h is None for h in deepest[0].histograms] == [True, False, True]
    names = [f"compare_{name}" for name in dict.fromkeys(layer.property for layer in found.properties)]
    assert [figure.name for figure in found.figures()] == names


def test_the_dearest_net_decides_how_many_rows_are_measured(
    subjects: list[Subject], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Properties are compared at the same rows, though one net has time for more of them."""

    def costs(work: MeasuringWork, *_: object) -> Costs:
        return Costs(0, 0, 0.5 * work.network.depth, 0, (0, 0))  # 60 rows take 60 or 90 s

    monkeypatch.setattr(budget, "_SHORT", 0)
    monkeypatch.setattr(budget, "trial", costs)
    settings = Settings(probes="exact", time=70)
    assert [analyze(s.network, s.rows, settings).data.measured_rows for s in subjects[:2]] == [60, 20]
    assert compare(subjects[:2], ["a", "b"], settings).measured_rows == 20


@pytest.mark.parametrize("checkpoints", [True, False])
def test_rank_and_track(subjects: list[Subject], checkpoints: bool) -> None:
    names = ["a", "b", "c", "d", "e"]
    found = rank(subjects, names, SETTINGS, checkpoints=checkpoints)
    for standing in found.standings:
        assert standing.gap == pytest.approx(standing.test_error - standing.net.train_error)
        assert standing.gap_low < standing.gap < standing.gap_high
    for entry in found.capacities:
        known = [value for value in entry.rescaled if value is not None]
        assert max(known) == pytest.approx(max(0, *(standing.gap for standing in found.standings)))
        assert (entry.correlation.low is None) == (checkpoints or entry.correlation.tau is None)
    drawn = {figure.name for figure in found.figures()}
    assert drawn > ({"track", "track_capacities"} if checkpoints else {"rank"})


@pytest.mark.parametrize("larger", [True, False])
def test_which_net_is_more_stable_is_said_by_the_direction_of_each_property(
    subjects: list[Subject], larger: bool
) -> None:
    """Of two nets, "a" has the larger values everywhere, or the smaller ones: a larger cushion, but no larger noise."""
    found = compare([subjects[0], subjects[2]], ["a", "b"], SETTINGS)
    sure = Paired(
        1, 2, 60, 0 if larger else 60, 0, 0.0 if larger else 1.0, *((0.0, 0.1) if larger else (0.9, 1.0)), 1.0
    )
    medians = (2.0, 1.0) if larger else (1.0, 2.0)
    properties = tuple(replace(layer, medians=medians, statements=(sure,)) for layer in found.properties)
    verdict = list(replace(found, properties=properties).view().verdict)
    one, other = ("a", "b") if larger else ("b", "a")
    (of_one,) = [said for said in verdict if said.startswith(f"{one} is more stable than {other} ")]
    (of_other,) = [said for said in verdict if said.startswith(f"{other} is more stable than {one} ")]
    assert of_one.endswith(" at every layer by layer cushion, minimal interlayer cushion.")
    assert " at every layer by contraction, noise sensitivity" in of_other
    mixed = [
        replace(layer, statements=() if layer.layer == 1 else (sure,), medians=medians) for layer in found.properties
    ]
    again = list(replace(found, properties=tuple(mixed)).view().verdict)
    assert any(said.startswith(f"{one} is more stable than {other} by layer cushion (layer 2)") for said in again)
    assert f"{one} has larger margins than {other}." in verdict
    sections = {section.title: section for section in found.view().sections}
    overview = next(part for part in sections["Properties"].parts if isinstance(part, Table))
    assert len(overview.rows) == len(found.properties)  # both nets have every layer
    assert all(section.long for title, section in sections.items() if "is more stable" in title)
    capacities = sections["Capacities"]
    table = next(part for part in capacities.parts if isinstance(part, Table))
    assert [row[0] for row in table.rows] == list(found.nets[0].log10_capacities)
    assert table.rows[0][1:] == tuple(number(net.log10_capacities["parameters"]) for net in found.nets)


def test_a_comparison_shows_errors_on_test_rows_where_there_are_any(subjects: list[Subject]) -> None:
    chosen = [subjects[0], subjects[1]]
    tested = compare(chosen, ["a", "b"], SETTINGS)
    plain = compare([replace(subject, test_rows=None) for subject in chosen], ["a", "b"], SETTINGS)
    errors = [analyze(s.network, s.rows, SETTINGS, test_rows=s.test_rows).data.test_error for s in chosen]
    assert [net.test_error for net in tested.nets] == errors
    said = ", ".join(f"{name} errs on {percent(error)}" for name, error in zip("ab", errors, strict=True))
    assert f"On the test rows {said}." in tested.view().verdict
    (found,) = tested.error_differences
    assert found.difference == pytest.approx(errors[1] - errors[0])  # type: ignore[operator]
    assert plain.error_differences == ()
    assert [net.test_error for net in plain.nets] == [None, None]
    assert not any("test" in sentence for sentence in plain.view().verdict)


def test_a_comparison_doubts_the_rows_before_it_compares(tmp_path: Path) -> None:
    """A net whose labels are shifted errs everywhere: this is said first, and once."""
    random = np.random.default_rng(1)
    network = load(random_mlp(tmp_path / "net.onnx", [5, 8, 3]))
    x = random.normal(size=(200, 5)).astype(np.float32)
    session = onnxruntime.InferenceSession(network.path)
    logits = session.run(None, {session.get_inputs()[0].name: x})[0]
    np.savez(tmp_path / "rows.npz", x_train=x, y_train=(logits.argmax(axis=1) + 1) % 3)
    rows = open_rows(tmp_path / "rows.npz", network, Preprocessing())
    view = compare([Subject(network, rows)] * 2, ["a", "b"], SETTINGS).view()
    assert [said.partition(":")[0] for said in view.verdict[:2]] == ["a", "b"]
    assert "probably not those of training" in view.verdict[0]
    assert not any("probably not those of training" in said for said in view.caveats)


def test_the_smaller_capacities_and_a_sure_difference_are_named(subjects: list[Subject]) -> None:
    found = compare([subjects[0], subjects[2]], ["a", "b"], SETTINGS)
    small = replace(found.nets[0], log10_capacities=dict.fromkeys(found.nets[0].log10_capacities, 1.0))
    large = replace(found.nets[1], log10_capacities=dict.fromkeys(found.nets[1].log10_capacities, 2.0))
    verdict = replace(found, nets=(small, large)).view().verdict
    assert "a has smaller capacities than b, by 6 of 6 measures." in verdict
    turned_round = replace(found, nets=(large, small)).view().verdict
    assert "a has smaller capacities than b, by 6 of 6 measures." in turned_round
    (seen,) = found.error_differences
    sure = replace(seen, only_first=30, only_second=5, low=-0.0123, high=-0.00456)
    said = replace(found, error_differences=(sure,)).view().verdict
    assert any(text.startswith("On new rows b errs less than a, by 0.45 to 1.23 percentage points") for text in said)
    turned = replace(seen, only_first=5, only_second=30, low=0.00456, high=0.0123)
    said = replace(found, error_differences=(turned,)).view().verdict
    assert any(text.startswith("On new rows a errs less than b, by 0.45 to 1.23 percentage points") for text in said)
    unsure = replace(seen, only_first=5, only_second=6, low=-0.00456, high=0.0123)
    (chance,) = (
        text
        for text in replace(found, error_differences=(unsure,)).view().verdict
        if text.startswith("This difference")
    )
    assert "may be chance: of 40 test rows only a errs on 5, only b on 6." in chance
    assert "between 0.46 percentage points below that of a and 1.23 above it." in chance


def test_the_table_has_the_layers_that_two_nets_have_or_the_only_net(subjects: list[Subject]) -> None:
    for chosen, depth in ((subjects[:1], 2), (subjects[:2], 2), ([subjects[1], subjects[1]], 3)):
        found = compare(chosen, [str(place) for place in range(len(chosen))], SETTINGS)
        (section,) = (section for section in found.view().sections if section.title == "Properties")
        table = next(part for part in section.parts if isinstance(part, Table))
        layers = {row[1] for row in table.rows if row[0] == "layer cushion"}
        assert layers == {str(layer + 1) for layer in range(depth)}
