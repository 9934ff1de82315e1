"""`certify`: search, decode, count, state and write, the stages in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates.canonical import canonical_json
from onnxbound.certificates.certificate import Certificate, Source, files_of, holdout_baseline
from onnxbound.certificates.decisions import Decisions, Evaluation, disagreements
from onnxbound.certificates.decoded import decoded_bytes, decoded_network
from onnxbound.certificates.evidence import rows_hash, without
from onnxbound.certificates.folder import CERTIFICATE, CODE, DECODED, SKELETON, require_folder, write_folder
from onnxbound.certificates.holdout import model_entry
from onnxbound.certificates.options import Certified, Options
from onnxbound.certificates.outputs import Outputs
from onnxbound.certificates.preprocessing import joined, split
from onnxbound.certificates.search import search
from onnxbound.certificates.statement import Disagreements, Object, Statement, largest_code_bits
from onnxbound.certificates.task import Effort, Found, Task
from onnxbound.codec.describe import Description, describe
from onnxbound.codec.quantised import quantised
from onnxbound.codec.skeleton import Malformed
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import InterruptionError, ModelError, Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU, Device

_FEWEST_BITS = 0.1
"""Bits per parameter below which no search is begun: trained networks do not shrink that far."""


@dataclass(frozen=True, slots=True)
class Prior:
    """A network that has seen only declared rows.

    Attributes:
        network: Of the same architecture.
        rows: Places in the training set of the rows it has seen; none for an initialisation.
    """

    network: Network
    rows: NDArray[np.int64]


def certify(
    network: Network,
    rows: Rows,
    folder: str | PathLike[str],
    options: Options | None = None,
    device: Device = CPU,
    *,
    unlabelled: Rows | None = None,
    holdout: Rows | None = None,
    prior: Prior | None = None,
    improved: Callable[[Found], object] = lambda _: None,
) -> Certified:
    """A network of few bits in place of a trained one, and the bound on its error that they give.

    Args:
        network: Trained on the rows.
        rows: The training set.
        folder: Where the files go.
        options: How; the defaults of the command line if None.
        device: Where networks are evaluated.
        unlabelled: Rows drawn after the network was fixed; then the statement is about the original.
        holdout: Labelled rows that the network has not seen, for the baseline.
        prior: Then the code holds only the difference from it, and only rows that it has not seen count.
        improved: Called with every code that is better than those before.

    Raises:
        ModelError: certify-unsupported or certify-vacuous.
        UsageError: The parts do not belong together.
        OutputError: The files cannot be written.
        InterruptionError: Interrupted before anything was found.
    """
    if unlabelled is not None and prior is not None:
        raise UsageError("usage", "One object per certificate: --unlabelled or --prior.")
    if prior is not None and rows.count < rows.total:
        raise UsageError("usage", "--prior takes the whole training set, without --limit.")
    options = options or Options()
    target = Path(folder)
    kind: Object = "prior" if prior else "original_unlabelled" if unlabelled else "compressed"
    network.require_finite_weights()
    described = _described(network)
    public, numbers = split(rows.preprocessing, integer_input=network.input_type.kind != "f")
    preprocessing = joined(public, numbers)
    remaining = rows if prior is None else without(rows, prior.rows)
    tensors = None if prior is None else _prior_tensors(prior, described)
    evaluate = Evaluation(device, options.threads)
    original = evaluate(network, remaining)
    if prior is None:
        _require_hope(network, remaining, original, options.delta)
    single = _opened(remaining, described, preprocessing)
    task = Task(
        network=network,
        described=described,
        outputs=Outputs(described.skeleton, single, device, options.threads),
        labels=single.labels,
        prior=tensors,
        numbers=numbers,
        with_skeleton=options.charge_skeleton,
        delta=options.delta / 2 if unlabelled is not None else options.delta,
    )
    require_folder(target, force=options.force)
    best, interrupted = _best(task, options, improved)
    model = decoded_bytes(described.skeleton, best.code, task.prior)
    decoded = decoded_network(model)
    counted = evaluate(decoded, single)
    sources = [Source("data", remaining.fingerprint(), remaining.count, rows.total)]
    fresh: Disagreements | None = None
    if unlabelled is not None:
        fresh = _disagreements(network, unlabelled, decoded, described, preprocessing, evaluate)
        sources.append(Source("unlabelled", unlabelled.fingerprint(), unlabelled.count, unlabelled.total))
    if prior is not None:
        sources.append(Source("prior", prior.network.sha256))
        sources.append(Source("prior_rows", rows_hash(prior.rows), len(prior.rows)))
    skeleton = described.skeleton.to_bytes()
    code_file, skeleton_file = files_of(best.data, skeleton)
    baselines = []
    if holdout is not None:
        of_decoded = evaluate(decoded, _opened(holdout, described, preprocessing))
        for subject, seen in (("original", evaluate(network, holdout)), ("decoded", of_decoded)):
            baselines.append(holdout_baseline(subject, seen.errors(seen.tau), holdout.count, options.delta))
    certificate = Certificate(
        statement=Statement(
            object=kind,
            rows=remaining.count,
            errors=counted.errors(counted.tau),
            bits=8 * len(best.data),
            delta=options.delta,
            classes=network.classes,
            commonest=int(np.bincount(remaining.labels).max()),
            disagreements=fresh,
        ),
        tau=counted.tau,
        code=code_file,
        skeleton=skeleton_file,
        sources=tuple(sources),
        preprocessing=public | {"input": network.input},
        seed=options.seed,
        model=model_entry(network, original),
        baselines=tuple(baselines),
    )
    document = certificate.document()
    files = {CODE: best.data, SKELETON: skeleton, DECODED: model, CERTIFICATE: canonical_json(document)}
    if task.prior is None:
        files |= quantised(described.skeleton, best.code)
    write_folder(target, files, force=options.force)
    return Certified(document, best, interrupted, {name: len(content) for name, content in files.items()})


def _described(network: Network) -> Description:
    try:
        return describe(network)
    except Malformed as error:
        raise ModelError(
            "certify-unsupported",
            f"The network cannot be certified: {error}.",
            [Problem(str(network.path), str(error), "a hold-out certificate works for every network: --holdout")],
        ) from error


def _require_hope(network: Network, rows: Rows, original: Decisions, delta: Decimal) -> None:
    """Say at once that a network is too large for its rows, and how many bits it could have.

    Raises:
        ModelError: certify-vacuous.
    """
    statement = Statement("compressed", rows.count, 0, 0, delta, network.classes, int(np.bincount(rows.labels).max()))
    bits = largest_code_bits(rows.count, original.errors(0.0), delta, statement.chance)
    if bits >= _FEWEST_BITS * network.parameters:
        return
    why = (
        f"below chance, {rows.count:,} rows and {original.errors(0.0):,} errors allow {max(bits, 0):,} bits,"
        f" {max(bits, 0) / network.parameters:.2g} per parameter"
    )
    raise ModelError(
        "certify-vacuous",
        f"Any certificate of this network, with its {network.parameters:,} parameters, would be vacuous.",
        [
            Problem(
                str(network.path), why, "certify a smaller network, on more rows, from a --prior, or by --holdout alone"
            )
        ],
    )


def _opened(rows: Rows, described: Description, preprocessing: Preprocessing) -> Rows:
    """The same rows as a skeleton takes them: float32, by the preprocessing that the code spells."""
    array = rows.array
    shape, single = described.skeleton.input_shape, np.dtype(np.float32)
    convert = converter(array.shape[1:], array.dtype, array.name, shape, single, preprocessing)
    return replace(rows, convert=convert, preprocessing=preprocessing)


def _prior_tensors(prior: Prior, described: Description) -> Mapping[str, NDArray[np.float32]]:
    other = _described(prior.network)
    if other.skeleton.to_bytes() != described.skeleton.to_bytes():
        raise UsageError("usage", "The prior has another architecture than the model.")
    return other.tensors


def _best(task: Task, options: Options, improved: Callable[[Found], object]) -> tuple[Found, bool]:
    """The best that the search finds, or has found when it is interrupted."""
    best: Found | None = None
    generator = np.random.Generator(np.random.Philox(options.seed))
    try:
        for found in search(task, Effort.of(options.effort), generator):
            if best is None or found.bound < best.bound:
                best = found
                improved(found)
    except KeyboardInterrupt:
        if best is None:
            raise InterruptionError(" before the first round was finished") from None
        return best, True
    assert best is not None
    return best, False


def _disagreements(
    network: Network,
    unlabelled: Rows,
    decoded: Network,
    described: Description,
    preprocessing: Preprocessing,
    evaluate: Evaluation,
) -> Disagreements:
    original = evaluate(network, unlabelled)
    other = evaluate(decoded, _opened(unlabelled, described, preprocessing))
    return Disagreements(unlabelled.count, disagreements(original, other, (original.tau, other.tau)))
