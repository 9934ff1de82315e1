"""Import onnxruntime in one place: two distributions write into its folder, and installing both breaks both."""

from functools import cache
from importlib import import_module, metadata
from typing import Any

from onnxbound.errors import DeviceError, Problem

_REMEDY = "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install . in the clone of onnxbound"


@cache
def import_onnxruntime() -> Any:
    """Import the module onnxruntime when it is first needed.

    Raises:
        DeviceError: device-installation, it is installed twice, or incompletely.
    """
    folder = _folder("onnxruntime")
    if folder is not None and folder == _folder("onnxruntime-gpu"):
        why = "onnxruntime and onnxruntime-gpu are both installed, and each overwrites files of the other"
        raise DeviceError("device-installation", "onnxruntime is installed twice.", [_problem(why)])
    try:
        runtime = import_module("onnxruntime")
        runtime.InferenceSession  # noqa: B018 - a folder that uninstalling has emptied is a package all the same
        # On Windows events go to the system, whatever ORT_DISABLE_TELEMETRY says.
        runtime.disable_telemetry_events()
    except Exception as error:  # libraries that are missing or do not fit are errors of many kinds
        why = f"{type(error).__name__}: {error}"
        raise DeviceError("device-installation", "onnxruntime cannot be imported.", [_problem(why)]) from error
    return runtime


def _folder(distribution: str) -> object:
    """Where a distribution, if it is installed, has put its import package."""
    try:
        return metadata.distribution(distribution).locate_file("onnxruntime")
    except metadata.PackageNotFoundError:
        return None


def _problem(why: str) -> Problem:
    return Problem("onnxruntime", why, _REMEDY)
