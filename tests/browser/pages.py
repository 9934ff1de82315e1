"""Write the pages that `check.mjs` looks at: python -m tests.browser.pages FOLDER."""

import sys
from pathlib import Path

from onnxbound.report.html.page import page
from tests.report.example import KINDS, example
from tests.report.hostile import hostile


def main(folder: Path) -> None:
    reports = {kind.replace(" ", "-"): example(kind) for kind in KINDS} | {"hostile": hostile()}
    for name, report in reports.items():
        path = folder / f"{name}.html"
        path.write_text(page(report), encoding="utf-8")
        print(path)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
