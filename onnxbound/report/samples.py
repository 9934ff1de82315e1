"""`--samples FILE.npz`: the per-row arrays."""

from pathlib import Path
from typing import Any

import numpy as np

from onnxbound.report.report import Report
from onnxbound.run.files import write_atomically


def write_samples(report: Report, path: Path, *, force: bool) -> None:
    """Write the per-row arrays of the measured rows.

    Raises:
        OutputError: output-exists or output-unwritable.
    """
    arrays: dict[str, Any] = dict(report.samples)
    write_atomically(path, lambda file: np.savez(file, **arrays), force=force)
