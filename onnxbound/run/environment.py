"""Versions, providers and device, as `onnxbound env` prints them: a block to paste into an issue."""

import platform
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from onnxbound.documents.document import Document
from onnxbound.errors import DeviceError

if TYPE_CHECKING:
    from rich.console import Console

_PACKAGES = ("onnx", "onnxruntime", "onnxruntime-gpu", "numpy", "scipy", "typer", "rich", "protobuf")


def versions() -> dict[str, str]:
    """Installed version of every package a number can depend on; absent ones are left out."""
    installed = {}
    for name in _PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return installed


@dataclass(frozen=True, slots=True, repr=False)
class Environment(Document):
    """`onnxbound.env/1`.

    Attributes:
        onnxbound: Its version.
        python: Version.
        platform: System and machine.
        versions: Of every package that a number can depend on.
        blas: NumPy's, with its version.
        providers_built: Execution providers that onnxruntime was built with.
        device: What the device "auto" is here.
        device_note: Why this device was chosen.
        warnings: What is wrong with this installation, and what to do.
    """

    SCHEMA: ClassVar[str] = "onnxbound.env/1"

    onnxbound: str
    python: str
    platform: str
    versions: Mapping[str, str]
    blas: str
    providers_built: tuple[str, ...]
    device: str
    device_note: str
    warnings: tuple[str, ...]

    def summary(self) -> str:
        return f"of onnxbound {self.onnxbound} with Python {self.python}, {self.device}"

    def render(self, console: "Console", *, verbose: bool = False) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Mapping):
                shown = "".join(f"\n  {key} {entry}" for key, entry in value.items())
            else:
                shown = f" {', '.join(value) or 'none'}" if isinstance(value, tuple) else f" {value or '-'}"
            console.out(f"{field.name}:{shown}", highlight=False)


def describe() -> Environment:
    """Describe what is installed, and which device works here."""
    import numpy as np

    from onnxbound.run.device import Device, resolve_device
    from onnxbound.run.installation import import_onnxruntime

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    providers: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    try:
        device = resolve_device("auto")
        providers = tuple(import_onnxruntime().get_available_providers())
    except DeviceError as error:
        device = Device("none", (), error.message)
        warnings = tuple(f"{problem.why}: {problem.do}" for problem in error.problems)
    return Environment(
        onnxbound=metadata.version("onnxbound") if _installed() else "not installed",
        python=sys.version.split()[0],
        platform=platform.platform(),
        versions=versions(),
        blas=f"{blas.get('name', 'unknown')} {blas.get('version', '')}".strip(),
        providers_built=providers,
        device=device.name,
        device_note=device.note,
        warnings=warnings,
    )


def _installed() -> bool:
    try:
        metadata.version("onnxbound")
    except metadata.PackageNotFoundError:
        return False
    return True


def peak_rss_bytes() -> int | None:
    """Largest resident memory of this process so far; None where the system does not say (Windows).

    On Linux it is read from /proc: the figure of getrusage is never below that of the process which started this one.
    """
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(line for line in lines if line.startswith("VmHWM:")).split()[1])
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
