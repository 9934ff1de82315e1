"""The verbs in Python: one shape, errors that teach, results that fit on a screen."""

import inspect as signatures
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxbound
from onnxbound import Budget, Method, Preprocessing, Request, Settings
from onnxbound.documents.document import Document
from onnxbound.errors import InterruptionError, ModelError, UsageError, VerificationError
from onnxbound.experiments.ranking import Track
from onnxbound.graph.network import Network
from tests.cli.command import write_rows
from tests.nets import random_mlp

RESULT = {
    "inspect", "analyze", "plan", "compress", "decompress", "certify", "verify", "noise", "compare", "track", "rank",
    "diff", "explain", "env",
}  # fmt: skip
OBJECTS = ("network", "networks", "folder", "codes", "before", "topic")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [6, 20, 4])


@pytest.fixture
def network(net: Path) -> Network:
    return onnxbound.load(net)


@pytest.fixture
def rows(tmp_path: Path, network: Network) -> Any:
    return onnxbound.open_rows(write_rows(tmp_path / "rows.npz", 60), network)


def test_every_verb_has_one_shape() -> None:
    for name in sorted(RESULT - {"env"}):
        first, *others = signatures.signature(getattr(onnxbound, name)).parameters.values()
        assert first.name in OBJECTS, name
        names = [parameter.name for parameter in others]
        if "rows" in names:
            assert names[0] == "rows", name
        positional = [p.name for p in others if p.kind is not p.KEYWORD_ONLY]
        assert set(positional) <= {"rows", "test_rows", "output", "folder", "settings", "after", "tolerance"}, name
        assert "progress" not in positional


def test_public_names() -> None:
    assert dir(onnxbound) == sorted(onnxbound.__all__)
    assert RESULT | {"load", "open_rows", "read_report", "Method", "Budget", "Request"} <= set(dir(onnxbound))


def test_every_public_name_has_an_example() -> None:
    """Those that run are doctests; `verify` needs what `certify` writes, and stands in the example of that."""
    shown = {name: getattr(onnxbound, name).__doc__ for name in dir(onnxbound) if callable(getattr(onnxbound, name))}
    assert {name for name, text in shown.items() if ">>>" not in text} == {"verify"}


def test_a_network_may_be_a_path(net: Path, network: Network) -> None:
    assert onnxbound.inspect(str(net)) == onnxbound.inspect(net) == onnxbound.inspect(network)
    with pytest.raises(ModelError):
        onnxbound.inspect("nothing.onnx")


def test_paths_are_anything_that_is_one(net: Path, rows: Any, tmp_path: Path) -> None:
    out, codes = str(tmp_path / "out.onnx"), str(tmp_path / "codes")
    found = onnxbound.compress(net, rows, out, Request(Method("matrix-project"), Budget("k", 20)), codes=codes)
    assert found.file.path == out
    again = onnxbound.decompress(codes, str(tmp_path / "again.onnx"))
    assert Path(again.path).read_bytes() == Path(out).read_bytes()
    report = onnxbound.analyze(net, rows, run=str(tmp_path / "run"))
    report.save(str(tmp_path / "report.json"))
    assert onnxbound.read_report(str(tmp_path / "report.json")).to_json() == report.to_json()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Method("quantize"), "`method` must be .* not 'quantize': \"quantise\" is closest"),
        (lambda: Method("svd", constants="papre"), '`constants` must be .*"paper" is closest'),  # type: ignore[arg-type]
        (lambda: Method("svd", subspace="har"), '`subspace` must be .*"haar" is closest'),  # type: ignore[arg-type]
        (lambda: Budget("epsilom", 1), '`knob` must be .*"epsilon" is closest'),  # type: ignore[arg-type]
        (lambda: Settings(form="quadratic"), '`form` must be "affine" or "linear", not \'quadratic\''),  # type: ignore[arg-type]
        (lambda: Settings(pairs="outputs"), '`pairs` must be .*"output" is closest'),  # type: ignore[arg-type]
        (lambda: Settings(noise="gaussien"), '`noise` must be .*"gaussian" is closest'),  # type: ignore[arg-type]
        (lambda: Settings(engine="torch"), '`engine` must be "auto" or "numpy" or "onnxruntime"'),  # type: ignore[arg-type]
        (lambda: Settings(measured=True), '`measured` must be "auto", "all", None or a whole number of at least 1'),
        (lambda: Settings(measured="some"), '`measured` must be "auto", "all", None or a whole number of at least 1'),  # type: ignore[arg-type]
        (lambda: Settings(measured=2.5), "`measured` must be"),  # type: ignore[arg-type]
        (lambda: Settings(probes="approximate"), '`probes` must be "auto", "exact" or a whole number'),  # type: ignore[arg-type]
        (lambda: Settings(probes=None), "`probes` must be"),  # type: ignore[arg-type]
        (lambda: Settings(threads=0), "`threads` must be None or a whole number"),
        (lambda: onnxbound.analyze("a.onnx", "rows.npz"), "`rows` takes rows that open_rows has opened"),  # type: ignore[arg-type]
        (
            lambda: onnxbound.compress("a.onnx", "rows.npz", "b.onnx", Request(Method("svd"), Budget("rank", 1))),
            "`rows` takes",
        ),  # type: ignore[arg-type]
        (lambda: onnxbound.compare([], ()), "0 sets of rows for 0 networks"),
        (
            lambda: onnxbound.compare("net.onnx", ()),
            r"`networks` takes several networks, as \['net.onnx', ...\], not one",
        ),
        (lambda: onnxbound.rank(Path("net.onnx"), (), ()), "`networks` takes several"),  # type: ignore[arg-type]
        (lambda: onnxbound.explain("layer_cushon"), "no topic"),
    ],
)
def test_wrong_words_and_arguments(make: Callable[[], object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()


def test_all_rows_by_name() -> None:
    assert Settings(measured="all") == Settings(measured=None)
    assert Settings(measured=np.int64(3)).measured == 3  # type: ignore[arg-type]


def test_arguments_that_do_not_go_together(network: Network, rows: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`resume` goes with `run`"):
        onnxbound.analyze(network, rows, resume=True)
    with pytest.raises(UsageError, match="`prior` and `prior_rows` go together"):
        onnxbound.certify(network, rows, tmp_path / "c", prior=network)
    with pytest.raises(UsageError, match="a certificate is of `holdout` alone"):
        onnxbound.certify(network, None, tmp_path / "c")
    with pytest.raises(UsageError, match="`tolerance` must be at least 0"):
        onnxbound.diff("a.json", "b.json", tolerance=-1)
    with pytest.raises(UsageError, match="`test_rows` holds 1 sets of rows for 2 networks"):
        onnxbound.rank([network, network], rows, [rows])
    with pytest.raises(UsageError, match="`device` must be"):
        onnxbound.certify(network, rows, tmp_path / "c", device="tpu")


def test_a_run_goes_on_and_says_what_it_did_not_trust(network: Network, rows: Any, tmp_path: Path) -> None:
    first = onnxbound.analyze(network, rows, run=tmp_path / "run")
    (damaged,) = (tmp_path / "run" / "measure").iterdir()
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.warns(UserWarning, match="is computed again"):
        again = onnxbound.analyze(network, rows, run=tmp_path / "run", resume=True)
    assert again.layers == first.layers
    with warnings.catch_warnings(record=True) as caught:
        onnxbound.analyze(network, rows, run=tmp_path / "run", resume=True)
    assert not caught


def test_ctrl_c_stays_what_it_is(network: Network, rows: Any) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        onnxbound.analyze(network, rows, progress=stop)
    assert not isinstance(caught.value, InterruptionError)


def test_a_certificate_of_rows_that_are_open(network: Network, rows: Any, tmp_path: Path) -> None:
    """The rows are read as the certificate says, whatever they were opened with; the same from a file, or arrays."""
    onnxbound.certify(network, None, str(tmp_path / "c"), holdout=rows, device="cpu", progress=False)
    with np.load(tmp_path / "rows.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    other = onnxbound.open_rows((x, y), network, Preprocessing(scale=7.0))
    for holdout in (rows, other, tmp_path / "rows.npz", (x, y)):
        found = onnxbound.verify(tmp_path / "c", holdout=holdout, model=network, device="cpu")
        assert found.rows == 60
    sample = onnxbound.open_rows((x, y), network, limit=10)
    with pytest.raises(UsageError, match="`holdout` must be all rows of a file: open them without `limit`"):
        onnxbound.verify(tmp_path / "c", holdout=sample, model=network)
    with pytest.raises(VerificationError, match="does not verify"):
        onnxbound.verify(tmp_path / "c", holdout=(x + 1, y), model=network)


def test_a_certificate_of_a_sample(network: Network, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    sample = onnxbound.open_rows((x, np.arange(60) % 4), network, limit=30, seed=3)
    certified = onnxbound.certify(network, None, tmp_path / "c", holdout=sample, progress=False)
    assert not certified.files  # a choice of rows proves nothing


def documents(network: Network, rows: Any, tmp_path: Path) -> list[Document]:
    few = Settings(measured=5)
    report = onnxbound.analyze(network, rows, few)
    return [
        onnxbound.inspect(network),
        report,
        onnxbound.plan(network, rows, few),
        onnxbound.noise(network, rows, few),
        onnxbound.compare([network, network], rows, few),
        onnxbound.rank([network, network], rows, rows.sample(30, 0), few),
        onnxbound.track([network], rows, rows.sample(30, 0), few),
        onnxbound.diff(report, onnxbound.analyze(network, rows, Settings(measured=6))),
        onnxbound.compress(network, rows, tmp_path / "out.onnx", Request(Method("svd"), Budget("rank", 1))),
        onnxbound.explain("arora"),
        onnxbound.explain(),
        onnxbound.env(),
    ]


def test_every_result_fits_on_a_screen_and_in_a_notebook(network: Network, rows: Any, tmp_path: Path) -> None:
    found = documents(network, rows, tmp_path)
    assert len({type(document) for document in found}) == len(found)
    assert isinstance(found[6], Track)
    for document in found:
        assert repr(document).startswith(f"<{type(document).__name__} ")
        assert len(repr(document)) < 400
        assert "\n" not in repr(document)
        assert document.SCHEMA not in repr(document)
        html = document._repr_html_()
        assert html.startswith('<pre style="font-family: monospace')
        assert len(html) > 60
    for thing in (network, rows):
        assert len(repr(thing)) < 200
    assert "2 layers" in repr(network)
    assert "60 rows" in repr(rows)
    assert "layer" in network._repr_html_()


def test_results_are_tables_of_pandas(network: Network, rows: Any) -> None:
    few = Settings(measured=5)
    report = onnxbound.analyze(network, rows, Settings(measured=5, worst=3))
    worst, classes = report.to_dataframe("worst"), report.to_dataframe("classes")
    smallest = report.worst.smallest_margin[0]
    assert len(worst) == 6
    assert worst.loc[("smallest_margin", smallest.index), "margin"] == smallest.margin
    assert classes["rows"].sum() == report.data.rows
    layers, pairs, bounds = (report.to_dataframe(table) for table in ("layers", "pairs", "bounds"))  # type: ignore[arg-type]
    assert layers.loc[2, "layer_cushion.min"] == report.layers[1].layer_cushion.min
    assert list(pairs.index) == [(1, 2)]
    assert bounds.loc["arora", "value"] == next(b.value for b in report.bounds if b.name == "arora")
    assert {"contraction", "contraction.min"} & set(layers) == {"contraction.min"}  # null at the last layer
    assert np.isnan(layers.loc[2, "contraction.min"])
    comparison = onnxbound.compare([network, network], rows, few)
    medians, statements = comparison.to_dataframe(), comparison.to_dataframe("statements")
    assert list(medians) == ["net", "net (2)"]
    assert medians.loc[("layer_cushion", 1), "net"] == comparison.properties[1].medians[0]
    assert statements.loc[("margin", 0, 1, 2), "share"] == 0.0
    ranking = onnxbound.rank([network, network], rows, rows.sample(30, 0), few)
    assert list(ranking.to_dataframe()["gap"]) == [standing.gap for standing in ranking.standings]
    taus = ranking.to_dataframe("capacities")["correlation.tau"]
    assert len(taus) == 6
    assert taus.isna().all()  # equal nets have no order
    noise = onnxbound.noise(network, rows, few).to_dataframe()
    assert list(noise.index) == [(1, 1), (1, 2), (2, 2)]
    for frame in (layers, pairs, bounds, medians, statements, noise, ranking.to_dataframe("capacities")):
        assert not [name for name in frame if frame[name].isna().all() and frame[name].dtype != float]
    with pytest.raises(UsageError, match="`table` must be one of layers, pairs, bounds, classes, worst, not 'layer'"):
        report.to_dataframe("layer")  # type: ignore[arg-type]


def test_a_table_without_entries_is_empty(tmp_path: Path) -> None:
    single = onnxbound.load(random_mlp(tmp_path / "one.onnx", [6, 4]))
    rows = onnxbound.open_rows(write_rows(tmp_path / "rows.npz", 60), single)
    assert onnxbound.analyze(single, rows, Settings(measured=5)).to_dataframe("pairs").empty


def test_a_name_from_a_file_does_not_steer_the_terminal(network: Network) -> None:
    from dataclasses import replace

    hostile = replace(network, path=Path("\x1b[31mEVIL"))
    assert "\x1b" not in repr(hostile)
    assert "\x1b" not in repr(onnxbound.inspect(hostile))


def test_a_silent_verb_writes_nothing(network: Network, rows: Any, capfd: pytest.CaptureFixture[str]) -> None:
    onnxbound.analyze(network, rows, Settings(measured=5))
    onnxbound.analyze(network, rows, Settings(measured=5), progress=False)
    assert capfd.readouterr() == ("", "")
