"""The page for everybody: axe finds nothing, the keyboard does it all, and nothing jumps."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from chromium import DESKTOP, PHONE, until, use_camera

pytestmark = pytest.mark.slow


def _violations(page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html'][:120]}" for one in found for node in one["nodes"]]


@pytest.mark.parametrize("device", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(open_page, device, scheme):
    # Nothing fades in or out, so that axe sees colours as they stay.
    page = open_page(starts=False, color_scheme=scheme, reduced_motion="reduce", **device)
    assert _violations(page) == []
    page.evaluate("liveGradcam.notices.showBanner('paused', 'Paused'), liveGradcam.notices.say('A line', true)")
    assert _violations(page) == []
    page.evaluate("liveGradcam.notices.showBanner('paused', null)")
    use_camera(page)
    page.locator(".classes button").first.click()
    until(page, "liveGradcam.state.pinned.length === 1")
    assert _violations(page) == []
    for tool in ("Source", "View", "Method", "Teach"):
        page.locator(".tools").get_by_role("button", name=tool).click()
        page.locator(".panel").wait_for(state="visible")
        assert (tool, _violations(page)) == (tool, [])


def test_the_keyboard_alone_does_it_all(open_page):
    page = open_page(starts=False)

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            focus = "document.activeElement"
            if page.evaluate(f"({focus}.getAttribute('aria-label') ?? {focus}.textContent ?? '').includes({name!r})"):
                return
        raise AssertionError(f"the Tab key does not lead to {name}")

    if page.locator(".card .first").is_visible():
        tab_to("Use my camera")
        page.keyboard.press("Enter")
    until(page, "liveGradcam.viewing.trips.length > 0")
    tab_to("Explain this class")
    page.keyboard.press("Enter")
    until(page, "liveGradcam.state.pinned.length === 1")
    tab_to("View")
    page.keyboard.press("Enter")
    until(page, "document.activeElement.classList.contains('panel')")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("liveGradcam.look.view") == "side-by-side"
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "View"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # the focus is seen


def test_nothing_jumps_while_it_runs(open_page):
    page = open_page()
    until(page, "liveGradcam.viewing.trips.length > 5")
    page.evaluate("""() => {
        globalThis.shift = 0;
        new PerformanceObserver((list) => { for (const entry of list.getEntries()) shift += entry.value; })
            .observe({ type: "layout-shift", buffered: false });
    }""")
    until(page, "liveGradcam.viewing.trips.length > 60")
    assert page.evaluate("shift") == 0


def test_a_screen_reader_hears_what_is_seen_but_not_every_frame(open_page):
    page = open_page()
    region = page.locator(".label [aria-live]")
    assert region.get_attribute("aria-live") == "polite"
    page.evaluate("""() => {
        globalThis.said = 0;
        new MutationObserver(() => said++).observe(liveGradcam.label.live, { childList: true, characterData: true });
    }""")
    until(page, "said > 0")
    assert region.inner_text() == page.evaluate("liveGradcam.label.said")
    until(page, "said < liveGradcam.viewing.trips.length / 5")  # which never comes where each frame is said
