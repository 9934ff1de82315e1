"""Plots made of characters, for those who stay in the shell."""

from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_EIGHTHS = " ▏▎▍▌▋▊▉"


def sparkline(counts: Sequence[int]) -> str:
    """A histogram in one line; only an empty bin is blank.

    >>> sparkline([0, 1, 4, 8])
    ' ▁▄█'
    """
    largest = max(counts, default=0)
    return "".join(_BLOCKS[-(-8 * count // largest)] if count else " " for count in counts)


def bar(share: float, width: int) -> str:
    """A bar that fills a share of some characters, to an eighth of one.

    >>> bar(0.53, 4)
    '██▏'
    """
    eighths = round(8 * width * min(max(share, 0.0), 1.0))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8]).rstrip()
