"""Every document that has a page, made once per test run and read back from its JSON."""

import json
import tempfile
from decimal import Decimal
from functools import cache
from pathlib import Path

import numpy as np

import onnxbound
from onnxbound.certificates.certificate import Certificate
from onnxbound.certificates.statement import Statement
from onnxbound.cli.report import read
from onnxbound.documents.viewed import Viewed
from tests.nets import random_mlp

_SETTINGS = onnxbound.Settings(probes="exact", measured=None)


def dumped(folder: Path) -> dict[str, Path]:
    """Write one file of JSON per kind into a folder, and return them by the kind."""
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 5)).astype(np.float32), np.arange(60) % 3
    hidden = {"wide": (8,), "deep": (7, 6), "narrow": (4,)}
    networks = [onnxbound.load(random_mlp(folder / f"{name}.onnx", [5, *sizes, 3])) for name, sizes in hidden.items()]
    rows, tests = ([onnxbound.open_rows((x[k::2], y[k::2]), net) for net in networks] for k in (0, 1))
    made = {
        "inspect": onnxbound.inspect(networks[1]),
        "noise": onnxbound.noise(networks[1], rows[1], onnxbound.Settings(probes=2)),
        "compare": onnxbound.compare(networks, rows, _SETTINGS),
        "rank": onnxbound.rank(networks, rows, tests, _SETTINGS),
        "track": onnxbound.track(networks, rows, tests, _SETTINGS),
        "compress": onnxbound.compress(networks[1], rows[1], folder / "small.onnx", test=tests[1]),
    }
    statement = Statement("compressed", 60_000, 840, 5800, Decimal("0.05"), 10, 6742)
    certificate = Certificate(statement, None, (), "", {}, None).document()
    files = {name: folder / f"{name}.json" for name in (*made, "certificate")}
    for name, document in made.items():
        document.save(files[name])
    files["certificate"].write_text(json.dumps(certificate))
    return files


@cache
def documents() -> dict[str, Viewed]:
    """Every document by its kind."""
    with tempfile.TemporaryDirectory() as folder:
        return {name: read(path) for name, path in dumped(Path(folder)).items()}
