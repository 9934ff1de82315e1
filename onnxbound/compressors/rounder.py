"""A network whose layers are rounded to so many bits each, as every compressor describes it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from onnx import ModelProto, shape_inference

from onnxbound.bounds.description import bias_bits
from onnxbound.compressors.activations import add_roundings, calibrated
from onnxbound.compressors.calibrated import Calibration, Rounded
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork, MethodName, described, kept
from onnxbound.compressors.grid import Half
from onnxbound.compressors.sites import Site, sites
from onnxbound.compressors.svd import Factors
from onnxbound.compressors.widths import Plan, importance
from onnxbound.data.rows import Rows
from onnxbound.errors import ModelError, Problem
from onnxbound.graph.halved import halved
from onnxbound.graph.network import Network
from onnxbound.graph.newer_opset import raised
from onnxbound.graph.rewrite import Rewriter
from onnxbound.operators.operator import Array
from onnxbound.run.device import Device

FORMATS: Mapping[int, MethodName] = {16: "fp16", 8: "int8-weights", 4: "int4-weights"}
"""Bits of a number in a file to the method that stores such numbers."""

ACTIVATIONS = 7
"""Bits of a level of a weight beside activations of 8: on older processors sums of two products of 16 bits saturate."""

_ROUNDING_OPSET = 13

NOT_CHOSEN = "not chosen"
_UNWRITABLE = "its weight cannot be rewritten: it is no initializer of floats that one kind of node reads"


class Rounder:
    """A network that is rounded at some rows, its layers to so many bits each.

    Attributes:
        network: It.
        sites: Its layers that can be rewritten, those that were chosen.
        calibration: Rounds them.
        rows: Those that they are rounded at.
        inputs: What the network is given there.
        device: Where it runs.
        threads: Threads; None for all cores.
        seed: Of positions that are looked at.
    """

    def __init__(
        self,
        network: Network,
        names: Sequence[str],
        rows: Rows,
        device: Device,
        threads: int | None,
        seed: int,
        met: Mapping[int, Array] | None = None,
    ) -> None:
        """Layers of some names, or all; `met` as `Calibration` takes it."""
        self.network, self.rows, self.inputs = network, rows, rows.batch(rows.index).inputs
        self.device, self.threads, self.seed = device, threads, seed
        found = sites(network)
        self._writable = set(found)
        self.sites = {i: site for i, site in found.items() if not names or site.layer.name in names}
        if not self.sites:
            problems = [Problem(layer.step.where, _UNWRITABLE, "export it anew") for layer in network.layers]
            raise ModelError("compress-nothing", "The model has no weight that could be compressed.", problems)
        self.calibration = Calibration(network, self.sites, self.inputs, device, threads, seed, met)

    def everywhere(self, width: int, block: int = 0) -> CompressedNetwork:
        """Every weight in one format, in a matrix so many entries of a unit with a scale of their own."""
        return self.described(self.calibration.rounded(dict.fromkeys(self.sites, width), block))

    def compressed(self, plan: Plan) -> CompressedNetwork:
        """The network under a plan; layers that it leaves out keep their floats."""
        return self.described(self.calibration.rounded(plan))

    def halved(self) -> CompressedNetwork | None:
        """The network computing in 16 bits; None where the file, or one of its layers, cannot be written like that."""
        model = Rewriter(self.network).model
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [value.name for value in model.graph.input if value.name not in constants]
        if not self.is_whole or inputs != [self.network.input] or self.network.input_type != np.float32:
            return None
        try:
            shape_inference.infer_shapes(halved(model), check_type=True, strict_mode=True)
        except (ValueError, shape_inference.InferenceError):
            return None
        half = self.everywhere(Half.width)
        weights = {
            name: replace(each, bits=each.bits - bias_bits(each.layer) // 2) for name, each in half.weights.items()
        }
        return replace(half, weights=weights, halved=True)

    def with_activations(self, plan: Plan) -> CompressedNetwork:
        """The same with what the layers of the plan meet and make rounded to 8 bits."""
        found = {index: self.sites[index] for index in plan}
        roundings = calibrated(self.network, found, self.inputs, self.device, self.threads)
        model = ModelProto()
        model.CopyFrom(raised(self.network.model, _ROUNDING_OPSET))
        add_roundings(model, roundings)
        between = self.calibration.walk_of(replace(self.network, model=model), found)
        return replace(self.described(self.calibration.rounded(plan, between=between)), roundings=roundings)

    def described(self, rounded: Mapping[int, Rounded]) -> CompressedNetwork:
        """The network with some layers rounded."""
        weights: dict[str, CompressedLayer] = {}
        for layer in self.network.layers:
            if layer.index in rounded:
                weights[layer.weight_name] = _layer(self.sites[layer.index], rounded[layer.index])
            elif layer.weight_name not in weights:
                weights[layer.weight_name] = kept(layer, NOT_CHOSEN if layer.index in self._writable else _UNWRITABLE)
        return CompressedNetwork(self.network, weights)

    def importance(self) -> Mapping[int, float]:
        """Layer index to how far noise of relative size 1 in its weights moves the logits."""
        return importance(self.network, self.sites, self.rows, self.seed)

    @property
    def is_whole(self) -> bool:
        """Whether every layer can be rewritten, and was chosen."""
        return len(self.sites) == self.network.depth

    def of(self, network: Network, met: Mapping[int, Array]) -> "Rounder":
        """The same for another network, whose layers are known to meet this."""
        return Rounder(network, (), self.rows, self.device, self.threads, self.seed, met)


def _layer(site: Site, found: Rounded) -> CompressedLayer:
    """As every compressor describes one."""
    layer, stored = site.layer, found.grid
    scale = np.ones(len(site.matrix)) if layer.operator.scale is None else layer.operator.scale
    weight = (stored.matrix() * scale[:, None]).reshape(layer.operator.weight.shape)
    shift = (found.offset - site.offset) * scale if site.bias is not None else None
    if isinstance(stored, Factors):
        product, numbers = replace(stored, left=stored.left * scale[:, None]), stored.parameters
        return described(layer, "svd", weight, numbers, stored.width * numbers, code=product, shift=shift)
    numbers, payload = site.matrix.size, stored.stored * site.matrix.size
    if not isinstance(stored, Half):
        numbers += stored.scales.size
        payload += 8 * stored.scales.nbytes
    return described(layer, FORMATS[stored.stored], weight, numbers, payload, code=stored, shift=shift)
