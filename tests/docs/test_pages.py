"""The pages: every link leads somewhere, every path exists, and every command line is one that the program takes."""

from __future__ import annotations

import ast
import importlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from pages import PAGES, ROOT, command_lines, python_blocks, text_of

from live_gradcam import choices
from live_gradcam.cli import app
from live_gradcam.families import Family

_LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"`((?:live_gradcam|tests|benchmarks|examples|docs)/[\w./-]+)`")
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", _FENCED.sub("", text_of(page)), re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.replace("`", "")).lower().replace(" ", "-") for heading in headings]
    return set(plain)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCED.sub("", text_of(page))):
        if link.startswith(("http://", "https://")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_exists(page: Path) -> None:
    for path in _PATH.findall(text_of(page)):
        assert (ROOT / path).exists(), f"{page.name}: {path}"


def test_every_page_of_docs_can_be_reached_from_the_readme() -> None:
    readme = text_of(ROOT / "README.md")
    for page in (ROOT / "docs").glob("*.md"):
        assert f"docs/{page.name}" in readme
    for picture in (ROOT / "docs").glob("*.[jp][pn]g"):
        assert any(picture.name in text_of(page) for page in PAGES), picture.name


def test_the_readme_is_short_and_names_the_two_commands() -> None:
    readme = text_of(ROOT / "README.md")
    assert len(readme.splitlines()) <= 130
    assert re.search(r"^    make demo +#", readme, re.MULTILINE)
    assert re.search(r"^    make test +#", readme, re.MULTILINE)


@pytest.fixture(scope="module")
def program() -> Any:
    return typer.main.get_command(app)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_line_is_one_that_the_program_takes(page: Path, program: Any) -> None:
    """Its command and its flags exist, and each flag has the value that it needs."""
    for line in command_lines(page):
        words = shlex.split(line, comments=True)[1:]
        if words[0].startswith("-"):
            continue
        command = program.commands[words[0]]
        flags = {name: flag for flag in command.params for name in (*flag.opts, *flag.secondary_opts)}
        for word in words[1:]:
            if re.match(r"-{1,2}[a-z]", word):
                assert word in flags, f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_on_the_pages_is_python_with_names_that_exist(page: Path) -> None:
    for code in python_blocks(page):
        for node in ast.walk(ast.parse(code)):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("live_gradcam"):
                module = importlib.import_module(node.module)
                for name in node.names:
                    assert hasattr(module, name.name), f"{page.name}: {name.name}"


def test_the_guide_names_every_family() -> None:
    guide = text_of(ROOT / "CONTRIBUTING.md")
    for name, family in vars(choices).items():
        if isinstance(family, Family):
            assert f"`{name}`" in guide
            assert f"| `{family.group}` |" in guide
