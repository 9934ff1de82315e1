"""How many rows at a time, so that a run stays within its memory.

What a batch takes was measured on nets from 50,000 to 20 million parameters on both engines; the factors below are the
largest seen, so a run usually takes less than it is allowed.
"""

from dataclasses import asdict, dataclass, replace
from math import prod

import numpy as np

from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import CHUNK_ENTRIES, plan_exact_pairs
from onnxbound.linear.programme import Programme, Share

DEFAULT_MEMORY = 2 << 30
_EVERY_MEMORY = 1 << 62
_BASE = 300 << 20
"""Interpreter, libraries and data buffers."""

_BYTES_PER_PARAMETER = 48
"""Every copy of a weight: as read, reordered, serialised, and as the runtime keeps it."""

_BYTES_PER_MAPPED = 24
"""Of the largest layer alone, where weights stay in a file of their own: what its norms are computed from."""

_LARGEST_NORMS = 640 << 20
"""However large a layer is, its norms take no more: it is read in bands, and no Gram matrix exceeds 512 MiB."""

_LIVE = 9
"""Tensors as large as the largest that live at the same time."""

_ON_THE_WAY = 1.4
"""What a forward pass of a fixed batch takes beside the rows as they came, over what all tensors take together."""

_OF_A_DEVICE = 4
"""What part of a device's memory is taken: others may use it, and its allocator keeps up to twice what lives."""

_LARGEST_FORWARD, _LARGEST_SWEEP = 512, 64
"""More rows at a time are no faster."""

_ROWS_PER_PARTITION = {"forward": 1024, "measure": 64}
"""About so many rows are lost when a run is killed..."""

_PARTITION_ENTRIES = 1 << 24
"""...or rows of so many entries, since all are read at once."""


@dataclass(frozen=True, slots=True)
class Batches:
    """Rows at a time, fixed before a run begins.

    Attributes:
        forward: Rows per forward pass.
        sweep: Rows per run of the programme.
        probes: Probes per sweep, a divisor of all of them.
        sources: Layers whose noise one sweep carries.
        forward_partition: Rows per partition of the first stage, a multiple of `forward`.
        sweep_partition: Rows per partition of the second, a multiple of `sweep`.
    """

    forward: int
    sweep: int
    probes: int
    sources: int
    forward_partition: int
    sweep_partition: int

    @property
    def share(self) -> Share:
        """What one sweep carries."""
        return Share(self.probes, self.sources)


def batches_within(memory: int, network: Network, programme: Programme, apart: int | None = None) -> Batches:
    """Choose batches that stay within a memory: as many probes and layers as leave room for one row, then rows.

    Args:
        memory: Bytes that the process may take.
        network: The net.
        programme: What is run.
        apart: Bytes of a device's own memory, which holds what is computed in place of the process; None if it has
            none.

    Raises:
        UsageError: The memory does not hold a single row.
    """
    mapped = sum(values.size for values in network.external.values())
    largest = max(layer.parameters for layer in network.layers) if mapped else 0
    fixed = _BASE + _BYTES_PER_PARAMETER * max(network.parameters - mapped, 0)
    fixed += min(_BYTES_PER_MAPPED * largest, _LARGEST_NORMS)
    room = memory - fixed if apart is None else apart // _OF_A_DEVICE - fixed
    for share in _shares(network, programme):
        per_row = _LIVE * _largest_tensor(network, programme, share)
        if per_row <= room:
            break
    else:
        raise _too_little(memory, fixed + per_row, "one row takes")
    activations = 4 * sum(prod(shape) for shape in network.shapes.values())
    needed = (network.batch or 0) * int(_ON_THE_WAY * activations + 4 * prod(network.input_shape))
    if needed > room:
        raise _too_little(memory, fixed + needed, f"the fixed batch of {network.batch:,} rows takes")
    forward = network.batch or int(np.clip(room // (4 * activations), 1, _LARGEST_FORWARD))
    sweep = int(np.clip(room // per_row, 1, _LARGEST_SWEEP))
    return _batches(network, forward, sweep, share)


def batches_begun(stored: object, network: Network, programme: Programme) -> Batches:
    """Read the batches that a run began with from its manifest, whatever its memory was.

    Args:
        stored: The manifest's entry.
        network: The net.
        programme: What is run.

    Raises:
        ValueError: No run begins with such batches.
    """
    most = batches_within(_EVERY_MEMORY, network, programme)
    names = ("forward", "sweep", "probes", "sources")
    match [stored.get(name) for name in names] if isinstance(stored, dict) else []:
        case [int(forward), int(sweep), int(probes), int(sources)] if (
            (network.batch or 1) <= forward <= most.forward
            and 1 <= sweep <= most.sweep
            and Share(probes, sources) in _shares(network, programme)
        ):
            begun = _batches(network, forward, sweep, Share(probes, sources))
            if asdict(begun) == stored:
                return begun
    raise ValueError("no run begins with these batches")


def _too_little(memory: int, needed: int, what: str) -> UsageError:
    problem = Problem("`memory`", f"{what} about {needed / 2**20:,.0f} MiB in all", "allow more")
    return UsageError("usage", f"A `memory` of {memory / 2**20:,.0f} MiB does not hold this net.", [problem])


def _shares(network: Network, programme: Programme) -> list[Share]:
    """Largest first: fewer probes, and then the noise of fewer layers."""
    whole = Share.whole(programme, network.depth)
    return [Share(probes, whole.sources) for probes in range(whole.probes, 0, -1) if whole.probes % probes == 0] + [
        Share(1, sources) for sources in range(whole.sources - 1, 0, -1)
    ]


def _batches(network: Network, forward: int, sweep: int, share: Share) -> Batches:
    most = _PARTITION_ENTRIES // prod(network.input_shape)

    def partition(batch: int, stage: str) -> int:
        return batch * max(1, min(_ROWS_PER_PARTITION[stage], most) // batch)

    partitions = partition(forward, "forward"), partition(sweep, "measure")
    return Batches(forward, sweep, share.probes, share.sources, *partitions)


def _largest_tensor(network: Network, programme: Programme, share: Share) -> int:
    """Bytes per row of the widest place of a sweep, inputs, output and all streams together."""
    if share.sources < network.depth - 1:  # NumPy alone, which takes exact products in chunks
        largest, products = 4 * CHUNK_ENTRIES, 0
    else:
        plan = plan_exact_pairs(network, replace(programme, exact_pairs=False))
        spacings = (*plan.targets.values(), *plan.sources.values())
        largest, products = 0, max(network.classes if programme.exact_output else 0, *map(prod, spacings), 0)
    for step in network.steps:
        noisy = min(share.sources, len(network.sources[step.output]) + 1)
        streams = max(1 + 2 * share.probes * noisy, products)
        sizes = [prod(network.shapes[name]) for name in (*step.inputs, step.output)]
        largest = max(largest, 4 * streams * sum(sizes))
    return largest
