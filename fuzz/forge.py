"""Certificates forged at random, for as long as it is told: whatever verifies is held against the true error.

    python -m fuzz.forge [--seconds N] [--seed N]

Rows come from a known distribution, so the error of any network is counted on a million fresh ones. A forger spoils
folders in all the ways below, makes checksums and hashes right again, and offers them; a certificate that verifies and
whose bound is below the error on fresh rows, or that differs from every genuine one, ends the run with exit code 1.
"""

import argparse
import hashlib
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certify import certify
from onnxbound.certificates.decoded import decoded
from onnxbound.certificates.evidence import Evidence
from onnxbound.certificates.request import CertificateOptions
from onnxbound.certificates.verify import verify
from onnxbound.certificates.winner import decided
from onnxbound.codec.architecture import INPUT
from onnxbound.codec.network_code import decode, encode
from onnxbound.codec.range_coder import Malformed
from onnxbound.codec.tensors import Levels
from onnxbound.data.open import open_rows
from onnxbound.errors import OnnxboundError
from onnxbound.graph.load import load
from onnxbound.run.device import CPU
from onnxbound.run.session import Runner
from tests.nets import mlp

_FRESH = 200_000
_NOISE = 0.02


Teacher = list[tuple[np.ndarray, np.ndarray]]


def drawn(random: np.random.Generator, count: int, teacher: Teacher) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the known distribution and their labels by a net of two layers, some of them wrong."""
    (first, shift), (second, last) = teacher
    x = random.normal(size=(count, first.shape[1])).astype(np.float32)
    y = (np.maximum(x @ first.T + shift, 0) @ second.T + last).argmax(axis=1)
    return x, np.where(random.random(count) < _NOISE, (y + 1) % len(second), y)


def forged(folder: Path, data: Path, random: np.random.Generator) -> str:
    """Spoil a folder and its rows in one way, and say which."""
    path = folder / "certificate.json"
    document = read_canonical(path.read_bytes())
    way = str(random.choice(["entry", "bytes", "levels", "rows", "repeat", "arrays", "errors", "file"]))
    if way == "entry":
        name = str(random.choice(list(document)))
        document[name] = random.choice([0, 1, 0.001]) if random.random() < 0.5 else None
    elif way == "bytes":
        content = bytearray((folder / "code.bin").read_bytes())
        content[int(random.integers(len(content)))] ^= 1 << int(random.integers(8))
        (folder / "code.bin").write_bytes(bytes(content))
        document["code"]["sha256"] = hashlib.sha256(bytes(content)).hexdigest()
    elif way == "levels":
        code = decode((folder / "code.bin").read_bytes())
        parts = [replace(p, levels=random.permutation(p.levels)) if isinstance(p, Levels) else p for p in code.parts]
        content_of = encode(replace(code, parts=tuple(parts)))
        (folder / "code.bin").write_bytes(content_of)
        model = decoded(decode(content_of)).to_bytes()
        (folder / "decoded.onnx").write_bytes(model)
        hashes = {"sha256": hashlib.sha256(content_of).hexdigest(), "decoded_sha256": hashlib.sha256(model).hexdigest()}
        document["code"] |= hashes
        document["bits"] = 8 * len(content_of)
    elif way in ("rows", "repeat", "arrays"):
        arrays = dict(np.load(data))
        count = len(arrays["y"])
        if way == "rows":
            arrays = {name: values[: int(random.integers(1, count))] for name, values in arrays.items()}
        elif way == "repeat":
            arrays = {name: values[np.arange(count) % 7] for name, values in arrays.items()}
        else:
            arrays[str(random.choice(["images", "x_train", "y_train"]))] = arrays["y"][:, None].astype(np.float32)
        np.savez(data, **arrays)
    elif way == "errors":
        document["errors"] = int(random.integers(document["errors"]))
    else:
        (folder / str(random.choice(["x.txt", "decoded_int8.onnx"]))).write_bytes(b"x")
    path.write_bytes(canonical_json(document))
    return way


def true_error(folder: Path, x: np.ndarray, y: np.ndarray) -> float:
    """Of the network in a folder, on fresh rows."""
    net = decoded(decode((folder / "code.bin").read_bytes()))
    logits = Runner(net.model, Path(), CPU, None).run({INPUT: x})["logits"].astype(np.float64)
    return float(np.mean(decided(logits) != y))


def main() -> int:
    """Forge until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    random = np.random.default_rng(given.seed)
    counts: dict[str, int] = {}
    end = time.monotonic() + given.seconds
    with tempfile.TemporaryDirectory() as root:
        here = Path(root)
        teacher = [(random.normal(size=(n, m)), random.normal(size=n)) for n, m in ((6, 8), (4, 6))]
        model = mlp(here / "net.onnx", teacher)
        x, y = drawn(random, 8000, teacher)
        np.savez(here / "rows.npz", x=x, y=y)
        network = load(model)
        options = CertificateOptions(effort=1, threads=1)
        certify(network, open_rows(here / "rows.npz", network), here / "genuine", options)
        fresh = drawn(random, _FRESH, teacher)
        while time.monotonic() < end:
            shutil.rmtree(here / "forged", ignore_errors=True)
            folder = Path(shutil.copytree(here / "genuine", here / "forged"))
            data = Path(shutil.copy(here / "rows.npz", here / "forged.npz"))
            way = forged(folder, data, random)
            counts[way] = counts.get(way, 0) + 1
            try:
                found = verify(folder, Evidence(data=_opener(data)), CPU, 1)
            except (OnnxboundError, Malformed):
                continue
            error = true_error(folder, *fresh)
            if error > found.bound or (folder / "code.bin").read_bytes() != (here / "genuine/code.bin").read_bytes():
                print(f"a forgery verifies: {way}, bound {found.bound}, true error {error}")
                return 1
    print(f"{sum(counts.values()):,} forgeries, none verifies: {counts}")
    return 0


def _opener(data: Path) -> Any:
    return lambda reader, preprocessing: open_rows(data, reader, preprocessing)


if __name__ == "__main__":
    sys.exit(main())
