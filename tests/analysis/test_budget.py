"""A time limit decides how many rows are measured: before the run, by steps, and so that it can be said again."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxbound import Settings, analyze, load, open_rows, plan, rank
from onnxbound.analysis import budget
from onnxbound.analysis.budget import Costs, within
from onnxbound.cli.values import seconds_of
from onnxbound.data.rows import Rows
from onnxbound.errors import RunError, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.choose_engine import choose_engine
from onnxbound.linear.engine import Engine, NumpyEngine
from onnxbound.linear.programme import Share
from onnxbound.run.device import CPU
from onnxbound.run.folder import RunFolder
from tests.cli.command import onnxbound, write_rows
from tests.nets import random_mlp

SHORT = 1e-6
"""A limit that nothing keeps."""


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Network:
    monkeypatch.setattr(budget, "_SHORT", 0)
    return load(random_mlp(tmp_path / "net.onnx", (6, 5, 5, 4)))


@pytest.fixture
def rows(tmp_path: Path, network: Network) -> Rows:
    return open_rows(write_rows(tmp_path / "rows.npz", 60), network)


@pytest.mark.parametrize(
    ("rows", "seconds", "measured"),
    [(5000, 1051, 1000), (5000, 1049, 500), (5000, 61, 10), (5000, 59, 10), (15, 16, 1000), (15, 12, 10)],
)
def test_the_largest_step_that_fits(rows: int, seconds: float, measured: int) -> None:
    costs = Costs(norms=0, forward=0.01, sweep=1, pass_=0, passes_per_row=(0, 0))
    assert within(costs, rows, Settings(time=seconds)).measured == measured


def test_the_estimate_is_of_every_stage() -> None:
    costs = Costs(norms=7, forward=0.5, sweep=2, pass_=0.1, passes_per_row=(4, 20))
    assert costs.seconds(300, 100) == pytest.approx(7 + 150 + 200 + 0.1 * (4 * 20 + 20 * 25))


def test_what_was_decided_is_reported_and_said_again_gives_the_same(network: Network, rows: Rows) -> None:
    found = analyze(network, rows, Settings(time=SHORT, engine="numpy"))
    assert (found.data.measured_rows, found.settings["measured"], found.settings["pairs"]) == (10, 10, "all")
    (said,) = [text for text in found.warnings if "too short" in text]
    assert "`measured=10` for as few" in said
    assert found.data.sub_sampling_zeta > 0
    again = analyze(network, rows, Settings(measured=10, time=None, engine="numpy"))
    assert not any("too short" in text for text in again.warnings)
    for name, values in found.samples.items():
        np.testing.assert_array_equal(values, again.samples[name])
    assert found.bounds == again.bounds


@pytest.mark.parametrize("settings", [Settings(time=None), Settings(time=SHORT, measured="all"), Settings(time=1e6)])
def test_no_limit_measures_all(network: Network, rows: Rows, settings: Settings) -> None:
    found = analyze(network, rows, settings)
    assert found.data.measured_rows == 60
    assert not any("too short" in text for text in found.warnings)


def test_a_run_that_goes_on_keeps_what_was_decided(network: Network, rows: Rows, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", resume=False) as folder:
        first = analyze(network, rows, Settings(time=SHORT), run=folder)
    second = analyze(network, rows, Settings(time=1e6), run=tmp_path / "run", resume=True)
    assert second.data.measured_rows == 10
    np.testing.assert_array_equal(first.samples["index"], second.samples["index"])


def test_a_sample_stands_for_rows_that_take_too_long_to_pass(
    network: Network, rows: Rows, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(budget, "SAMPLES", (40, 20))
    found = analyze(network, rows, Settings(time=SHORT, engine="numpy"), run=tmp_path / "run")
    assert (found.data.rows, found.data.measured_rows) == (20, 10)
    (said,) = [text for text in found.warnings if "pass of all 60 rows" in text]
    assert "a uniform sample of 20 stands for them; `limit=20` asks for this sample" in said
    same = open_rows(rows.path, network, limit=20)
    again = analyze(network, same, Settings(time=None, measured=10, engine="numpy"))
    assert again.data.sha256 == found.data.sha256
    assert again.bounds == found.bounds
    resumed = analyze(network, rows, Settings(time=1e6, engine="numpy"), run=tmp_path / "run", resume=True)
    assert (resumed.data, resumed.bounds) == (found.data, found.bounds)
    with pytest.raises(RunError, match="a different run"):
        analyze(network, same, Settings(time=1e6, measured="all"), run=tmp_path / "run", resume=True)
    assert plan(network, rows, Settings(time=SHORT)).rows == 20


@pytest.mark.parametrize("settings", [Settings(time=None), Settings(time=1e6), Settings(time=SHORT, measured=10)])
def test_rows_pass_where_they_may(
    network: Network, rows: Rows, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "SAMPLES", (40, 20))
    (whole,) = budget.passed_in_time(network, [rows], settings, CPU)
    assert whole is rows
    chosen = rows.sample(50, seed=0)
    (kept, shorter) = budget.passed_in_time(network, [chosen, rows], Settings(time=SHORT), CPU)
    assert kept is chosen
    assert shorter.count == 20


def test_a_test_set_is_limited_too(
    network: Network, rows: Rows, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "SAMPLES", (40, 20))
    tests = open_rows(write_rows(tmp_path / "tests.npz", 50), network)
    found = analyze(network, rows, Settings(time=SHORT), test_rows=tests, run=tmp_path / "run")
    same = analyze(network, rows.sample(20, 0), Settings(measured=10), test_rows=tests.sample(20, 0))
    assert (found.data.test_rows, found.data.test_error) == (20, same.data.test_error)
    assert any("pass of all 50 test rows" in text and "sample of 20" in text for text in found.warnings)
    resumed = analyze(network, rows, Settings(time=1e6), test_rows=tests, run=tmp_path / "run", resume=True)
    assert resumed.data == found.data
    with pytest.raises(RunError, match="a different run"):
        analyze(network, rows, Settings(time=1e6), run=tmp_path / "run", resume=True)


def test_nets_share_their_samples(network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The net that takes longest decides how many rows all of them see, and each report says so."""
    monkeypatch.setattr(budget, "SAMPLES", (40, 20))
    files = [write_rows(tmp_path / name, count) for name, count in (("train.npz", 60), ("test.npz", 50))]
    other = load(random_mlp(tmp_path / "other.onnx", (6, 3, 4)))
    sets = [[open_rows(file, net) for net in (network, other)] for file in files]
    ranking = rank([network, other], *sets, Settings(time=SHORT))
    assert [(each.net.rows, each.test_rows) for each in ranking.standings] == [(20, 20), (20, 20)]
    for said in ("pass of all 60 rows", "pass of all 50 test rows", "only 10 rows were measured"):
        assert any(said in text and text.startswith("all nets") for text in ranking.warnings), ranking.warnings


@pytest.mark.parametrize("time", [None, SHORT])
@pytest.mark.parametrize("engine", ["auto", "numpy"])
def test_no_row_is_measured_twice(
    network: Network, rows: Rows, time: float | None, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the choice of an engine, nor where a trial decides on rows and probes; but a trial that finds the
    time too short is made twice."""
    run, seen = NumpyEngine._run, Counter[int]()

    def counted(self: NumpyEngine, index: Any, inputs: Any) -> Any:
        seen.update(index.tolist())
        return run(self, index, inputs)

    monkeypatch.setattr(NumpyEngine, "_run", counted)
    found = analyze(network, rows, Settings(time=time, engine=engine, measured="auto" if time else 20, probes=4))
    assert seen == dict.fromkeys(found.samples["index"].tolist(), 1 if time is None else 2)


def test_a_trial_is_short(network: Network, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two engines are timed only where both together take a small part of the run."""
    times = {"numpy": 1.0, "onnxruntime": 0.5}
    timed: list[str] = []

    def trial(engine: Engine, index: Any, inputs: Any) -> float:
        timed.append(engine.name)
        return times[engine.name]

    monkeypatch.setattr(Engine, "trial", trial)
    programme = Settings(probes=1).programme(network)

    def chosen(wanted: int, seconds: float | None = None) -> tuple[str, int]:
        timed.clear()
        batch = rows.batch(np.arange(4))
        share = Share.whole(programme, network.depth)
        choice = choose_engine(
            "auto",
            network,
            programme,
            CPU,
            1,
            lambda: (batch.index, batch.inputs),
            wanted,
            share,
            strict=False,
            seconds=seconds,
        )
        assert choice.seconds == times[choice.engine.name]
        return choice.engine.name, len(timed)

    assert chosen(100) == ("numpy", 1)
    assert chosen(120) == ("onnxruntime", 4)
    assert chosen(1000) == ("onnxruntime", 8)
    assert chosen(1000, seconds=100) == ("numpy", 1)
    times["onnxruntime"] = 2.0
    assert chosen(1000) == ("numpy", 8)


def test_a_plan_decides_alike(network: Network, rows: Rows) -> None:
    found = plan(network, rows, Settings(time=SHORT))
    assert found.measured_rows == 10
    assert "too short" in found.notes[-1]
    assert plan(network, rows, Settings(time=None)).measured_rows == 60


def test_a_gate_does_not_depend_on_the_machine(network: Network, rows: Rows) -> None:
    words = ("analyze", network.path, "--data", rows.path, "--time", "0.000001s", "--json")
    assert onnxbound(*words).json()["data"]["measured_rows"] == 10
    assert onnxbound(*words, "--fail-if", "model.depth > 9").json()["data"]["measured_rows"] == 60
    assert onnxbound(*words, "--measured", "20").json()["data"]["measured_rows"] == 20


@pytest.mark.parametrize("text", ["0", "3 days", "-1", "min"])
def test_times_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="--time takes a time"):
        seconds_of("--time", text)
