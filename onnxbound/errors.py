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
    """A value of a parameter, as Python reads it.

    >>> shown(1 / 255), shown((0.5,)), shown("nhwc")
    ('1/255', '0.5', '"nhwc"')
    """
    if isinstance(value, tuple) and len(value) == 1:
        (value,) = value
    return f'"{value}"' if isinstance(value, str) else _FRACTIONS.get(value, repr(value))


def argument(name: str, value: object) -> str:
    """A parameter with its value, as a message names it."""
    return f"`{name}={shown(value)}`"


def extra_hint(name: str) -> str:
    """How an extra is installed beside onnxbound, which is on no index and comes from a clone.

    >>> extra_hint("hdf5")
    "pip install '.[hdf5]' in the clone of onnxbound"
    """
    return f"pip install '.[{name}]' in the clone of onnxbound"


class OnnxboundError(Exception):
    """An error with a code that `onnxbound explain CODE` describes.

    Args:
        code: One of the keys of `CODES`.
        message: What happened, in one sentence.
        problems: Every place that is wrong; several are listed together.

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
        """An error travels whole from a worker of a cluster."""
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
        code: One of the keys of `CODES`.
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
    """Refuse a word that is not among those a parameter takes.

    Raises:
        UsageError: With the words that are, and the closest of them.

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


CODES: dict[str, str] = {
    "usage": "The command line cannot be understood: an option, a value or their combination is wrong.",
    "usage-gate": "A condition is not 'NAME OP NUMBER' with OP one of < <= > >= == !=, or there is no such number.",
    "model-not-found": "The model file does not exist, is a folder, or may not be read.",
    "model-invalid": "The file is not an ONNX model: it is empty, truncated, or of another format.",
    "model-graph-invalid": "The graph contradicts itself: a tensor undefined or defined twice, a cycle, wrong shapes.",
    "model-external-data": "The model keeps weights in other files that are missing, too short, or outside its folder.",
    "model-too-large": "The model declares tensors, nodes or functions beyond what is made room for in any model.",
    "model-custom-operator": "The model needs operators from a library of its own, which onnxbound never loads.",
    "model-opset": "The model uses an operator set that the installed onnxruntime does not accept.",
    "model-unsupported-operator": "The graph contains operators that onnxbound cannot linearise exactly.",
    "model-unsupported-type": "Weights or the input have an element type that onnxbound does not read.",
    "model-no-layers": "The graph has no weighted layer between its input and its output.",
    "model-not-classifier": "The output is not one logit per class: a regression, a single logit, or not a vector.",
    "model-inputs": "Not every input holds a part of each row, or a value does not fit; `fixed` holds the others.",
    "model-output": "The model computes no tensor of the name that `logits` gives.",
    "model-weights-not-finite": "A weight is NaN or infinite, so no property of the net is defined.",
    "model-batch": "The rows of a batch influence each other, so that a row by itself has no logits.",
    "model-overflow": "A row makes values that are too large for float32, so no property of the net is defined there.",
    "model-reference": "The model does not compute the outputs that `reference` holds: the exporter may be at fault.",
    "model-mismatch": "onnxbound's evaluation of the net disagrees with onnxruntime's: no number could be trusted.",
    "conventions-invalid": "The file of a model's conventions cannot be read, or a key or a value in it is wrong.",
    "data-not-found": "A data file does not exist, is a folder, or may not be read.",
    "data-invalid": "The data file is empty, truncated, of another format, or contains pickled objects.",
    "data-extra": "The file is of a format that an optional package reads; the message names the extra to install.",
    "data-key": "The array of inputs or of labels cannot be told apart in the file; `x_key` and `y_key` decide.",
    "data-shape": "The rows do not have the shape that the model's input has.",
    "data-type": "The rows' element type does not fit the model's input, for example integers without `scale`.",
    "data-not-finite": "An input row contains NaN or infinity.",
    "data-labels": "The labels are not one class per row, or out of range; `labels_start` says where they begin.",
    "data-empty": "There are no rows.",
    "data-repeated": "Rows of a certificate are copies of each other, or in two roles that have to be apart.",
    "certificate-malformed": "A file of the certificate is missing, damaged, or not in its one canonical form.",
    "certificate-mismatch": "Something that was found out again is not what the certificate says.",
    "certificate-evidence": "The certificate rests on files that verify was not given.",
    "certify-unsupported": "The network has a part that no code can contain: an operator, a size or a number.",
    "certify-vacuous": "The network has too many parameters for its rows: no code could be short enough.",
    "device-installation": "onnxruntime is installed twice, as onnxruntime and onnxruntime-gpu, or cannot be imported.",
    "device-unavailable": "The device that was asked for is not available to onnxruntime.",
    "device-runtime": "onnxruntime could not load or run the model.",
    "cluster-unavailable": "The cluster of `cluster` cannot be reached, or its workers were lost.",
    "output-exists": "The output file exists; it is overwritten only with `force`.",
    "output-unwritable": "The output cannot be written: the folder is missing or read-only, or the disk is full.",
    "report-not-found": "A report does not exist, is a folder, or may not be read.",
    "report-invalid": "The file is not a report of onnxbound: no JSON, another schema, or a value of the wrong type.",
    "run-exists": "The folder of `run` holds a run already; `resume` goes on with it.",
    "run-locked": "Another process works on the run in this folder.",
    "run-changed": "The run in this folder is of another model, data set, setting or version than what is asked for.",
    "run-damaged": "The folder's run.json cannot be read or was changed, or something else lies in a file's place.",
    "compress-layer": "There is no weighted layer of the name that was given.",
    "compress-method": "The method is for nets of another kind: linear classifiers, or convolutions.",
    "compress-nothing": "No chosen layer has a weight that could be replaced in the file.",
    "compress-no-saving": "The budget asks for as many numbers as the weights are, or more: that is no compression.",
    "compress-init": "The model of `init` does not have the layers of the model.",
    "compress-margin": "The margin is larger than any that the net has, so no error at its layers follows from it.",
    "compress-target": "No budget keeps the accuracy within the drop that was allowed.",
    "compress-codes": "Codes are written of matrix-project alone: other helpers are not the same on every machine.",
    "codes-invalid": "The file is not one of codes: it is damaged, of another version, or its helper is not known.",
    "explain-unknown": "There is no such topic.",
    "interrupted": "The run was stopped by Ctrl-C before it was finished.",
    "internal": "A fault of onnxbound itself. Please report it with its traceback and what 'onnxbound env' prints.",
}
"""Every code and what it means. Codes are a contract: they are added, never renamed."""
