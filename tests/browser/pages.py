"""Write the pages that `check.mjs` looks at: python -m tests.browser.pages FOLDER."""

import sys
from pathlib import Path

from tests.report.documents import documents
from tests.report.example import example
from tests.report.hostile import hostile


def main(folder: Path) -> None:
    reports = {kind: example(kind) for kind in ("residual", "never right")} | {"hostile": hostile()}
    for name, document in (reports | documents()).items():
        path = folder / f"{name.replace(' ', '-')}.html"
        path.write_text(document.to_html(), encoding="utf-8")
        print(path)  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]))
