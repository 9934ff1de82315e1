"""The per-row arrays as an npz file."""

import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from onnxbound.documents.files import write_atomically
from onnxbound.stability.property_table import Samples


def write_samples(samples: Samples, path: Path, *, force: bool) -> None:
    """Write the per-row arrays of the measured rows, a block at a time.

    Raises:
        OutputError: output-exists or output-unwritable.
    """

    def write(file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            for name in samples:
                with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, samples.header(name))
                    for block in samples.blocks(name):
                        member.write(block.tobytes())

    write_atomically(path, write, force=force)
