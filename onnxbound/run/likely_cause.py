"""Find what is probably wrong with rows on which a net errs: try simple guesses on a few rows, the best on more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from math import hypot, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from onnxbound.data.rows import Rows
from onnxbound.errors import argument
from onnxbound.graph.network import Network
from onnxbound.run.device import Device
from onnxbound.run.guesses import Guess, guesses
from onnxbound.run.logits import Logits
from onnxbound.words import percent

_SHARE, _LEAST = 1 / 4, 0.01
"""A guess is worth saying if it takes away this share of the errors, and errors on so many of the rows."""

_BETTER = 0.02
"""By so much, and by that share of the errors, a later guess has to beat an earlier, simpler one."""

_NEAR_CHANCE, _ORDER = 0.8, 0.5
"""Shares of the error of guessing from which two mistakes at once are guessed, and another order of the classes."""

_SCREENED, _CONFIRMED, _MOST = 64, 512, 2048
"""Rows of either kind that every guess is tried on, rows that the best are tried on, and rows in all."""

_PRODUCTS, _FEWEST = 1e11, 4
"""Multiply-adds that all guesses may take together, once on few rows and once on more; rows of either kind at least."""

_FINALISTS = 3
_ERRORS = 4
"""So many standard errors may be chance."""

_ENTRIES = 1 << 22
"""Entries of rows that are read at a time."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Something else that makes a net much better on its rows.

    Attributes:
        words: The change, with parameters in backticks.
        parameters: The parameters to change, where the change is one of parameters.
        before: Share of the rows that the net errs on as they were given.
        after: The same with the change, estimated.
        tried: How many rows the estimate rests on.
    """

    words: str
    parameters: Mapping[str, Any]
    before: float
    after: float
    tried: int

    def __str__(self) -> str:
        return (
            f"with {self.words} the net errs on about {percent(self.after)} of the rows instead of"
            f" {percent(self.before)}, judging by a trial on {self.tried} rows"
        )


def likely_cause(
    network: Network, rows: Rows, device: Device, threads: int | None, wrong: NDArray[np.bool_]
) -> Cause | None:
    """The guess about scale, mean, std, layout, order and labels that helps most, if one helps much.

    A guess is tried on rows that the net gets wrong, where it can win, and on rows that it gets right, where it can
    lose: where the net errs on a share e of all rows, it gains e P(right | wrong now) - (1 - e) P(wrong | right now).

    Args:
        network: The net.
        rows: Its rows.
        device: Where it runs.
        threads: Threads of onnxruntime; None for all cores.
        wrong: Which rows it errs on, (m,).
    """
    error = float(wrong.mean())
    needed = max(_SHARE * error, _LEAST)
    if error < needed:
        return None
    chance, trials = 1 - 1 / network.classes, _Trials(network, rows, Logits(network, device, threads), wrong, error)
    every = guesses(network, rows, together=error > _NEAR_CHANCE * chance)
    per_row = network.multiply_adds

    def affordable(rows: int, tried: int) -> int:
        return min(rows, max(_FEWEST, int(_PRODUCTS / (2 * tried * per_row))))

    screened = trials.outcomes(every, *2 * [affordable(_SCREENED, len(every))])
    most = max(outcome.gain for outcome in screened)
    finalists = sorted(screened, key=lambda outcome: -outcome.gain)[:_FINALISTS]
    best: _Outcome | None = None
    for finalist in sorted(
        (outcome for outcome in finalists if outcome.gain >= max(needed, most) / 2), key=screened.index
    ):
        enough = needed if best is None else best.gain + max(_BETTER, _SHARE * (error - best.gain))
        more = affordable(_CONFIRMED, _FINALISTS), affordable(max(_CONFIRMED, round(20 / error)), _FINALISTS)
        for outcome in trials.outcomes([finalist.guess], *more):
            if outcome.start == finalist.start and outcome.gain >= enough and outcome.sure_gain > 0:
                best = outcome
        if best is not None and error - best.gain < _BETTER:  # no other can beat it
            break
    if best is not None:
        return trials.cause(best)
    return trials.another_order(needed) if error > _ORDER * chance else None


@dataclass(frozen=True)
class _Outcome:
    """What came of a guess.

    Attributes:
        guess: It.
        start: By how much the labels start later.
        gain: Share of all rows that it sets right, less those that it spoils.
        sure_gain: What of that is hardly chance.
        tried: These.
    """

    guess: Guess
    start: int
    gain: float
    sure_gain: float
    tried: int


@dataclass(frozen=True)
class _Trials:
    """What guesses are tried with."""

    network: Network
    rows: Rows
    logits: Logits
    wrong: NDArray[np.bool_]
    error: float

    def outcomes(self, every: Sequence[Guess], most_wrong: int, most_right: int) -> list[_Outcome]:
        """Guesses on so many rows that the net gets wrong and right, the labels as they are or counted otherwise.

        Those that do not fit, or make the same of the rows as one before, are left out.
        """
        kinds = (np.flatnonzero(self.wrong), most_wrong), (np.flatnonzero(~self.wrong), min(most_right, _MOST))
        places = np.sort(np.concatenate([_spread(kind, most) for kind, most in kinds]))
        labels, wrong = self.rows.labels[places], self.wrong[places]
        outcomes = []
        for guess, predicted in self.predicted(every, places).items():
            for start in self.starts():
                right = predicted == labels - start
                won, kept = right[wrong], right[~wrong]
                gain = self.error * _share(won) - (1 - self.error) * (1 - _share(kept))
                spread = hypot(self.error * _standard_error(won), (1 - self.error) * _standard_error(kept))
                outcomes.append(_Outcome(guess, start, gain, gain - _ERRORS * spread, len(places)))
        return outcomes

    def starts(self) -> list[int]:
        """By how much later the labels may start: none may leave the classes, and none if they are called by names."""
        low, high = int(self.rows.labels.min()), int(self.rows.labels.max())
        classes = self.network.classes
        counted = self.rows.labels_start is not None or list(self.network.class_labels) == list(range(classes))
        return [0, *(start for start in (1, -1) if counted and start <= low and high - start < classes)]

    def predicted(self, every: Sequence[Guess], places: NDArray[np.int64]) -> dict[Guess, NDArray[np.int64]]:
        """The class of each row under each guess, -1 where the net overflows or does not decide."""
        predictions: dict[Guess, list[NDArray[np.int64]]] = {guess: [] for guess in every}
        size, seen = max(1, _ENTRIES // prod(self.network.input_shape)), set()
        for begin in range(0, len(places), size):
            raw = self.rows.array.take(self.rows.index[places[begin : begin + size]])
            for guess in list(predictions):
                inputs = guess.inputs(self.network, self.rows, raw)
                key = None if inputs is None else sha256(inputs.data).digest()
                if inputs is None or (begin == 0 and key in seen):
                    del predictions[guess]
                    continue
                seen.add(key)
                logits = self.logits.run(inputs)
                # A tie is an error, as it is among the rows that are counted as wrong.
                single = (logits == logits.max(axis=1, keepdims=True)).sum(axis=1) == 1
                decided = single & np.isfinite(logits).all(axis=1)
                predictions[guess].append(np.where(decided, logits.argmax(axis=1), -1))
        return {guess: np.concatenate(parts) for guess, parts in predictions.items()}

    def cause(self, best: _Outcome) -> Cause:
        """An outcome in words."""
        parameters = dict(best.guess.parameters(self.rows.preprocessing))
        if best.start:
            parameters["labels_start"] = (self.rows.labels_start or 0) + best.start
        words = [argument(name, value) for name, value in parameters.items()] + [best.guess.words] * bool(
            best.guess.words
        )
        listed = " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))
        return Cause(listed, parameters, self.error, max(0.0, self.error - best.gain), best.tried)

    def another_order(self, needed: float) -> Cause | None:
        """The classes in the order that suits one half of some rows best, if it suits the other half as well."""
        from scipy.optimize import linear_sum_assignment

        classes = self.network.classes
        places = _spread(np.arange(self.rows.count), min(_MOST, max(2 * _CONFIRMED, 20 * classes)))
        (predicted,) = self.predicted([Guess(self.rows.preprocessing)], places).values()
        labels, confusion = self.rows.labels[places], np.zeros((classes, classes), np.int64)
        np.add.at(confusion, (labels[::2], predicted[::2]), 1)
        _, order = linear_sum_assignment(confusion, maximize=True)
        right = predicted[1::2] == order[labels[1::2]]
        after = 1 - _share(right)
        if self.error - after < max(needed, _ERRORS * _standard_error(right)):
            return None
        return Cause("the classes in another order (that of training)", {}, self.error, after, right.size)


def _spread(places: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """So many of them at most, at even distances."""
    return places[np.linspace(0, len(places) - 1, min(most, len(places))).astype(np.int64)]


def _share(hits: NDArray[np.bool_]) -> float:
    return float(hits.mean()) if hits.size else 0.0


def _standard_error(hits: NDArray[np.bool_]) -> float:
    """Of the share; never 0, as if one more of either kind had been seen."""
    share = (int(hits.sum()) + 1) / (hits.size + 2)
    return sqrt(share * (1 - share) / max(1, hits.size))
