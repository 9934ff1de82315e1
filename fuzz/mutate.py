"""Mutations of files: of their bytes, of a model's message field by field, of JSON value by value."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from onnx import ModelProto

Random = np.random.Generator

_NUMBERS = (0, 1, -1, 2, 3, 7, 127, 255, 256, 65_535, 1 << 20, 1 << 31, -(1 << 31), 1 << 40, 1 << 62, (1 << 63) - 1)
_INT32_NUMBERS = 11
"""So many of them are int32."""

_WORDS = (
    "", "x", "Relu", "Conv", "Gemm", "MatMul", "Reshape", "ConstantOfShape", "Loop", "If", "Constant", "Identity",
    "com.microsoft", "ai.onnx.ml", "evil", "../../etc/passwd", "/dev/zero", "\x1b[2J", "[red]", "=1+1", "n" * 3000,
    "SAME_UPPER", "NOTSET", "location", "offset", "length", "\u202e", "*/_ORT_MEM_ADDR_/*",
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, False, [], {}, [[]], [None], "", "x", "\ud800", "\x1b[2J", "1e5", "certified", "n" * 3000, 0, -1, 7,
    10**15, 0.5, -0.0, 1e-320, 1e300, 10**30, 10**400, float("nan"), float("inf"),
)  # fmt: skip
_LARGE = 64
"""Bytes of weights from this length on are mostly left alone: changing them changes numbers, not what is read."""


def mutate_bytes(content: bytes, random: Random, calm: tuple[tuple[int, int], ...] = ()) -> bytes:
    """One to four changes: flipped, set, deleted, repeated or foreign bytes, or a shorter file.

    Args:
        content: What to change.
        random: Where chance comes from.
        calm: Stretches (start, stop) that are seldom changed.
    """
    result = bytearray(content)
    for _ in range(int(random.integers(1, 5))):
        if not result:
            break
        place = _place(len(result), random, calm)
        length = int(min(random.geometric(0.2), len(result) - place))
        match random.integers(6):
            case 0:
                result[place] ^= 1 << int(random.integers(8))
            case 1:
                result[place] = int(random.choice([0, 1, 127, 128, 255]))
            case 2:
                del result[place : place + length]
            case 3:
                result[place:place] = result[place : place + length]
            case 4:
                result[place : place + length] = random.bytes(length)
            case _:
                if random.random() < 0.2:
                    del result[place:]
    return bytes(result)


def _place(size: int, random: Random, calm: tuple[tuple[int, int], ...]) -> int:
    for _ in range(20):
        place = int(random.integers(size))
        if random.random() < 0.05 or not any(start <= place < stop for start, stop in calm):
            break
    return place


def mutate_model(content: bytes, random: Random) -> bytes:
    """Change a model file: its bytes in one case of four, otherwise up to four fields of its message."""
    if random.random() < 0.25:
        return mutate_bytes(content, random, _weights(content))
    model = ModelProto.FromString(content)
    words = [text for message in _messages(model) for text in _strings(message)]
    for _ in range(int(random.integers(1, 5))):
        messages = list(_messages(model))
        _mutate_message(messages[int(random.integers(len(messages)))], random, words)
    try:
        return model.SerializeToString()
    except (ValueError, DecodeError):  # a string that is no UTF-8
        return content


def mutate_json(content: bytes, random: Random) -> bytes:
    """Change a JSON file: its bytes in one case of four, otherwise up to four of its values."""
    if random.random() < 0.25:
        return mutate_bytes(content, random)
    document = json.loads(content)
    for _ in range(int(random.integers(1, 5))):
        places = list(_places(document))
        if not places:
            break
        holder, key = places[int(random.integers(len(places)))]
        match random.integers(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, list):
                holder.insert(key, holder[key])
            case 2:  # a value from elsewhere in the file
                other, place = places[int(random.integers(len(places)))]
                holder[key] = json.loads(json.dumps(other[place]))
            case _:  # of the same type, or of any
                alike = [value for value in _VALUES if random.random() < 0.3 or type(value) is type(holder[key])]
                holder[key] = alike[int(random.integers(len(alike)))] if alike else None
    return json.dumps(document).encode()


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every object or list in a value with each of its keys or numbers."""
    for key in list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield value, key
        yield from _places(value[key])


def _weights(content: bytes) -> tuple[tuple[int, int], ...]:
    """Where the weights of a model stand in its file."""
    found = []
    for tensor in ModelProto.FromString(content).graph.initializer:
        if len(tensor.raw_data) >= _LARGE:
            start = content.find(tensor.raw_data)
            found.append((start, start + len(tensor.raw_data)))
    return tuple(found)


def _messages(message: Message) -> Iterator[Message]:
    """A message and all in it."""
    yield message
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if field.is_repeated else [value]:
                yield from _messages(inner)


def _strings(message: Message) -> Iterator[str]:
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_STRING:
            yield from value if field.is_repeated else [value]


def _mutate_message(message: Message, random: Random, words: list[str]) -> None:
    """Change one field: one that is set, or now and then any other."""
    fields = [field for field, _ in message.ListFields()]
    if not fields or random.random() < 0.15:
        fields = list(message.DESCRIPTOR.fields)
    field = fields[int(random.integers(len(fields)))]
    if field.is_repeated:
        _mutate_list(message, field, random, words)
    elif random.random() < 0.1:
        message.ClearField(field.name)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        getattr(message, field.name).SetInParent()
    else:
        setattr(message, field.name, _value(field, getattr(message, field.name), random, words))


def _mutate_list(message: Message, field: FieldDescriptor, random: Random, words: list[str]) -> None:
    entries = getattr(message, field.name)
    place = int(random.integers(len(entries))) if entries else 0
    kind = random.integers(4)
    if kind == 0 and entries:
        del entries[place]
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        copy = entries.add()
        if len(entries) > 1:
            copy.CopyFrom(entries[place])
    elif kind == 1 or not entries:
        entries.append(_value(field, entries[place] if entries else field.default_value, random, words))
    else:
        entries[place] = _value(field, entries[place], random, words)


def _value(field: FieldDescriptor, old: object, random: Random, words: list[str]) -> object:
    """Another value of the type of a field."""
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            pool = words if words and random.random() < 0.6 else _WORDS
            return pool[int(random.integers(len(pool)))]
        case FieldDescriptor.TYPE_BYTES:
            return mutate_bytes(bytes(old or b""), random)  # type: ignore[call-overload]
        case FieldDescriptor.TYPE_FLOAT | FieldDescriptor.TYPE_DOUBLE:
            return float(random.choice([0.0, -1.0, 1e-45, 3e38, np.inf, np.nan, random.normal()]))
        case FieldDescriptor.TYPE_INT32:
            return _NUMBERS[int(random.integers(_INT32_NUMBERS))]
        case FieldDescriptor.TYPE_UINT64:
            return abs(_NUMBERS[int(random.integers(len(_NUMBERS)))])
        case FieldDescriptor.TYPE_ENUM:
            return int(random.choice(list(field.enum_type.values_by_number)))
    number = _NUMBERS[int(random.integers(len(_NUMBERS)))]
    return number if random.random() < 0.7 else int(random.integers(-9, 30))
