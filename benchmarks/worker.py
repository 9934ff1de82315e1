"""One engine in a process of its own: a line on stdin names a task, a line on stdout answers in JSON.

Engines keep their own thread pools, whose idle threads would disturb one another inside one process. Workers take
turns instead: a worker that has no task sleeps on its stdin.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).parents[1]
TUNING = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
"""Variables that tune OpenBLAS for one processor: a user does not have them, so a benchmark must not."""


def environment(threads: int) -> dict[str, str]:
    """The environment of a worker: a fixed number of threads and none of the variables in `TUNING`."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {name: value for name, value in os.environ.items() if name not in TUNING} | counts


class Worker:
    """A child process that runs the tasks of one engine."""

    def __init__(self, engine: str, rows: int, threads: int) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", engine, str(rows), str(threads)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment(threads), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Self:
        """The worker, already starting."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End of input ends the worker."""
        self._process.communicate()

    def __call__(self, task: str) -> Any:
        """The answer to a task."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(task + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker ended with {self._process.wait()} at the task {task}")
        return json.loads(answer)


def seconds(task: Callable[[], object]) -> float:
    """Duration of one call."""
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def main() -> None:
    """Answer until the input ends."""
    engine, rows, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    tasks: Mapping[str, Callable[[], Any]] = import_module(f"benchmarks.{engine}").tasks(rows, threads)
    for line in sys.stdin:
        print(json.dumps(tasks[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
