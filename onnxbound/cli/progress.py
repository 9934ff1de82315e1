"""Progress on stderr, with rate and time left; only on a terminal."""

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from onnxbound.errors import InterruptionError

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

_STAGES = {
    "nets": "nets",
    "forward": "forward pass",
    "test": "test set",
    "measure": "Jacobians and smoothness",
    "norms": "norms of the weights",
    "compression": "noise of compression",
    "compare": "compressed net on all rows",
    "sweep": "other budgets",
    "evaluate": "deciding every row",
    "search": "rounds of the search",
}


class Progress:
    """Receives (stage, done, total) and shows it; remembers it for the message of an interruption."""

    def __init__(self, *, quiet: bool, kept: Path | None = None) -> None:
        """Nothing is shown where that is not wanted or nobody watches; `kept` is the folder of the run, if any."""
        self._kept = kept
        self._shown = sys.stderr.isatty() and not quiet
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, tuple[int, int]] = {}
        self._started: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._shown:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bars

            columns = (
                TextColumn("{task.description:<26}"),
                BarColumn(bar_width=20),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
            )
            self._bars = Bars(*columns, console=Console(stderr=True), transient=True)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()
        if kind is KeyboardInterrupt:
            raise InterruptionError(self._where(), self._kept) from None

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` of a stage are finished; a stage that begins again is that of the next net."""
        begins = stage not in self._done or done < self._done[stage][0]
        self._done[stage] = done, total
        if begins:
            self._started[stage] = time.perf_counter()
        if self._bars is None:
            return
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_STAGES.get(stage, stage), total=total, rate="")
        elif begins:
            self._bars.reset(self._tasks[stage], total=total)
        rate = done / max(time.perf_counter() - self._started[stage], 1e-9)
        said = f"{rate:,.0f}/s" if rate >= 1 else ""
        self._bars.update(self._tasks[stage], completed=done, total=total, rate=said)

    def _where(self) -> str:
        """What was under way."""
        stages = ((_STAGES.get(stage, stage), done, total) for stage, (done, total) in self._done.items())
        unfinished = [f"{name}, {done} of {total} done" for name, done, total in stages if done < total]
        return f" during {'; '.join(unfinished)}" if unfinished else ""
