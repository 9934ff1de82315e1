"""A network as self-delimiting bytes, and back: preprocessing, architecture and every number.

The first byte is the version. Behind it two strings of bits follow one another, each from a range coder. The first has
everything but the signs: for each hole of the architecture, how it is written (as `Levels`, integers times one step; as
`LowRank`, a product of two such tensors; or `Exact`, every number with the 32 bits of a float32), the steps and the
sizes. The second has the signs; its first bits are not in the file but in the order of the hidden units there. What is
left of the last byte is zeros. A step is a float32 of which exponent and three bits of the mantissa are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec import units
from onnxbound.codec.architecture import Architecture, Hole
from onnxbound.codec.grammar import Grammar, require_plain
from onnxbound.codec.levels import LARGEST_LEVEL, Coder, Filters, code_signs, code_sizes
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.preprocessing_code import code_preprocessing
from onnxbound.codec.range_coder import Malformed, bits_of, bytes_of
from onnxbound.codec.sentence import code_architecture
from onnxbound.codec.tensors import Exact, Levels, LowRank, Part
from onnxbound.data.preprocessing import Preprocessing

VERSION = 2
"""Of the format; the first byte of every file, raw."""

LARGEST_BYTES = 1 << 22
_STEP_SHIFT = 20
"""Bits of a float32 that a step does not have."""

_FIRST_STEP = 118 << 3
"""2^-9, before the first step."""

_LAST_STEP = 254 << 3
_RICE_BITS = 4
"""Of the distance between two steps, these are written as they are and what is above them in unary."""

_FLOAT_BITS = 32
_NOT_LEVELS, _COSINE, _DIFFERENCE = 1 << 12, 1 << 10, 1 << 12
"""Chances, in units of 2^-16, of other forms than levels, of a transform, and of a difference from a prior."""


@dataclass(frozen=True, slots=True)
class NetworkCode:
    """Everything that a certificate counts.

    Attributes:
        architecture: Operators, their order and settings; numbers in its tensors are ignored.
        parts: The content of each hole, in the order of the holes.
        preprocessing: What is done to a file's rows before the network sees them.
        difference: Whether the parts are differences from a prior network's tensors; then units keep their order.
    """

    architecture: Architecture
    parts: tuple[Part, ...]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    difference: bool = False

    def tensors(self, prior: Mapping[str, NDArray[np.float32]] | None = None) -> dict[str, NDArray[np.float32]]:
        """The float32 tensors of the holes, by their names; a prior network's tensors, where given, are added.

        Raises:
            Malformed: A number is not finite, denormal, or larger than 2^60.
        """
        result = {}
        for hole, part in zip(self.architecture.holes, self.parts, strict=True):
            tensor = part.tensor().reshape(hole.shape)
            if prior is not None and not isinstance(part, Exact):
                tensor = prior[hole.name] + tensor
            require_plain(tensor)
            result[hole.name] = tensor
        return result


def rounded_step(step: float) -> float:
    """The nearest smaller step that can be written.

    >>> rounded_step(0.1)
    0.09375
    """
    return _step_of(max(1, min(_LAST_STEP, _number_of(step))))


def _step_of(number: int) -> float:
    """The step of a number, in which exponent and mantissa stand behind one another."""
    return float(np.uint32(number << _STEP_SHIFT).view(np.float32))


def _number_of(step: float) -> int:
    return int(np.float32(step).view(np.uint32)) >> _STEP_SHIFT


def encode(code: NetworkCode) -> bytes:
    """Encode a network. No code is the beginning of another one; the order of hidden units is not kept.

    Raises:
        ValueError: A step or a level cannot be written.
    """
    _require_writable(code)
    sets = () if code.difference else units.unit_sets(code.architecture)
    parts = list(code.parts)
    groups = {}
    for unit_set in sets:
        kinds, counts = units.looks(parts[unit_set.rows[0]], unit_set.count)
        groups[unit_set.rows[0]] = counts
        _reorder(parts, unit_set, np.argsort(kinds, kind="stable"))
    second = Writer()
    for place, (hole, part) in enumerate(zip(code.architecture.holes, parts, strict=True)):
        _code_signs(second, place, hole, part, part)
    signs = second.finish()
    carried = prod(map(units.arrangements, groups.values())).bit_length() - 1
    number = int(signs[:carried].ljust(carried, "0") or "0", 2)
    for place, counts in groups.items():
        number, digit = divmod(number, units.arrangements(counts))
        sequence = units.unrank(digit, counts)
        parts[place] = units.with_rows(parts[place], np.argsort(np.argsort(sequence, kind="stable")))
    first = Writer()
    _code_head(Grammar(first), code)
    before = _FIRST_STEP
    for place, (hole, part) in enumerate(zip(code.architecture.holes, parts, strict=True)):
        _, before = _code_part(first, place, hole, part, before)
    return bytes([VERSION]) + bytes_of(first.finish() + signs[carried:])


def decode(data: bytes) -> NetworkCode:
    """Decode a network.

    Raises:
        Malformed: The bytes are of another version, or are not exactly what `encode` writes for the network in them,
            for example because more bytes follow.
    """
    if version_of(data) != VERSION:
        raise Malformed(f"the code is of format {version_of(data)}, and this decoder reads format {VERSION}")
    if len(data) > LARGEST_BYTES:
        raise Malformed(f"the code has more than {LARGEST_BYTES:,} bytes")
    bits = bits_of(data[1:])
    first = Reader(bits)
    code = _code_head(Grammar(first), None)
    sets = {unit_set.rows[0]: unit_set for unit_set in (() if code.difference else units.unit_sets(code.architecture))}
    parts: list[Part] = []
    before, number, every = _FIRST_STEP, 0, 1
    for place, hole in enumerate(code.architecture.holes):
        part, before = _code_part(first, place, hole, None, before)
        if place in sets:
            kinds, counts = units.looks(part, sets[place].count)
            part = units.with_rows(part, np.argsort(kinds, kind="stable"))
            number += every * units.rank(kinds, counts)
            every *= units.arrangements(counts)
        parts.append(part)
    written = first.finish()
    carried = every.bit_length() - 1
    if not bits.startswith(written) or number >> carried:
        raise Malformed("the code is not the one encoding that its network has")
    behind = (f"{number:0{carried}b}" if carried else "") + bits[len(written) :]
    second = Reader(behind)
    parts = [_code_signs(second, place, hole, part, None) for place, (hole, part) in enumerate(_holes(code, parts))]
    signs = second.finish()
    length = len(written) + max(len(signs) - carried, 0)
    if not behind.ljust(len(signs), "0").startswith(signs) or "1" in behind[len(signs) :]:
        raise Malformed("the code is not the one encoding that its network has")
    if len(bits) != -(-length // 8) * 8:
        raise Malformed("the code is longer or shorter than what it describes")
    return replace(code, parts=tuple(parts))


def version_of(data: bytes) -> int:
    """The format of the bytes; 0 for no bytes."""
    return data[0] if data else 0


def _holes(code: NetworkCode, parts: Sequence[Part]) -> list[tuple[Hole, Part]]:
    return list(zip(code.architecture.holes, parts, strict=True))


def _reorder(parts: list[Part], unit_set: units.UnitSet, order: units.Order) -> None:
    """The units of a set in another order, wherever they are rows or columns."""
    for place in unit_set.rows:
        parts[place] = units.with_rows(parts[place], order)
    for place in unit_set.columns:
        parts[place] = units.with_columns(parts[place], order)


def _code_head(g: Grammar, given: NetworkCode | None) -> NetworkCode:
    """Everything before the holes."""
    difference = g.coder.fixed(None if given is None else int(given.difference), _DIFFERENCE) == 1
    preprocessing = code_preprocessing(g, None if given is None else given.preprocessing)
    architecture = code_architecture(g, None if given is None else given.architecture)
    return NetworkCode(architecture, (), preprocessing, difference)


def _code_part(coder: Coder, place: int, hole: Hole, given: Part | None, before: int) -> tuple[Part, int]:
    """What a hole is filled with, signs left out, and the number of the last step."""
    g = Grammar(coder)
    if not coder.fixed(None if given is None else int(not isinstance(given, Levels)), _NOT_LEVELS):
        levels = given if isinstance(given, Levels) else None
        said = None if levels is None else int(levels.cosine)
        cosine = len(hole.shape) > 2 and prod(hole.shape[2:]) > 1 and coder.fixed(said, _COSINE)
        part, before = _code_levels(coder, place, hole.filters, levels, before)
        part = Levels(part.step, part.levels.reshape(hole.shape), cosine=bool(cosine))
        if not part.exact:
            raise Malformed(f"{hole.name} has integers that are too large to multiply exactly")
        return part, before
    if coder.fixed(None if given is None else int(isinstance(given, Exact))):
        values = None if given is None else given.tensor().view(np.uint32).ravel().tolist()
        count = prod(hole.shape)
        words = [g.plain(None if values is None else values[k], _FLOAT_BITS) for k in range(count)]
        return Exact(np.array(words, np.uint32).view(np.float32).reshape(hole.shape)), before
    factors = given if isinstance(given, LowRank) else None
    rank = 1 + g.natural(None if factors is None else int(factors.left.levels.shape[1]) - 1)
    filters, *rest = hole.filters
    if rank > min(filters, prod(rest)):
        raise Malformed(f"{hole.name} cannot have rank {rank}")
    one, other = (None, None) if factors is None else (factors.left, factors.right)
    left, before = _code_levels(coder, (place, "left"), (filters, rank, 1, 1), one, before)
    right, before = _code_levels(coder, place, (rank, rest[0], rest[1], rest[2]), other, before)
    product = LowRank(Levels(left.step, left.levels.reshape(filters, rank)), right)
    if not product.exact:
        raise Malformed(f"{hole.name} has integers that are too large to multiply exactly")
    return product, before


def _code_levels(coder: Coder, tensor: object, shape: Filters, given: Levels | None, before: int) -> tuple[Levels, int]:
    """Step and sizes, of the shape, and the number of the step."""
    number = _rice(coder, before, None if given is None else _number_of(given.step))
    if not 1 <= number <= _LAST_STEP:
        raise Malformed("a step is too small or too large")
    sizes = code_sizes(coder, tensor, shape, None if given is None else np.abs(given.levels).reshape(shape))
    if sizes.max(initial=0) > LARGEST_LEVEL:
        raise Malformed("an integer of a tensor is too large")
    return Levels(_step_of(number), sizes), number


def _code_signs(coder: Coder, place: int, hole: Hole, sizes: Part, given: Part | None) -> Part:
    """A part with its signs."""
    if isinstance(sizes, Exact):
        return sizes
    if isinstance(sizes, Levels):
        levels = given.levels if isinstance(given, Levels) else None
        signed = code_signs(coder, place, hole.filters, np.abs(sizes.levels), levels)
        return replace(sizes, levels=signed.reshape(hole.shape))
    one, other = (given.left.levels, given.right.levels) if isinstance(given, LowRank) else (None, None)
    left, right = sizes.left.levels, sizes.right.levels
    left = code_signs(coder, (place, "left"), (*left.shape, 1, 1), np.abs(left), one).reshape(left.shape)
    right = code_signs(coder, place, right.shape, np.abs(right), other)
    return LowRank(replace(sizes.left, levels=left), replace(sizes.right, levels=right))


def _rice(coder: Coder, before: int, number: int | None) -> int:
    """A number by its distance from the one before: 0, -1, 1, -2, ... count up, the low bits of the count come last."""
    away = None if number is None else number - before
    count = None if away is None else 2 * away if away >= 0 else -2 * away - 1
    high = 0
    while high < _LAST_STEP and coder.fixed(None if count is None else int(high < count >> _RICE_BITS)):
        high += 1
    low = Grammar(coder).plain(None if count is None else count & ((1 << _RICE_BITS) - 1), _RICE_BITS)
    zigzag = (high << _RICE_BITS) + low
    return before + (zigzag >> 1 if zigzag % 2 == 0 else -(zigzag + 1 >> 1))


def _require_writable(code: NetworkCode) -> None:
    for hole, part in zip(code.architecture.holes, code.parts, strict=True):
        factors = (part.left, part.right) if isinstance(part, LowRank) else (part,) if isinstance(part, Levels) else ()
        for levels in factors:
            largest = np.abs(levels.levels).max(initial=0)
            if levels.step <= 0 or levels.step != rounded_step(levels.step) or largest > LARGEST_LEVEL:
                raise ValueError("a step or a level cannot be written")
        if not isinstance(part, Exact) and not part.exact:
            raise ValueError(f"{hole.name} has levels whose product cannot be written")


def architecture_bits(architecture: Architecture) -> int:
    """The bits that the architecture takes in a code, to a bit."""
    return len(_sentence(architecture))


def same_architecture(architecture: Architecture, code: NetworkCode) -> bool:
    """Whether a network has the architecture of a code."""
    return _sentence(architecture) == _sentence(code.architecture)


def _sentence(architecture: Architecture) -> str:
    writer = Writer()
    code_architecture(Grammar(writer), architecture)
    return writer.finish()


def is_the_prior(code: NetworkCode) -> bool:
    """Whether all integers of a difference are zero."""
    return all(isinstance(part, Exact) or not part.tensor().any() for part in code.parts)
