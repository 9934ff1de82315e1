"""How far can a trained ONNX classifier be trusted to generalise, and how far can it be compressed?

    network = onnxbound.load("model.onnx")
    rows = onnxbound.open_rows("train.npz", network, onnxbound.Preprocessing(scale=1 / 255))
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
    from onnxbound.analysis.result import Report as Report
    from onnxbound.analysis.result import read_report as read_report
    from onnxbound.analysis.settings import Settings as Settings
    from onnxbound.certificates.request import CertificateOptions as CertificateOptions
    from onnxbound.compressors.budget import Budget as Budget
    from onnxbound.compressors.method import Method as Method
    from onnxbound.compressors.request import Request as Request
    from onnxbound.data.conventions import Conventions as Conventions
    from onnxbound.data.conventions import read_conventions as read_conventions
    from onnxbound.data.open import open_rows as open_rows
    from onnxbound.data.preprocessing import Preprocessing as Preprocessing
    from onnxbound.errors import OnnxboundError as OnnxboundError
    from onnxbound.graph.load import load as load
    from onnxbound.verbs.analyze import analyze as analyze
    from onnxbound.verbs.analyze import plan as plan
    from onnxbound.verbs.certify import certify as certify
    from onnxbound.verbs.compress import compress as compress
    from onnxbound.verbs.compress import decompress as decompress
    from onnxbound.verbs.diff import diff as diff
    from onnxbound.verbs.experiments import compare as compare
    from onnxbound.verbs.experiments import noise as noise
    from onnxbound.verbs.experiments import rank as rank
    from onnxbound.verbs.experiments import track as track
    from onnxbound.verbs.explain import env as env
    from onnxbound.verbs.explain import explain as explain
    from onnxbound.verbs.inspect import inspect as inspect
    from onnxbound.verbs.verify import verify as verify

from onnxbound.version import __version__

_HOMES = {
    "Budget": "onnxbound.compressors.budget",
    "Conventions": "onnxbound.data.conventions",
    "Method": "onnxbound.compressors.method",
    "OnnxboundError": "onnxbound.errors",
    "CertificateOptions": "onnxbound.certificates.request",
    "Preprocessing": "onnxbound.data.preprocessing",
    "Report": "onnxbound.analysis.result",
    "Request": "onnxbound.compressors.request",
    "Settings": "onnxbound.analysis.settings",
    "analyze": "onnxbound.verbs.analyze",
    "certify": "onnxbound.verbs.certify",
    "compare": "onnxbound.verbs.experiments",
    "compress": "onnxbound.verbs.compress",
    "decompress": "onnxbound.verbs.compress",
    "diff": "onnxbound.verbs.diff",
    "env": "onnxbound.verbs.explain",
    "explain": "onnxbound.verbs.explain",
    "inspect": "onnxbound.verbs.inspect",
    "load": "onnxbound.graph.load",
    "noise": "onnxbound.verbs.experiments",
    "open_rows": "onnxbound.data.open",
    "plan": "onnxbound.verbs.analyze",
    "rank": "onnxbound.verbs.experiments",
    "read_conventions": "onnxbound.data.conventions",
    "read_report": "onnxbound.analysis.result",
    "track": "onnxbound.verbs.experiments",
    "verify": "onnxbound.verbs.verify",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    """Import a public name from its module (PEP 562); `onnxbound --version` then imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'onnxbound' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
