"""Parameters of the library, which its messages name in backticks, as options of the command line."""

import re
import shlex
from collections.abc import Mapping, Sequence

from onnxbound.errors import shown

_SAME = (
    "data", "labels", "labels_start", "x_key", "y_key", "layout", "scale", "mean", "std", "limit", "seed", "logits",
    "external_root", "conventions", "run", "resume", "cluster", "force",
)  # fmt: skip
FLAGS = {**{name: f"--{name.replace('_', '-')}" for name in _SAME}, "fixed": "--fix"}
"""Parameter to option."""

_NAMED = re.compile(r"`([a-z_]+)(?:=([^`]*))?`")


def in_flags(text: str) -> str:
    """A message of the library as the command line says it.

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
    """The command line with some options set anew, ready to be pasted into a shell.

    Args:
        arguments: What was given.
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
    """A value in Python as an option takes it."""
    return value[1:-1] if value.startswith('"') else value.strip("()").replace(", ", ",")
