"""What ends a process from outside interrupts it, as Ctrl-C does, and is remembered.

A library may make an error of its own of an interrupt, as the import of an extension in C++ does.
"""

import signal
from types import FrameType

received: list[int] = []
"""Signals that have interrupted this process."""


def heed_signals() -> None:
    """Make an interrupt of SIGINT, SIGTERM and SIGHUP, where they are not ignored, as by nohup."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number is not None and signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)


def _interrupt(number: int, _: FrameType | None) -> None:
    received.append(number)
    raise KeyboardInterrupt
