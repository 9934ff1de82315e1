"""A binary range coder in integers: decisions and their probabilities to bytes and back, the same on every machine.

The coder narrows an interval of [0, 1): low and range are 32-bit integers, a carry runs back into the bytes that are
out (Martin, Range encoding, 1979; the carry as in Pavlov's LZMA). What is written in the end is the shortest string of
bytes of which *every* continuation lies in the interval. Strings of different decisions therefore lie in disjoint
intervals: the set of all of them is prefix-free, whatever model the probabilities come from.
"""

PROBABILITY_BITS = 16
"""A probability is an integer p, 0 < p < 2^16, for p / 2^16."""

_TOP = 1 << 24
_MASK = (1 << 32) - 1


class Encoder:
    """Writes decisions."""

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._bytes = bytearray()

    def encode(self, bit: int, probability: int) -> None:
        """One decision.

        Args:
            bit: 0 or 1.
            probability: That of a 1, in units of 2^-16.
        """
        split = (self._range >> PROBABILITY_BITS) * probability
        if bit:
            self._range = split
        else:
            self._low += split
            self._range -= split
        while self._range < _TOP:
            self._shift()

    def _shift(self) -> None:
        if self._low > _MASK:
            self._carry()
        self._bytes.append(self._low >> 24)
        self._low = (self._low << 8) & _MASK
        self._range = (self._range << 8) & _MASK

    def _carry(self) -> None:
        self._low &= _MASK
        place = len(self._bytes) - 1
        while self._bytes[place] == 255:
            self._bytes[place] = 0
            place -= 1
        self._bytes[place] += 1

    def finish(self) -> bytes:
        """Everything that was written, with the fewest last bytes that settle the last decision."""
        high = self._low + self._range
        for count in range(5):
            unit = 1 << (32 - 8 * count)
            value = -(-self._low // unit) * unit
            if value + unit <= high:
                break
        self._low = value
        if self._low > _MASK:
            self._carry()
        return bytes(self._bytes) + self._low.to_bytes(4, "big")[:count]


class Decoder:
    """Reads decisions; behind the end of the data it sees zeros."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 4
        self._code = int.from_bytes(data[:4].ljust(4, b"\0"), "big")
        self._range = _MASK

    def decode(self, probability: int) -> int:
        """The next decision, whose probability of a 1 is the one it was encoded with."""
        split = (self._range >> PROBABILITY_BITS) * probability
        if self._code < split:
            bit, self._range = 1, split
        else:
            bit = 0
            self._code -= split
            self._range -= split
        while self._range < _TOP:
            following = self._data[self._place] if self._place < len(self._data) else 0
            self._code = ((self._code << 8) | following) & _MASK
            self._range = (self._range << 8) & _MASK
            self._place += 1
        return bit
