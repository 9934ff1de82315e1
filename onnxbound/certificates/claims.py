"""The few things of a certificate that cannot be found out again, and how everything else is compared."""

from collections.abc import Mapping
from typing import Any

from onnxbound.certificates.certificate import decimal_of
from onnxbound.certificates.folder import malformed
from onnxbound.certificates.statement import OBJECTS, Object
from onnxbound.errors import Problem, VerificationError


class Claims:
    """The few things of a document that cannot be found out again, each of the type it must have."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.object: Object = self._one_of("object", OBJECTS)
        self.delta = decimal_of(self._number("delta", float))
        if not 0 < self.delta < 1:
            raise malformed("certificate.json", "delta is not between 0 and 1")
        self.errors: int = self._number("errors", int)
        self.tau: float = self._number("tau", float)
        self.seed: int = self._number("seed", int)
        self.preprocessing = self._dict("preprocessing")
        numbers = {"numbers"} if self.object == "holdout" else set()
        if self.preprocessing.keys() != {"layout", "scale", "mean", "std", "input"} | numbers:
            raise malformed("certificate.json", "preprocessing has other entries than it must have")
        self.model = self._dict("model")
        baselines = document.get("baselines")
        if not isinstance(baselines, list) or not all(isinstance(entry, dict) for entry in baselines):
            raise malformed("certificate.json", "baselines is not a list of objects")
        self.baselines: tuple[dict[str, Any], ...] = tuple(baselines)
        sources = document.get("inputs")
        if not isinstance(sources, list):
            raise malformed("certificate.json", "inputs is not a list")
        self.rows = {s.get("role"): s.get("rows") for s in sources if isinstance(s, dict)}

    def subsample(self, role: str) -> int | None:
        """How many rows of the file are used, where that is said."""
        rows = self.rows.get(role)
        if rows is not None and (type(rows) is not int or rows < 1):
            raise malformed("certificate.json", f"the rows of {role} are no number of rows")
        return rows

    def _number(self, name: str, kind: type) -> Any:
        value = self.document.get(name)
        if type(value) is kind and value >= 0:  # type: ignore[operator]
            return value
        raise malformed("certificate.json", f"{name} is not a number of the kind that belongs there")

    def _dict(self, name: str) -> dict[str, Any]:
        value = self.document.get(name)
        if not isinstance(value, dict):
            raise malformed("certificate.json", f"{name} is not an object")
        return value

    def _one_of(self, name: str, allowed: tuple[Object, ...]) -> Object:
        for word in allowed:
            if self.document.get(name) == word:
                return word
        raise malformed("certificate.json", f"{name} is none of {', '.join(allowed)}")


def require_same(name: str, claimed: object, found: object) -> None:
    """Raise certificate-mismatch if an entry is not what was found out."""
    if claimed != found or type(claimed) is not type(found):
        raise mismatch(name, repr(claimed), repr(found))


def mismatch(where: str, claimed: str, found: str) -> VerificationError:
    """The verdict: something differs."""
    return VerificationError(
        "certificate-mismatch",
        f"The certificate does not verify: {where} is not what it says.",
        [
            Problem(
                where,
                f"it says {claimed[:200]}, found {found[:200]}",
                "do not rely on it; check that these are the rows it names",
            )
        ],
    )
