"""Progress is seen where somebody watches, and only there."""

import io
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from onnxbound.progress import Display, watched


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = Terminal()
    monkeypatch.setattr(sys, "stderr", shown)
    with watched(None) as progress:
        time.sleep(0.3)  # three pictures
        assert "reading net and rows" in shown.getvalue()
        progress("forward", 5, 10)
        shown.truncate(0)
    assert "reading" not in shown.getvalue()
    assert "forward pass" in shown.getvalue()
    assert "5/10" in shown.getvalue()


def test_nothing_in_a_pipe_or_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, terminal = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stderr", pipe)
    with watched(None) as progress:
        progress("forward", 5, 10)
    monkeypatch.setattr(sys, "stderr", terminal)
    with watched(False) as progress, Display(shown=False) as display:
        progress("forward", 5, 10)
        display("forward", 5, 10)
    assert pipe.getvalue() == terminal.getvalue() == ""


def test_a_callable_receives_everything() -> None:
    seen: list[tuple[str, int, int]] = []
    with watched(lambda *call: seen.append(call)) as progress:
        progress("forward", 5, 10)
    assert seen == [("forward", 5, 10)]


def test_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """One cell of text, which the next picture replaces and the end empties."""
    pictures: list[str] = []

    def display(data: dict[str, str], *, raw: bool, display_id: bool) -> Any:
        assert raw
        assert display_id
        return SimpleNamespace(update=lambda data, **_: pictures.append(data["text/plain"]))

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())  # type: ignore[attr-defined]
    module.display = display  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    with watched(None) as progress:
        for done in range(11):
            progress("forward", done, 10)
    assert any("forward pass" in picture and "10/10" in picture for picture in pictures)
    assert len(pictures) < 8
    assert pictures[-1] == ""
    assert not any("\x1b" in picture for picture in pictures)


def test_python_without_a_notebook_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ipython = ModuleType("IPython")
    ipython.get_ipython = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    with watched(None) as progress:
        progress("forward", 5, 10)
    assert sys.stderr.getvalue() == ""  # type: ignore[attr-defined]
