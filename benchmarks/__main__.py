"""Run every benchmark, write `results.md` and `results.json` beside this file, and the table in the README.

python -m benchmarks
"""

import argparse
import json
import os
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime

from benchmarks import (
    all_pairs,
    growth,
    memory,
    norms,
    output_jacobians,
    resnet50,
    sign_projection,
    start_up,
    whole_rows,
)
from benchmarks.result import Result, as_markdown, shown
from benchmarks.worker import TUNING
from onnxbound.linear.threads import cores

HERE = Path(__file__).parent
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"
ABOUT = """\
`python -m benchmarks` writes this page. A number without a unit is a ratio of two measurements in the same run. J is
the Jacobian from the output of one layer to that of a later one, and g is a random vector, the probe. "Multiply-adds at
BLAS rate" is the time that BLAS takes for as many multiply-adds in a product of matrices. The machine:"""


def machine(threads: int) -> dict[str, str]:
    """What the numbers depend on."""
    versions = f"numpy {np.__version__}, onnxruntime {onnxruntime.__version__}, torch {version('torch')}"
    unset = [name for name in TUNING if name in os.environ]
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores",
        "threads": str(threads),
        "python": f"{platform.python_version()} on {platform.system()}",
        "versions": versions,
        "tuning of OpenBLAS": f"unset: {', '.join(unset)}" if unset else f"none ({' and '.join(TUNING)} were not set)",
    }


def update_readme(results: list[Result]) -> None:
    """Replace the table of the README by the rows that have a goal."""
    readme = HERE.parent / "README.md"
    before, rest = readme.read_text().split(BEGIN)
    _, after = rest.split(END)
    rows = [
        f"| {row.name} | {shown(row.value)} | {row.goal} |" for result in results for row in result.rows if row.goal
    ]
    table = "\n".join(["| | measured | goal |", "|---|---|---|", *rows])
    readme.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def processor() -> str:
    """Its name, as far as the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[8, 16], help="rows per batch")
    parser.add_argument("--repeats", type=int, default=7, help="rounds")
    parser.add_argument("--threads", type=int, default=cores(), help="threads of every engine")
    options = parser.parse_args()
    about = machine(options.threads)
    results = [
        whole_rows.run(options.rows, options.repeats, options.threads),
        all_pairs.run(options.rows, options.repeats, options.threads),
        output_jacobians.run(options.rows, options.repeats, options.threads),
        resnet50.run(4, options.repeats, options.threads),
        growth.run(options.repeats),
        norms.run(3),
        sign_projection.run(3, options.threads),
        start_up.run(options.repeats),
        memory.run(options.threads),
    ]
    head = ["# Benchmarks", "", ABOUT, ""]
    head += [f"* {name}: {value}" for name, value in about.items()]
    text = "\n\n".join(["\n".join(head), *(as_markdown(result) for result in results)]) + "\n"
    print(text)
    (HERE / "results.md").write_text(text)
    update_readme(results)
    found = {"machine": about, "results": [asdict(result) for result in results]}
    (HERE / "results.json").write_text(json.dumps(found, indent=2, allow_nan=False) + "\n")


if __name__ == "__main__":
    main()
