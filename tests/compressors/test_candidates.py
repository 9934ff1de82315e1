"""Which candidates the search for the smallest file fine-tunes, and which it puts to the test."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.rounder import Rounder
from onnxbound.compressors.smallest import smallest
from tests.compressors.test_guarantee import changed_rows
from tests.compressors.test_smallest import Table, rounder_of, trials, widths
from tests.nets import random_mlp


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return random_mlp(tmp_path / "net.onnx", [12, 60, 40, 4])


def test_what_is_fine_tuned_and_what_then_counts(net: Path) -> None:
    """Plans of integers that fail, none of floats; what passes then is as good as any other."""
    seen: list[str] = []
    asked: list[set[int]] = []

    def tuned(rounder: Rounder, plan: Mapping[int, int]) -> CompressedNetwork | None:
        asked.append(set(plan.values()))
        return replace(rounder.compressed(plan), fine_tuned=True)

    def looked_at(compressed: CompressedNetwork) -> tuple[PairedLogits, int]:
        worse = 150 if "fp16" in widths(compressed) else 60 * widths(compressed).count("int4-weights")
        return changed_rows(10_000, 0 if compressed.fine_tuned else worse, 0), compressed.bits

    given = replace(trials(net, Table({}), None, seen, 0.005), fine_tuned=tuned, chosen=looked_at)
    found = smallest(rounder_of(net), given)
    assert found.compressed.fine_tuned
    assert set(widths(found.compressed)) == {"int4-weights"}
    assert {4} in asked
    assert all(16 not in plan for plan in asked)
    assert [attempt.fine_tuned for attempt in found.tried][:4] == [False, False, False, True]

    hopeless = replace(given, chosen=lambda compressed: (changed_rows(10_000, 600, 0), compressed.bits))
    asked.clear()
    assert set(widths(smallest(rounder_of(net), hopeless).compressed)) == {"fp16"}
    assert not asked


def test_a_candidate_is_not_tested_if_a_smaller_one_is_safer(net: Path) -> None:
    """Three layers of 4 bits lose less on rows apart than two do."""
    seen: list[str] = []
    apart = Table({"int4-int4-int4": 50, "int4-int4-int8": 150, "int8-int4-int4": 150, "int4-int8-int4": 150})
    found = smallest(rounder_of(net), trials(net, apart, Table({}), seen, 0.04))
    assert set(widths(found.compressed)) == {"int4-weights"}
    assert not [plan for plan in seen if plan.count("int4") == 2]
    assert seen[-1] == "int4-int4-int4"
