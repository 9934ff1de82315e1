"""A binary range coder in integers: decisions and their probabilities to bits and back, the same on every machine.

The coder narrows an interval of [0, 1): low and range are 32-bit integers, a carry runs back into the bytes that are
out (Martin, Range encoding, 1979; the carry as in Pavlov's LZMA). The result is the shortest string of bits whose
*every* continuation lies in the interval. Strings of different decisions therefore lie in disjoint intervals: the set
of all of them is prefix-free, whatever model the probabilities come from.
"""

PROBABILITY_BITS = 16
"""A probability is an integer p, 0 < p < 2^16, for p / 2^16."""

_TOP = 1 << 24
_MASK = (1 << 32) - 1


class Malformed(Exception):  # noqa: N818 - a verdict on bytes, turned into an error by whoever read the file
    """Bytes that are not a code, or a network that no code can express."""


def bits_of(data: bytes) -> str:
    r"""The bits of bytes, highest first, as zeros and ones.

    >>> bits_of(b"\x05")
    '00000101'
    """
    return f"{int.from_bytes(data, 'big'):0{8 * len(data)}b}" if data else ""


def bytes_of(bits: str) -> bytes:
    r"""Pack bits into bytes; zeros fill the last.

    >>> bytes_of("000001011")
    b'\x05\x80'
    """
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big") if bits else b""


class Encoder:
    """Writes decisions."""

    def __init__(self) -> None:
        self._low = 0
        self._range = _MASK
        self._bytes = bytearray()

    def encode(self, bit: int, probability: int) -> None:
        """Write one decision.

        Args:
            bit: 0 or 1.
            probability: Probability of a 1, in units of 2^-16.
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

    def finish(self) -> str:
        """All bits, with as few at the end as settle the last decision."""
        high = self._low + self._range
        for count in range(33):
            unit = 1 << (32 - count)
            value = -(-self._low // unit) * unit
            if value + unit <= high:
                break
        self._low = value
        if self._low > _MASK:
            self._carry()
        last = f"{self._low:032b}"[:count]
        return bits_of(bytes(self._bytes)) + last


class Decoder:
    """Reads decisions from bits; zeros follow the last bit, as many as a complete code can need."""

    def __init__(self, bits: str) -> None:
        self._data = bytes_of(bits)
        self._place = 4
        self._code = int.from_bytes(self._data[:4].ljust(4, b"\0"), "big")
        self._range = _MASK

    def decode(self, probability: int) -> int:
        """Read the next decision, given the probability of a 1 that it was encoded with.

        Raises:
            Malformed: The bits end before it.
        """
        split = (self._range >> PROBABILITY_BITS) * probability
        if self._code < split:
            bit, self._range = 1, split
        else:
            bit = 0
            self._code -= split
            self._range -= split
        while self._range < _TOP:
            if self._place > len(self._data) + 4:
                raise Malformed("the code ends too early")
            following = self._data[self._place] if self._place < len(self._data) else 0
            self._code = ((self._code << 8) | following) & _MASK
            self._range = (self._range << 8) & _MASK
            self._place += 1
        return bit
