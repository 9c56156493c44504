"""The page in a real browser: one server with a tiny network, one browser, and a page for each test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

from browser_server import PageServer, serving
from chromium import DESKTOP, VIDEO, go_to, launch, use_camera, write_calm_clip
from command_line import AT_ONCE
from playwright.sync_api import Browser, Page, Playwright

#: Opens the page in a context of the browser: of its options, and what is added to the address.
OpenPage = Callable[..., Page]


@pytest.fixture(scope="session")
def tour_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the camera plays: half as wide as the tour, which costs a quarter."""
    return write_calm_clip(tmp_path_factory.mktemp("clip") / "tour.y4m", 640)


@pytest.fixture(scope="session")
def browser(playwright: Playwright, tour_clip: Path) -> Iterator[Browser]:
    """A browser that gives the page its camera."""
    started = launch(playwright, tour_clip)
    yield started
    started.close()


@pytest.fixture(scope="session")
def server(playwright: Playwright, quick_network: list[str]) -> Iterator[PageServer]:
    """With a network that starts in a moment and has nothing to say. It also shows the tour, and has another name.

    What a method and a layer need is not compiled: the page knows nothing of engines.
    """
    with serving(VIDEO, *quick_network, *AT_ONCE, "--allow-host", "classroom.test") as started:
        yield started


@pytest.fixture(scope="session")
def address(server: PageServer) -> str:
    """Of the page of that server, with the token."""
    return server.address


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[OpenPage]:
    """Opens pages, and sees that nothing goes wrong in them that they do not say."""
    contexts, mistakes = [], []

    def open_one(query: str = "", *, starts: bool = True, at: str = address, **options: Any) -> Page:
        context = browser.new_context(**{**DESKTOP, "locale": "en-GB", **options})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.on("console", lambda line: mistakes.append(line.text) if line.type == "error" else None)
        go_to(page, at + query)
        if starts:
            use_camera(page)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert mistakes == []
