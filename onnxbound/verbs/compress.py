"""`compress` and `decompress`."""

from collections.abc import Callable
from pathlib import Path

from onnxbound.analysis.analyze import analyze
from onnxbound.analysis.settings import Settings
from onnxbound.compressors.compress import compress as compressed
from onnxbound.compressors.compression import Compression
from onnxbound.compressors.decompression import Decompression
from onnxbound.compressors.decompression import decompress as restored
from onnxbound.compressors.margin_budget import Analysed
from onnxbound.compressors.request import Request
from onnxbound.data.rows import Rows
from onnxbound.graph.network import Network
from onnxbound.progress import Watcher, watched
from onnxbound.stability.collect import Progress
from onnxbound.verbs.arguments import AnyNetwork, AnyPath, network_of, require_rows

_DEFAULT = Request()


def compress(
    network: AnyNetwork,
    rows: Rows | None,
    output: AnyPath,
    settings: Request = _DEFAULT,
    *,
    test: Rows | None = None,
    init: AnyNetwork | None = None,
    codes: AnyPath | None = None,
    force: bool = False,
    progress: Watcher = None,
) -> Compression:
    """Write a network as a smaller ONNX file, by default of about the same accuracy.

    Args:
        network: The network.
        rows: The training set. If None, outputs are compared on Gaussian noise, and no accuracy or bound is computed.
        output: The ONNX file to write.
        settings: Method and budget. The default is the smallest file that loses at most 0.5 % accuracy.
        test: Rows that neither network has seen. They prove how far accuracy can fall.
        init: The initialisation of the network. Only the difference from it is compressed.
        codes: A file to write an entropy code to, for `decompress`. The search then minimises the code's size.
        force: Whether to overwrite existing files.
        progress: Called with (stage, done, total). None shows a bar, False shows nothing.

    Returns:
        The changes of each layer, and of outputs, accuracy, file size and running time.

    Raises:
        UsageError: The settings do not fit the network. The error codes begin with compress-.
        ModelError: A weight is not finite, or the model cannot be run.
        OutputError: A file exists, or cannot be written.

    >>> from onnxbound import Budget, Method, Request, compress
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     compress("fixtures/mnist_mlp.onnx", None, f"{folder}/small.onnx", Request(Method("svd"), Budget("rank", 5)))
    <Compression of fixtures/mnist_mlp.onnx by svd: 211,357 bytes to 211,787>
    """
    require_rows(rows=rows)
    net = network_of(network)
    with watched(progress) as shown:
        return compressed(
            net,
            Path(output),
            settings,
            rows,
            analysis=None if rows is None else _analysis(net, rows, settings, shown),
            test=test,
            init=None if init is None else network_of(init),
            codes=None if codes is None else Path(codes),
            force=force,
            progress=shown,
        )


def _analysis(network: Network, rows: Rows, request: Request, progress: Progress) -> Callable[[], Analysed]:
    """What makes the analysis of the original that bounds and budgets of a margin need."""

    def analysed() -> Analysed:
        by_margin = request.budget is not None and request.budget.knob == "gamma"
        settings = Settings(
            measured=request.measured,
            gamma=request.budget.value if request.budget is not None and by_margin else request.gamma,
            gamma_quantile=request.gamma_quantile,
            delta=request.delta,
            seed=request.method.seed,
            device=request.device,
            threads=request.threads,
        )
        report = analyze(network, rows, settings, progress=progress)
        return Analysed(
            conditions=report.conditions.layers,
            contraction=max(1.0, report.conditions.between_contraction),
            max_logit=report.margin.max_logit_norm,
            max_input=report.data.largest_input_norm,
            rows=report.data.rows,
            effective_parameters=[layer.effective_parameters for layer in report.layers],
            bounds=report.bounds,
        )

    return analysed


def decompress(
    codes: AnyPath, output: AnyPath, *, init: AnyNetwork | None = None, threads: int | None = None, force: bool = False
) -> Decompression:
    """Restore an ONNX file from its entropy code, bit for bit.

    Args:
        codes: The file that `compress` wrote as `codes`.
        output: The ONNX file to write.
        init: The network that `compress` was given as `init`.
        threads: Number of threads; None for all cores.
        force: Whether to overwrite an existing file.

    Returns:
        The two files and their sizes.

    Raises:
        DataError: data-not-found or codes-invalid.
        UsageError: compress-init.
        OutputError: output-exists or output-unwritable.

    >>> from onnxbound import Budget, Method, Request, compress, decompress
    >>> from tempfile import TemporaryDirectory
    >>> settings = Request(Method("matrix-project"), Budget("k", 100))
    >>> with TemporaryDirectory() as folder:
    ...     first, again, codes = (f"{folder}/{name}" for name in ("first.onnx", "again.onnx", "codes"))
    ...     _ = compress("fixtures/mnist_logistic.onnx", None, first, settings, codes=codes)
    ...     _ = decompress(codes, again)
    ...     Path(first).read_bytes() == Path(again).read_bytes()
    True
    """
    known = None if init is None else network_of(init)
    size = restored(Path(codes), Path(output), known, threads=threads, force=force)
    return Decompression(str(codes), str(output), Path(codes).stat().st_size, size)
