"""A path too long is an error with a code wherever one can stand."""

from pathlib import Path

import pytest

from tests.cli.command import VERBS, onnxbound, write_rows
from tests.nets import random_mlp

COMMANDS = {
    "inspect": ["net.onnx"],
    "analyze": ["net.onnx", "--data", "rows.npz"],
    "certify": ["net.onnx", "--data", "rows.npz", "-o", "folder"],
    "verify": ["folder", "--data", "rows.npz"],
    "noise": ["net.onnx", "--data", "rows.npz"],
    "compare": ["net.onnx", "net.onnx", "--data", "rows.npz"],
    "track": ["net.onnx", "net.onnx", "--data", "rows.npz"],
    "rank": ["net.onnx", "net.onnx", "--data", "rows.npz", "--test", "rows.npz"],
    "report": ["report.json"],
    "diff": ["report.json", "report.json"],
    "compress": ["net.onnx", "--data", "rows.npz", "-o", "small.onnx"],
    "decompress": ["codes", "-o", "again.onnx"],
    "explain": ["margin"],
    "env": [],
}
"""Every verb with what it needs."""


def test_every_verb_is_tried() -> None:
    assert set(COMMANDS) == set(VERBS)


@pytest.mark.parametrize("verb", COMMANDS)
def test_a_path_too_long_is_an_error_in_each_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """5,000 characters for every argument, and for every option that takes a value."""
    monkeypatch.chdir(tmp_path)
    random_mlp(tmp_path / "net.onnx", [6, 5, 4])
    write_rows(tmp_path / "rows.npz")
    words, long = COMMANDS[verb], "p/" * 2_500
    arguments = [
        place for place, word in enumerate(words) if word[0] != "-" and (words[place - 1][0] != "-" or not place)
    ]
    options = [p.opts[0] for p in VERBS[verb].params if p.opts[0].startswith("--") and not getattr(p, "is_flag", False)]
    cases = [[*words[:place], long, *words[place + 1 :]] for place in arguments]
    for case in [*cases, *([*words, option, long] for option in options if option != "--external-root")]:
        outcome = onnxbound(verb, *case)
        assert outcome.code in {1, 2, 3, 4, 5, 6}, (case, outcome.stderr[-300:])
