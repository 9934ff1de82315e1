"""The commands that README, guides and examples tell a reader to type."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs" / "guides").glob("*.md")), ROOT / "reproduce" / "README.md")

_INDENTED = re.compile(r"^ {4}(\S.*)$", re.MULTILINE)


def commands(page: Path) -> list[list[str]]:
    """Every line of a page that begins with `onnxbound`, as words, in order."""
    lines = _INDENTED.findall(page.read_text(encoding="utf-8"))
    return [shlex.split(line)[1:] for line in lines if line.startswith("onnxbound ")]
