"""What the progress says when a run is stopped."""

import pytest

from onnxbound.cli.output_options import OutputOptions
from onnxbound.errors import InterruptionError


def run(*calls: tuple[str, int, int]) -> None:
    with OutputOptions().progress() as progress:
        for call in calls:
            progress(*call)
        raise KeyboardInterrupt


def stopped(*calls: tuple[str, int, int]) -> str:
    with pytest.raises(InterruptionError) as error:
        run(*calls)
    return error.value.message


def test_what_was_under_way() -> None:
    assert stopped() == "Interrupted; nothing was written."
    first = (("nets", 0, 2), ("forward", 0, 9), ("forward", 9, 9), ("measure", 3, 5))
    assert stopped(*first) == (
        "Interrupted during nets, 0 of 2 done; Jacobians and smoothness, 3 of 5 done; nothing was written."
    )
    second = (("measure", 5, 5), ("nets", 1, 2), ("forward", 0, 9))
    assert stopped(*first, *second) == (
        "Interrupted during nets, 1 of 2 done; forward pass, 0 of 9 done; nothing was written."
    )
