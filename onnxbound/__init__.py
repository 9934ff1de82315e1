"""How far can a trained ONNX classifier be trusted to generalise, and how far can it be compressed?

    network = onnxbound.load("model.onnx")
    rows = onnxbound.open_rows("train.npz", network, preprocessing)
    report = onnxbound.analyze(network, rows)
    onnxbound.certify(network, rows, "certificate")

The names below are the Python interface; they are imported when they are first used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

# Read when onnxruntime is imported: nothing is queued under the home folder, and its maker's collector is not called.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

if TYPE_CHECKING:
    from onnxbound.analysis.analyze import analyze
    from onnxbound.analysis.document import Report
    from onnxbound.analysis.settings import Settings
    from onnxbound.certificates.certify import certify
    from onnxbound.certificates.evidence import Evidence
    from onnxbound.certificates.verify import verify
    from onnxbound.compression.compress import compress
    from onnxbound.data.conventions import Conventions, read_conventions
    from onnxbound.data.open import open_rows
    from onnxbound.data.preprocessing import Preprocessing
    from onnxbound.errors import OnnxboundError
    from onnxbound.graph.load import load

from onnxbound.version import __version__

__all__ = [
    "Conventions",
    "Evidence",
    "OnnxboundError",
    "Preprocessing",
    "Report",
    "Settings",
    "__version__",
    "analyze",
    "certify",
    "compress",
    "load",
    "open_rows",
    "read_conventions",
    "verify",
]

_HOMES = {
    "Conventions": "onnxbound.data.conventions",
    "Evidence": "onnxbound.certificates.evidence",
    "OnnxboundError": "onnxbound.errors",
    "Preprocessing": "onnxbound.data.preprocessing",
    "Report": "onnxbound.analysis.document",
    "Settings": "onnxbound.analysis.settings",
    "analyze": "onnxbound.analysis.analyze",
    "certify": "onnxbound.certificates.certify",
    "compress": "onnxbound.compression.compress",
    "load": "onnxbound.graph.load",
    "open_rows": "onnxbound.data.open",
    "read_conventions": "onnxbound.data.conventions",
    "verify": "onnxbound.certificates.verify",
}


def __getattr__(name: str) -> object:
    """Import a public name from its module (PEP 562); `onnxbound --version` then imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'onnxbound' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
