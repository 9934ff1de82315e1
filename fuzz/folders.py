"""Certificate folders of every object, mutated: none verifies with a false statement, none ends in a fault or a hang.

    python -m fuzz.folders [--mutants N] [--seed N]

Bytes, JSON value by value, codes and files are spoiled, or taken from another folder; most documents get the checksums,
hashes and bounds that go with them. A mutant that verifies though a file of it differs, of which the error on fresh
rows of the known distribution is above its bound, is a finding. Claims of more errors are true, and those of another
file that means the same network.
"""

import argparse
import hashlib
import json
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from fuzz.forge import drawn
from fuzz.mutate import mutate_bytes, mutate_json, mutate_model
from onnxbound.certificates.canonical import canonical_json, read_canonical
from onnxbound.certificates.certify import Prior, certify
from onnxbound.certificates.evidence import ByFile, Evidence
from onnxbound.certificates.request import CertificateOptions
from onnxbound.certificates.unseen_rows import certify_holdout
from onnxbound.certificates.verify import Verification, verify
from onnxbound.certificates.winner import decided
from onnxbound.codec.network_code import decode
from onnxbound.codec.tensors import Levels
from onnxbound.data.open import open_rows
from onnxbound.errors import OnnxboundError
from onnxbound.graph.load import load
from onnxbound.run.device import CPU
from tests.certificates.conftest import rewrite
from tests.certificates.forging import with_code
from tests.nets import mlp

_LONGEST = 20
"""Seconds; whatever takes longer hangs."""

_ROWS, _PRIOR_ROWS, _FRESH = 1000, 200, 100_000
DOCUMENT = "certificate.json"

Files = dict[str, bytes]


def genuine(here: Path, random: np.random.Generator) -> tuple[dict[str, Evidence], Callable[[Path], float]]:
    """A folder per object with the evidence that it verifies by, and the error of a model's file on fresh rows."""
    teacher = [(random.normal(size=(n, m)), random.normal(size=n)) for n, m in ((6, 8), (4, 6))]
    near = [(w + 0.5 * random.normal(size=w.shape), b) for w, b in teacher]
    network, prior = load(mlp(here / "net.onnx", teacher)), load(mlp(here / "prior.onnx", near))
    for name in ("train", "fresh", "holdout"):
        x, y = drawn(random, _ROWS, teacher)
        np.savez(here / f"{name}.npz", x=x, y=y)
    train, fresh, unseen = (
        lambda reader, how, name=name, **options: open_rows(here / f"{name}.npz", reader, how, **options)
        for name in ("train", "fresh", "holdout")
    )
    options = CertificateOptions(effort=1, threads=1)
    rows, unlabelled = train(network, None), fresh(ByFile.of(network), None, labelled=False)
    certify(network, rows, here / "compressed", options)
    certify(network, rows, here / "original_unlabelled", options, unlabelled=unlabelled)
    certify(network, rows, here / "prior", options, prior=Prior(prior, _PRIOR_ROWS))
    certify_holdout(network, unseen(ByFile.of(network), None), here / "holdout", options, CPU)
    of_data = Evidence(data=train)
    evidence = {
        "compressed": of_data,
        "original_unlabelled": replace(
            of_data, model=network, unlabelled=lambda reader, how: fresh(reader, how, labelled=False)
        ),
        "prior": replace(of_data, prior=prior, prior_rows=_PRIOR_ROWS),
        "holdout": Evidence(holdout=unseen, model=network),
    }
    new, labels = drawn(random, _FRESH, teacher)

    def error_of(model: Path) -> float:
        session = onnxruntime.InferenceSession(model)
        (logits,) = session.run(None, {session.get_inputs()[0].name: new})
        return float(np.mean(decided(np.asarray(logits, np.float64)) != labels))

    return evidence, error_of


def spoiled(folder: Path, others: dict[str, Files], random: np.random.Generator) -> str:
    """Spoil a folder in one way, and say which."""
    names = sorted(path.name for path in folder.iterdir())
    ways = ["json", "json", "json", "document", "numbers", "swap", "more"]
    way = str(random.choice([*ways, *(("code", "code", "model", "network") if "code.bin" in names else ())]))
    document = read_canonical((folder / DOCUMENT).read_bytes())
    if way == "json":
        (folder / DOCUMENT).write_bytes(_sealed(mutate_json(json.dumps(document).encode(), random)))
    elif way == "document":
        (folder / DOCUMENT).write_bytes(mutate_bytes((folder / DOCUMENT).read_bytes(), random))
    elif way == "numbers":
        name = str(random.choice(["errors", "rows", "bits"]))
        with suppress(ValueError, ArithmeticError):
            rewrite(folder, **{name: int(random.integers(2 * document[name] + 2))})
    elif way == "swap":
        source = others[str(random.choice(list(others)))]
        name = str(random.choice(list(source)))
        (folder / name).write_bytes(source[name])
    elif way == "more":
        name = str(random.choice(["decoded_int8.onnx", "Code.bin", "x", "code.bin "]))
        (folder / name).write_bytes(random.bytes(int(random.integers(40))))
    elif way in ("code", "model"):
        name, mutate = ("code.bin", mutate_bytes) if way == "code" else ("decoded.onnx", mutate_model)
        content = mutate((folder / name).read_bytes(), random)
        (folder / name).write_bytes(content)
        entry = {"code": "sha256", "model": "decoded_sha256"}[way]
        document["code"] |= {entry: hashlib.sha256(content).hexdigest()}
        (folder / DOCUMENT).write_bytes(canonical_json(document))
        if way == "code":
            rewrite(folder, bits=8 * len(content))
    else:
        code = decode((folder / "code.bin").read_bytes())
        near = lambda n: n + (random.random(n.shape) < 0.1) * random.integers(-2, 3, n.shape)  # noqa: E731
        parts = [replace(p, levels=near(p.levels)) if isinstance(p, Levels) else p for p in code.parts]
        with_code(folder, replace(code, parts=tuple(parts)))
    return way


def _sealed(content: bytes) -> bytes:
    """A mutated document with its checksum, where it is one at all."""
    try:
        document = json.loads(content)
        document.pop("checksum", None)
        return canonical_json(document)
    except (ValueError, AttributeError, TypeError):
        return content


def ended(folder: Path, evidence: Evidence) -> tuple[str, Verification | None]:
    """How verify ends: an error's code, "verifies", or a fault."""
    signal.alarm(_LONGEST)
    try:
        return "verifies", verify(folder, evidence, CPU, 1)
    except OnnxboundError as error:
        return error.code, None
    except Exception as error:  # noqa: BLE001 - a finding
        return f"fault: {error!r}", None
    finally:
        signal.alarm(0)


def _hang(*_: Any) -> None:
    raise TimeoutError


def main() -> int:
    """Spoil as many folders as were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mutants", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    signal.signal(signal.SIGALRM, _hang)
    random = np.random.default_rng(given.seed)
    ends, findings, began = Counter[str](), 0, time.monotonic()
    with tempfile.TemporaryDirectory() as root:
        here = Path(root)
        evidence, error_of = genuine(here, random)
        files = {kind: {path.name: path.read_bytes() for path in (here / kind).iterdir()} for kind in evidence}
        for number in range(given.mutants):
            kind = str(random.choice(list(evidence)))
            shutil.rmtree(here / "spoiled", ignore_errors=True)
            folder = Path(shutil.copytree(here / kind, here / "spoiled"))
            way = spoiled(folder, files, random)
            end, found = ended(folder, evidence[kind])
            now = {path.name: path.read_bytes() for path in folder.iterdir()}
            if found is not None and now == files[kind]:
                end = "verifies unchanged"
            elif found is not None:
                about = here / "net.onnx" if kind in ("holdout", "original_unlabelled") else folder / "decoded.onnx"
                true = error_of(about) <= found.bound
                end = "another statement, a true one" if true else "false statement"
            ends[end] += 1
            if end.startswith(("fault", "false")):
                findings += 1
                print(f"mutant {number}, {kind}, {way}: {end}", flush=True)
    print(f"{given.mutants:,} mutants in {time.monotonic() - began:.0f} s, {findings} findings: {dict(ends)}")
    return int(findings > 0)


if __name__ == "__main__":
    sys.exit(main())
