"""`cluster`: partitions on a Dask cluster, by the same function as in this process.

Whoever reaches a Dask scheduler runs code as its workers and as its clients: Dask knows no other user. With an address
`tls://`, only holders of a certificate reach it; it is taken from Dask's own configuration, say from the variables
`DASK_DISTRIBUTED__COMM__TLS__CA_FILE`, `..._CLIENT__CERT` and `..._CLIENT__KEY`.
"""

import logging
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from onnxbound.errors import DeviceError, OnnxboundError, Problem, UsageError, argument, extra_hint
from onnxbound.run.executor import Executor
from onnxbound.run.partitions import Arrays, Partition, Recipe, Work
from onnxbound.run.processes import Processes

if TYPE_CHECKING:
    from distributed import Future

_RETRIES = 3
"""How often a partition is tried again when its worker is lost."""

_LOGGERS = ("distributed", "distributed.client")
"""Those to which Dask gives handlers of its own."""

_WAITING = 2
"""Partitions per worker that are sent ahead."""


def open_cluster(address: str) -> "Processes | Cluster":
    """Start processes on this machine for `local:N`, otherwise connect to the scheduler of a Dask cluster.

    Raises:
        UsageError: The address is invalid.
        DeviceError: cluster-unavailable.
    """
    kind, _, count = address.partition(":")
    if kind != "local":
        return Cluster(address)
    if not count.isdecimal() or int(count) < 1:
        raise UsageError("usage", f"`cluster` must be local:N or the address of a scheduler, not {address!r}.")
    return Processes(int(count))


def exposure(address: str) -> list[str]:
    """A warning about that address; empty where only holders of a certificate reach the cluster."""
    if address.startswith(("local:", "tls://")):
        return []
    return [f"anyone who reaches {address} can run code as you, here and on the workers; tls:// requires certificates"]


class Cluster(Executor):
    """A Dask scheduler and its workers."""

    name = "dask"

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            DeviceError: cluster-unavailable: the extra is not installed, or nobody answers.
        """
        try:
            from dask import config
            from distributed import Client
        except ImportError as error:
            problem = Problem("`cluster`", "dask.distributed is missing", extra_hint("distributed"))
            raise DeviceError("cluster-unavailable", "The cluster cannot be used.", [problem]) from error
        self._address = address
        self._recipe: Future | None = None
        self._work: Work | None = None
        with ExitStack() as stack:
            stack.enter_context(_without_tracebacks())
            stack.enter_context(config.set({"distributed.admin.large-graph-warning-threshold": "1GB"}))
            try:
                self._client = stack.enter_context(Client(address, timeout="10s"))
            except (OSError, ValueError, TypeError) as error:
                raise _unavailable(address, str(error).splitlines()[0] if str(error) else "no answer") from error
            self._connected = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connected.close()

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        """Yield results as partitions finish; only a few partitions per worker are under way at a time.

        Raises:
            DeviceError: cluster-unavailable, for any error of Dask; errors of the work itself are yielded as values.
        """
        from distributed import as_completed

        if self._work is not work:
            self._work, self._recipe = work, None
        waiting = iter(inputs)
        sent: dict[str, tuple[Partition, Arrays]] = {}
        losses = 0
        with self._answering():
            ahead = _WAITING * max(1, len(self._client.scheduler_info().get("workers", ())))
            running = as_completed()
        while True:
            for partition, arrays in islice(waiting, ahead - len(sent)):
                self._submit(partition, arrays, sent, running)
            if not sent:
                return
            with self._answering():
                future = next(running)
                partition, arrays = sent.pop(future.key)
                try:
                    result = future.result()
                except CancelledError:
                    # Every worker that held the model is gone; those that are left, or come back, need it again.
                    losses += 1
                    if losses > _RETRIES * ahead:
                        raise
                    self._recipe = None
                    self._submit(partition, arrays, sent, running)
                    continue
            if isinstance(result, Exception):
                raise result
            yield partition, result

    def _submit(self, partition: Partition, arrays: Arrays, sent: dict[str, Any], running: Any) -> None:
        """Send a partition, and before it the recipe, which travels once."""
        assert self._work is not None
        recipe = self._work.recipe() if self._recipe is None else None
        with self._answering():
            if recipe is not None:
                self._recipe = self._client.scatter(recipe, broadcast=True, hash=False)
            words = self._recipe, partition.stage, dict(arrays)
            future = self._client.submit(_run, *words, pure=False, retries=_RETRIES)
            sent[future.key] = partition, arrays
            running.add(future)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """What goes wrong inside is the cluster's fault: Dask raises any kind of error where a connection is lost."""
        try:
            yield
        except OnnxboundError:
            raise
        except Exception as error:
            raise _unavailable(self._address, f"the connection was lost: {type(error).__name__}: {error}") from error


@contextmanager
def _without_tracebacks() -> Iterator[None]:
    """What goes wrong is raised; Dask logs it too, with the tracebacks of its tasks."""
    handlers = {handler for name in _LOGGERS for handler in logging.getLogger(name).handlers}
    levels = [(handler, handler.level) for handler in handlers]
    for handler in handlers:
        handler.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for handler, level in levels:
            handler.setLevel(level)


def _run(recipe: Recipe, stage: str, inputs: Arrays) -> Arrays | Exception:
    """One partition on a worker, which builds the work when it first meets it; or what went wrong with it."""
    key = repr(recipe)
    try:
        if key not in _BUILT:
            _BUILT.clear()
            _BUILT[key] = recipe.build()
        return _BUILT[key].run(stage, inputs)
    except Exception as error:  # noqa: BLE001 - it is raised where the partition is waited for
        return error


_BUILT: dict[str, Work] = {}


def _unavailable(address: str, why: str) -> DeviceError:
    do = "check that the scheduler runs and has workers; with `run`, finished partitions are kept"
    problem = Problem(argument("cluster", address), why, do)
    return DeviceError("cluster-unavailable", "The cluster does not answer.", [problem])
