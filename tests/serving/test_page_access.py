"""Who gets in, and what every answer says to a browser."""

from __future__ import annotations

import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from page_server import SECONDS, TOKEN, RunningServer, running_server
from websockets.exceptions import InvalidStatus

from live_gradcam.serving.server.access import Rules


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    with running_server(hosts=("lab.example",)) as server:
        yield server


def ask(server: RunningServer, path: str = "/colours/turbo", method: str = "GET", **headers: str) -> Any:
    """A request without the token; `_` in the names of headers stands for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response


def cookie_of(server: RunningServer) -> str:
    return str(ask(server, f"/?token={TOKEN}").headers["set-cookie"]).partition(";")[0]


def test_nobody_gets_in_without_the_token(server: RunningServer) -> None:
    for path in ("/", "/page/main.js", "/colours/turbo", "/api/openapi.json", "/stream.mjpg", "/ca.pem", "/nothing"):
        assert ask(server, path).status == 403
    for path in ("/post/open", "/post/send", "/keep", "/api/explain"):
        assert ask(server, path, "POST").status == 403
    for wrong in (TOKEN[:-1], f"{TOKEN}x", "", "%ff", TOKEN.upper()):
        assert ask(server, f"/?token={wrong}").status == 403
        assert ask(server, Authorization=f"Bearer {wrong}").status == 403
    many = "/?" + "&".join(f"class={number}" for number in range(40))
    assert ask(server, many, Authorization="Bearer wrong").status == 403
    assert ask(server, many, Authorization=f"Bearer {TOKEN}").status == 200
    name = cookie_of(server).partition("=")[0]
    assert ask(server, Cookie=f"{name}={TOKEN}").status == 403
    assert ask(server, Cookie="=;=;\x01").status == 403
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        with pytest.raises(InvalidStatus, match="403"), server.client(additional_headers=headers):
            pass


def test_programs_are_refused_in_json(server: RunningServer) -> None:
    for path, method, headers, status, start in (
        ("/api/explain", "POST", {}, 403, "Open the whole address"),
        ("/api/explain", "POST", {"Authorization": "Bearer wrong"}, 403, "Open the whole address"),
        (f"/api/explain?token={TOKEN}", "POST", {"Host": "evil.example"}, 421, "This server does not go by that name"),
        (f"/api/explain?token={TOKEN}", "GET", {}, 405, "Method Not Allowed"),
        (f"/api/nothing?token={TOKEN}", "GET", {}, 404, "Not Found"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        assert (response.status, response.headers["content-type"]) == (status, "application/json")
        assert json.loads(response.read())["error"].startswith(start)
        assert response.headers["allow"] == ("POST" if status == 405 else None)
        connection.close()
    assert ask(server).headers["content-type"].startswith("text/plain")  # to people


def test_the_token_becomes_a_cookie(server: RunningServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    connection.request("GET", f"/?token={TOKEN}&clean=1&source=0&x=%22%3E%3Cscript%3E")
    response = connection.getresponse()
    page = response.read().decode()
    assert response.status == 200
    assert response.headers["cache-control"] == "no-store"
    name, value = response.headers["set-cookie"].split("; ")[0].split("=")
    assert response.headers["set-cookie"].split("; ")[1:] == ["HttpOnly", "SameSite=Strict", "Path=/"]
    assert re.fullmatch("live-gradcam-[0-9a-f]{8}", name)
    assert TOKEN not in value
    assert 'content="0;url=./?clean=1&amp;source=0&amp;x=223E3Cscript3E"' in page
    assert TOKEN not in page
    assert ask(server, Cookie=f"other=1; {name}={value}").status == 200
    with server.client(additional_headers={"Cookie": f"{name}={value}"}) as client:
        assert client.until("hello")


def test_a_restarted_server_with_the_same_token_knows_the_cookie() -> None:
    first, second = (Rules(TOKEN, (), is_open=False, is_secure=False) for _ in range(2))
    assert first.cookie == second.cookie
    assert first.cookie != Rules(TOKEN + "x", (), is_open=False, is_secure=False).cookie
    assert first.cookie_name == second.cookie_name
    (cookie,) = Rules(TOKEN, (), is_open=False, is_secure=True).cookie_headers("")
    assert cookie.endswith("; Secure")


def test_servers_that_come_to_the_same_port_leave_each_other_their_cookies(server: RunningServer) -> None:
    """As `ssh -L` brings them: each browser's cookies are for all ports."""
    other = Rules(f"{TOKEN}x", (), is_open=False, is_secure=False)
    theirs = other.cookie_headers("")[0].partition(";")[0]
    own = cookie_of(server)
    assert theirs.partition("=")[0] != own.partition("=")[0]
    assert ask(server, Cookie=f"{own}; {theirs}").status == 200
    assert ask(server, Cookie=theirs).status == 403


def test_a_browser_does_not_collect_cookies_for_ever(server: RunningServer) -> None:
    """Each start without a token of one's own has another one, and a request with too many cookies is refused."""
    cookies = "; ".join(["theirs=1", *(f"live-gradcam-{number:08x}=x" for number in range(18)), cookie_of(server)])
    given = ask(server, f"/?token={TOKEN}", Cookie=cookies).headers.get_all("set-cookie")
    assert given[0].startswith(cookie_of(server))
    assert [one.partition(" HttpOnly")[0] for one in given[1:]] == [
        f"live-gradcam-{number:08x}=; Max-Age=0;" for number in range(2)
    ]


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:99", "localhost:1", "LOCALHOST", "[::1]:8000", "lab.example:80"]
)
def test_the_servers_own_names(server: RunningServer, host: str) -> None:
    assert ask(server, Host=host, Authorization=f"Bearer {TOKEN}").status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "192.168.1.5",
        "a@localhost",
        "",
        "[",
        "x y",
        "%6c",
    ],
)
def test_a_rebound_name_is_refused(server: RunningServer, host: str) -> None:
    """A page of evil.example whose name leads here has an Origin equal to its Host, and could even have the cookie."""
    headers = {"Host": host, "Cookie": cookie_of(server), "Origin": f"http://{host}"}
    assert ask(server, **headers).status == 421


def test_machines_around_ask_by_number() -> None:
    rules = Rules(TOKEN, ["lab"], is_open=True, is_secure=False)
    assert all(map(rules.knows_host, ("192.168.1.5:8000", "[fe80::1]:8000", "lab", "localhost")))
    assert not any(map(rules.knows_host, ("evil.example", "192.168.1.5.evil.example", "1.2.3", "[::1", "lab.example")))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "https://127.0.0.1.evil.example",
        "null",
        "http://localhost",
        "http://127.0.0.1",
        "x",
        "http://[",
    ],
)
def test_a_foreign_origin_is_refused(server: RunningServer, origin: str) -> None:
    assert ask(server, Cookie=cookie_of(server), Origin=origin).status == 403
    assert ask(server, Authorization=f"Bearer {TOKEN}", Origin=origin).status == 403
    with pytest.raises(InvalidStatus, match="403"), server.client(origin=origin):
        pass


def test_the_own_origin_gets_in(server: RunningServer) -> None:
    origin = f"http://127.0.0.1:{server.port}"
    assert ask(server, Cookie=cookie_of(server), Origin=origin, Host=f"127.0.0.1:{server.port}").status == 200
    with server.client(origin=origin) as client:
        assert client.until("hello")


def test_another_port_of_the_machine_may_not_use_the_cookie(server: RunningServer) -> None:
    """A browser takes localhost:3000 for the same site, and sends its pictures' requests with the cookie."""
    for site in ("same-site", "cross-site"):
        fetched = {"Sec_Fetch_Site": site, "Sec_Fetch_Mode": "no-cors", "Cookie": cookie_of(server)}
        assert ask(server, **fetched).status == 403
        assert ask(server, f"/colours/turbo?token={TOKEN}", **fetched).status == 200
        assert ask(server, **{**fetched, "Sec_Fetch_Mode": "navigate"}).status == 200
    assert ask(server, Sec_Fetch_Site="same-origin", Cookie=cookie_of(server)).status == 200


def test_what_every_answer_says_to_a_browser(server: RunningServer) -> None:
    for path, status in ((f"/colours/turbo?token={TOKEN}", 200), ("/", 403), (f"/nothing?token={TOKEN}", 404)):
        answer = ask(server, path)
        assert answer.status == status
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert headers["permissions-policy"].startswith("camera=(self), microphone=()")
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
        assert policy["connect-src"] == f"'self' ws://127.0.0.1:{server.port} wss://127.0.0.1:{server.port}"
        assert "server" not in headers


def test_no_more_viewers_than_there_may_be() -> None:
    with running_server(max_clients=2) as server:
        with server.client() as one, server.client() as two:
            one.until("hello")
            two.until("hello")
            with server.client() as third:
                assert third.until("bye")["reconnect"] is True
            assert server.ask("/post/open", "POST")[0] == 503
        with server.client() as again:
            while again.receive()["type"] == "bye":  # type: ignore[index,call-overload]
                pass
