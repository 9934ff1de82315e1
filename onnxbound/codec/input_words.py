"""Which tensors a node reads."""

from bisect import bisect, bisect_left

from onnxbound.codec.grammar import Grammar
from onnxbound.codec.range_coder import Malformed

_MOST = 1 << 10


def code_inputs(g: Grammar, given: tuple[int, ...] | None, count: int, last: int, unread: list[int]) -> tuple[int, ...]:
    """The tensors that are read, by rank: those in `unread`, which ascends, rank first; newer before older in both."""
    if count == 0:
        pair = g.flag(None if given is None else len(given) == 2, 15, 1)
        count = 2 if pair else g.unusual(1 + g.natural(None if given is None else len(given) - 1), (2,))
    if count > _MOST:
        raise Malformed("an operator reads too many tensors")
    read: list[int] = []
    for place in range(count):
        rank = None if given is None else _rank(given[place], last, unread)
        if last == 0:
            away = 0
        elif place == 0:
            first = g.flag(None if rank is None else rank == 0, 27, 5)
            away = 0 if first else 1 + g.natural(None if rank is None else rank - 1)
        else:
            away = g.natural(rank)
        if away > last:
            raise Malformed("an operator reads a tensor that does not exist")
        if away < len(unread):
            read.append(unread.pop(-1 - away))
        else:  # of those that were read before, last - away are older
            read.append(bisect(range(last + 1), last - away, key=lambda k: k + 1 - bisect(unread, k)))
    return tuple(read)


def _rank(tensor: int, last: int, unread: list[int]) -> int:
    """How many tensors come before one: of the unread the newer, or all of them and of the others the newer."""
    place = bisect_left(unread, tensor)
    if place < len(unread) and unread[place] == tensor:
        return len(unread) - 1 - place
    return last - tensor + place
