"""Whether the decoded network sees the mirror image of a row too, and decides by the mean of both logits."""

from dataclasses import replace

from onnxbound.certificates.judge import errors_of
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.task import Symmetry
from onnxbound.codec.architecture import has_mirror_image
from onnxbound.codec.describe import Description
from onnxbound.data.rows import Rows
from onnxbound.results import Float64Array
from onnxbound.run.device import Device


def with_symmetry(
    described: Description, rows: Rows, asked: Symmetry, device: Device, threads: int | None
) -> tuple[Description, Outputs, Float64Array]:
    """The network as it will be encoded, its outputs at the rows, and the trained network's logits there, (m, K).

    "auto" takes the mirror image where the trained network errs on fewer rows with it than alone. That choice is a part
    of the code, and is paid there. Rows that are no images have none.
    """
    alone = Outputs(described.architecture, rows, device, threads)
    if asked == "none" or not has_mirror_image(described.architecture.input_shape):
        return described, alone, alone.logits(described.tensors)
    both = replace(described, architecture=replace(described.architecture, mirrored=True))
    together = alone.of(both.architecture)
    with_it = together.logits(described.tensors)
    if asked == "auto":
        without = alone.logits(described.tensors)
        if errors_of(with_it, rows.labels) >= errors_of(without, rows.labels):
            return described, alone, without
    return both, together, with_it
