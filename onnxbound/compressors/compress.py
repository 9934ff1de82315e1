"""`compress`: a network to a smaller one, written as ONNX, and what that did; the stages in order."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter
from typing import Any

from onnxbound.compressors.budget import Budget
from onnxbound.compressors.codes import decode, encode
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.compression import BudgetSweep, Compression, SweepPoint
from onnxbound.compressors.evaluate import Baseline, reopen
from onnxbound.compressors.guarantee import Changed, Guarantee
from onnxbound.compressors.margin_budget import Analysed, budgets_of_margin, eta_of_margin
from onnxbound.compressors.method import Method
from onnxbound.compressors.report import Outcome, compression_report
from onnxbound.compressors.request import Request, compressible, origins_of
from onnxbound.compressors.search import beyond, ladder, tightest
from onnxbound.compressors.smallest import Chosen, affordable
from onnxbound.compressors.task import Task
from onnxbound.compressors.write import to_model
from onnxbound.data.rows import Rows, require_unseen
from onnxbound.documents.files import write_atomically
from onnxbound.errors import Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.rng import SIGNS
from onnxbound.run.device import resolve_device
from onnxbound.run.model_output import staged
from onnxbound.run.scratch import scratch
from onnxbound.stability.collect import Progress, silent
from onnxbound.version import __version__

_COMPARED = 2 * 10**10
"""Multiply-adds that a pass of the training rows may take on which nets are compared where no bound is asked for."""

_SWEEP_ROWS = 1000
_SWEEP_WORK = 2e10
"""Sign-multiply-adds that a budget of a sweep may take."""


def compress(
    network: Network,
    output: Path,
    request: Request,
    rows: Rows | None = None,
    *,
    analysis: Callable[[], Analysed] | None = None,
    test: Rows | None = None,
    init: Network | None = None,
    codes: Path | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Compression:
    """Compress a network and write it.

    Args:
        network: From `load`.
        output: The ONNX file to write.
        request: What to do, and how far.
        rows: The training set, from `open_rows`; without it outputs are compared on normal noise, and there is no
            accuracy, no margin and no bound.
        analysis: Analyses the original on the rows; called where bounds or a margin are asked for.
        test: Rows that neither net has seen, which guarantee the drop in accuracy.
        init: Its initialisation, to compress the distance from it.
        codes: Where to write an entropy code as well, for `decompress`; `smallest` then makes it small, not the file.
        force: Whether to write over what is there.
        progress: Called with (stage, done, in all).

    Raises:
        UsageError: The request does not fit the network; the codes begin with compress-.
        ModelError: Weights are not finite, or the model cannot be run.
        OutputError: The file exists, or cannot be written.
    """
    started = perf_counter()
    network.require_finite_weights()
    device = resolve_device(request.device)
    layers = compressible(network, request)
    task = Task(network, request, layers, origins_of(network, init), device, output, progress)
    if output.resolve() == network.path.resolve():
        problem = Problem(str(output), "its weights are needed while the new file is written", "choose another name")
        raise UsageError("usage", "The compressed model cannot replace the model it is made from.", [problem])
    if codes is not None and not (request.stores or request.method.name == "matrix-project"):
        problem = Problem("`codes`", f"{request.method.name} writes floats", "use a format, or matrix-project")
        raise UsageError("compress-codes", "Codes can hold only small integers or products with signs.", [problem])
    if rows is None and _needs_rows(request):
        problem = Problem("rows", "training rows are needed to measure accuracy and to round weights", "give `rows`")
        raise UsageError("usage", f"compress with {request.method.name!r} needs `rows` here.", [problem])
    if test is not None:
        require_unseen(rows, test)
    analysed = analysis() if analysis is not None and request.analyses else None
    given = compared = rows
    if rows is not None and request.stores:
        rows = compared = affordable(rows, network, request.method.seed)
        if not request.bounds:
            compared = affordable(rows, network, request.method.seed, _COMPARED)
    baseline = task.baseline(compared)
    unseen = None if test is None else task.baseline(test)
    budgets: Mapping[int, Budget] = {}
    searched: Chosen | None = None
    method = request.method
    with scratch() as folder, staged(output) as place:
        if request.stores:
            assert rows is not None
            searched = task.stored(rows, unseen, folder, codes=codes is not None)
            compressed = searched.compressed
        else:
            budgets, method = _budgets(task, baseline, analysed)
            compressed = task.compressed(budgets, method)
            _require_saving(compressed)
        settings = _settings(request, budgets, method) | {"init": None if init is None else init.sha256}
        noted: dict[str, object] = {"method": method.name} if request.stores else settings
        model = to_model(compressed, noted, factorise=request.factorises)
        place.write(model)
        reopened = reopen(network, place.path, halved=compressed.halved)
        outcome = Outcome(
            original=network,
            compressed=compressed,
            settings=settings,
            place=place,
            reopened=reopened,
            comparison=baseline.compare(reopened.network, progress),
            baseline=baseline,
            rows=compared,
            analysed=analysed,
            origins=task.origins or {},
        )
        report = compression_report(outcome, request, device, started)
        seen = None if searched is None else searched.apart
        if unseen is not None:
            seen = Changed.of(unseen.compare(reopened.network, progress), request.delta)
        tests, attempts = ((), ()) if searched is None else (searched.tests, searched.tried)
        guarantee = None if seen is None else Guarantee.of(request.tolerated_drop, request.delta, seen, tests)
        report = replace(report, file=replace(report.file, path=str(output)), tried=attempts, guarantee=guarantee)
        report = replace(report, training_rows=None if given is None else given.count)
        if given is not None and rows is not None and rows.count < given.count:
            cost = f"one row takes {network.multiply_adds:,} multiply-adds"
            said = f"{rows.count:,} of {given.count:,} rows were used: {cost}"
            report = replace(report, warnings=(*report.warnings, said))
        if request.method.fine_tune and not compressed.fine_tuned:
            said = "fine-tuning made the net no better on training rows kept apart, so it was left out"
            report = replace(report, warnings=(*report.warnings, said))
        if not force:
            _require_gain(report, request, compressed)
        if codes is not None:
            data = _codes(compressed, model, init, request.threads)
            write_atomically(codes, lambda file: file.write(data), force=force)
            report = replace(report, file=replace(report.file, codes_bytes=len(data)))
        place.move(output, force=force)
    if request.sweep:
        assert rows is not None
        report = replace(report, sweep=_sweep(task, rows))
    return replace(report, seconds=perf_counter() - started)


def _codes(compressed: CompressedNetwork, model: Any, init: Network | None, threads: int | None) -> bytes:
    """The file of codes, once it has been read again."""
    sha256 = None if init is None else init.sha256
    data = encode(compressed, model, sha256)
    decode(data, origins_of(compressed.network, init), sha256, threads)
    return data


def _needs_rows(request: Request) -> bool:
    by_margin = request.budget is not None and request.budget.knob == "gamma"
    return request.sweep or request.max_drop is not None or by_margin or request.stores


def _budgets(task: Task, baseline: Baseline, analysed: Analysed | None) -> tuple[Mapping[int, Budget], Method]:
    """What every layer may take, and the method with the failure probability that goes with it."""
    request, method = task.request, task.request.method
    if request.budget is None:
        assert request.max_drop is not None
        before = float((baseline.compare(task.network, silent).margin_before > 0).mean())

        def drop_of(budget: Budget) -> float:
            return before - task.accuracy(task.compressed(task.everywhere(budget)), baseline)

        return task.everywhere(tightest(ladder(method.name), drop_of, request.max_drop)), method
    if request.budget.knob != "gamma":
        return task.everywhere(request.budget), method
    assert analysed is not None
    budgets = budgets_of_margin(task.network, task.layers, method.name, request.budget.value, analysed)
    if method.name == "matrix-project":
        method = replace(method, eta=eta_of_margin(task.network, request.delta / 3, analysed.rows))
    return budgets, method


def _require_saving(compressed: CompressedNetwork) -> None:
    weights = compressed.weights.values()
    if any(weight.method != "kept" for weight in weights):
        return
    problems = [
        Problem(f"layer {weight.layer.index} ({weight.layer.name})", weight.reason, "ask for a smaller budget")
        for weight in weights
    ]
    raise UsageError("compress-no-saving", "No layer would become smaller at this budget.", problems)


def _require_gain(report: Compression, request: Request, compressed: CompressedNetwork) -> None:
    """Refuse a file of small numbers, or of filters per position, that is no smaller; and one that is no faster."""
    file, weights = report.file, compressed.weights.values()
    in_file = request.stores or any(weight.filters is not None for weight in weights)
    why, message = (
        f"{file.bytes_before:,} bytes would become {file.bytes_after:,}",
        "The file would not become smaller.",
    )
    gains = file.bytes_after < file.bytes_before
    if request.method.name == "fastest":
        gains = any(weight.method != "kept" for weight in weights) or str(compressed.network.path) != report.model
        message = "Nothing that keeps the accuracy is measurably faster here."
        why = f"{len(report.tried) - 1} candidates were tried"
    if in_file and not gains:
        problem = Problem(report.model, why, "give `force=True` to write it all the same")
        raise UsageError("compress-no-saving", message, [problem])


def _settings(request: Request, budgets: Mapping[int, Budget], method: Method) -> dict[str, Any]:
    """Every effective setting, as the model's metadata and the report say it."""
    chosen = set(budgets.values())
    single = next(iter(chosen)) if len(chosen) == 1 else None
    said = asdict(request) | {
        "method": asdict(method) | {"threads": None},
        "budget": None if single is None else asdict(single),
        "budgets": {str(index): asdict(budget) for index, budget in budgets.items()} if single is None else None,
        "helper": SIGNS,
        "version": __version__,
    }
    return {name: value for name, value in said.items() if name not in ("threads", "device", "sweep")}


def _sweep(task: Task, rows: Rows) -> BudgetSweep:
    """Accuracy along the ladder of budgets, and beyond it where a random projection needs more than there is."""
    request, method = task.request, task.request.method
    sample = rows.sample(_SWEEP_ROWS, method.seed)
    baseline = task.baseline(sample)
    before = float((baseline.compare(task.network, silent).margin_before > 0).mean())
    largest = max(layer.parameters for layer in task.layers)
    points = []
    for budget in (*ladder(method.name), *beyond(method.name)):
        if budget.knob == "keep" and budget.value > 1 and budget.value * largest**2 > _SWEEP_WORK:
            break
        compressed = task.compressed(task.everywhere(budget))
        weights = compressed.weights.values()
        points.append(
            SweepPoint(
                knob=budget.knob,
                value=budget.value,
                parameters=sum(weight.parameters for weight in weights),
                bits=compressed.bits,
                accuracy=task.accuracy(compressed, baseline),
            )
        )
        task.progress("sweep", len(points), len(ladder(method.name)) + len(beyond(method.name)))
    allowed = request.tolerated_drop
    enough = None
    for point in reversed(points):
        if before - point.accuracy > allowed:
            break
        enough = point
    return BudgetSweep(tuple(points), sample.count, before, allowed, enough)
