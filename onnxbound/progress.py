"""Progress with rate and time left, in a terminal and in a notebook."""

import io
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Self

from onnxbound.stability.collect import Progress, silent

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Watcher = Progress | Literal[False] | None
"""A function of (stage, done, total); None shows progress in a terminal or a notebook, False shows nothing."""

_STAGES = {
    "nets": "nets",
    "forward": "forward pass",
    "test": "test set",
    "measure": "Jacobians and smoothness",
    "weights": "noise in the weights",
    "norms": "norms of the weights",
    "compression": "noise of compression",
    "compare": "compressed net on all rows",
    "sweep": "other budgets",
    "evaluate": "deciding every row",
    "search": "batches of the search",
}
_EVERY = 0.2
"""Seconds between two pictures in a notebook."""


class Display:
    """Shows progress, and remembers it for the message of an interruption."""

    def __init__(self, *, shown: bool = True) -> None:
        """Show nothing if that is asked for, or outside of a terminal and a notebook."""
        self._shown = shown
        self._bars: Bars | None = None
        self._cell: Any = None
        self._drawn = 0.0
        self._reading: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._done: dict[str, tuple[int, int]] = {}
        self._started: dict[str, float] = {}

    def __enter__(self) -> Self:
        notebook = _in_notebook()
        if self._shown and (notebook or sys.stderr.isatty()):
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
            self._reading = self._bars.add_task("reading net and rows", total=None, rate="")
            if notebook:
                from IPython.display import display

                show: Any = display
                self._cell = show({"text/plain": ""}, raw=True, display_id=True)
            else:
                self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._cell is not None:
            self._cell.update({"text/plain": ""}, raw=True)
        elif self._bars is not None:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Show that `done` of `total` of a stage are finished; a stage begins again for each net."""
        begins = stage not in self._done or done < self._done[stage][0]
        self._done[stage] = done, total
        if begins:
            self._started[stage] = time.perf_counter()
        if self._bars is None:
            return
        if self._reading is not None:
            self._bars.remove_task(self._reading)
            self._reading = None
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(_STAGES.get(stage, stage), total=total, rate="")
        elif begins:
            self._bars.reset(self._tasks[stage], total=total)
        rate = done / max(time.perf_counter() - self._started[stage], 1e-9)
        said = f"{rate:,.0f}/s" if rate >= 1 else ""
        self._bars.update(self._tasks[stage], completed=done, total=total, rate=said)
        if self._cell is not None and (done == total or time.perf_counter() - self._drawn > _EVERY):
            self._draw(self._bars)

    def _draw(self, bars: "Bars") -> None:
        """Write the bars into the notebook's cell as text, which needs no widgets."""
        from rich.console import Console

        text = io.StringIO()
        Console(file=text, width=100, force_jupyter=False).print(bars.get_renderable())
        self._cell.update({"text/plain": text.getvalue()}, raw=True)
        self._drawn = time.perf_counter()

    def under_way(self) -> str:
        """Return the stages that are not finished, in words; empty if there is none."""
        stages = ((_STAGES.get(stage, stage), done, total) for stage, (done, total) in self._done.items())
        unfinished = [f"{name}, {done} of {total} done" for name, done, total in stages if done < total]
        return f" during {'; '.join(unfinished)}" if unfinished else ""


def watched(progress: Watcher) -> AbstractContextManager[Progress]:
    """Return a context whose value receives progress."""
    return Display() if progress is None else nullcontext(progress or silent)


def _in_notebook() -> bool:
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")
