"""End commands at random moments, start them again, and compare: `python -m fuzz.kills`.

SIGKILL reaches the process alone, SIGTERM too, SIGINT its whole group, as Ctrl-C does. A run passes if a command that
could say something ended with 130, or had finished, without a traceback and without a file that is not whole; no
process lived on; the same command, started again, goes on to the result of one that was never ended, byte for byte but
for its running times; and after that nothing is left, neither beside the results nor in the temporary folder.
"""

import argparse
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np

from fuzz.seeds import net_with_rows

TIMES = {"SIGKILL": 50, "SIGTERM": 20, "SIGINT": 20}
_ANALYZE = (
    "analyze net.onnx --data rows.npz --threads 1 --engine numpy --measured 400 --probes 2 --run out/run --resume"
)
COMMANDS = {
    "analyze": f"{_ANALYZE} --samples out/samples.npz --json -o out/report.json --force",
    "analyze local:2": f"{_ANALYZE} --cluster local:2 --samples out/samples.npz --json -o out/report.json --force",
    "compress": "compress net.onnx --data rows.npz --method quantise --bits 6 -o out/small.onnx --force",
    "certify": "certify net.onnx --data rows.npz --effort 1 --threads 1 -o out/certificate --force",
}
PATIENCE = 120.0
"""Seconds after which a process hangs."""


class Trial:
    """A folder with a net and rows, a home, and a temporary folder, all of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        folder.mkdir()
        net_with_rows(self.work, 1000)
        for place in (folder / "home", folder / "tmp", self.work / "out"):
            place.mkdir()

    def start(self, command: str) -> "subprocess.Popen[str]":
        """The command in a group of processes of its own."""
        own = {"HOME": str(self.folder / "home"), "TMPDIR": str(self.folder / "tmp"), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [sys.executable, "-m", "onnxbound", *command.split(), "-q"],
            cwd=self.work, env=os.environ | own | {"PYTHONPATH": str(Path(__file__).parents[1])}, text=True,
            start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=_heed_interrupts,
        )  # fmt: skip

    def results(self) -> dict[str, bytes]:
        """Every file that the command has written for good, without what two runs of the same thing differ in."""
        out, found = self.work / "out", {}
        for path in sorted(out.rglob("*")):
            inside = path.relative_to(out)
            if path.is_file() and "run" not in inside.parts and not any(part.startswith(".") for part in inside.parts):
                found[str(inside)] = _comparable(path)
        return found

    def verifies(self) -> bool:
        """Whether the certificate is a right one: of a search that is interrupted, the best so far is kept."""
        process = self.start("verify out/certificate --data rows.npz")
        process.communicate()
        return process.returncode == 0

    def left(self) -> list[str]:
        """What lies where only a command that runs may have something."""
        hidden = [path for path in self.work.rglob("*") if path.name.startswith(".")]
        others = [path for name in ("home", "tmp") for path in (self.folder / name).rglob("*")]
        return [str(path.relative_to(self.folder)) for path in (*hidden, *others)]


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a job in the background of a shell ignores it


def _comparable(path: Path) -> bytes:
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            written = io.BytesIO()
            for name in sorted(arrays):
                written.write(name.encode() + arrays[name].tobytes())
            return written.getvalue()
    if path.name != "report.json":
        return path.read_bytes()
    document = json.loads(path.read_bytes())
    for name in ("seconds", "peak_rss_bytes"):
        del document["tool"][name]
    return json.dumps(document).encode()


def living(group: int) -> list[int]:
    """Processes of a group that are no zombies."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, of_group = entry.read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(of_group) == group and state != "Z":
            found.append(int(entry.parent.name))
    return found


def whole(trial: Trial, command: str) -> tuple[dict[str, bytes], float]:
    """What a command writes that nobody ends, and the seconds that it takes."""
    started = time.monotonic()
    process = trial.start(command)
    _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(said)
    return trial.results(), time.monotonic() - started


def ended(trial: Trial, command: str, name: str, after: float, expected: dict[str, bytes]) -> tuple[str, list[str]]:
    """End a command after so many seconds and start it again: how it ended, and what is wrong with that."""
    process, wrong = trial.start(command), []
    time.sleep(after)
    number = getattr(signal, name)
    with process:
        if process.poll() is None:
            os.killpg(process.pid, number) if name == "SIGINT" else process.send_signal(number)
        try:
            _, said = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return "hung", [f"it did not end within {PATIENCE:.0f} s"]
    end = process.returncode
    deadline = time.monotonic() + PATIENCE
    while living(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    if living(process.pid):
        wrong.append("processes live on")
    nothing, everything = not any((trial.work / "out").iterdir()), trial.results() == expected
    # A signal ends the interpreter itself where it starts and where it stops; and where it met `exec`, Python ends of
    # SIGINT although the interrupt was caught. A shell calls that 130.
    itself = name != "SIGKILL" and (nothing or everything)
    if "Traceback" in said and not (itself and end == -number):
        wrong.append(said.strip().splitlines()[-1])
    if (
        end not in (0, 130)
        and not (end == -number and (name == "SIGKILL" or itself))
        and (end != -2 or "Interrupted" not in said)
    ):
        wrong.append(f"exit code {end}: {said[:300]}")
    if name != "SIGKILL" and trial.left():
        wrong.append(f"left behind: {trial.left()}")
    others = [file for file, content in trial.results().items() if content != expected.get(file)]
    if not (name != "SIGKILL" and command.startswith("certify") and others and trial.verifies()):
        wrong += [f"{file} is not whole" for file in others]
    try:
        found, _ = whole(trial, command)
        wrong += [f"{file} differs" for file in expected if found.get(file) != expected[file]]
    except RuntimeError as error:
        wrong.append(f"again: {error}")
    if trial.left():
        wrong.append(f"left behind after the next run: {trial.left()}")
    return "had finished" if end == 0 else str(end), wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz.kills")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--share", type=float, default=1.0, help="of the 50, 20 and 20 times")
    arguments = parser.parse_args()
    random = np.random.default_rng(arguments.seed)
    folder = Path(tempfile.mkdtemp(prefix="onnxbound-kills-"))
    known = {kind: whole(Trial(folder / f"whole {kind}"), command) for kind, command in COMMANDS.items()}
    ends, findings = Counter[tuple[str, str, str]](), 0
    for name, count in TIMES.items():
        for turn in range(round(count * arguments.share)):
            kind, moment = list(COMMANDS)[turn % len(COMMANDS)], random.uniform()
            expected, seconds = known[kind]
            trial = Trial(folder / f"{name} {turn}")
            end, wrong = ended(trial, COMMANDS[kind], name, moment * seconds, expected)
            ends[name, kind, end] += 1
            findings += bool(wrong)
            for text in wrong:
                print(f"{name} {kind}, {moment * seconds:.2f} of {seconds:.2f} s: {text}", flush=True)
            shutil.rmtree(trial.folder)
    shutil.rmtree(folder)
    print("| signal | command | exit code | times |", "|---|---|---|---|", sep="\n")
    for entry, times in sorted(ends.items()):
        print("|", " | ".join(entry), "|", times, "|")
    print(f"{ends.total()} times, {findings} with a finding")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
