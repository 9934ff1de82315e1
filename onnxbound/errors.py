"""Errors a user can meet: each has a code, an exit code, and says what, where, why and what to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong: where it is, why it is wrong, what to do about it."""

    where: str
    why: str
    do: str


def visible(text: str) -> str:
    r"""A string from a file with control characters made visible, so that it cannot steer the terminal.

    >>> visible("a\x1b[31mb")
    'a�[31mb'
    """
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)


_FRACTIONS: Mapping[object, str] = {1 / 255: "1/255", -1 / 255: "-1/255"}


def shown(value: object) -> str:
    """Write the value of a parameter as Python reads it.

    >>> shown(1 / 255), shown((0.5,)), shown("nhwc")
    ('1/255', '0.5', '"nhwc"')
    """
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return f'"{value}"' if isinstance(value, str) else _FRACTIONS.get(value, repr(value))


def as_option(value: object) -> str:
    """Write a value as an option takes it.

    >>> as_option([0.5, 0.25]), as_option(1 / 255), as_option("nhwc")
    ('0.5,0.25', '1/255', 'nhwc')
    """
    return ",".join(map(as_option, value)) if isinstance(value, list | tuple) else shown(value).strip('"')


def argument(name: str, value: object) -> str:
    """Write a parameter with its value as messages name it."""
    return f"`{name}={shown(value)}`"


def extra_hint(name: str) -> str:
    """Say how to install an extra; onnxbound is on no index, so it comes from a clone.

    >>> extra_hint("hdf5")
    "pip install '.[hdf5]' in the clone of onnxbound"
    """
    return f"pip install '.[{name}]' in the clone of onnxbound"


class OnnxboundError(Exception):
    """An error with a code that `onnxbound explain CODE` describes.

    Args:
        code: The name of the error, for `explain`.
        message: What happened, in one sentence.
        problems: All problems that were found, each with its place and a remedy.

    >>> from onnxbound import OnnxboundError, load
    >>> try:
    ...     load("missing.onnx")
    ... except OnnxboundError as error:
    ...     print(error.code)
    model-not-found
    """

    exit_code = 70

    def __init__(self, code: str, message: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join([self.message, *(f"  {p.where}: {p.why}; {p.do}" for p in self.problems)])

    def __reduce__(self) -> tuple[type["OnnxboundError"], tuple[object, ...]]:
        """Pickle the whole error, since it may come from a worker of a cluster."""
        return type(self), (self.code, self.message, self.problems)


class UsageError(OnnxboundError):
    """The command line or the arguments of a call do not fit together."""

    exit_code = 2


class ModelError(OnnxboundError):
    """The model cannot be read, or contains what onnxbound does not support."""

    exit_code = 3


class DataError(OnnxboundError):
    """The training set cannot be read, or does not fit the model.

    Args:
        code: A name that `explain` explains.
        message: What happened, in one sentence.
        problems: Every place that is wrong.
        suggestion: Parameters of `open_rows` and `Preprocessing` with which everything would fit, as far as that can be
            guessed; empty where it cannot.
    """

    exit_code = 4

    def __init__(
        self, code: str, message: str, problems: Sequence[Problem] = (), suggestion: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(code, message, problems)
        self.suggestion = dict(suggestion or {})

    def __reduce__(self) -> tuple[type[OnnxboundError], tuple[object, ...]]:
        """With the suggestion."""
        return type(self), (self.code, self.message, self.problems, self.suggestion)


class VerificationError(OnnxboundError):
    """A certificate does not verify."""

    exit_code = 1


class DeviceError(OnnxboundError):
    """The device that was asked for is not there, or the runtime failed."""

    exit_code = 5


class OutputError(OnnxboundError):
    """A result cannot be written."""

    exit_code = 6


class RunError(OnnxboundError):
    """The folder of a run cannot be used."""

    exit_code = 6


class InterruptionError(OnnxboundError):
    """The user stopped the run."""

    exit_code = 130

    def __init__(self, where: str = "", kept: object = None) -> None:
        what = "nothing was written" if kept is None else f"`run={kept}` with `resume=True` goes on from there"
        super().__init__("interrupted", f"Interrupted{where}; {what}.")


def require_word(parameter: str, value: object, allowed: Sequence[str]) -> None:
    """Refuse a word that a parameter does not take.

    Raises:
        UsageError: The message lists the words that it takes, and the closest of them.

    >>> require_word("method", "quantize", ("svd", "quantise"))
    Traceback (most recent call last):
    onnxbound.errors.UsageError: `method` must be "svd" or "quantise", not 'quantize': "quantise" is closest.
    """
    if isinstance(value, str) and value in allowed:
        return
    from difflib import get_close_matches

    listed = " or ".join(f'"{word}"' for word in allowed)
    near = "".join(f': "{word}" is closest' for word in get_close_matches(str(value), allowed, n=1, cutoff=0.5))
    raise UsageError("usage", f"`{parameter}` must be {listed}, not {value!r}{near}.")
