"""What the page says and does where something is missing: a camera, a secure address, the server."""

from __future__ import annotations

from contextlib import closing

import pytest
from browser_server import TOKEN, serving
from chromium import go_to, launch, until, use_camera
from command_line import AT_ONCE
from path_proxy import below_path

pytestmark = pytest.mark.slow


def test_a_refused_camera(playwright, tour_clip, address):
    with closing(launch(playwright, tour_clip, asks=True)) as browser:
        page = browser.new_page()
        go_to(page, address)
        page.locator(".card .first").click()
        page.get_by_role("heading", name="The browser does not let this page use the camera").wait_for()
        assert page.get_by_role("button", name="Try again").is_visible()


def test_no_camera(playwright, tour_clip, address):
    with closing(launch(playwright, tour_clip, has_camera=False)) as browser:
        page = browser.new_page()
        go_to(page, address)
        page.locator(".card .first").click()
        page.get_by_role("heading", name="There is no camera").wait_for()
        assert page.locator(".card input[type=file]").count() == 1


def test_an_unplugged_camera(open_page):
    page = open_page()
    page.evaluate("liveGradcam.viewing.source.video.srcObject.getVideoTracks()[0].dispatchEvent(new Event('ended'))")
    page.get_by_role("heading", name="The camera is gone").wait_for()
    page.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange'))")  # it is back
    until(page, "liveGradcam.viewing.trips.length > 3")
    assert page.locator(".card").is_hidden()


def test_an_address_that_gets_no_camera(playwright, tour_clip, server):
    mapped = "--host-resolver-rules=MAP *.test 127.0.0.1"
    with closing(launch(playwright, tour_clip, arguments=[mapped])) as browser:
        page = browser.new_page()
        port = server.port
        go_to(page, f"http://classroom.test:{port}/?token={TOKEN}")
        page.locator(".card .first").click()
        page.get_by_role("heading", name="The browser gives no camera to this address").wait_for()
        assert page.locator(".card code").inner_text() == f"ssh -N -L {port}:localhost:{port} classroom.test"


def test_a_server_that_comes_back(browser, server):
    page = browser.new_context(locale="en-GB").new_page()
    go_to(page, server.address)
    use_camera(page)
    page.keyboard.press("2")
    until(page, "liveGradcam.state.pinned.length === 1")
    pinned = page.evaluate("liveGradcam.state.pinned[0].index")
    with server.away():
        page.locator(".banner.shown", has_text="The server does not answer").wait_for()
    page.locator(".notice.shown", has_text="Connected again").wait_for(timeout=120_000)
    until(page, f"liveGradcam.state?.pinned[0]?.index === {pinned}")
    page.evaluate("liveGradcam.viewing.trips.length = 0")
    until(page, "liveGradcam.viewing.trips.length > 3")
    page.context.close()


def test_a_class_is_not_kept_where_the_server_comes_back_with_another_network(browser, quick_network, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("bee\nwasp\nfly\nant\nmoth\n", "utf-8")
    page = browser.new_context(locale="en-GB").new_page()
    with closing(page.context), serving(*quick_network, *AT_ONCE) as server:
        go_to(page, server.address)
        use_camera(page)
        page.evaluate("liveGradcam.send('pin', 1), liveGradcam.send('smooth', 0.7)")
        until(page, "liveGradcam.state.pinned_names[0] === 'green' && liveGradcam.state.smooth === 0.7")
        server.stop()
        server.arguments = (*quick_network, *AT_ONCE, "--labels", names)
        server.start()
        page.locator(".notice.error.shown", has_text="has another network now").wait_for(timeout=120_000)
        page.evaluate("liveGradcam.send('boxes', true)")  # after all that the page sends by itself
        until(page, "liveGradcam.state?.boxes && liveGradcam.state.smooth === 0.7")
        assert page.evaluate("liveGradcam.state.pinned_names") == []


def test_what_was_taught_is_lost_with_the_connection_and_no_other_class_is_explained(open_page):
    page = open_page()
    page.get_by_role("button", name="Teach").click()
    until(page, "liveGradcam.state.teaching_panel?.is_ready")
    for key in "12":
        page.keyboard.down(key)
        until(page, f"liveGradcam.state.teaching_panel.rows.some((row) => row.index === {key} && row.count > 3)")
        page.keyboard.up(key)
    page.evaluate("liveGradcam.send('pin', 1)")
    until(page, "liveGradcam.state.pinned.length === 1")
    page.evaluate("liveGradcam.send('smooth', 0.7)")
    until(page, "liveGradcam.state.smooth === 0.7")
    page.evaluate("liveGradcam.transport.link.socket.close()")
    page.locator(".notice.error.shown", has_text="what you taught is lost: teach it again").wait_for()
    until(page, "liveGradcam.state?.smooth === 0.7")
    assert page.evaluate("[liveGradcam.state.pinned.length, liveGradcam.state.teaching]") == [0, False]
    assert page.locator(".panel").is_hidden()


def test_who_watches_and_comes_back_sets_nothing_back_for_the_others(open_page):
    one, other = (open_page("&source=0", starts=False) for _ in range(2))
    for page in (one, other):
        until(page, "liveGradcam.stage.answer?.id > 1")
    one.evaluate("liveGradcam.send('pin', 1)")
    until(one, "liveGradcam.state.pinned[0]?.index === 1")
    one.evaluate(
        "(({ transport }) => { transport.connectSoon = () => {}; transport.link.socket.close(); })(liveGradcam)"
    )
    until(one, "liveGradcam.hello === null")
    other.evaluate("liveGradcam.send('pin', 3)")
    until(other, "liveGradcam.state.pinned[0]?.index === 3")
    one.evaluate("(({ transport }) => { delete transport.connectSoon; transport.connect(); })(liveGradcam)")
    until(one, "liveGradcam.state?.pinned[0]?.index === 3")
    one.evaluate("liveGradcam.send('smooth', 0.7)")  # after all that the page sends by itself
    until(other, "liveGradcam.state.smooth === 0.7")
    assert other.evaluate("liveGradcam.state.pinned.map(({ index }) => index)") == [3]
    for name, value in (("track", "undefined"), ("smooth", "0.2")):  # as other tests find it
        one.evaluate(f"liveGradcam.send('{name}', {value})")
    until(other, "liveGradcam.state.smooth === 0.2 && !liveGradcam.state.pinned.length")


def test_what_is_asked_for_without_a_connection_is_refused_in_words(open_page):
    page = open_page()
    asked = []
    page.on("download", lambda file: asked.append(file))
    notice = page.locator(".notice.error.shown", has_text="The server does not answer")
    # One snapshot is waited for when the connection is lost, and the other is asked for after that.
    page.evaluate(
        "(({ transport, viewing }) => { viewing.take = () => {}; transport.connectSoon = () => {}; })(liveGradcam)"
    )
    page.keyboard.press("s")
    until(page, "liveGradcam.viewing.waiting.length === 1")
    page.evaluate("liveGradcam.transport.link.socket.close()")
    notice.wait_for()
    for key in "s2":
        page.evaluate("liveGradcam.notices.notice.className = 'notice'")
        page.keyboard.press(key)
        notice.wait_for()
    page.evaluate(
        "(({ transport, viewing }) => { delete viewing.take; delete transport.connectSoon; transport.connect(); })"
        "(liveGradcam)"
    )
    until(page, "liveGradcam.viewing.trips.length > 3 && Boolean(liveGradcam.state)")
    assert page.evaluate("[liveGradcam.viewing.waiting.length, liveGradcam.state.pinned.length]") == [0, 0]
    assert asked == []


def test_where_websockets_are_refused_the_same_goes_by_post(browser, address):
    context = browser.new_context(locale="en-GB")
    context.add_init_script("""
        globalThis.WebSocket = class {
            constructor() { setTimeout(() => this.onclose()); }
            close() {}
        };
    """)
    page = context.new_page()
    go_to(page, address)
    use_camera(page)
    until(page, "liveGradcam.viewing.trips.length > 20")
    assert page.evaluate("liveGradcam.transport.isPost")
    page.keyboard.press("f")
    until(page, "liveGradcam.state.pinned.length === 1")
    context.close()


def test_a_browser_without_the_token_is_told(browser, address):
    page = browser.new_context(locale="en-GB").new_page()
    assert page.goto(address.split("?")[0]).status == 403
    page.context.close()


@pytest.mark.parametrize("has_sockets", [True, False])
def test_below_a_path_of_a_proxy(open_page, server, has_sockets):
    with below_path("/cam", server.port) as port:
        page = open_page(at=f"http://localhost:{port}/cam/?token={TOKEN}&lang=en", starts=has_sockets)
        if not has_sockets:
            page.add_init_script(
                "WebSocket = function () { return { close() {} , set onclose(closed) { setTimeout(closed); } }; };"
            )
            page.reload()
            use_camera(page)
        until(page, "liveGradcam.viewing.trips.length > 3")
        assert page.evaluate("liveGradcam.transport.isPost") != has_sockets
        assert page.evaluate("location.pathname + location.search") == "/cam/?lang=en"
        page.context.close()
