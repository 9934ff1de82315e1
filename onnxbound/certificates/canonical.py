"""JSON of which there is only one form, with a checksum: any other byte is noticed."""

import hashlib
import json
from typing import Any


def canonical_json(document: dict[str, Any]) -> bytes:
    """The one byte form of a document: sorted keys, no spaces, ASCII, and a checksum over the rest.

    Raises:
        ValueError: The document has a checksum, or a number that is not finite.

    >>> canonical_json({"b": 1, "a": "x"})[:17]
    b'{"a":"x","b":1,"c'
    """
    if "checksum" in document:
        raise ValueError("the document has a checksum already")
    checksum = hashlib.sha256(_bytes(document)).hexdigest()
    return _bytes({**document, "checksum": checksum})


def read_canonical(data: bytes) -> dict[str, Any]:
    """The document of `canonical_json`, without its checksum.

    Raises:
        ValueError: The bytes are not what `canonical_json` writes for any document.
    """
    try:
        document = json.loads(data)
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError("it is no JSON") from error
    if not isinstance(document, dict):
        raise ValueError("it is not an object")  # noqa: TRY004 - one kind of error for all that is wrong with a file
    document.pop("checksum", None)
    if canonical_json(document) != data:
        raise ValueError("it is not in its canonical form, or its checksum is wrong")
    return document


def _bytes(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
