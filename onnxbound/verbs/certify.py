"""`certify`."""

from collections.abc import Callable
from pathlib import Path

from onnxbound.certificates.certify import Prior
from onnxbound.certificates.certify import certify as searched
from onnxbound.certificates.request import CertificateOptions, Certified
from onnxbound.certificates.task import Found
from onnxbound.certificates.unseen_rows import certify_holdout
from onnxbound.data.rows import Rows
from onnxbound.errors import UsageError
from onnxbound.progress import Watcher, watched
from onnxbound.run.device import resolve_device
from onnxbound.verbs.arguments import AnyNetwork, AnyPath, network_of, require_rows


def certify(
    network: AnyNetwork,
    rows: Rows | None,
    folder: AnyPath,
    settings: CertificateOptions | None = None,
    *,
    device: str = "auto",
    unlabelled: Rows | None = None,
    holdout: Rows | None = None,
    prior: AnyNetwork | None = None,
    prior_rows: int | None = None,
    surrogate: AnyNetwork | None = None,
    improved: Callable[[Found], object] | None = None,
    fixed: Callable[[str, str], object] | None = None,
    progress: Watcher = None,
) -> Certified:
    """Encode a network in few bits, and prove an error bound that anyone can verify.

    Args:
        network: The network, trained on the rows.
        rows: The whole training set. None makes a certificate from `holdout` alone.
        folder: The folder to write.
        settings: The options of the search and of the statement.
        device: "auto", "cpu", "cuda" or "cuda:N".
        unlabelled: Fresh rows without labels. With them, the bound is for the original network.
        holdout: Labelled rows that the network has not seen. With `rows`, they serve only for comparison.
        prior: A network that was trained on the first `prior_rows` rows only. The code then holds only the difference
            from it.
        prior_rows: Number of rows that the prior has seen; 0 for an initialisation.
        surrogate: With `unlabelled`, a smaller network of any architecture to encode instead of the original.
        improved: Called with each code that is better than all earlier ones.
        fixed: Called with the hashes of model and code, before either runs on the unlabelled rows.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        The certificate, and the names and sizes of its files.

    Raises:
        ModelError: certify-unsupported or certify-vacuous.
        UsageError: Arguments do not fit together.
        OutputError: The files cannot be written.

    >>> from onnxbound import Preprocessing, certify, load, open_rows, verify
    >>> from tempfile import TemporaryDirectory
    >>> network = load("fixtures/mnist_logistic.onnx")
    >>> how = Preprocessing(scale=1 / 255, layout="flat")
    >>> unseen = open_rows("fixtures/data/mnist.npz", network, how, role="test")
    >>> with TemporaryDirectory() as folder:
    ...     certified = certify(network, None, folder, holdout=unseen, device="cpu")
    ...     verify(folder, holdout=unseen, model=network, preprocessing=how).errors == certified.document["errors"]
    True
    """
    require_rows(rows=rows, unlabelled=unlabelled, holdout=holdout)
    if (prior is None) != (prior_rows is None):
        raise UsageError("usage", "`prior` and `prior_rows` go together; for an initialisation the rows are 0.")
    if rows is None and (holdout is None or unlabelled is not None or prior is not None):
        why = "certify needs `rows`, the training set; without it a certificate is of `holdout` alone."
        raise UsageError("usage", why)
    net, where, options = network_of(network), resolve_device(device), settings or CertificateOptions()
    known = None if prior is None or prior_rows is None else Prior(network_of(prior), prior_rows)
    with watched(progress) as shown:
        if rows is None:
            assert holdout is not None
            return certify_holdout(net, holdout, Path(folder), options, where, shown)
        return searched(
            net,
            rows,
            folder,
            options,
            where,
            unlabelled=unlabelled,
            holdout=holdout,
            prior=known,
            surrogate=None if surrogate is None else network_of(surrogate),
            improved=improved or _nobody_listens,
            fixed=fixed or _nobody_listens,
            progress=shown,
        )


def _nobody_listens(*_: object) -> None:
    pass
