"""From a compression to its report, section by section."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from onnxbound.bounds.bound import Bound
from onnxbound.bounds.build_and_look import margin_and_outliers, own_errors, own_errors_binomial
from onnxbound.bounds.description import bias_bits, other_bits, weight_bits
from onnxbound.bounds.gamma import choose_gamma, loss_at
from onnxbound.compressors.compressed import CompressedLayer, CompressedNetwork
from onnxbound.compressors.compression import (
    BeforeAfter,
    CompressedLayerReport,
    Compressibility,
    Compression,
    FileReport,
    Held,
    MarginLoss,
    MarginQuantiles,
    Margins,
    OutputChange,
    RowCost,
    Spread,
)
from onnxbound.compressors.evaluate import Baseline, Reopened, ratio_of, require_agreement
from onnxbound.compressors.margin_budget import Analysed
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.realised import LayerErrors, layer_errors
from onnxbound.compressors.request import Request
from onnxbound.compressors.svd import Factors
from onnxbound.compressors.write import saves
from onnxbound.data.rows import Rows
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.graph.rewrite import multiply_adds
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.logits import Logits
from onnxbound.run.model_output import Staged, passes_checker
from onnxbound.words import percent

_SETTINGS_BITS = _SEED_BITS = 64
"""For the method and what was chosen of it, and for its seed; what belongs to a layer stands in that layer's header."""

_FUSED = (
    "onnxruntime by default rounds what a MatMul of 4-bit weights multiplies to 8 bits; here it ran as the file says,"
    ' with the session option "session.disable_quant_qdq" = "1", which also turns the weights into constants'
)
_CHECKED_ROWS = 16
_HELD_BYTES = 1 << 30
"""What the layers' inputs and outputs at the rows where errors are measured may take."""

_ROUNDING = 1e-5
"""Share of the largest logits of either net that float32 evaluation may be off by; margins so small are errors."""


@dataclass(frozen=True)
class Outcome:
    """A compressed net that was written and run.

    Attributes:
        original: The net as it was.
        compressed: It by now.
        settings: Every effective setting.
        place: Where it was written.
        reopened: It, read again.
        comparison: It and the original on all rows.
        baseline: The original.
        rows: The training set; None where outputs were compared on noise.
        analysed: What an analysis says of the original; None where none was asked for.
        origins: Layer index to the weight from which the distance was compressed.
    """

    original: Network
    compressed: CompressedNetwork
    settings: Mapping[str, Any]
    place: Staged
    reopened: Reopened
    comparison: PairedLogits
    baseline: Baseline
    rows: Rows | None
    analysed: Analysed | None
    origins: Mapping[int, Float64Array]


def compression_report(outcome: Outcome, request: Request, device: Device, started: float) -> Compression:
    """Everything but the sweep."""
    compressed, network, comparison = outcome.compressed, outcome.original, outcome.comparison
    runner = Logits(outcome.reopened.network, device, request.threads)
    difference = require_agreement(
        compressed, outcome.reopened.network, runner, outcome.baseline.sample(network.batch or _CHECKED_ROWS)
    )
    taken, rows_timed = outcome.baseline.rounds(outcome.reopened.network)
    fitting = max(1, _HELD_BYTES // (4 * sum(map(prod, network.shapes.values()))))
    sample = outcome.baseline.sample(min(request.measured, fitting)).astype(np.float32)
    errors, weights = layer_errors(compressed, sample, dict(outcome.origins)), list(compressed.weights.values())
    margin = None if outcome.rows is None else _margin(comparison, request)
    work = RowCost(
        _multiply_adds(outcome, request), BeforeAfter(*np.median(taken, axis=0).tolist()), *ratio_of(taken), rows_timed
    )
    layers = tuple(_layer(outcome, weight, errors) for weight in weights)
    relative, file = comparison.relative_error, _file(outcome, request, difference)
    return Compression(
        method=request.method.name,
        settings=outcome.settings,
        seed=request.method.seed,
        model=str(network.path),
        rows=None if outcome.rows is None else outcome.rows.count,
        layers=layers,
        parameters=BeforeAfter(
            float(sum(layer.parameters_before for layer in layers)),
            float(sum(layer.parameters_after for layer in layers)),
        ),
        bits=BeforeAfter(float(_bits_before(network)), float(_bits(outcome, request))),
        output=OutputChange(_spread(relative), len(relative), "noise" if outcome.rows is None else "data"),
        accuracy=None if margin is None else _accuracy(comparison),
        margin_loss=margin,
        margins=None if margin is None else _margins(comparison),
        compressibility=None if margin is None else _compressibility(comparison, margin),
        file=file,
        work=work,
        bounds=() if margin is None or not request.bounds else _bounds(outcome, request, margin),
        sweep=None,
        tried=(),
        fine_tuned=compressed.fine_tuned,
        guarantee=None,
        warnings=(*_warnings(outcome, weights, file), *_speed_in_words(outcome, request, work)),
        seconds=perf_counter() - started,
    )


def _layer(outcome: Outcome, weight: CompressedLayer, errors: Mapping[int, LayerErrors]) -> CompressedLayerReport:
    layer, analysed = outcome.original.layers[weight.layer.index - 1], outcome.analysed
    mine = [own.index for own in outcome.original.layers if own.weight_name == layer.weight_name]
    measured = [errors[index] for index in mine if index in errors]
    realised = _largest([error.epsilon for error in measured])
    asked = weight.epsilon
    return CompressedLayerReport(
        name=layer.name,
        indices=tuple(mine),
        method=weight.method,
        reason=weight.reason,
        parameters_before=layer.parameters,
        parameters_after=weight.parameters,
        bits_before=weight_bits(layer) + bias_bits(layer),
        bits_after=weight.bits,
        epsilon_asked=asked,
        epsilon_realised=realised,
        lemma_2_holds=None if asked is None or realised is None else realised <= asked,
        relative_error=_spread(np.concatenate([error.relative for error in measured])) if measured else None,
        effective_parameters=None if analysed is None else analysed.effective_parameters[layer.index - 1],
    )


def _largest(values: list[Float64Array]) -> float | None:
    defined = [float(np.nanmax(each)) for each in values if not np.isnan(each).all()]
    return max(defined, default=None)


def _spread(values: Float64Array) -> Spread:
    defined = values[np.isfinite(values)]
    return Spread(float(np.median(defined)), float(defined.max())) if defined.size else Spread(None, None)


def _bits_before(network: Network) -> int:
    seen: set[str] = set()
    total = other_bits(network)
    for layer in network.layers:
        total += bias_bits(layer) + (0 if layer.weight_name in seen else weight_bits(layer))
        seen.add(layer.weight_name)
    return total


def _bits(outcome: Outcome, request: Request) -> int:
    """Of the compressed net, everything counted that was chosen after the rows were seen."""
    preprocessing = 0 if outcome.rows is None else outcome.rows.preprocessing.bits
    seed = _SEED_BITS if request.method.seed else 0
    return outcome.compressed.bits + _SETTINGS_BITS + seed + preprocessing


def _accuracy(comparison: PairedLogits) -> BeforeAfter:
    return BeforeAfter(float(np.mean(comparison.margin_before > 0)), float(np.mean(comparison.margin_after > 0)))


def _margin(comparison: PairedLogits, request: Request) -> MarginLoss | None:
    value = request.gamma
    if request.budget is not None and request.budget.knob == "gamma":
        value = request.budget.value
    gamma, source = choose_gamma(comparison.margin_before, value, request.gamma_quantile)
    if gamma is None:
        return None
    return MarginLoss(gamma, source, loss_at(comparison.margin_before, gamma), loss_at(comparison.margin_after, gamma))


def _margins(comparison: PairedLogits) -> Margins:
    def of(values: Float64Array) -> MarginQuantiles:
        return MarginQuantiles(*np.quantile(values[np.isfinite(values)], [0, 0.05, 0.5, 1]).tolist())

    return Margins(of(comparison.margin_before), of(comparison.margin_after))


def _compressibility(comparison: PairedLogits, margin: MarginLoss) -> Compressibility:
    errors = int(np.sum(~(comparison.margin_after > 0)))
    allowed = int(np.sum(~(comparison.margin_before > margin.gamma)))
    per_logit, in_norm = comparison.far_per_logit(margin.gamma), comparison.far_in_norm(margin.gamma)
    return Compressibility(
        Held(per_logit == 0, per_logit), Held(in_norm == 0, in_norm), Held(errors <= allowed, errors)
    )


def _bounds(outcome: Outcome, request: Request, margin: MarginLoss) -> tuple[Bound, ...]:
    comparison = outcome.comparison
    m, chance = len(comparison.norm), 1 - 1 / outcome.compressed.network.classes
    bits = _bits(outcome, request)
    slack = _ROUNDING * float((comparison.norm + comparison.distance).max())
    errors = int(np.sum(~(comparison.margin_after > slack)))
    known: tuple[str, ...] = ("the default seed of the helper string was fixed before the rows were seen",)
    if outcome.origins:
        known += ("the initialisation was fixed before the rows were seen",)
    built = (
        own_errors(errors, m, bits, request.delta, chance, known),
        own_errors_binomial(errors, m, bits, request.delta, chance, known),
        margin_and_outliers(
            float(np.mean(~(comparison.margin_before > margin.gamma + slack))),
            comparison.far_in_norm(margin.gamma),
            m,
            bits,
            request.delta,
            chance,
            known,
        ),
    )
    theory = {"arora", "theorem-2.2", "theorem-4.1"}
    return (*built, *(bound for bound in (outcome.analysed.bounds if outcome.analysed else ()) if bound.name in theory))


def _file(outcome: Outcome, request: Request, difference: float) -> FileReport:
    network, place = outcome.original, outcome.place
    outside = sum(values.nbytes for values in network.external.values())
    return FileReport(
        path=place.path.name,
        sha256=hashlib.sha256(place.path.read_bytes()).hexdigest(),
        bytes_before=network.path.stat().st_size + outside,
        bytes_after=place.size,
        codes_bytes=None,
        checker_before=passes_checker(network.path),
        checker_after=passes_checker(place.path),
        analysable=not outcome.reopened.why_not,
        numpy_difference=difference,
        factorised=tuple(weight.layer.name for weight in _factorised(outcome, request)),
    )


def _factorised(outcome: Outcome, request: Request) -> list[CompressedLayer]:
    """Layers that were written as two."""
    uses = [layer.weight_name for layer in outcome.compressed.network.layers]
    return [
        weight
        for name, weight in outcome.compressed.weights.items()
        if request.factorises
        and isinstance(weight.code, Factors)
        and saves(weight.layer, weight.code.rank)
        and uses.count(name) == 1
    ]


def _multiply_adds(outcome: Outcome, request: Request) -> BeforeAfter:
    def cost(layer: Layer) -> int:
        return multiply_adds(layer, 0)[0]

    before, after = (sum(map(cost, net.layers)) for net in (outcome.original, outcome.compressed.network))
    for weight in _factorised(outcome, request):
        assert isinstance(weight.code, Factors)
        whole, two = multiply_adds(weight.layer, weight.code.rank)
        after += two - whole
    for weight in outcome.compressed.weights.values():
        if weight.filters is not None:
            taps = prod(weight.layer.kernel)
            after += weight.layer.positions * weight.layer.input_shape[0] * taps * taps
    return BeforeAfter(float(before), float(after))


def _speed_in_words(outcome: Outcome, request: Request, work: RowCost) -> list[str]:
    """Whether factorising made the file smaller and the net faster, and why not."""
    if not request.factorise:
        return []
    adds = work.multiply_adds.after / work.multiply_adds.before
    size = outcome.place.size / outcome.original.path.stat().st_size
    head = f"factorised: {adds:.2f} times the multiply-adds, {work.ratio:.2f} times the time, {size:.2f} times the file"
    if adds == 1:
        return [f"{head}: at this rank no layer takes fewer multiply-adds as two"]
    if work.ratio_high < 1:
        return [head]
    if work.ratio_low < 1:
        return [f"{head}: no difference in time is measurable here"]
    why = "two thin layers read and write one more tensor each and run below the rate of one wide layer"
    return [f"{head}: not faster, since {why}, which outweighs the {percent(1 - adds)} of the work that is saved"]


def _warnings(outcome: Outcome, weights: list[CompressedLayer], file: FileReport) -> list[str]:
    said = [
        f"layer {weight.layer.index} ({weight.layer.name}) was kept: {weight.reason}"
        for weight in weights
        if weight.method == "kept" and weight.reason != "not chosen"
    ]
    if any(weight.layer.step.op == "MatMul" and weight.method == "int4-weights" for weight in weights):
        said.append(_FUSED)
    if file.bytes_after >= file.bytes_before:
        said.append("the file is no smaller: what is small is a description of its weights, which it does not hold")
    if outcome.rows is None:
        said.append("without `rows` there is no accuracy, margin or bound; outputs were compared on normal noise")
    if outcome.reopened.why_not:
        said.append("onnxbound itself cannot analyse the written model: its filters differ from position to position")
    return said
