"""Folders of runs in which something was damaged, changed or exchanged."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import onnxbound
from onnxbound import Settings
from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.result import Report
from onnxbound.data.rows import Rows
from onnxbound.errors import RunError
from onnxbound.graph.network import Network
from onnxbound.run.folder import RunFolder
from tests.run.test_folder import SETTINGS, Counting, case, finish, require_equal, write_case

__all__ = ["case"]


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


NUMBERS = {
    "forward": 512, "sweep": 64, "probes": 2, "sources": 1, "forward_partition": 1024, "sweep_partition": 64
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        *({"settings": settings} for settings in (7, "auto", {}, {"measured": -1, "pairs": "all", "probes": 4})),
        *({"samples": samples} for samples in (None, 5, {}, "5", [True], [0], [-3], [2.5], ["5"], [[1]])),
    ],
)
def test_settings_of_a_manifest_that_are_none(case: tuple[Network, Rows], run: Path, changes: dict[str, Any]) -> None:
    """What is left to the program is read from the folder of a run that goes on."""
    document = json.loads((run / "run.json").read_text()) | changes
    del document["sha256"]
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    (run / "run.json").write_text(json.dumps(document))
    with RunFolder(run, resume=True) as folder, pytest.raises(RunError) as caught:
        analyze(*case, Settings(), run=folder)
    assert caught.value.code == "run-damaged"


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": None}, {"engine": "evil"}, {"engine": [1]}, {"batches": None}, {"batches": []}, {"batches": {}},
        {"batches": NUMBERS | {"forward": 0}}, {"batches": NUMBERS | {"forward": 1 << 40}},
        {"batches": NUMBERS | {"sweep": 64.0}}, {"batches": NUMBERS | {"sweep": "64"}},
        {"batches": NUMBERS | {"more": 1}}, {"batches": NUMBERS | {"probes": 3}},
        {"batches": NUMBERS | {"sweep_partition": 63}}, {"batches": NUMBERS | {"sources": 0}},
        {"batches": NUMBERS | {"sources": 2}},
    ],
)  # fmt: skip
def test_a_manifest_that_was_changed_with_its_hash(case: tuple[Network, Rows], run: Path, changes: Any) -> None:
    document = json.loads((run / "run.json").read_text())
    del document["sha256"]
    assert document["batches"] == NUMBERS
    document |= changes
    document["sha256"] = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    (run / "run.json").write_text(json.dumps(document))
    with pytest.raises(RunError) as caught:
        finish(case, run, Counting(), resume=True)
    assert caught.value.code == "run-damaged"


def test_files_half_written_are_removed_by_the_next_run_and_no_others(case: tuple[Network, Rows], run: Path) -> None:
    left = [run / name for name in (".onnxbound-abc", "measure/.onnxbound-abc")]
    others = [run / name for name in (".gitignore", "measure/notes", "measure/.hidden")]
    for file in (*left, *others):
        file.write_text("")
    finish(case, run, Counting(), resume=True)
    assert not any(file.exists() for file in left)
    assert all(file.exists() for file in others)


def test_a_run_of_another_version_is_not_continued(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxbound.run.folder.__version__", "99.0")
    with pytest.raises(RunError) as caught:
        RunFolder(run, resume=True)
    assert (caught.value.code, [p.where for p in caught.value.problems]) == ("run-changed", ["version"])
