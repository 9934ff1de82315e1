"""The process in which mutated files are read; a line per input says how it ended.

    python -m fuzz.child SEED FIRST STOP FOLDER SHARE

The mutation of input i depends on (SEED, i) and on the share of models alone, so an input that kills this process is
made again by its number.
"""

import contextlib
import hashlib
import io
import json
import resource
import sys
import traceback
from collections.abc import Callable
from math import isclose
from pathlib import Path
from time import process_time

import numpy as np

from fuzz.mutate import mutate_bytes, mutate_json, mutate_model
from fuzz.seeds import Seed, analysis, seeds
from onnxbound.analysis.settings import Settings
from onnxbound.cli import app
from onnxbound.data.open import open_rows
from onnxbound.data.preprocessing import Preprocessing
from onnxbound.errors import OnnxboundError
from onnxbound.graph.load import load
from onnxbound.run.device import CPU
from onnxbound.run.environment import peak_rss_bytes
from onnxbound.run.forward_norms import ForwardPass
from onnxbound.stability.batches import batches_within

ADDRESS_SPACE = 12 << 30
MEMORY = 1 << 30
"""What an analysis may take: a model may ask for as much as it likes by a batch of its own."""

WHOLE, FORWARD = 96, 8
"""One input in so many is analysed whole; one model in so many goes through onnxruntime for two rows."""


def mutated(seed: int, number: int, pool: list[Seed], share: float = 0.7) -> tuple[Seed, bytes]:
    """Which seed input `number` comes from, and its bytes; `share` are models, the others of each kind alike."""
    random = np.random.Generator(np.random.Philox(key=[seed, number]))
    others = sorted({entry.kind for entry in pool} - {"model"})
    kind = "model" if random.random() < share else others[int(random.integers(len(others)))]
    chosen = [entry for entry in pool if entry.kind == kind]
    weights = np.array([entry.weight for entry in chosen])
    entry = chosen[int(random.choice(len(chosen), p=weights / weights.sum()))]
    return entry, mutate(entry, random)


def mutate(entry: Seed, random: np.random.Generator) -> bytes:
    """A seed's bytes, changed in the way of its kind."""
    if entry.kind == "model":
        return mutate_model(entry.content, random)
    if entry.kind == "report":
        return mutate_json(entry.content, random)
    if entry.place.name == "run.json":
        return (
            hashed(mutate_json(entry.content, random)) if random.random() < 0.5 else mutate_json(entry.content, random)
        )
    return mutate_bytes_of_data(entry, random)


def hashed(content: bytes) -> bytes:
    """A manifest of a run with the hash that goes with what it says."""
    try:
        document = json.loads(content)
    except ValueError:
        return content
    if not isinstance(document, dict):
        return content
    document.pop("sha256", None)
    digest = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
    return json.dumps({**document, "sha256": digest}).encode()


def tried(entry: Seed, content: bytes, number: int) -> tuple[str, str]:
    """How mutated bytes, in their place among the other files, are read: the end, and what is wrong with it."""
    entry.place.write_bytes(content)
    try:
        if entry.kind == "certificate":
            end, fault = ending(["verify", str(entry.place.parent), "--data", str(entry.data), "--json"])
            passed = end == "ok" and content != entry.content
            return end, "a changed certificate verifies" if passed else fault
        if entry.kind == "run":
            return resumed(entry)
        if entry.kind == "report":
            return ending(shown(entry, number))
        if number % WHOLE == 0 or (entry.kind == "model" and number % FORWARD):
            return ending(command(entry, number))
        return reading(run_rows if entry.kind == "model" else read_rows, entry)
    finally:
        entry.place.write_bytes(entry.content)


def alike(one: object, two: object) -> bool:
    """Whether two parts of a report differ by rounding at most."""
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(alike(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(alike, one, two))
    if isinstance(one, float) and isinstance(two, float):
        return isclose(one, two, rel_tol=1e-4, abs_tol=1e-9)
    return one == two


def resumed(entry: Seed) -> tuple[str, str]:
    """How a run goes on with a mutated file in its folder; with the same settings its numbers must be those of before.

    A manifest that is whole may be that of another run, whose settings its report names, or of other batches, which
    round otherwise.
    """
    folder = entry.data.parent
    end, fault = ending([*analysis(entry.model, entry.data, folder / "run"), "-o", str(folder / "again.json")])
    again = folder / "again.json"
    if end == "ok":
        then, now = (json.loads(path.read_bytes()) for path in (folder / "report.json", again))
        same = then["settings"] == now["settings"]
        changed = [key for key in then if key not in ("tool", "warnings") and same and not alike(then[key], now[key])]
        fault = f"the resumed run differs in {changed}" if changed else fault
    again.unlink(missing_ok=True)
    return end, fault


def shown(entry: Seed, number: int) -> list[str]:
    """What is made of a mutated report: a difference, a page, a table, or one time in 16 the figures."""
    if number % 3 == 0:
        return ["diff", str(entry.place), str(entry.data), "--json"]
    page = entry.place.with_suffix(".html" if number % 3 == 1 else ".csv")
    plots = ["--plots", str(entry.place.parent / "plots")] if number % 16 == 0 else []
    return ["report", str(entry.place), "-o", str(page), *plots, "--force", "--json", "-q"]


def mutate_bytes_of_data(entry: Seed, random: np.random.Generator) -> bytes:
    """Mostly of its beginning and its end, where headers and directories stand."""
    size = len(entry.content)
    calm = ((512, max(512, size - 1024)),)
    return mutate_bytes(entry.content, random, calm)


def command(entry: Seed, number: int) -> list[str]:
    """What is run on a mutated file: a whole analysis of one in 96, otherwise what costs least."""
    analyze = ["--measured", "2", "--probes", "1", "--threads", "1", "--device", "cpu", "--json", "--pairs", "output"]
    analyze += ["--memory", f"{MEMORY >> 20}MiB"]
    if entry.kind != "model":
        more = ["--labels", str(labels)] if (labels := labels_of(entry)) else []
        more += ["--layout", "nhwc", "--scale", "1/255"] if entry.kind == "image" else []
        return ["analyze", str(entry.model), "--data", str(entry.data), *more, *analyze, "--engine", "numpy"]
    if number % WHOLE:
        return ["inspect", str(entry.place), "--json"]
    engine = "onnxruntime" if number % (2 * WHOLE) else "numpy"
    return ["analyze", str(entry.place), "--data", str(entry.data), *analyze, "--engine", engine]


def labels_of(entry: Seed) -> Path | None:
    """The labels of rows that bring none."""
    return entry.data.parent / "labels.npy" if entry.place.suffix == ".npy" else None


def run_rows(entry: Seed) -> None:
    """A mutated model through onnxruntime: a session, and two rows."""
    network = load(entry.place)
    rows = open_rows(entry.data, network)
    batches_within(MEMORY, network, Settings(probes=1, pairs="output").programme(network))
    ForwardPass(network, CPU, 1, without_bias=False).run(next(rows.batches(2)).inputs)


def read_rows(entry: Seed) -> None:
    """Every row of a data file, as `analyze` reads it, without the measurement."""
    how = Preprocessing(scale=1 / 255, layout="nhwc") if entry.kind == "image" else Preprocessing()
    rows = open_rows(entry.data, load(entry.model), how, labels=labels_of(entry))
    for batch in rows.batches(5):
        del batch
    rows.fingerprint()


def ending(arguments: list[str]) -> tuple[str, str]:
    """How a command ended: "ok", or the code of its error; and what is wrong with that, if anything."""
    found: list[str] = []
    reraise = app._fail

    def fail(error: OnnxboundError, words: list[str]) -> int:
        if error.code == "internal":
            found.append(traceback.format_exc())
        return reraise(error, words)

    out, err = io.StringIO(), io.StringIO()
    app._fail = fail  # type: ignore[assignment]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = app.run(arguments)
    except BaseException:  # noqa: BLE001 - a traceback that reached the user is what is looked for
        return "traceback", traceback.format_exc()
    finally:
        app._fail = reraise
    text = out.getvalue()
    if code == 0 and "-o" in arguments and not text:  # the document is in that file
        return "ok", "".join(found)
    if any(not (c.isprintable() or c == "\n") for c in text + err.getvalue()):
        return "control characters", repr(text[:300] + err.getvalue()[:300])
    try:
        document = json.loads(text)
    except ValueError:
        return "no document", repr(text[:300] + err.getvalue()[:300])
    if code == 0:
        return "ok", ""
    return document.get("code", "no code"), "".join(found)


def reading(reader: Callable[[Seed], None], entry: Seed) -> tuple[str, str]:
    """How a call of a reader ended, in the words of `ending`."""
    try:
        reader(entry)
    except OnnxboundError as error:
        return error.code, ""
    except Exception:  # noqa: BLE001 - the command line would call it internal
        return "internal", traceback.format_exc()
    return "ok", ""


def main() -> None:
    seed, first, stop = map(int, sys.argv[1:4])
    folder, share = Path(sys.argv[4]), float(sys.argv[5])
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    pool = seeds(folder)
    for number in range(first, stop):
        entry, content = mutated(seed, number, pool, share)
        print(json.dumps({"start": number, "seed": entry.name}), flush=True)
        started = process_time()
        kind, fault = tried(entry, content, number)
        seconds = process_time() - started
        line = {
            "number": number,
            "kind": entry.kind,
            "seed": entry.name,
            "end": kind,
            "fault": fault,
            "seconds": seconds,
            "peak_kib": (peak_rss_bytes() or 0) // 1024,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
