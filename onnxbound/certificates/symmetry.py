"""Whether the decoded network sees the mirror image of a row too, and decides by the mean of both logits."""

from dataclasses import replace

from onnxbound.certificates.judge import errors_of
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.task import Symmetry
from onnxbound.codec.architecture import has_mirror_image
from onnxbound.codec.describe import Description
from onnxbound.data.rows import Rows
from onnxbound.run.device import Device


def with_symmetry(
    described: Description, rows: Rows, asked: Symmetry, device: Device, threads: int | None
) -> tuple[Description, Outputs]:
    """The network as it will be encoded, and its outputs at the rows.

    "auto" takes the mirror image where the trained network errs on fewer rows with it than alone. That choice is a part
    of the code, and is paid there. Rows that are no images have none.
    """
    alone = Outputs(described.architecture, rows, device, threads)
    if asked == "none" or not has_mirror_image(described.architecture.input_shape):
        return described, alone
    both = replace(described, architecture=replace(described.architecture, mirrored=True))
    together = alone.of(both.architecture)
    if asked == "auto":
        with_it, without = (errors_of(net.logits(described.tensors), rows.labels) for net in (together, alone))
        if with_it >= without:
            return described, alone
    return both, together
