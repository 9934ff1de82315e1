"""Run a programme on one batch in NumPy."""

from dataclasses import replace
from functools import partial

import numpy as np

from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.linear.jacobian_norm import ExactPlan, exact_jacobians, plan_exact_pairs, units_in_parts
from onnxbound.linear.linearisation import Linearisation
from onnxbound.linear.numpy_sweep import NumpySweeper
from onnxbound.linear.observation import Arrival, Observation, join_probes, observed, to_measurement
from onnxbound.linear.programme import Measurement, Programme, Share
from onnxbound.linear.sweep import Sweep
from onnxbound.linear.threads import cores, side_by_side
from onnxbound.operators.operator import Array
from onnxbound.rng import normal_noise


def measure(
    network: Network,
    programme: Programme,
    index: Array,
    rows: Array,
    share: Share | None = None,
    plan: ExactPlan | None = None,
    dealt: int = 1,
    threads: int | None = None,
) -> Measurement:
    """Run a programme on n rows.

    Args:
        network: Cast to float32 for work, or to float64 for checks.
        programme: What to measure.
        index: Rows in the data file, (n,); the noise depends on them, not on the batch they come in.
        rows: Preprocessed inputs of the network's type, (n, *input_shape).
        share: What one sweep carries; None for all.
        plan: The plan of the programme's exact pairs; None to make it.
        dealt: Number of sweeps; each carries the noise of some of the layers.
        threads: Number of sweeps at a time; None for all cores. The result does not depend on it.
    """
    plan = plan_exact_pairs(network, programme) if plan is None else plan
    share = share or Share.whole(programme, network.depth)

    def noise(first: int, layer: Layer, probe: int) -> Array:
        g = normal_noise(programme.seed, layer.index, index, first + probe, int(np.prod(layer.output_shape)))
        return g.reshape(len(index), *layer.output_shape).astype(rows.dtype, copy=False)

    wanted = [
        (first, sources)
        for first in range(0, programme.probes, share.probes)
        for sources in share.ranges(network.depth, dealt)
    ]

    def run(part: tuple[int, range]) -> Sweep:
        first, sources = part
        # The rows are the same in every sweep: what is known of them is kept once.
        last = part is wanted[-1]
        sweep = NumpySweeper(
            network,
            share.probes,
            programme.radius,
            partial(noise, first),
            signals=programme.form == "linear",
            watched=observed(network) if last else frozenset(),
            sources=sources,
        ).run(rows)
        return sweep if last else replace(sweep, states=())

    sweeps = list(map(run, wanted)) if dealt == 1 else side_by_side(run, wanted, min(threads or cores(), dealt))
    arrivals: dict[int, dict[tuple[int, int], Arrival]] = {}
    for (first, _), found in zip(wanted, sweeps, strict=True):
        arrivals.setdefault(first, {}).update(found.arrivals)
    sweep = sweeps[-1]
    at, units = Linearisation(network, sweep.states), units_in_parts(network, len(rows), rows.dtype)
    observation = Observation(
        logits=sweep.logits,
        ties=np.any([np.zeros(len(rows), bool), *sweep.ties], axis=0),
        squared=sweep.squared,
        without_bias=sweep.without_bias,
        arrivals=join_probes(list(arrivals.values())),
        exact=exact_jacobians(at, plan, units, output=programme.exact_output),
    )
    return to_measurement(network, programme, index, observation)
