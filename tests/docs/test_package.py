"""What an installed package says about itself: its licence, its version and that it is typed."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import metadata, version
from pathlib import Path

import live_gradcam

_ROOT = Path(__file__).parents[2]


def test_the_version_is_the_installed_packages() -> None:
    assert live_gradcam.__version__ == version("live-gradcam")


def test_asking_for_the_version_imports_nothing_heavy() -> None:
    heavy = "{'numpy', 'tensorflow', 'keras', 'cv2', 'av', 'typer'}"
    program = f"import sys, live_gradcam; live_gradcam.__version__; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_completed_before_they_are_used() -> None:
    program = "import live_gradcam as p; print(sorted({*p.__all__} - {*dir(p)}), 'annotate' in vars(p))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[] False\n"
    assert sorted(live_gradcam.__all__) == live_gradcam.__all__
    for name in live_gradcam.__all__:
        assert getattr(live_gradcam, name) is not None


def test_what_the_page_on_python_names_is_public() -> None:
    page = (_ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][a-z]+[A-Za-z]*)[`(]", page))
    assert {"BoxOptions", "Box", "Encoding", "Evaluations", "Levels", "Region", "StopRequest"} <= named
    assert named <= set(live_gradcam.__all__)


def test_type_checkers_are_told_that_the_package_is_typed() -> None:
    assert (Path(live_gradcam.__file__).parent / "py.typed").read_text() == ""
    assert '"live_gradcam" = ["py.typed"]' in (_ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_licence_is_the_one_that_the_metadata_names() -> None:
    licence = (_ROOT / "LICENSE").read_text(encoding="utf-8")
    assert 'license = "Apache-2.0"' in (_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.search(r"Apache License\s+Version 2.0, January 2004", licence)
    assert "END OF TERMS AND CONDITIONS" in licence


def test_the_changelog_has_the_version_that_is_here() -> None:
    changelog = (_ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert metadata("live-gradcam")["Version"] in re.findall(r"^## \[?(\d+\.\d+\.\d+)", changelog, re.MULTILINE)
    assert re.search(r"^## \[?Unreleased", changelog, re.MULTILINE)
