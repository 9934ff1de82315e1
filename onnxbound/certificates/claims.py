"""The two counts of a certificate that a verifier's own may be below, and how everything else is compared."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from onnxbound.certificates.certificate import SCHEMA, decimal_of
from onnxbound.certificates.files import CERTIFICATE, malformed
from onnxbound.certificates.statement import OBJECTS, Object
from onnxbound.errors import Problem, VerificationError

_LONGEST = 200
"""Characters of an entry that a message quotes."""


class Claims:
    """What a verifier reads in a document before it looks at the evidence, each of the type it must have."""

    def __init__(self, document: Mapping[str, Any], delta: Decimal) -> None:
        """Of a document, for a verifier who wants this delta."""
        schema = document.get("schema")
        if schema == "onnxbound.certificate/1":
            raise malformed(CERTIFICATE, "it is of format 1, which could be forged and is read no more")
        if schema != SCHEMA:
            raise malformed(CERTIFICATE, f"it is of the schema {schema!r}, not {SCHEMA!r}")
        self.document = document
        self.object: Object = self._one_of("object", OBJECTS)
        self.errors = self._count(document, "errors")
        claimed = document.get("delta")
        if type(claimed) is not float or decimal_of(claimed) != delta:
            raise mismatch("delta", repr(claimed), f"{delta}, which the verifier wants (`delta`)")
        self.delta = delta

    @property
    def disagreements(self) -> int:
        """The disagreements that are claimed."""
        entry = self.document.get("disagreements")
        return self._count(entry if isinstance(entry, dict) else {}, "count")

    def require_errors(self, found: int, rows: int) -> None:
        """Refuse a claim of fewer errors than were found."""
        if not found <= self.errors <= rows:
            raise mismatch("errors", f"{self.errors}", f"{found} on this runtime")

    def require_disagreements(self, found: int, rows: int) -> None:
        """Refuse a claim of fewer disagreements than were found."""
        if not found <= self.disagreements <= rows:
            raise mismatch("disagreements", f"{self.disagreements}", f"{found} on this runtime")

    def _count(self, entries: Mapping[str, Any], name: str) -> int:
        value = entries.get(name)
        if type(value) is not int or value < 0:
            raise malformed(CERTIFICATE, f"{name} is not a number of the kind that belongs there")
        return value

    def _one_of(self, name: str, allowed: tuple[Object, ...]) -> Object:
        for word in allowed:
            if self.document.get(name) == word:
                return word
        raise malformed(CERTIFICATE, f"{name} is none of {', '.join(allowed)}")


def require_same(name: str, claimed: object, found: object) -> None:
    """Raise certificate-mismatch if an entry is not what was found out; of a list, at its first such element."""
    if _said(claimed) == _said(found):  # in JSON, where 1, 1.0 and true are three things
        return
    if isinstance(claimed, list) and isinstance(found, list) and len(claimed) == len(found):
        for place, (one, of) in enumerate(zip(claimed, found, strict=True)):
            require_same(f"{name}.{place}", one, of)
    if isinstance(claimed, dict) and isinstance(found, dict):
        parts = [key for key in {**found, **claimed} if _said(claimed.get(key)) != _said(found.get(key))]
        claimed, found = ({key: entries.get(key) for key in parts} for entries in (claimed, found))
    # A sentence or a number made of claims that were not looked into would be quoted as if it were true.
    raise mismatch(
        name, _said(claimed), "another" if name in _DERIVED else _said(found), _ADVICE.get(name.split(".")[0])
    )


_DERIVED = ("statement", "bound", "vacuous")
_ADVICE = {"inputs": "check that these are the rows and labels that it names"}
_WRONG = {"inputs": "it is about other rows, labels or models than those that were given"}


def _said(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def mismatch(where: str, claimed: str, found: str, do: str | None = None) -> VerificationError:
    """The verdict: something differs."""
    says, is_ = (text if len(text) <= _LONGEST else text[:_LONGEST] + "..." for text in (claimed, found))
    problem = Problem(where, f"the certificate says {says}, found {is_}", do or "do not rely on it")
    wrong = _WRONG.get(where.split(".")[0], f"it states another value for {where}")
    message = f"The certificate does not verify: {wrong}."
    return VerificationError("certificate-mismatch", message, [problem])


def other_network(
    name: str, of: str, why: str = "it holds another network", do: str = "do not rely on it"
) -> VerificationError:
    """The verdict: a file does not hold the network that it should."""
    message = f"The certificate does not verify: {name} is not {of}."
    return VerificationError("certificate-mismatch", message, [Problem(name, why, do)])
