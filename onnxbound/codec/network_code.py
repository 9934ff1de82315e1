"""The numbers of a network as bytes that are their own end, and back.

For each hole of the skeleton the bytes say how it is written: as `Levels`, integers times one step; as `LowRank`, a
product of two such tensors; or `Exact`, every number with the 32 bits of a float32. A step is a float32 of which
exponent and three bits of the mantissa are kept, so that neighbours are an eighth apart; what is written is how many
neighbours it is away from the step before.
"""

import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.levels import LARGEST_LEVEL, Filters, code_levels
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.parts import Exact, Levels, LowRank, Part
from onnxbound.codec.skeleton import Hole, Malformed, Skeleton

VERSION = 1
"""The skeleton lies apart and is no part of the bytes."""

VERSION_WITH_SKELETON = 2
"""The skeleton is in the bytes, packed by zlib, and so is counted."""

_VERSION_BITS = 8
_LENGTH_BITS = 32
_STEP_SHIFT = 20
"""Bits of a float32 that a step does not have."""

_FIRST_STEP = 118 << 3
"""2^-9, before the first step."""

_LAST_STEP = 254 << 3
_RICE_BITS = 4
"""Of the distance between two steps, these are written as they are and what is above them in unary."""

_FLOAT_BITS = 32
_COUNT_BITS = 8
_RANK_BITS = 16


@dataclass(frozen=True, slots=True)
class NetworkCode:
    """Everything that a certificate counts.

    Attributes:
        parts: One for each hole, in their order.
        numbers: Numbers of the preprocessing that may have been computed from the rows, float32.
    """

    parts: tuple[Part, ...]
    numbers: tuple[float, ...] = ()

    def tensors(
        self, skeleton: Skeleton, prior: Mapping[str, NDArray[np.float32]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """What fills the skeleton's holes; levels are steps away from a prior network's tensor if there is one."""
        result = {}
        for hole, part in zip(skeleton.holes, self.parts, strict=True):
            tensor = part.tensor().reshape(hole.shape)
            if prior is not None and not isinstance(part, Exact):
                tensor = prior[hole.name] + tensor
            result[hole.name] = tensor
        return result


def rounded_step(step: float) -> float:
    """The nearest smaller step that can be written.

    >>> rounded_step(0.1)
    0.09375
    """
    return _step_of(max(1, min(_LAST_STEP, int(np.float32(step).view(np.uint32)) >> _STEP_SHIFT)))


def _step_of(number: int) -> float:
    """The step of a number, in which exponent and mantissa stand behind one another."""
    return float(np.uint32(number << _STEP_SHIFT).view(np.float32))


def _number_of(step: float) -> int:
    return int(np.float32(step).view(np.uint32)) >> _STEP_SHIFT


def encode(skeleton: Skeleton, code: NetworkCode, *, with_skeleton: bool = False) -> bytes:
    """The bytes; those of different codes of one skeleton, or of any if these are in them, are prefix-free."""
    return _encode(skeleton, code, zlib.compress(skeleton.to_bytes(), 9) if with_skeleton else None)


def decode(skeleton: Skeleton, data: bytes) -> NetworkCode:
    """The code that was written.

    Raises:
        Malformed: The bytes are of another version or another skeleton, or are not what `encode` writes for what they
            say; bytes behind the end among them.
    """
    reader = Reader(data)
    version = _plain(reader, None, _VERSION_BITS)
    if version not in (VERSION, VERSION_WITH_SKELETON):
        raise Malformed(f"the code is of version {version}, which this decoder does not know")
    packed = _packed(reader, skeleton, len(data)) if version == VERSION_WITH_SKELETON else None
    numbers = tuple(_float(reader) for _ in range(_plain(reader, None, _COUNT_BITS) if reader.plain(None) else 0))
    parts, before = [], _FIRST_STEP
    for place, hole in enumerate(skeleton.holes):
        part, before = _part(reader, place, hole, before)
        parts.append(part)
    code = NetworkCode(tuple(parts), numbers)
    if not np.isfinite(numbers).all() or _encode(skeleton, code, packed) != data:
        raise Malformed("the code is not the one file of the network that it describes")
    return code


def version_of(data: bytes) -> int:
    """The decoder version that the bytes ask for."""
    return _plain(Reader(data), None, _VERSION_BITS)


def _encode(skeleton: Skeleton, code: NetworkCode, packed: bytes | None) -> bytes:
    writer = Writer()
    if packed is None:
        _plain(writer, VERSION, _VERSION_BITS)
    else:
        _plain(writer, VERSION_WITH_SKELETON, _VERSION_BITS)
        _plain(writer, len(packed), _LENGTH_BITS)
        for byte in packed:
            _plain(writer, byte, 8)
    writer.plain(int(bool(code.numbers)))
    if code.numbers:
        _plain(writer, len(code.numbers), _COUNT_BITS)
    for number in code.numbers:
        _plain(writer, int(np.float32(number).view(np.uint32)), _FLOAT_BITS)
    before = _FIRST_STEP
    for place, (hole, part) in enumerate(zip(skeleton.holes, code.parts, strict=True)):
        writer.plain(int(not isinstance(part, Levels)))
        if isinstance(part, Levels):
            before = _write_levels(writer, place, hole.filters, part, before)
            continue
        writer.plain(int(isinstance(part, LowRank)))
        if isinstance(part, Exact):
            for bits in part.values.astype(np.float32).view(np.uint32).ravel().tolist():
                _plain(writer, bits, _FLOAT_BITS)
            continue
        if not part.exact:
            raise ValueError(f"{hole.name} has levels whose product cannot be written")
        left, right = _factors(hole, _plain(writer, part.left.levels.shape[1], _RANK_BITS))
        before = _write_levels(writer, (place, "left"), left, part.left, before)
        before = _write_levels(writer, place, right, part.right, before)
    return writer.finish()


def _write_levels(writer: Writer, tensor: Hashable, shape: Filters, part: Levels, before: int) -> int:
    """Write step and levels; the number of the step."""
    if part.step <= 0 or part.step != rounded_step(part.step) or np.abs(part.levels).max(initial=0) > LARGEST_LEVEL:
        raise ValueError("a step or a level cannot be written")
    number = _rice(writer, before, _number_of(part.step))
    code_levels(writer, tensor, shape, part.levels.reshape(shape))
    return number


def _factors(hole: Hole, rank: int) -> tuple[Filters, Filters]:
    """The shapes of a hole's two factors."""
    filters, *rest = hole.filters
    return (filters, rank, 1, 1), (rank, rest[0], rest[1], rest[2])


def _packed(reader: Reader, skeleton: Skeleton, longest: int) -> bytes:
    """The packed skeleton in the bytes, which must be the one that is given."""
    length = _plain(reader, None, _LENGTH_BITS)
    if length > longest:
        raise Malformed("the code ends within its skeleton")
    packed = bytes(_plain(reader, None, 8) for _ in range(length))
    unpacker = zlib.decompressobj()
    expected = skeleton.to_bytes()
    try:
        found = unpacker.decompress(packed, len(expected) + 1)
    except zlib.error as error:
        raise Malformed("the skeleton in the code is damaged") from error
    if found != expected or not unpacker.eof or unpacker.unused_data:
        raise Malformed("the skeleton in the code is not the one beside it")
    return packed


def _part(reader: Reader, place: int, hole: Hole, before: int) -> tuple[Part, int]:
    """What a hole is filled with, and the number of the last step that was read."""
    if not reader.plain(None):
        levels, before = _read_levels(reader, place, hole, hole.filters, before)
        part: Part = Levels(levels.step, levels.levels.reshape(hole.shape))
    elif reader.plain(None):
        rank = _plain(reader, None, _RANK_BITS)
        if not 1 <= rank <= min(hole.filters[0], prod(hole.filters[1:])):
            raise Malformed(f"{hole.name} has no such rank")
        shape, rest = _factors(hole, rank)
        left, before = _read_levels(reader, (place, "left"), hole, shape, before)
        right, before = _read_levels(reader, place, hole, rest, before)
        part = LowRank(Levels(left.step, left.levels.reshape(shape[:2])), right)
        if not part.exact:
            raise Malformed(f"{hole.name} has levels that are too large")
    else:
        count = prod(hole.shape)
        part = Exact(np.array([_float(reader) for _ in range(count)], np.float32).reshape(hole.shape))
    if not np.isfinite(part.tensor()).all():
        raise Malformed(f"{hole.name} has numbers that are not finite")
    return part, before


def _read_levels(reader: Reader, tensor: Hashable, hole: Hole, shape: Filters, before: int) -> tuple[Levels, int]:
    """Step and levels, of the shape, and the number of the step."""
    number = _rice(reader, before, None)
    if not 1 <= number <= _LAST_STEP:
        raise Malformed(f"{hole.name} has no step that can be")
    levels = code_levels(reader, tensor, shape, None)
    if np.abs(levels).max(initial=0) > LARGEST_LEVEL:
        raise Malformed(f"{hole.name} has levels that are too large")
    return Levels(_step_of(number), levels), number


def _rice(coder: Writer | Reader, before: int, number: int | None) -> int:
    """A number by its distance from the one before: 0, -1, 1, -2, ... count up, the low bits of the count come last."""
    away = None if number is None else number - before
    count = None if away is None else 2 * away if away >= 0 else -2 * away - 1
    high = 0
    while high < _LAST_STEP and coder.plain(None if count is None else int(high < count >> _RICE_BITS)):
        high += 1
    low = _plain(coder, None if count is None else count & ((1 << _RICE_BITS) - 1), _RICE_BITS)
    found = (high << _RICE_BITS) + low
    return before + (found >> 1 if found % 2 == 0 else -(found + 1 >> 1))


def _float(reader: Reader) -> float:
    return float(np.uint32(_plain(reader, None, _FLOAT_BITS)).view(np.float32))


def _plain(coder: Writer | Reader, value: int | None, count: int) -> int:
    """An integer of `count` bits with even odds, highest first."""
    result = 0
    for place in reversed(range(count)):
        result = 2 * result + coder.plain(None if value is None else value >> place & 1)
    return result
