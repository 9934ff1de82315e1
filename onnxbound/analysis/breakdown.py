"""The classes and the rows that the extremes come from."""

import numpy as np

from onnxbound.analysis.sections import ClassReport, WorstRow, WorstRows
from onnxbound.data.rows import Rows
from onnxbound.results import Float64Array
from onnxbound.run.forward_norms import ForwardPass
from onnxbound.run.row_table import Table


def per_class(table: Table, rows: Rows, classes: int, depth: int) -> tuple[ClassReport, ...]:
    """Describe the rows of each label: errors, margins, cushions. Labels without rows are left out."""
    margin = table.column("margin")
    cushions = [table.column("layer_cushion", layer) for layer in range(1, depth + 1)]
    groups = []
    for label in range(classes):
        own = rows.labels == label
        if own.any():
            defined = margin[own][np.isfinite(margin[own])]
            groups.append(
                ClassReport(
                    label=label,
                    rows=int(own.sum()),
                    train_error=float(np.mean(~(margin[own] > 0))),
                    margin_min=float(defined.min()) if defined.size else None,
                    margin_median=float(np.median(defined)) if defined.size else None,
                    layer_cushion_min=tuple(_smallest(cushion[own]) for cushion in cushions),
                )
            )
    return tuple(groups)


def worst_rows(table: Table, rows: Rows, depth: int, count: int, forward: ForwardPass) -> WorstRows:
    """List the rows of smallest margin, and those of smallest cushion at any layer; ties keep the file's order."""
    margin = table.column("margin")
    cushion, layer = np.full(rows.count, np.inf), np.ones(rows.count, np.int64)
    for index in range(1, depth + 1):
        column = table.column("layer_cushion", index)
        smaller = column < cushion
        cushion[smaller], layer[smaller] = column[smaller], index
    places = {
        "smallest_margin": np.argsort(np.where(np.isnan(margin), -np.inf, margin), kind="stable")[:count],
        "smallest_cushion": np.argsort(cushion, kind="stable")[:count],
    }

    def listed(name: str) -> tuple[WorstRow, ...]:
        if not len(places[name]):
            return ()
        order = np.argsort(rows.index[places[name]])
        answers = np.empty(len(order), np.int64)
        answers[order] = forward.run(rows.batch(rows.index[places[name][order]]).inputs).logits.argmax(axis=1)
        return tuple(
            WorstRow(
                index=int(rows.index[place]),
                label=int(rows.labels[place]),
                margin=float(margin[place]) if np.isfinite(margin[place]) else None,
                layer_cushion=float(cushion[place]) if np.isfinite(cushion[place]) else None,
                layer=int(layer[place]),
                predicted=int(answer),
            )
            for place, answer in zip(places[name], answers, strict=True)
        )

    return WorstRows(listed("smallest_margin"), listed("smallest_cushion"))


def _smallest(values: Float64Array) -> float | None:
    defined = values[np.isfinite(values)]
    return float(defined.min()) if defined.size else None
