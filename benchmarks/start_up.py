"""Time of `onnxbound --version` and `onnxbound --help` over that of the bare interpreter, in alternating rounds.

python -m benchmarks.start_up --repeats 15
"""

import argparse
import subprocess
import sys
from functools import partial

import numpy as np

from benchmarks.result import Result, Row, print_result
from benchmarks.worker import ROOT, environment, seconds

SECONDS_OVER_INTERPRETER = 0.3


def command_seconds(*arguments: str) -> float:
    """Duration of one Python process."""
    command = [sys.executable, *arguments]
    return seconds(partial(subprocess.run, command, cwd=ROOT, env=environment(1), check=True, capture_output=True))


def run(repeats: int) -> Result:
    """The benchmark."""
    options = ("--version", "--help")
    over: dict[str, list[float]] = {option: [] for option in options}
    for number in range(repeats + 1):
        bare = command_seconds("-c", "pass")
        for option in options:
            taken = command_seconds("-m", "onnxbound", option) - bare
            # The first round compiles and reads files from the disk.
            over[option] += [taken] if number else []
    rows = tuple(
        Row(
            f"`onnxbound {option}`, seconds over the interpreter",
            float(np.median(over[option])),
            f"< {SECONDS_OVER_INTERPRETER}",
        )
        for option in options
    )
    return Result("Start-up", f"Medians over {repeats} rounds, less the time of the bare interpreter.", rows)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=11, help="rounds")
    print_result(run(parser.parse_args().repeats))


if __name__ == "__main__":
    main()
