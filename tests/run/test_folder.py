"""A run that is kept, interrupted, damaged, fought over, and changed."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import onnxbound
from onnxbound import Preprocessing, Settings, load, open_rows
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.document import Report
from onnxbound.data.rows import Rows
from onnxbound.errors import OutputError, RunError
from onnxbound.graph.network import Network
from onnxbound.run.executor import Executor
from onnxbound.run.folder import RunFolder
from onnxbound.run.partitions import Arrays, Partition, Work
from tests.nets import random_mlp

SETTINGS = Settings(probes=2, measured=300)
COUNT = 3000


@pytest.fixture
def case(tmp_path: Path) -> tuple[Network, Rows]:
    return write_case(tmp_path)


def write_case(folder: Path) -> tuple[Network, Rows]:
    network = load(random_mlp(folder / "net.onnx", [6, 5, 4]))
    x = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
    np.savez(folder / "rows.npz", x=x, y=np.arange(COUNT) % 4)
    return network, open_rows(folder / "rows.npz", network, Preprocessing())


class Counting(Executor):
    """This process; counts partitions, and stops after some."""

    name = "local"

    def __init__(self, most: int = 10**9) -> None:
        self.seen: list[tuple[str, int]] = []
        self._most = most

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        for partition, arrays in inputs:
            if len(self.seen) == self._most:
                raise KeyboardInterrupt
            self.seen.append((partition.stage, partition.number))
            yield partition, work.run(partition.stage, arrays)


class Backwards(Counting):
    """Finishes partitions in the opposite order."""

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        yield from reversed(list(super().map(work, inputs)))


def require_equal(one: Report, two: Report) -> None:
    """Bit for bit, but for what tells of time and place."""
    for name, values in one.samples.items():
        np.testing.assert_array_equal(values, two.samples[name])
    first, second = one.to_json(), two.to_json()
    first.pop("tool")
    second.pop("tool")
    assert first == second


def finish(case: tuple[Network, Rows], path: Path, executor: Executor, **options: bool) -> Report:
    with RunFolder(path, resume=options.get("resume", False)) as folder:
        return analyze(*case, SETTINGS, run=folder, executor=executor)


PARTITIONS = [("forward", 0), ("forward", 1), ("forward", 2), *(("measure", k) for k in range(5))]


@pytest.mark.parametrize("stop", range(len(PARTITIONS)))
def test_a_resumed_run_computes_what_was_missing_and_gives_the_same(
    case: tuple[Network, Rows], tmp_path: Path, stop: int
) -> None:
    first, second = Counting(stop), Counting()
    with pytest.raises(KeyboardInterrupt):
        finish(case, tmp_path / "run", first)
    report = finish(case, tmp_path / "run", second, resume=True)
    assert first.seen + second.seen == PARTITIONS
    require_equal(report, analyze(*case, SETTINGS))


def test_the_order_in_which_partitions_finish_does_not_matter(case: tuple[Network, Rows]) -> None:
    require_equal(analyze(*case, SETTINGS, executor=Backwards()), analyze(*case, SETTINGS))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[tuple[Network, Rows], Path, Report]:
    """A case, the folder of its finished run, and the report."""
    folder = tmp_path_factory.mktemp("finished")
    case = write_case(folder)
    return case, folder / "run", finish(case, folder / "run", Counting())


@pytest.fixture
def run(finished: tuple[Any, Path, Report], tmp_path: Path) -> Path:
    """A copy of the finished run."""
    return Path(shutil.copytree(finished[1], tmp_path / "run"))


def edited(file: Path, **changes: Any) -> bytes:
    """The partition as np.savez writes it with arrays changed; None takes one out."""
    with np.load(file) as arrays:
        kept = {name: value for name, value in ({**arrays} | changes).items() if value is not None}
    written = io.BytesIO()
    np.savez(written, **kept)
    return written.getvalue()


def patched(file: Path, signature: bytes, place: int, value: bytes) -> bytes:
    """Its bytes with some of them set behind a signature of the zip format, or of an array."""
    content = bytearray(file.read_bytes())
    start = content.index(signature) + place
    content[start : start + len(value)] = value
    return bytes(content)


DIRECTORY = b"PK\x01\x02"
DAMAGES: dict[str, Callable[[Path], bytes]] = {
    "truncated": lambda file: file.read_bytes()[:-100],
    "longer": lambda file: file.read_bytes() + b"\0",
    "empty": lambda _: b"",
    "no zip": lambda _: b"nonsense",
    "its neighbour": lambda file: file.with_name("00000001.npz").read_bytes(),
    "of another stage": lambda file: (file.parents[1] / "forward" / "00000000.npz").read_bytes(),
    "a changed byte": lambda file: patched(file, b"NUMPY", 200, b"\x01"),
    "an unknown method of zip": lambda file: patched(file, DIRECTORY, 10, b"\x63"),
    "said to be encrypted": lambda file: patched(file, DIRECTORY, 8, b"\x01"),
    "a huge header": lambda file: patched(file, b"'shape': (", 10, b"99999999,"),
    "edited": lambda file: edited(file, jacobian_squared=np.zeros((64, 2, 2))),
    "without an array": lambda file: edited(file, logits=None),
    "of another type": lambda file: edited(file, logits=np.array(["a"])),
    "of another shape": lambda file: edited(file, logits=np.zeros((3, 4, 5))),
    "a scalar": lambda file: edited(file, logits=np.array(1.0)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_partition_that_does_not_fit_is_computed_again(
    finished: tuple[tuple[Network, Rows], Path, Report], run: Path, damage: str
) -> None:
    case, _, before = finished
    file = run / "measure" / "00000002.npz"
    content = file.read_bytes()
    file.write_bytes(DAMAGES[damage](file))
    assert file.read_bytes() != content
    again = Counting()
    with RunFolder(run, resume=True) as folder:
        require_equal(analyze(*case, SETTINGS, run=folder, executor=again), before)
    assert again.seen == [("measure", 2)]
    assert [str(file) in words and "computed again" in words for words in folder.refused] == [True]
    assert file.read_bytes() == content


def test_a_partition_of_another_run_is_computed_again(case: tuple[Network, Rows], run: Path, tmp_path: Path) -> None:
    with RunFolder(tmp_path / "other", resume=False) as folder:
        analyze(*case, Settings(probes=2, measured=300, seed=1), run=folder)
    name = Path("measure") / "00000002.npz"
    (run / name).write_bytes((tmp_path / "other" / name).read_bytes())
    again = Counting()
    finish(case, run, again, resume=True)
    assert again.seen == [("measure", 2)]


def make_fifo(path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows has no FIFOs in folders")
    os.mkfifo(path)


@pytest.mark.parametrize("make", [Path.mkdir, make_fifo, lambda path: path.symlink_to("nowhere")])
@pytest.mark.parametrize("name", ["lock", "run.json", "measure/00000002.npz"])
def test_something_else_in_the_place_of_a_file_is_an_error(
    case: tuple[Network, Rows], run: Path, name: str, make: Callable[[Path], None]
) -> None:
    (run / name).unlink()
    make(run / name)
    with pytest.raises(RunError) as caught:
        finish(case, run, Counting(), resume=True)
    assert (caught.value.code, caught.value.exit_code) == ("run-damaged", 6)
    assert name in caught.value.problems[0].where


def test_a_file_in_the_place_of_a_stage_is_an_error_before_the_work(case: tuple[Network, Rows], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "forward").write_text("")
    executor = Counting()
    with pytest.raises(RunError) as caught:
        finish(case, tmp_path / "run", executor)
    assert caught.value.code == "run-damaged"
    assert executor.seen == []


def test_files_half_written_are_removed_by_the_next_run_and_no_others(case: tuple[Network, Rows], run: Path) -> None:
    left = [run / name for name in (".run.json.abc", "measure/.00000007.npz.abc")]
    others = [run / name for name in (".gitignore", "measure/notes", "measure/.hidden")]
    for file in (*left, *others):
        file.write_text("")
    finish(case, run, Counting(), resume=True)
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in others)


def test_weights_outside_the_model_belong_to_the_run(case: tuple[Network, Rows], tmp_path: Path) -> None:
    model = onnx.load(case[0].path)
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights", size_threshold=0)
    finish((load(tmp_path / "outside.onnx"), case[1]), tmp_path / "run", Counting())
    weights = np.fromfile(tmp_path / "weights", np.float32) * np.float32(1.001)
    weights.tofile(tmp_path / "weights")
    with pytest.raises(RunError) as caught:
        finish((load(tmp_path / "outside.onnx"), case[1]), tmp_path / "run", Counting(), resume=True)
    assert (caught.value.code, caught.value.problems[0].where) == ("run-changed", "model")


def test_a_run_is_not_begun_twice(case: tuple[Network, Rows], tmp_path: Path) -> None:
    finish(case, tmp_path / "run", Counting())
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path / "run", resume=False)
    assert (caught.value.code, caught.value.exit_code) == ("run-exists", 6)
    assert "`resume`" in caught.value.problems[0].do


def test_resuming_nothing_begins(case: tuple[Network, Rows], tmp_path: Path) -> None:
    executor = Counting()
    finish(case, tmp_path / "run", executor, resume=True)
    assert executor.seen == PARTITIONS


def test_two_processes_cannot_work_on_one_run(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", resume=True):
        with pytest.raises(RunError) as caught:
            RunFolder(tmp_path / "run", resume=True)
        assert caught.value.code == "run-locked"
    RunFolder(tmp_path / "run", resume=True).__exit__(None, None, None)


@pytest.mark.parametrize("change", ["seed", "form", "model", "data", "labels", "engine"])
def test_a_run_of_something_else_is_not_continued(case: tuple[Network, Rows], tmp_path: Path, change: str) -> None:
    finish(case, tmp_path / "run", Counting())
    network, rows = case
    settings = SETTINGS
    if change == "seed":
        settings = Settings(probes=2, measured=300, seed=1)
    elif change == "form":
        settings = Settings(probes=2, measured=300, form="linear")
    elif change == "engine":
        settings = Settings(probes=2, measured=300, engine="onnxruntime")
    elif change == "model":
        network = load(random_mlp(tmp_path / "net.onnx", [6, 5, 4], seed=1))
    else:
        x = np.random.default_rng(0).normal(size=(COUNT, 6)).astype(np.float32)
        x[7, 2] += change == "data"
        np.savez(tmp_path / "other.npz", x=x, y=(np.arange(COUNT) + (change == "labels")) % 4)
        rows = open_rows(tmp_path / "other.npz", network, Preprocessing())
    with RunFolder(tmp_path / "run", resume=True) as folder, pytest.raises(RunError) as caught:
        analyze(network, rows, settings, run=folder)
    assert caught.value.code == "run-changed"
    expected = {"seed": "settings", "form": "settings", "labels": "data"}.get(change, change)
    assert [problem.where for problem in caught.value.problems] == [expected]


def test_batches_stay_as_they_were_begun(case: tuple[Network, Rows], tmp_path: Path) -> None:
    before = finish(case, tmp_path / "run", Counting())
    manifest = json.loads((tmp_path / "run" / "run.json").read_text())
    less = Settings(probes=2, measured=300, memory=310 << 20)
    with RunFolder(tmp_path / "run", resume=True) as folder:
        executor = Counting()
        require_samples = analyze(*case, less, run=folder, executor=executor).samples
    assert executor.seen == []
    assert json.loads((tmp_path / "run" / "run.json").read_text()) == manifest
    np.testing.assert_array_equal(require_samples["jacobian_norm"], before.samples["jacobian_norm"])


def manifest_with(**changes: object) -> str:
    """A manifest that was changed, and its hash was not."""
    document = {"schema": "onnxbound.run/2", "version": onnxbound.__version__, "engine": "numpy"}
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps(document | changes)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[]", b"\xff", b"[" * 100_000, b'{"schema": "onnxbound.run/9"}', b'{"schema": "onnxbound.run/2"}',
        manifest_with(engine=None).encode(), manifest_with(batches={"sweep": -1}).encode(),
        manifest_with(version="0.0.1").encode(), manifest_with(sha256=7).encode(),
    ],
)  # fmt: skip
def test_a_damaged_manifest_is_an_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_bytes(content)
    with pytest.raises(RunError) as caught:
        RunFolder(tmp_path / "run", resume=True)
    assert caught.value.code == "run-damaged"


def test_a_run_of_another_version_is_not_continued(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxbound.run.folder.__version__", "99.0")
    with pytest.raises(RunError) as caught:
        RunFolder(run, resume=True)
    assert (caught.value.code, [p.where for p in caught.value.problems]) == ("run-changed", ["version"])


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "missing" / "run", tmp_path / "file"):
        with pytest.raises((OutputError, RunError)) as caught:
            RunFolder(path, resume=False)
        assert caught.value.exit_code == 6
