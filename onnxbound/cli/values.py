"""Values of options that are more than one word or number."""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.array_file import open_npy
from onnxbound.errors import UsageError


def count_or_word(value: str) -> int | str:
    """Keep a whole number an integer.

    >>> count_or_word("100"), count_or_word("all")
    (100, 'all')
    """
    return int(value) if value.isdecimal() else value


def noise_of(noise: str) -> dict[str, Any]:
    """Read gaussian:R, compression or compression:K as settings.

    >>> noise_of("compression:50"), noise_of("gaussian:0.1")
    ({'noise': 'compression', 'projections': 50}, {'noise': 'gaussian', 'noise_radius': 0.1})
    """
    kind, colon, number = noise.partition(":")
    with suppress(ValueError):
        if kind == "gaussian":
            return {"noise": kind, "noise_radius": float(number)}
        if kind == "compression":
            return {"noise": kind, "projections": int(number) if colon else None}
    raise UsageError(
        "usage", f"--noise takes gaussian:R with a number R > 0, compression or compression:K, not {noise!r}."
    )


def lengths_of(flag: str, text: str | None) -> tuple[int, ...] | None:
    """Read lengths of axes, separated by commas.

    >>> lengths_of("--input-shape", "3,224,224")
    (3, 224, 224)
    """
    if text is None:
        return None
    if not re.fullmatch(r"0*[1-9]\d*(,0*[1-9]\d*)*", text):
        raise UsageError("usage", f"{flag} takes lengths such as 3,224,224, the batch left out, not {text!r}.")
    return tuple(map(int, text.split(",")))


def held_inputs(given: list[str]) -> dict[str, NDArray[Any]]:
    """Read NAME=VALUE; VALUE is a number, true, false or an npy file."""
    result: dict[str, NDArray[Any]] = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise UsageError("usage", f"--fix takes NAME=VALUE, not {text!r}.")
        result[name] = _held(text, value)
    return result


def _held(text: str, value: str) -> NDArray[Any]:
    if value.lower() in ("true", "false"):
        return np.asarray(value.lower() == "true")
    with suppress(ValueError):
        return np.asarray(int(value) if value.lstrip("+-").isdecimal() else float(value))
    file = open_npy(Path(value))
    if not file.shape:
        raise UsageError("usage", f"the file of --fix {text} holds one number: write the number itself.")
    return file.take(np.arange(file.shape[0]))


def split_conventions(model: Path) -> tuple[Path, Path | None]:
    """Split MODEL:FILE into two paths; a path that exists as a whole is a model, even with colons.

    >>> split_conventions(Path("missing.onnx"))[1] is None
    True
    """
    text = str(model)
    colons = (place for place in range(len(text) - 1, 0, -1) if text[place] == ":")
    # From os.path, since Path.exists raises if a name is too long.
    for place in () if os.path.exists(model) else colons:  # noqa: PTH110
        if os.path.isfile(text[:place]) and text[place + 1 :]:  # noqa: PTH113
            return Path(text[:place]), Path(text[place + 1 :])
    return model, None


def share_of(flag: str, text: str) -> float:
    """Read a share, in percent or as a number.

    >>> share_of("--keep", "10%"), share_of("--keep", "0.25")
    (0.1, 0.25)
    """
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise UsageError("usage", f"{flag} takes a share such as 10% or 0.1, not {text!r}.") from error


def bytes_of(option: str, text: str) -> int:
    """Read a size such as 2GiB, 500 MB or 1e9.

    >>> bytes_of("--memory", "1.5GiB"), bytes_of("--memory", "10 MB")
    (1610612736, 10000000)
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*(?:e\d+)?)\s*([KMGT]?i?)B?\s*", text, re.IGNORECASE)
    if match is None or float(match[1]) == 0:
        raise UsageError("usage", f"{option} takes a size such as 2GiB or 500MB, not {text!r}.")
    prefix = match[2].upper()
    base = 1024 if prefix.endswith("I") else 1000
    return int(float(match[1]) * base ** " KMGT".index(prefix[:1] or " "))


def seconds_of(option: str, text: str) -> float:
    """Read a time such as 90s, 3min, 1.5h; a number alone counts seconds.

    >>> seconds_of("--time", "3min"), seconds_of("--time", "1.5 h")
    (180.0, 5400.0)
    """
    match = re.fullmatch(r"\s*(\d+\.?\d*)\s*(s|min|h)?\s*", text)
    if match is None or float(match[1]) == 0:
        raise UsageError("usage", f"{option} takes a time such as 90s, 3min or 2h, not {text!r}.")
    return float(match[1]) * {"min": 60, "h": 3600}.get(match[2], 1)
