"""`certify`: search, decode, count, state and write, the stages in order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.certificates import evidence
from onnxbound.certificates.canonical import canonical_json
from onnxbound.certificates.certificate import (
    Certificate,
    CodeFile,
    Source,
    holdout_baseline,
    model_hash,
    preprocessing_said,
    reading_of,
)
from onnxbound.certificates.decisions import Evaluation, Progress, disagreements, errors
from onnxbound.certificates.decoded import Decoded, decoded
from onnxbound.certificates.files import CERTIFICATE, CODE, DECODED, require_folder, write_folder
from onnxbound.certificates.outlook import hopeless
from onnxbound.certificates.places import cheapest
from onnxbound.certificates.request import CertificateOptions, Certified, Original, verified_with
from onnxbound.certificates.search import search
from onnxbound.certificates.statement import Disagreements, Object, Statement
from onnxbound.certificates.symmetry import with_symmetry
from onnxbound.certificates.task import Effort, Found, Task
from onnxbound.codec.architecture import has_mirror_image
from onnxbound.codec.describe import Description, describe
from onnxbound.codec.network_code import NetworkCode, decode, is_the_prior, same_architecture
from onnxbound.codec.quantised import quantised
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.words_said import preprocessing_in_words
from onnxbound.data.preprocessing import Preprocessing, converter
from onnxbound.data.rows import Rows
from onnxbound.errors import InterruptionError, ModelError, Problem, UsageError
from onnxbound.graph.network import Network
from onnxbound.run.device import CPU, Device

_SINGLE = np.dtype(np.float32)


@dataclass(frozen=True, slots=True)
class Prior:
    """A network that has seen only declared rows.

    Attributes:
        network: Of the same architecture.
        rows: How many it has seen, the first of the training set; none for an initialisation.
    """

    network: Network
    rows: int


def certify(
    network: Network,
    rows: Rows,
    folder: str | PathLike[str],
    options: CertificateOptions | None = None,
    device: Device = CPU,
    *,
    unlabelled: Rows | None = None,
    holdout: Rows | None = None,
    prior: Prior | None = None,
    surrogate: Network | None = None,
    improved: Callable[[Found], object] = lambda _: None,
    fixed: Callable[[str, str], object] = lambda *_: None,
    progress: Progress = lambda *_: None,
) -> Certified:
    """A network of few bits in place of a trained one, and the bound on its error that they give.

    Args:
        network: Trained on the rows.
        rows: The training set; of some of its rows nothing is written, for no statement rests on a choice of rows.
        folder: Where the files go.
        options: How; the defaults of the command line if None.
        device: Where networks are evaluated.
        unlabelled: Rows drawn after the network was fixed; then the statement is about the original.
        holdout: Labelled rows that the network has not seen, for the baseline.
        prior: Then the code holds only the difference from it, and only rows that it has not seen count.
        surrogate: Encoded in its place, towards its decisions; of any architecture, for the same rows and classes. Only
            `unlabelled` ties the two.
        improved: Called with every code that is better than those before.
        fixed: Called with the hashes of the original network and of the code, before unlabelled rows are looked at.
        progress: Told a stage, how much of it is done, and how much there is.

    Raises:
        ModelError: certify-unsupported or certify-vacuous.
        DataError: Rows are copies of each other.
        UsageError: The parts do not belong together.
        OutputError: The files cannot be written.
        InterruptionError: Interrupted before anything was found.
    """
    options = options or CertificateOptions()
    if unlabelled is not None and prior is not None:
        raise UsageError("usage", "A certificate has one object: give `unlabelled` or `prior`, not both.")
    if surrogate is not None and (unlabelled is None or surrogate.classes != network.classes):
        raise UsageError("usage", "`surrogate` needs `unlabelled`, and has as many classes as the model.")
    encoded = surrogate or network
    target = Path(folder)
    trial = rows.count < rows.total
    kind: Object = "prior" if prior else "original_unlabelled" if unlabelled else "compressed"
    encoded.require_finite_weights()
    described = _described(encoded)
    if options.symmetry == "mirror" and (prior is not None or not has_mirror_image(encoded.input_shape)):
        raise UsageError("usage", "`symmetry=mirror` needs rows that are images, and does not go with `prior`.")
    first, remaining = evidence.without_first(rows, 0 if prior is None else prior.rows)
    tensors = None if prior is None else _prior_tensors(prior, described)
    _require_independent(first, remaining, unlabelled, options)
    if not trial:
        require_folder(target, force=options.force)
    evaluate = Evaluation(device, options.threads, progress=progress)
    original = evaluate(network, remaining)
    own, decisions, shape = remaining, original, described.architecture.input_shape
    if surrogate is not None:
        own = _opened(remaining, shape, remaining.preprocessing, surrogate.input_type)
        decisions = evaluate(surrogate, own)
    if prior is None:
        _require_hope(encoded, own, errors(decisions, own.labels), options)
    preprocessing = cheapest(encoded, own, decisions, device, options.threads)
    single = _opened(remaining, shape, preprocessing)
    symmetry = "none" if options.symmetry == "auto" and kind != "compressed" else options.symmetry
    described, outputs, logits = with_symmetry(described, single, symmetry, device, options.threads)
    right = original == remaining.labels
    if described.architecture.mirrored and unlabelled is None:
        right = logits.argmax(axis=1) == remaining.labels
    task = Task(
        network=encoded,
        described=described,
        outputs=outputs,
        logits=logits,
        labels=single.labels,
        right=right,
        prior=tensors,
        preprocessing=preprocessing,
        delta=options.delta / 2 if unlabelled is not None else options.delta,
        targets=options.targets,
    )
    best, interrupted = _best(task, options, improved, progress)
    code = decode(best.data)
    net = decoded(code, tensors)
    model = net.to_bytes()
    counted = errors(evaluate(net, single), single.labels)
    sources = [] if prior is None else [Source("prior", model_hash(prior.network))]
    sources.append(Source("data", remaining.fingerprint(), remaining.count, rows.total))
    code_file = CodeFile.of(best.data, code, model)
    apart: Disagreements | None = None
    if unlabelled is not None:
        fixed(model_hash(network), code_file.sha256)
        apart = _disagreements(network, unlabelled, net, preprocessing, evaluate, known=options.unlabelled_known)
        sources.append(Source("unlabelled", unlabelled.fingerprint(), unlabelled.count, unlabelled.total))
    certificate = Certificate(
        statement=Statement(
            object=kind,
            rows=remaining.count,
            errors=counted,
            bits=8 * len(best.data),
            delta=options.delta,
            classes=network.classes,
            commonest=int(np.bincount(remaining.labels).max()),
            disagreements=apart,
        ),
        code=code_file,
        sources=tuple(sources),
        preprocessing=preprocessing_said(code, preprocessing_in_words(rows.preprocessing) if apart else None),
        reading=reading_of(options.labels_start, network if apart else None),
        model={"sha256": model_hash(network)} if apart else None,
    )
    document = certificate.document()
    files = {} if trial else {CODE: best.data, DECODED: model, CERTIFICATE: canonical_json(document)}
    if files:
        largest = min(len(model), network.path.stat().st_size)
        small = {} if task.prior else quantised(net.model, code)
        files |= {name: content for name, content in small.items() if len(content) < largest}
        write_folder(target, files, force=options.force)
    return Certified(
        document=document,
        verified_with=verified_with(document, target, _files(network, rows, unlabelled, prior), rows.preprocessing),
        interrupted=interrupted,
        files={name: len(content) for name, content in files.items()},
        original=Original.of(network, errors(original, remaining.labels) / remaining.count),
        baselines=() if holdout is None else _baselines(network, net, code, holdout, evaluate, options),
    )


def _files(network: Network, rows: Rows, unlabelled: Rows | None, prior: Prior | None) -> dict[str, object]:
    """Name what a verifier has to give, by the parameters of `verify`."""
    files: dict[str, object] = {"model": network.path, "rows": rows.path}
    files |= {} if unlabelled is None else {"unlabelled": unlabelled.path}
    return files | ({} if prior is None else {"prior": prior.network.path, "prior_rows": prior.rows})


def _described(network: Network) -> Description:
    try:
        return describe(network)
    except Malformed as error:
        raise ModelError(
            "certify-unsupported",
            f"The network cannot be certified: {error}.",
            [Problem(str(network.path), str(error), "a hold-out certificate works for every network: `holdout`")],
        ) from error


def _require_independent(first: Rows, remaining: Rows, unlabelled: Rows | None, options: CertificateOptions) -> None:
    """What a verifier would refuse is refused before the work."""
    repeated = options.repeated_rows
    values = evidence.distinct(remaining)
    evidence.require_distinct(remaining, values, "data", repeated=repeated)
    if first.count:
        roles = "the rows that count", "those of the prior"
        evidence.require_disjoint(values, evidence.distinct(first), roles, repeated=repeated)
    if unlabelled is not None:
        fresh = evidence.distinct(unlabelled)
        evidence.require_distinct(unlabelled, fresh, "unlabelled", repeated=repeated)
        evidence.require_disjoint(values, fresh, ("The labelled rows", "the unlabelled ones"), repeated=repeated)


def _require_hope(network: Network, rows: Rows, wrong: int, options: CertificateOptions) -> None:
    """Say at once that a network is too large for its rows, and how many bits it could have.

    Raises:
        ModelError: certify-vacuous.
    """
    commonest = int(np.bincount(rows.labels).max())
    statement = Statement("compressed", rows.count, 0, 0, options.delta, network.classes, commonest)
    why = hopeless(network, rows.count, wrong, options.delta, statement.chance)
    if not why:
        return
    raise ModelError(
        "certify-vacuous",
        f"This network has {network.parameters:,} parameters, so a certificate of it would almost surely be vacuous.",
        [
            Problem(
                str(network.path), why, "certify a smaller network, on more rows, from a `prior`, or by `holdout` alone"
            )
        ],
    )


def _opened(rows: Rows, shape: tuple[int, ...], preprocessing: Preprocessing, dtype: np.dtype[Any] = _SINGLE) -> Rows:
    """The same rows as another network takes them; a decoded one by the preprocessing that the code spells."""
    array = rows.array
    convert = converter(array.shape[1:], array.dtype, array.name, shape, dtype, preprocessing)
    return replace(rows, convert=convert, preprocessing=preprocessing)


def _prior_tensors(prior: Prior, described: Description) -> Mapping[str, NDArray[np.float32]]:
    other = _described(prior.network)
    if not same_architecture(other.architecture, NetworkCode(described.architecture, ())):
        raise UsageError("usage", "`prior` has another architecture than the model.")
    if all(np.array_equal(other.tensors[name], values) for name, values in described.tensors.items()):
        raise UsageError("usage", "`prior` is the model itself, which has seen all rows.")
    return other.tensors


def _best(
    task: Task, options: CertificateOptions, improved: Callable[[Found], object], progress: Progress
) -> tuple[Found, bool]:
    """The best that the search finds, or has found when it is interrupted."""
    best: Found | None = None
    generator = np.random.Generator(np.random.Philox(options.seed))
    effort = Effort.of(options.effort)
    try:
        for found in search(task, effort, generator, progress):
            if (best is None or found.bound < best.bound) and not (task.prior and is_the_prior(found.code)):
                best = found
                improved(found)
    except KeyboardInterrupt:
        if best is None:
            raise InterruptionError(" before the first round was finished") from None
        return best, True
    if best is None:
        raise ModelError("certify-vacuous", "The search found no code except that of the prior itself.")
    return best, False


def _disagreements(
    network: Network,
    unlabelled: Rows,
    net: Decoded,
    preprocessing: Preprocessing,
    evaluate: Evaluation,
    *,
    known: bool,
) -> Disagreements:
    other = evaluate(net, _opened(unlabelled, net.input_shape, preprocessing))
    return Disagreements(unlabelled.count, disagreements(evaluate(network, unlabelled), other), known)


def _baselines(
    network: Network, net: Decoded, code: NetworkCode, holdout: Rows, evaluate: Evaluation, options: CertificateOptions
) -> tuple[str, ...]:
    found = (
        ("original", evaluate(network, holdout)),
        ("decoded", evaluate(net, _opened(holdout, net.input_shape, code.preprocessing))),
    )
    return tuple(
        holdout_baseline(subject, errors(seen, holdout.labels), holdout.count, options.delta) for subject, seen in found
    )
