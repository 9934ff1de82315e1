"""Parameters of the library, which its messages name in backticks, as options of the command line."""

import re
import shlex
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from onnxbound.errors import shown

_SAME = (
    "data", "labels", "labels_start", "x_key", "y_key", "layout", "scale", "mean", "std", "limit", "seed", "logits",
    "external_root", "input_shape", "conventions", "form", "measured", "probes", "pairs", "noise", "gamma",
    "gamma_quantile", "delta", "zeta", "device", "threads", "engine", "precision", "memory", "worst", "reference",
    "run", "resume", "cluster", "fail_if", "force", "tolerance", "surrogate", "unlabelled", "unlabelled_known",
    "repeated_rows", "holdout", "prior", "prior_rows", "effort", "targets", "symmetry", "method", "model", "max_drop",
    "init", "codes", "constants", "eta", "width", "block", "fine_tune", "subspace", "filter_cap", "factorise",
    "sweep", "bounds", "epsilon", "k", "rank", "keep", "time", "cut", "energy", "bits", "samples",
)  # fmt: skip
FLAGS = {
    **{name: f"--{name.replace('_', '-')}" for name in _SAME},
    "fixed": "--fix",
    "rows": "--data",
    "test_rows": "--test",
    "noise_radius": "--noise gaussian:R",
    "projections": "--noise compression:K",
    "layers": "--layer",
    "plan": "--dry-run",
    "Report.save": "a command with --json -o FILE",
}
"""Parameters of the library to options, and words for a few other names."""

_NAMED = re.compile(r"`([A-Za-z_.]+)(?:=([^`]*))?`")


def in_flags(text: str) -> str:
    """Write a message of the library with options in place of parameters.

    >>> in_flags("say `scale=1/255` or give `labels`; `mean=(0.5, 0.25)`, `force=True`")
    'say --scale 1/255 or give --labels; --mean 0.5,0.25, --force'
    """

    def flag(match: re.Match[str]) -> str:
        name, value = match.groups()
        if name not in FLAGS:
            return match[0]
        if value == "None":
            return f"no {FLAGS[name]}"
        return FLAGS[name] if value in (None, "True") else f"{FLAGS[name]} {_as_word(value)}"

    return _NAMED.sub(flag, text)


def with_flags(arguments: Sequence[str], values: Mapping[str, object]) -> str:
    """Write the command line with some options replaced, ready to be pasted into a shell.

    Args:
        arguments: The words that were given.
        values: Parameter to value; an option that gets None is left out.

    >>> with_flags(["analyze", "a b.onnx", "--scale", "1"], {"scale": 1 / 255, "layout": "nhwc"})
    "onnxbound analyze 'a b.onnx' --scale 1/255 --layout nhwc"
    """
    flags = {FLAGS[name]: value for name, value in values.items()}
    kept, replaced = [], False
    for word in arguments:
        if not replaced and word.partition("=")[0] not in flags:
            kept.append(word)
        replaced = word in flags and not replaced
    added = [word for flag, value in flags.items() if value is not None for word in (flag, _as_word(shown(value)))]
    return shlex.join(["onnxbound", *kept, *added])


def _as_word(value: str) -> str:
    """Write a value in Python as an option takes it."""
    return value[1:-1] if value.startswith('"') else value.strip("()").replace(", ", ",")


def changed(value: Any, change: Callable[[str], str], only: Container[str] | None = None) -> Any:
    """Change the texts of a document.

    Args:
        value: A document, or a part of one.
        change: Text to text.
        only: Names of the fields whose texts are changed; all if None.
    """
    if isinstance(value, str):
        return change(value) if only is None else value
    if isinstance(value, tuple | list):
        return type(value)(changed(entry, change, only) for entry in value)
    if isinstance(value, dict):
        return {key: changed(entry, change, only) for key, entry in value.items()}
    if not is_dataclass(value) or isinstance(value, type):
        return value
    own = {field.name: getattr(value, field.name) for field in fields(value)}
    meant = {name: None if only is not None and name in only else only for name in own}
    return replace(value, **{name: changed(entry, change, meant[name]) for name, entry in own.items()})
