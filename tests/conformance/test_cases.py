"""No operator gives a wrong value or a wrong Jacobian on the node tests of onnx, and the list of them is current."""

import onnx
import pytest

from tests.conformance.cases import Result, run_all
from tests.conformance.listing import LIST, listing, version_of


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return run_all()


def test_none_fails(results: list[Result]) -> None:
    assert not [result for result in results if result.status == "failed"]
    assert sum(result.status == "passed" for result in results) > 90


def test_the_list_is_current(results: list[Result]) -> None:
    """It depends on the version of onnx, which generates the cases."""
    checked_in = LIST.read_text()
    if version_of(checked_in) != onnx.__version__:
        pytest.skip(f"the list is of onnx {version_of(checked_in)}, this is {onnx.__version__}")
    assert listing(results) == checked_in
