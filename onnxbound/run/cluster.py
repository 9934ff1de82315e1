"""`cluster`: partitions on a Dask cluster, by the same function as in this process."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, Self

from onnxbound.errors import DeviceError, OnnxboundError, Problem, UsageError
from onnxbound.run.executor import Executor
from onnxbound.run.partitions import Arrays, Partition, Recipe, Work

if TYPE_CHECKING:
    from distributed import Future

_RETRIES = 3
"""How often a partition is tried again when its worker is lost."""

_WAITING = 2
"""Partitions per worker that are sent ahead."""


class Cluster(Executor):
    """A Dask scheduler and its workers, or `local:N` processes on this machine."""

    def __init__(self, address: str) -> None:
        """Connect.

        Raises:
            UsageError: Not an address.
            DeviceError: cluster-unavailable: the extra is not installed, or nobody answers.
        """
        try:
            from distributed import Client, LocalCluster
        except ImportError as error:
            problem = Problem("`cluster`", "dask.distributed is missing", "install the extra onnxbound[distributed]")
            raise DeviceError("cluster-unavailable", "The cluster cannot be used.", [problem]) from error
        kind, _, count = address.partition(":")
        self._local: Any = None
        if kind == "local":
            if not count.isdecimal() or int(count) < 1:
                raise UsageError("usage", f"`cluster` must be local:N or the address of a scheduler, not {address!r}.")
            self._local = LocalCluster(n_workers=int(count), threads_per_worker=1, dashboard_address="127.0.0.1:0")
        try:
            self._client = Client(self._local or address, timeout="10s")
        except (OSError, ValueError) as error:
            raise _unavailable(address, str(error).splitlines()[0] if str(error) else "no answer") from error
        self._address = address
        self._recipe: Future | None = None
        self._work: Work | None = None
        self.name = "dask"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()
        if self._local is not None:
            self._local.close()

    def _sent(self, recipe: Callable[[], Recipe]) -> "Future":
        """The recipe on every worker; it travels there once."""
        if self._recipe is None:
            self._recipe = self._client.scatter(recipe(), broadcast=True, hash=False)
        return self._recipe

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        """As they finish; only a few partitions per worker are under way at a time."""
        from concurrent.futures import CancelledError

        from distributed import KilledWorker, as_completed

        if self._work is not work:
            self._work, self._recipe = work, None
        waiting = iter(inputs)
        sent: dict[str, tuple[Partition, Arrays]] = {}
        losses = 0

        def submit(partition: Partition, arrays: Arrays) -> "Future":
            recipe = self._sent(work.recipe)
            future = self._client.submit(_run, recipe, partition.stage, dict(arrays), pure=False, retries=_RETRIES)
            sent[future.key] = partition, arrays
            return future

        try:
            ahead = _WAITING * max(1, len(self._client.scheduler_info()["workers"]))
            running = as_completed([submit(*item) for item in islice(waiting, ahead)])
            for future in running:
                partition, arrays = sent.pop(future.key)
                try:
                    result = future.result()
                except CancelledError:
                    # Every worker that held the model is gone; those that are left, or come back, need it again.
                    losses += 1
                    if losses > _RETRIES * ahead:
                        raise
                    self._recipe = None
                    running.add(submit(partition, arrays))
                    continue
                for item in islice(waiting, 1):
                    running.add(submit(*item))
                yield partition, result
        except (OSError, CancelledError, KilledWorker) as error:
            raise _unavailable(self._address, f"{type(error).__name__}: {error}") from error
        except Exception as error:  # a client that has given up raises whatever it stumbles over
            if isinstance(error, OnnxboundError) or self._client.status == "running":
                raise
            raise _unavailable(self._address, "the connection is closed") from error


def _run(recipe: Recipe, stage: str, inputs: Arrays) -> Arrays:
    """One partition on a worker, which builds the work when it first meets it."""
    key = repr(recipe)
    if key not in _BUILT:
        _BUILT.clear()
        _BUILT[key] = recipe.build()
    return _BUILT[key].run(stage, inputs)


_BUILT: dict[str, Work] = {}


def _unavailable(address: str, why: str) -> DeviceError:
    problem = Problem(
        f"`cluster={address}`", why, "check that the scheduler runs and has workers; `run` keeps what is done"
    )
    return DeviceError("cluster-unavailable", "The cluster does not answer.", [problem])
