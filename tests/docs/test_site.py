"""The site is built without a warning, its links and anchors lead somewhere, and it fetches nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import live_gradcam

pytestmark = pytest.mark.slow

_ROOT = Path(__file__).parents[2]
#: What a browser fetches by itself, by the attribute that names it.
_FETCHED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}
_CODE = ("pre", "script", "style")


@dataclass
class Html(HTMLParser):
    """What a page has: its anchors, where its links lead, what it fetches, its text, and the text without code."""

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    prose: list[str] = field(default_factory=list)
    inside_code: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if _FETCHED.get(tag) in values:
            self.fetched.append(values[_FETCHED[tag]])
        self.inside_code += tag in _CODE

    def handle_endtag(self, tag: str) -> None:
        self.inside_code -= tag in _CODE

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if not self.inside_code:
            self.prose.append(data)


def parsed(text: str) -> Html:
    page = Html()
    page.feed(text)
    return page


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=_ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Html]:
    """The pages of the site. The page of errors has absolute links, for it is shown at any address."""
    found = {path: parsed(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}
    return found


def dead(pages: dict[Path, Html]) -> Iterator[str]:
    """The links that lead nowhere, each with its page."""
    for path, page in pages.items():
        for link in (*page.links, *page.fetched):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            anchors = pages[target].anchors if target in pages else set()
            if not target.exists() or (parts.fragment and unquote(parts.fragment) not in anchors):
                yield f"{path}: {link}"


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    here, there = tmp_path / "index.html", tmp_path / "there" / "index.html"
    there.parent.mkdir()
    here.write_text('<a href="there/#a">a</a> <a href="there/#b">b</a> <img src="no.png"> <a href="https://x.y">x</a>')
    there.write_text('<h1 id="a">a</h1>')
    found = {path: parsed(path.read_text("utf-8")) for path in (here, there)}
    assert list(dead(found)) == [f"{here}: there/#b", f"{here}: no.png"]


def test_every_link_and_anchor_leads_somewhere(pages: dict[Path, Html]) -> None:
    assert list(dead(pages)) == []


def test_nothing_is_fetched_from_elsewhere(site: Path, pages: dict[Path, Html]) -> None:
    assert {link for page in pages.values() for link in page.fetched if urlsplit(link).netloc} == set()
    for style in site.rglob("*.css"):
        assert re.findall(r"url\(['\"]?(https?:|//)", style.read_text("utf-8")) == [], style.name


def test_every_page_of_docs_is_on_the_site_and_found_by_the_search(site: Path) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))["docs"]
    places = {entry["location"].partition("#")[0].rstrip("/") for entry in index}
    written = {page.stem for page in (_ROOT / "docs").glob("*.md")}
    assert written | {"", "CONTRIBUTING", "CHANGELOG", "SECURITY", "examples", "api"} <= places
    (focal,) = (entry for entry in index if entry["location"] == "json/#snapshots")
    assert "snapshot" in focal["text"]


def test_every_public_name_has_its_text(site: Path, pages: dict[Path, Html]) -> None:
    page = pages[site / "api" / "index.html"]
    names = {name for name in live_gradcam.__all__ if not name.startswith("_")}
    assert {f"live_gradcam.{name}" for name in names} <= page.anchors
    text = " ".join(page.texts)
    for name in names:
        first_line = (getattr(live_gradcam, name).__doc__ or "").strip().splitlines()[0]
        words = re.sub(r"[`*]", "", first_line)
        assert re.sub(r"\s+", "", words) in re.sub(r"\s+", "", text), name


def test_lists_and_tables_are_those_that_github_shows(pages: dict[Path, Html]) -> None:
    """GitHub begins a list without an empty line before it, and the site does not."""
    for path, page in pages.items():
        for text in page.prose:
            assert not re.search(r"^\s*(- |\* |\| ?---|\d+\. )", text, re.MULTILINE), f"{path}: {text[:200]}"


def test_the_source_of_an_example_is_a_page(site: Path, pages: dict[Path, Html]) -> None:
    page = pages[site / "examples" / "own_method" / "index.html"]
    text = "".join(page.texts)
    for file in (_ROOT / "examples" / "own_method").glob("*.*"):
        assert file.read_text("utf-8").strip() in text
