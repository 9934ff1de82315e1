"""Adaptive probabilities of decisions: counters per context, mixed in the logistic domain, in integers.

A counter is the running mean of the decisions seen in its context. Several contexts look at the same decision; their
probabilities are stretched to ln(p / (1 - p)), added with weights that learn from every outcome by a gradient step, and
squashed back (Mahoney, Adaptive weighing of context models for lossless data compression, 2005). Encoder and decoder
run the same integer operations, so they agree on every machine.
"""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from onnxbound.codec.range_coder import Decoder, Encoder

_STEPS_PER_NAT = 256
_LIMIT = 2047
"""Largest |ln(p / (1 - p))| in units of 1/256: 8 nats."""

_ONE = 1 << 16
_FIXED = 60
_SLOWEST = 255
"""A counter behaves like the mean of about so many decisions."""

_LEARNING_SHIFT = 14
_FIRST_WEIGHT = 3 * _ONE // 10


def _squash_table() -> list[int]:
    """2^16 / (1 + exp(-s / 256)) for s = -2047 .. 2047, from powers of exp(1/256) in fixed point."""
    one = 1 << _FIXED
    base = term = one
    for n in range(1, 12):
        term = term // (_STEPS_PER_NAT * n)
        base += term
    powers = [one]
    for _ in range(_LIMIT):
        powers.append(powers[-1] * base >> _FIXED)
    upper = [_ONE * power // (one + power) for power in powers]
    return [_ONE - p for p in reversed(upper[1:])] + upper


def _stretch_table(squash: Sequence[int]) -> list[int]:
    """The s whose squash is nearest from below to p, for p = 0, 16, 32, ... 2^16 - 16."""
    table, s = [], 0
    for p in range(0, _ONE, 16):
        while s + 1 < len(squash) and squash[s + 1] <= p:
            s += 1
        table.append(s - _LIMIT)
    return table


_SQUASH = _squash_table()
_STRETCH = _stretch_table(_SQUASH)


class Mixer:
    """The probabilities of one stream of decisions."""

    def __init__(self) -> None:
        self._counters: dict[Hashable, list[int]] = defaultdict(lambda: [_ONE // 2, 0])
        self._weights: dict[Hashable, list[int]] = {}

    def predict(self, kind: Hashable, contexts: Sequence[Hashable]) -> "Prediction":
        """The probability that the next decision is 1.

        Args:
            kind: Which weights mix.
            contexts: What is known, as one counter sees it; a counter belongs to its place in the list and to `kind`.
        """
        counters = [self._counters[kind, place, context] for place, context in enumerate(contexts)]
        weights = self._weights.setdefault(kind, [_FIRST_WEIGHT] * len(counters))
        inputs = [_STRETCH[counter[0] >> 4] for counter in counters]
        total = sum(w * s for w, s in zip(weights, inputs, strict=True)) >> 16
        return Prediction(_SQUASH[max(-_LIMIT, min(_LIMIT, total)) + _LIMIT], counters, weights, inputs)


class Prediction:
    """A probability and what learns from the outcome."""

    __slots__ = ("_counters", "_inputs", "_weights", "probability")

    def __init__(self, probability: int, counters: list[list[int]], weights: list[int], inputs: list[int]) -> None:
        self.probability = max(1, min(_ONE - 1, probability))
        self._counters = counters
        self._weights = weights
        self._inputs = inputs

    def learn(self, bit: int) -> None:
        """Move weights and counters towards the outcome."""
        error = (bit << 16) - self.probability
        for place, s in enumerate(self._inputs):
            self._weights[place] += s * error >> _LEARNING_SHIFT
        for counter in self._counters:
            probability, seen = counter
            counter[0] = max(16, min(_ONE - 16, probability + 2 * ((bit << 16) - probability) // (2 * seen + 3)))
            if seen < _SLOWEST:
                counter[1] = seen + 1


class Writer:
    """Codes decisions with mixed or with fixed probabilities."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._mixer = Mixer()

    def code(self, bit: int | None, kind: Hashable, contexts: Sequence[Hashable]) -> int:
        """Write one decision, and return it."""
        assert bit is not None
        prediction = self._mixer.predict(kind, contexts)
        self._encoder.encode(bit, prediction.probability)
        prediction.learn(bit)
        return bit

    def fixed(self, bit: int | None, probability: int = _ONE // 2) -> int:
        """Write one decision, a 1 of which has a probability in units of 2^-16."""
        assert bit is not None
        self._encoder.encode(bit, probability)
        return bit

    def finish(self) -> str:
        """The bits."""
        return self._encoder.finish()


class Reader:
    """Reads what a `Writer` wrote, by the same calls; the decisions it is given are ignored."""

    def __init__(self, bits: str) -> None:
        self._decoder = Decoder(bits)
        self._encoder = Encoder()
        self._mixer = Mixer()

    def code(self, bit: int | None, kind: Hashable, contexts: Sequence[Hashable]) -> int:
        """The next decision."""
        del bit
        prediction = self._mixer.predict(kind, contexts)
        decision = self.fixed(None, prediction.probability)
        prediction.learn(decision)
        return decision

    def fixed(self, bit: int | None, probability: int = _ONE // 2) -> int:
        """The next decision, a 1 of which has a probability in units of 2^-16."""
        del bit
        decision = self._decoder.decode(probability)
        self._encoder.encode(decision, probability)
        return decision

    def finish(self) -> str:
        """The bits that a `Writer` writes for the decisions so far: those that were read, if one wrote them."""
        return self._encoder.finish()
