"""Every document shows itself, in a line and as a whole."""

import pytest

from onnxbound.certificates.request import Certified
from onnxbound.cli.documents import Failure, Files
from onnxbound.cli.schemas import _DOCUMENTS
from onnxbound.documents.document import Document

OF_COMMANDS = (Failure, Files)
"""Only ever JSON."""


@pytest.mark.parametrize("kind", [Certified, *(kind for kind in _DOCUMENTS if kind not in OF_COMMANDS)])
def test_it_shows_itself(kind: type[Document]) -> None:
    assert kind.render is not Document.render
    assert kind.summary is not Document.summary
    assert kind.__repr__ is Document.__repr__
