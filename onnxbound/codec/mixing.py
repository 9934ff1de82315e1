"""Adaptive probabilities of decisions: counters per context, mixed in the logistic domain, in integers.

A counter is the running mean of the decisions seen in its context. Several contexts look at the same decision; their
probabilities are stretched to ln(p / (1 - p)), added with weights that learn from every outcome by a gradient step, and
squashed back (Mahoney, Adaptive weighing of context models for lossless data compression, 2005). Encoder and decoder
run the same integer operations, so they agree on every machine.
"""

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


Counter = list[int]
"""A probability of a 1, in units of 2^-16, and how many decisions it has seen."""


class Mixer:
    """The probabilities of one stream of decisions: `predict` one, then `learn` what it was."""

    def __init__(self) -> None:
        self._kinds: dict[Hashable, tuple[list[int], list[dict[Hashable, Counter]]]] = {}
        self._weights: list[int] = []
        self._inputs: list[int] = []
        self._counters: list[Counter] = []
        self._probability = 0

    def predict(self, kind: Hashable, contexts: Sequence[Hashable]) -> int:
        """The probability that the next decision is 1, in units of 2^-16.

        Args:
            kind: Which weights mix.
            contexts: What is known, as one counter sees it; a counter belongs to its place in the list and to `kind`.
        """
        if kind not in self._kinds:
            self._kinds[kind] = [_FIRST_WEIGHT] * len(contexts), [{} for _ in contexts]
        self._weights, tables = self._kinds[kind]
        self._counters, self._inputs, total = [], [], 0
        for table, context, weight in zip(tables, contexts, self._weights, strict=True):
            counter = table.get(context)
            if counter is None:
                counter = table[context] = [_ONE // 2, 0]
            stretched = _STRETCH[counter[0] >> 4]
            self._counters.append(counter)
            self._inputs.append(stretched)
            total += weight * stretched
        self._probability = _SQUASH[max(-_LIMIT, min(_LIMIT, total >> 16)) + _LIMIT]
        return self._probability

    def learn(self, bit: int) -> None:
        """Move weights and counters towards the outcome of what was predicted last."""
        outcome = bit << 16
        error = outcome - self._probability
        weights = self._weights
        for place, stretched in enumerate(self._inputs):
            weights[place] += stretched * error >> _LEARNING_SHIFT
        for counter in self._counters:
            probability, seen = counter
            probability += 2 * (outcome - probability) // (2 * seen + 3)
            counter[0] = probability if 16 < probability < _ONE - 16 else max(16, min(_ONE - 16, probability))
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
        self._encoder.encode(bit, self._mixer.predict(kind, contexts))
        self._mixer.learn(bit)
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
        decision = self.fixed(None, self._mixer.predict(kind, contexts))
        self._mixer.learn(decision)
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
