"""The device that a session runs on: a device that is asked for and missing is an error, never a silent fallback."""

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxbound.errors import DeviceError, Problem, UsageError, extra_hint
from onnxbound.run.installation import import_onnxruntime


@dataclass(frozen=True, slots=True)
class Device:
    """A device that is known to work.

    Attributes:
        name: "cpu" or "cuda:0".
        providers: Execution providers in the form onnxruntime takes.
        note: Why it was chosen, in words; empty if it was asked for by name.
        memory: Bytes of its own memory; None if it has none, or if that is not known.
    """

    name: str
    providers: tuple[tuple[str, dict[str, Any]], ...]
    note: str = ""
    memory: int | None = None


_DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"

CPU = Device("cpu", (("CPUExecutionProvider", {}),))


def resolve_device(wanted: str) -> Device:
    """The device for `auto`, `cpu`, `cuda` or `cuda:N`.

    Raises:
        UsageError: It is none of these.
        DeviceError: device-unavailable, CUDA was asked for by name and is not there; device-installation.
    """
    kind, _, number = wanted.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and (kind != "cuda" or not number.isdecimal())):
        raise UsageError("usage", f"`device` must be auto, cpu, cuda or cuda:N, not {wanted!r}.")
    onnxruntime = import_onnxruntime()
    if kind == "cpu":
        return CPU
    index = int(number or 0)
    reason = _why_not_cuda(onnxruntime, index)
    if reason is None:
        # TF32 would round activations to 10 bits, and gates would flip.
        options = {"device_id": index, "use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
        providers = (("CUDAExecutionProvider", options), *CPU.providers)
        return Device(f"cuda:{index}", providers, memory=_memory_of_cuda(index))
    if kind == "cuda":
        raise DeviceError(
            "device-unavailable",
            f"The device {wanted} is not available.",
            [Problem("onnxruntime", reason, f'use `device="cpu"`; for a GPU {extra_hint("cuda")}, and a driver')],
        )
    return Device(CPU.name, CPU.providers, f"auto chose the CPU: {reason}")


def _why_not_cuda(onnxruntime: Any, index: int) -> str | None:
    """Why CUDA cannot be used; None if it can."""
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        return "this onnxruntime is built without CUDA"
    try:
        ctypes.CDLL(_DRIVER)
    except OSError as error:
        return f"no NVIDIA driver ({error})"
    onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(3)  # the next line warns of plug-ins that nobody asked for
    try:
        onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(1, np.float32), "cuda", index)
    except Exception as error:  # noqa: BLE001 - the binding raises bare RuntimeErrors of many kinds
        return str(error).strip().splitlines()[0]
    return None


def _memory_of_cuda(index: int) -> int | None:
    """Bytes of a GPU's memory, by the driver; None if it does not say."""
    driver, device, size = ctypes.CDLL(_DRIVER), ctypes.c_int(), ctypes.c_size_t()
    answers = (
        driver.cuInit(0),
        driver.cuDeviceGet(ctypes.byref(device), index),
        driver.cuDeviceTotalMem_v2(ctypes.byref(size), device),
    )
    return size.value if not any(answers) else None
