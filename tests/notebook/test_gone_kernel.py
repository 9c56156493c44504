"""A view in a cell whose kernel has just ended: JupyterLab throws at whoever still sends."""

from __future__ import annotations

from contextlib import closing

import pytest

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install playwright")

from chromium import launch, write_clip

from live_gradcam.notebook.page_files import cell_module

pytestmark = pytest.mark.slow

#: As a widget's model is: its kernel answers a greeting, and later it is gone.
_OPEN = """async (text) => {
    const { default: widget } = await import(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
    const el = document.body, hearers = new Set();
    const send = (message) => {
        if (globalThis.isGone) throw new Error("Cannot send");
        const { type, call, link } = message;
        const answer = type === "greet" ? { call, socket: null } : { link, texts: [] };
        setTimeout(() => hearers.forEach((hear) => hear(answer, [])));
    };
    const on = (event, hear) => event === "msg:custom" && hearers.add(hear);
    const model = { get: () => 400, on, off: (_, hear) => hearers.delete(hear), send };
    globalThis.takeAway = await widget.render({ model, el });
    const { transport } = el.firstChild.liveGradcam;
    while (!transport.link || transport.link.open) await new Promise((resolve) => setTimeout(resolve, 5));
}"""
_SEND = """async () => {
    globalThis.isGone = true;
    const { transport } = document.body.firstChild.liveGradcam;
    transport.send("a command");
    transport.send(new Blob(["a frame"]));
    transport.send("another command");
    await transport.link.last;
    takeAway();
    return document.body.firstChild.shadowRoot.lastChild.childElementCount;
}"""


def test_what_is_sent_to_a_kernel_that_has_ended_is_no_mistake(playwright, tmp_path):
    mistakes: list[str] = []
    with closing(launch(playwright, write_clip(tmp_path / "tour.mjpeg", 320))) as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: mistakes.append(str(error)))
        page.route("**/*", lambda route: route.fulfill(content_type="text/html", body="<!doctype html><body></body>"))
        page.goto("http://localhost/")
        page.evaluate(_OPEN, cell_module())
        assert page.evaluate(_SEND) == 0  # all is taken away
    assert mistakes == []
