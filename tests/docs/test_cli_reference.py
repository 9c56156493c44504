"""docs/cli.md is what the program says of itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from live_gradcam.cli.reference import reference

_PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_is_what_the_program_says_now() -> None:
    assert _PAGE.read_text(encoding="utf-8") == reference(), (
        "docs/cli.md is stale: python -m live_gradcam.cli.reference > docs/cli.md"
    )


def test_the_page_is_made_without_anything_heavy() -> None:
    program = (
        "import sys; from live_gradcam.cli.reference import reference; reference(); "
        "print(sorted({'tensorflow', 'keras', 'cv2', 'av'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_flag_of_a_command_is_in_its_section() -> None:
    section = reference().split("\n## live-gradcam bench\n")[1].split("\n## ")[0]
    for flag in ("--frames`, `-n` `N", "--size` `WxH", "--method` `NAME", "--model`, `-m` `NAME"):
        assert f"| `{flag}" in section
    assert "--verbose" not in section  # which every command has
