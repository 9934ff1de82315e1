"""The numbers of a network as bytes that are their own end, and back.

For each hole of the skeleton the bytes say how it is written: `Exact`, every number with the 32 bits of a float32, or
`Levels`, integers times one step. A step is a float32 of which the first 16 bits are kept: 15 of them are written.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from onnxbound.codec.levels import LARGEST_LEVEL, code_levels
from onnxbound.codec.mixing import Reader, Writer
from onnxbound.codec.skeleton import Hole, Malformed, Skeleton

VERSION = 1
"""The skeleton lies apart and is no part of the bytes."""

VERSION_WITH_SKELETON = 2
"""The skeleton is in the bytes, packed by zlib, and so is counted."""

_VERSION_BITS = 8
_LENGTH_BITS = 32
_STEP_BITS = 15
_FLOAT_BITS = 32
_COUNT_BITS = 8


@dataclass(frozen=True, slots=True)
class Levels:
    """A tensor on a lattice.

    Attributes:
        step: Distance of neighbours, a positive float32 that `rounded_step` leaves as it is.
        levels: Integers, of the tensor's shape.
    """

    step: float
    levels: NDArray[np.int64]

    def tensor(self) -> NDArray[np.float32]:
        """Levels times step, rounded once."""
        with np.errstate(over="ignore"):  # a decoder looks for infinities itself
            return np.asarray(self.levels.astype(np.float32) * np.float32(self.step), np.float32)


@dataclass(frozen=True, slots=True)
class Exact:
    """A tensor as it is.

    Attributes:
        values: float32.
    """

    values: NDArray[np.float32]

    def tensor(self) -> NDArray[np.float32]:
        """The values."""
        return self.values


@dataclass(frozen=True, slots=True)
class NetworkCode:
    """Everything that a certificate counts.

    Attributes:
        parts: One for each hole, in their order.
        numbers: Numbers of the preprocessing that may have been computed from the rows, float32.
    """

    parts: tuple[Levels | Exact, ...]
    numbers: tuple[float, ...] = ()

    def tensors(
        self, skeleton: Skeleton, prior: Mapping[str, NDArray[np.float32]] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """What fills the skeleton's holes; levels are steps away from a prior network's tensor if there is one."""
        result = {}
        for hole, part in zip(skeleton.holes, self.parts, strict=True):
            tensor = part.tensor()
            if prior is not None and isinstance(part, Levels):
                tensor = prior[hole.name] + tensor
            result[hole.name] = tensor
        return result


def rounded_step(step: float) -> float:
    """The nearest smaller step that can be written.

    >>> rounded_step(0.1)
    0.099609375
    """
    bits = int(np.float32(step).view(np.uint32)) >> 16
    return float(np.uint32(bits << 16).view(np.float32))


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
    numbers = tuple(_float(reader) for _ in range(_plain(reader, None, _COUNT_BITS)))
    code = NetworkCode(tuple(_part(reader, place, hole) for place, hole in enumerate(skeleton.holes)), numbers)
    if not np.isfinite(numbers).all() or _encode(skeleton, code, packed) != data:
        raise Malformed("the code is not the one file of the network that it describes")
    return code


def _encode(skeleton: Skeleton, code: NetworkCode, packed: bytes | None) -> bytes:
    writer = Writer()
    if packed is None:
        _plain(writer, VERSION, _VERSION_BITS)
    else:
        _plain(writer, VERSION_WITH_SKELETON, _VERSION_BITS)
        _plain(writer, len(packed), _LENGTH_BITS)
        for byte in packed:
            _plain(writer, byte, 8)
    _plain(writer, len(code.numbers), _COUNT_BITS)
    for number in code.numbers:
        _plain(writer, int(np.float32(number).view(np.uint32)), _FLOAT_BITS)
    for place, (hole, part) in enumerate(zip(skeleton.holes, code.parts, strict=True)):
        writer.plain(int(isinstance(part, Exact)))
        if isinstance(part, Exact):
            for bits in part.values.astype(np.float32).view(np.uint32).ravel().tolist():
                _plain(writer, bits, _FLOAT_BITS)
            continue
        if part.step <= 0 or part.step != rounded_step(part.step) or np.abs(part.levels).max(initial=0) > LARGEST_LEVEL:
            raise ValueError(f"{hole.name} has a step or a level that cannot be written")
        _plain(writer, int(np.float32(part.step).view(np.uint32)) >> 16, _STEP_BITS)
        code_levels(writer, place, hole.filters, part.levels.reshape(hole.filters))
    return writer.finish()


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


def _part(reader: Reader, place: int, hole: Hole) -> Levels | Exact:
    if reader.plain(None):
        count = prod(hole.shape)
        values = np.array([_float(reader) for _ in range(count)], np.float32).reshape(hole.shape)
        if not np.isfinite(values).all():
            raise Malformed(f"{hole.name} has numbers that are not finite")
        return Exact(values)
    step = float(np.uint32(_plain(reader, None, _STEP_BITS) << 16).view(np.float32))
    if not 0 < step < np.inf:
        raise Malformed(f"{hole.name} has the step {step}")
    part = Levels(step, code_levels(reader, place, hole.filters, None).reshape(hole.shape))
    if np.abs(part.levels).max(initial=0) > LARGEST_LEVEL or not np.isfinite(part.tensor()).all():
        raise Malformed(f"{hole.name} has levels that are too large")
    return part


def _float(reader: Reader) -> float:
    return float(np.uint32(_plain(reader, None, _FLOAT_BITS)).view(np.float32))


def _plain(coder: Writer | Reader, value: int | None, count: int) -> int:
    """An integer of `count` bits with even odds, highest first."""
    result = 0
    for place in reversed(range(count)):
        result = 2 * result + coder.plain(None if value is None else value >> place & 1)
    return result
