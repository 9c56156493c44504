"""The wheel and the archive of sources have what they should, and what is said about a release agrees."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
#: What lies in a checkout that somebody works in, and is no part of it.
_LEFT_BY_WORK = (".git", ".venv*", ".*_cache", "__pycache__", "*.egg-info", "build", "dist", "site", "output")


def text_of(name: str) -> str:
    return (_ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build the "wheel" or the "sdist" of a copy of the checkout, with the build back end that pyproject.toml names."""
    copy = tmp_path_factory.mktemp("copy") / "live-gradcam"
    shutil.copytree(_ROOT, copy, ignore=shutil.ignore_patterns(*_LEFT_BY_WORK))
    assert 'build-backend = "setuptools.build_meta"' in text_of("pyproject.toml")

    def build(kind: str) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        program = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(folder)!r}))"
        subprocess.run([sys.executable, "-c", program], cwd=copy, check=True, capture_output=True)
        (file,) = folder.iterdir()
        return file

    return build


@pytest.mark.slow
def test_the_wheel_has_the_package_and_nothing_else(built: Callable[[str], Path]) -> None:
    names = set(zipfile.ZipFile(built("wheel")).namelist())
    of_the_package = {
        path.relative_to(_ROOT).as_posix()
        for path in (_ROOT / "live_gradcam").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    information = {name for name in names if ".dist-info/" in name}
    assert names - information == of_the_package
    for name in (
        "live_gradcam/py.typed",
        "live_gradcam/attribution/cat.jpg",
        "live_gradcam/fitting/report/page.html",
        "live_gradcam/networks/imagenet_labels.txt",
    ):
        assert name in names
    assert f"live_gradcam-{version('live-gradcam')}.dist-info/licenses/LICENSE" in information


@pytest.mark.slow
def test_the_archive_of_sources_has_all_that_the_repository_has(built: Callable[[str], Path]) -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=_ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no checkout")
    top = f"live_gradcam-{version('live-gradcam')}/"
    with tarfile.open(built("sdist")) as archive:
        names = {name.removeprefix(top) for name in archive.getnames()}
    assert {name for name in listed.stdout.splitlines() if (_ROOT / name).is_file()} - names == set()


def test_the_citation_is_of_this_version() -> None:
    citation = text_of("CITATION.cff")
    (number,) = re.findall(r"^version: (.+)$", citation, re.MULTILINE)
    (date,) = re.findall(r'^date-released: "(.+)"$', citation, re.MULTILINE)
    assert f'\nversion = "{number}"\n' in text_of("pyproject.toml")
    assert f"\n## {number} - {date}\n" in text_of("CHANGELOG.md")
    assert re.search(r"^license: Apache-2.0$", citation, re.MULTILINE)


def test_workflows_run_only_the_very_actions_that_were_looked_at() -> None:
    for workflow in (_ROOT / ".github" / "workflows").glob("*.yml"):
        actions = re.findall(r"uses: (.+)", workflow.read_text(encoding="utf-8"))
        assert actions
        for action in actions:
            assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_what_was_never_run_says_so() -> None:
    for name in (".github/workflows/release.yml", ".github/workflows/ci.yml", "Dockerfile"):
        comment = re.match(r"(#.*\n)+", text_of(name))
        assert comment is not None
        assert "Untried" in comment[0]


def test_a_container_has_its_own_user_and_what_pip_needs() -> None:
    dockerfile = text_of("Dockerfile")
    assert re.findall(r"^USER (\d+)$", dockerfile, re.MULTILINE) == ["1000"]
    (extra,) = re.findall(r"'\.\[(\w+)\]'", dockerfile)
    assert f"\n{extra} = [" in text_of("pyproject.toml")
    let_through = set(re.findall(r"^!(.+)$", text_of(".dockerignore"), re.MULTILINE))
    assert {"LICENSE", "README.md", "constraints.txt", "live_gradcam", "pyproject.toml"} <= let_through


def test_scripts_of_ci_are_programs() -> None:
    for script in (_ROOT / ".ci").iterdir():
        assert script.stat().st_mode & 0o100, script.name
        subprocess.run(["bash", "-n", str(script)], check=True)
