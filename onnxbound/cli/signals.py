"""Signals that end a process interrupt it like Ctrl-C, and are remembered.

An interrupt waits for the end of an import, since an extension in C++ would print a traceback and raise another error.
Other libraries may raise another error too, so signals are remembered.
"""

import signal
from types import FrameType

received: list[int] = []
"""Signals that have interrupted this process."""

_SOON = 0.02
"""Seconds between two looks at whether the import has ended."""


def heed_signals() -> None:
    """Let SIGINT, SIGTERM and SIGHUP interrupt, unless they are ignored, as under nohup."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _interrupt)


def _interrupt(number: int, frame: FrameType | None) -> None:
    waited = number == getattr(signal, "SIGALRM", None)
    if not waited:
        received.append(number)
    timer = getattr(signal, "setitimer", None)
    if timer is not None:
        # A second signal interrupts at once.
        waits = len(received) == 1 and _importing(frame)
        timer(signal.ITIMER_REAL, _SOON if waits else 0)
        if waits:
            return
    if received:
        raise KeyboardInterrupt


def _importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False
