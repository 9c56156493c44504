"""The pages of the repository, and the command lines and blocks of Python on them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = sorted(page for folder in (".", "docs", "examples", ".github") for page in (ROOT / folder).glob("*.md"))


def text_of(page: Path) -> str:
    """A page as it is written."""
    return page.read_text(encoding="utf-8")


def command_lines(page: Path) -> list[str]:
    """The lines of a page that a reader can paste into a shell. `docs/cli.md` is generated, and has none to paste."""
    if page.name == "cli.md":
        return []
    return re.findall(r"^ {4}(live-gradcam .*)$", text_of(page), re.MULTILINE)


def python_blocks(page: Path) -> list[str]:
    """The blocks of Python of a page."""
    return re.findall(r"^```python\n(.*?)^```", text_of(page), re.MULTILINE | re.DOTALL)
