"""Everything that stays the same while compressed nets are tried, each written beside its final place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from onnxbound.compressors.budget import Budget
from onnxbound.compressors.compressed import CompressedNetwork
from onnxbound.compressors.evaluate import Baseline, ratio_of, reopen, require_agreement
from onnxbound.compressors.fastest import fastest
from onnxbound.compressors.fine_tuning import FineTuning
from onnxbound.compressors.guarantee import Changed
from onnxbound.compressors.method import Method, compress_layers
from onnxbound.compressors.paired_logits import PairedLogits
from onnxbound.compressors.request import Request
from onnxbound.compressors.rounder import ACTIVATIONS, FORMATS, Rounder
from onnxbound.compressors.smallest import Chosen, Trials, smallest, split
from onnxbound.compressors.write import to_model
from onnxbound.data.rows import Rows
from onnxbound.errors import Problem, UsageError
from onnxbound.graph.layer import Layer
from onnxbound.graph.network import Network
from onnxbound.results import Float64Array
from onnxbound.run.device import Device
from onnxbound.run.model_output import staged
from onnxbound.stability.collect import Progress

_FEW = 16
"""Rows at which it is seen whether arithmetic in 16 bits comes near enough."""


@dataclass(frozen=True)
class Task:
    """What is compressed, and how.

    Attributes:
        network: The original.
        request: What is asked for.
        layers: Those that are compressed.
        origins: Layer index to the weight from which the distance is compressed; None without one.
        device: Where nets run.
        output: The file that is written in the end.
        progress: Called with (stage, done, in all).
    """

    network: Network
    request: Request
    layers: Sequence[Layer]
    origins: Mapping[int, Float64Array] | None
    device: Device
    output: Path
    progress: Progress

    def compressed(self, budgets: Mapping[int, Budget], method: Method | None = None) -> CompressedNetwork:
        """By an algorithm at a budget per layer."""
        return compress_layers(self.network, method or self.request.method, budgets, self.origins)

    def everywhere(self, budget: Budget) -> Mapping[int, Budget]:
        """One budget for all layers."""
        return {layer.index: budget for layer in self.layers}

    def baseline(self, rows: Rows | None) -> Baseline:
        """The original on some rows."""
        request = self.request
        return Baseline(self.network, self.device, request.threads, rows, request.method.seed, fused=request.fused)

    def tried(self, compressed: CompressedNetwork, baseline: Baseline) -> tuple[PairedLogits, int]:
        """A net that is written only to be tried, and its size in bytes."""
        with staged(self.output) as place:
            place.write(to_model(compressed, {"method": self.request.method.name}, factorise=self.request.factorises))
            again = reopen(self.network, place.path, halved=compressed.halved).network
            if compressed.halved:
                require_agreement(compressed, again, baseline.runner(again), baseline.sample(again.batch or _FEW))
            return baseline.compare(again, self.progress), place.size

    def accuracy(self, compressed: CompressedNetwork, baseline: Baseline) -> float:
        """The share of rows that such a net gets right."""
        return float((self.tried(compressed, baseline)[0].margin_after > 0).mean())

    def stored(self, rows: Rows, unseen: Baseline | None, folder: Path, *, codes: bool) -> Chosen:
        """The network in one format, or the smallest or the fastest mix of them.

        Args:
            rows: The training set.
            unseen: The original on the test rows.
            folder: For networks that are made on the way.
            codes: Whether codes are to be small, and not the file.
        """
        request, name = self.request, self.request.method.name
        first, others = split(rows, request.method.seed)
        free, apart = _without(rows, others), self.baseline(others)
        quick = unseen is None
        fine = FineTuning(apart.logits, free, self.device, request.threads, request.method.seed, quick=quick)
        rounder = Rounder(self.network, request.layers, first, self.device, request.threads, request.method.seed)
        if name not in ("smallest", "fastest"):
            if name == "int8":
                made = [rounder.with_activations(dict.fromkeys(rounder.sites, ACTIVATIONS))]
                if not made[0].roundings:
                    problem = Problem(str(self.network.path), "its floats have 16 bits", "use int8-weights")
                    raise UsageError("compress-method", "int8 takes nets of float32.", [problem])
            else:
                width = next(width for width, each in FORMATS.items() if each == name)
                made = [rounder.everywhere(width, request.method.block)]
                if request.method.fine_tune:
                    plan = dict.fromkeys(rounder.sites, width)
                    made.insert(0, fine.tuned(rounder, plan, request.method.block) or _too_few(free, self.network))
            seen = [(each, Changed.of(self.tried(each, apart)[0])) for each in made]
            compressed, changed = min(seen, key=lambda found: found[1].drop)
            return Chosen(compressed, (), changed, ())

        def tested(compressed: CompressedNetwork) -> Changed:
            assert unseen is not None
            return Changed.of(self.tried(compressed, unseen)[0], request.delta)

        def timed(compressed: CompressedNetwork) -> tuple[float, float, float]:
            with staged(self.output) as place:
                place.write(to_model(compressed, {}, factorise=True))
                again = reopen(self.network, place.path, halved=compressed.halved).network
                return ratio_of(apart.rounds(again)[0])

        trials = Trials(
            chosen=lambda compressed: self.tried(compressed, apart),
            tested=tested,
            timed=timed,
            fine_tuned=fine.tuned,
            test_rows=0 if unseen is None else unseen.count,
            max_drop=request.tolerated_drop,
            delta=request.delta,
            folder=folder,
            progress=self.progress,
        )
        return fastest(rounder, trials) if name == "fastest" else smallest(rounder, trials, codes=codes)


def _without(rows: Rows, others: Rows) -> Rows:
    """Those that are not among others."""
    left = ~np.isin(rows.index, others.index)
    return replace(rows, index=rows.index[left], labels=rows.labels[left])


def _too_few(rows: Rows, network: Network) -> NoReturn:
    why = (
        f"{rows.count:,} are left beside those kept apart, one takes {network.multiply_adds:,} multiply-adds, and the"
        " two largest logits have to differ on most"
    )
    problem = Problem("rows", why, "give more of a small net; leave out `fine_tune` for a large one")
    raise UsageError("compress-method", "The net cannot be fine-tuned at the rows that can be used.", [problem])
