"""`cluster="local:N"`: partitions in processes on this machine, which only their parent can reach."""

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Self

from threadpoolctl import threadpool_limits

from onnxbound.errors import DeviceError, Problem
from onnxbound.run.executor import Executor
from onnxbound.run.partitions import Arrays, Partition, Recipe, Work
from onnxbound.run.scratch import remove_left

_RETRIES = 3
"""How often in a row a process may be lost."""

_CONTEXT = get_context("spawn")
_ENDING = {getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)}


@dataclass(frozen=True, slots=True, eq=False)
class _Child:
    """A process and the pipe to it, which ends when either end does."""

    process: BaseProcess
    pipe: Connection


class Processes(Executor):
    """A pool of processes, each of which computes one partition at a time."""

    name = "processes"

    def __init__(self, count: int) -> None:
        self._count = count
        self._work: Work | None = None
        self._recipe: Recipe | None = None
        self._children: list[_Child] = []
        self._idle: list[_Child] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end(self._children)
        remove_left()

    def map(self, work: Work, inputs: Iterable[tuple[Partition, Arrays]]) -> Iterator[tuple[Partition, Arrays]]:
        """Yield results as partitions finish; a partition whose process is lost is computed by another one.

        Raises:
            DeviceError: cluster-unavailable, several processes in a row are lost.
        """
        if self._work is not work:
            self._end(self._idle)
            self._work, self._recipe = work, None
        waiting, again = iter(inputs), list[tuple[Partition, Arrays]]()
        busy: dict[Any, tuple[_Child, tuple[Partition, Arrays]]] = {}
        losses = 0
        try:
            while True:
                while len(busy) < self._count and (task := again.pop() if again else next(waiting, None)):
                    if not self._idle:
                        self._start(work, self._count - len(busy))
                    child = self._idle.pop()
                    busy[child.pipe] = child, task
                    _send(child, (task[0].stage, dict(task[1])))
                if not busy:
                    return
                for pipe in wait(list(busy)):
                    child, task = busy[pipe]
                    try:
                        answer = child.pipe.recv()
                    except (EOFError, OSError) as error:
                        losses += 1
                        if losses > _RETRIES:
                            raise _lost() from error
                        self._end([child])
                        again.append(task)
                        continue
                    finally:
                        del busy[pipe]
                    self._idle.append(child)
                    if isinstance(answer, Exception):
                        raise answer
                    losses = 0
                    yield task[0], answer
        finally:
            self._end([child for child, _ in busy.values()])  # what they are at, nobody waits for

    def _start(self, work: Work, count: int) -> None:
        """Start processes; while one is sent its work, the others come up."""
        if self._recipe is None:
            self._recipe = work.recipe()
        resource_tracker.ensure_running()  # it would unblock the signals
        block = getattr(signal, "pthread_sigmask", None)
        # Children begin with these blocked: Ctrl-C reaches them too, and would make them print where they were.
        before = block(signal.SIG_BLOCK, _ENDING) if block is not None else None
        started = []
        try:
            for _ in range(count):
                ours, theirs = _CONTEXT.Pipe()
                process = _CONTEXT.Process(target=_serve, args=(theirs,), daemon=True)
                process.start()
                theirs.close()
                started.append(_Child(process, ours))
                self._children.append(started[-1])
        finally:
            if block is not None:
                block(signal.SIG_SETMASK, before)
        for child in started:
            _send(child, self._recipe)
        self._idle += started

    def _end(self, children: Iterable[_Child]) -> None:
        for child in list(children):
            child.pipe.close()
            child.process.kill()
            child.process.join()
            self._children.remove(child)
            if child in self._idle:
                self._idle.remove(child)


def _send(child: _Child, message: object) -> None:
    """Send; a child that is gone shows when its answer is waited for."""
    with suppress(OSError):
        child.pipe.send(message)


def _serve(pipe: Connection) -> None:
    """What a child does: build the work, and compute partitions until its parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # of libraries that are loaded later; those that are there are limited next
    work: Work | None = None
    with suppress(EOFError, OSError), threadpool_limits(1):
        recipe: Recipe = pipe.recv()
        while True:
            stage, inputs = pipe.recv()
            try:
                work = work or recipe.build()
                answer: object = work.run(stage, inputs)
            except Exception as error:  # noqa: BLE001 - it is raised where the partition is waited for
                answer = error
            pipe.send(answer)


def _lost() -> DeviceError:
    why = f"{_RETRIES + 1} processes ended immediately, one after the other"
    problem = Problem("`cluster`", why, "check that there is enough memory; with `run`, finished partitions are kept")
    return DeviceError("cluster-unavailable", "All worker processes ended.", [problem])
