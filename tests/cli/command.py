"""The command line in this process: exit code, stdout, stderr."""

import contextlib
import io
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import typer

from onnxbound.cli.app import app, run
from onnxbound.cli.schemas import every_schema

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
"""Every verb by its name, as the option parser knows it."""


@cache
def _validator(schema: str) -> Any:
    return jsonschema.Draft202012Validator(every_schema()[schema])


@dataclass(frozen=True)
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str

    def json(self) -> dict[str, Any]:
        """Its one JSON document, which follows the schema that it names, or is one."""
        document: dict[str, Any] = json.loads(self.stdout)
        if "$schema" not in document:
            _validator(document["schema"]).validate(document)
        return document


def onnxbound(*arguments: str | Path) -> Outcome:
    """Run a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(argument) for argument in arguments])
    assert "Traceback" not in err.getvalue()
    return Outcome(code, out.getvalue(), err.getvalue())


def failing(*arguments: str | Path) -> dict[str, Any]:
    """The error object of a command that fails; the same is said in words on stderr."""
    outcome = onnxbound(*arguments, "--json")
    error = outcome.json()
    assert error["schema"] == "onnxbound.error/1"
    assert error["exit_code"] == outcome.code != 0
    assert outcome.stderr.startswith(f"onnxbound: error: {error['message'].splitlines()[0]}")
    assert f"(onnxbound explain {error['code']})" in outcome.stderr
    for problem in error["problems"]:
        assert problem["do"]
    in_words = onnxbound(*arguments)
    assert (in_words.code, in_words.stdout) == (outcome.code, "")
    return error


def write_rows(path: Path, count: int = 30, features: int = 6, classes: int = 4, **changes: Any) -> Path:
    """A training set of normal rows; `changes` replace or add arrays, None takes one out."""
    random = np.random.default_rng(1)
    arrays: dict[str, Any] = {
        "x": random.normal(size=(count, features)).astype(np.float32),
        "y": np.arange(count) % classes,
    }
    np.savez(path, **{name: value for name, value in (arrays | changes).items() if value is not None})
    return path
