"""The page in windows of all sizes, down to a large one at 400 %: nothing is cut off, and nothing overlaps."""

from __future__ import annotations

import pytest
from chromium import PHONE, until

pytestmark = pytest.mark.slow

#: JavaScript: what cannot be seen, not even by scrolling down, and names of tools that touch one another.
_FAULTS = """() => {
    const faults = [];
    const isSeen = (node) => node.checkVisibility({ visibilityProperty: true }) && !node.closest(".unseen");
    const areaOf = (node) => node.getBoundingClientRect();
    const isScroller = (node) => ["auto", "scroll"].includes(getComputedStyle(node).overflowY);
    const isLonger = (node) => node.scrollHeight > node.clientHeight;
    const scrollers = [...document.querySelectorAll("*")].filter((node) => isScroller(node) && isLonger(node));
    const named = (node) => node.className || node.tagName;
    for (const node of document.querySelectorAll(".live-gradcam :is(button, input, select, label, p, li, dd, h2)")) {
        const { left, right, top, bottom, width } = areaOf(node);
        if (!isSeen(node) || width <= 1) continue;
        if (left < -1 || right > innerWidth + 1) faults.push(`${named(node)} is cut off at a side`);
        const isReached = scrollers.some((one) => one.contains(node));
        if ((top < -1 || bottom > innerHeight + 1) && !isReached) faults.push(`${named(node)} cannot be reached`);
    }
    const names = [...document.querySelectorAll(".tools .tool span")].filter(isSeen).map((name) => {
        const text = document.createRange();
        text.selectNodeContents(name);
        return [name.textContent, text.getBoundingClientRect()];
    });
    names.forEach(([name, one], place) => {
        for (const [other, { left, right, top, bottom }] of names.slice(place + 1)) {
            const isApart = one.right + 1 < left || right + 1 < one.left || one.bottom <= top || bottom <= one.top;
            if (!isApart) faults.push(`${name} and ${other} overlap`);
        }
    });
    for (const { scrollWidth, clientWidth, className } of [document.documentElement, ...scrollers])
        if (scrollWidth > clientWidth) faults.push(`${className || "the page"} scrolls sideways`);
    const ruler = document.createElement("canvas").getContext("2d");
    for (const field of [...document.querySelectorAll(".taught input")].filter(isSeen)) {
        const { font, paddingLeft } = getComputedStyle(field);
        ruler.font = font;
        const room = field.clientWidth - 2 * parseFloat(paddingLeft);
        if (ruler.measureText(field.placeholder).width > room) faults.push(`${field.placeholder} is cut off`);
    }
    for (const button of [...document.querySelectorAll(".row .wide")].filter(isSeen)) {
        const text = document.createRange();
        text.selectNodeContents(button.lastChild);
        const lines = new Set([...text.getClientRects()].map(({ top }) => top));
        if (lines.size > 1) faults.push(`${button.textContent} is broken in the middle of the word`);
    }
    const { width, height } = areaOf(document.querySelector(".layers"));
    if (width < 150 || height < 80) faults.push(`the picture is ${width} by ${height}`);
    return faults;
}"""
_DRAWN = "new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(true))))"
_WINDOWS = [
    (320, 256),
    (320, 640),
    (360, 740),
    (512, 410),
    (530, 520),
    (640, 400),
    (768, 1024),
    (800, 700),
    (1280, 800),
]
_PHONES = [(320, 568), (360, 740), (390, 844), (568, 320), (844, 390)]


@pytest.mark.parametrize(("sizes", "device"), [(_WINDOWS, {}), (_PHONES, {**PHONE})], ids=["with a mouse", "by touch"])
@pytest.mark.parametrize("language", ["en-GB", "de-DE"])
def test_nothing_is_cut_off_at_any_size(open_page, sizes, device, language):
    page = open_page(**{**device, "locale": language})
    tools = page.locator(".tools .tool:visible")
    for width, height in sizes:
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate(_DRAWN)
        assert ((width, height), page.evaluate(_FAULTS)) == ((width, height), [])
        for place in (1, 3):  # the view's panel, and that of the teaching, which is the fullest
            tools.nth(place).click()
            until(page, "liveGradcam.toolbar.open")
            if place == 3:
                until(page, "liveGradcam.state.teaching_panel?.is_ready && document.querySelector('.taught input')")
            assert ((width, height), place, page.evaluate(_FAULTS)) == ((width, height), place, [])
            page.evaluate("liveGradcam.toolbar.toggle(liveGradcam.toolbar.open), liveGradcam.command('teach', false)")
            until(page, "liveGradcam.toolbar.panel.hidden && !liveGradcam.state.teaching")


def test_a_small_window_scrolls_to_all_there_is(open_page):
    page = open_page(viewport={"width": 320, "height": 256})
    picture = page.locator(".layers").bounding_box()
    assert (picture["y"], round(picture["height"])) == (0, 180)  # all of it is seen before anything is scrolled
    keys = page.get_by_role("button", name="Keys")
    keys.click()  # which scrolls there
    panel = page.locator(".panel").bounding_box()
    assert (panel["y"], panel["height"]) == (0, 256)
    page.locator(".panel .close").click()
    assert page.evaluate("document.scrollingElement.scrollTop") > 0


def test_the_full_screen_button_leaves_a_small_picture_free(open_page):
    page = open_page(**{**PHONE, "viewport": {"width": 568, "height": 320}})
    picture, full = page.locator(".layers").bounding_box(), page.locator(".full").bounding_box()
    assert min(full["width"], full["height"]) >= 24
    assert full["width"] * full["height"] < 0.04 * picture["width"] * picture["height"]


def test_the_full_screen_button_lies_at_the_edge_of_views_that_fill_the_wall(open_page):
    page = open_page(viewport={"width": 1280, "height": 540})  # the picture alone is narrower than the wall
    page.evaluate("liveGradcam.command('view', 'side-by-side')")
    page.evaluate(_DRAWN)
    panes, full = page.locator(".panes").bounding_box(), page.locator(".full").bounding_box()
    assert full["x"] + full["width"] == pytest.approx(panes["x"] + panes["width"] - 8, abs=1)
