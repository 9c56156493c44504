"""Who gets in: those who know the token, who ask this server by one of its own names, from one of its own pages."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from live_gradcam.serving.options import is_number

_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))
#: What a browser says of a request whose cookie another site, or another port of this machine, may not use.
_FOREIGN = frozenset(("cross-site", "same-site"))
#: How the names of all servers' cookies begin, and how many of others a browser is left with.
_COOKIE, _MOST_COOKIES = "live-gradcam-", 16

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "media-src 'self' blob: mediastream:; worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; connect-src 'self'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


class Rules:
    """Who gets in.

    Args:
        token: in an address, it lets in whoever knows it.
        names: under which the server may be asked for, besides those of the machine itself.
        is_open: whether it listens to other machines, which may ask for it by any number that it has.
        is_secure: whether it speaks https.
    """

    def __init__(self, token: str, names: Iterable[str], *, is_open: bool, is_secure: bool) -> None:
        self.token = token
        self.is_secure = is_secure
        #: Of the cookie. It stays the same for a token: a page goes on when the server is started again with it.
        self.cookie = hmac.new(token.encode(), b"live-gradcam cookie", hashlib.sha256).hexdigest()
        #: Browsers keep the cookies of all ports of a machine together, and `ssh -L` brings servers to the same port.
        self.cookie_name = _COOKIE + hmac.new(token.encode(), b"live-gradcam name", hashlib.sha256).hexdigest()[:8]
        #: Of pages that come from elsewhere and may use this server, such as "http://localhost:8888".
        self.origins: set[str] = set()
        self._names = _LOOPBACK | {name.lower().strip("[]") for name in names}
        self._is_open = is_open

    def knows_host(self, host: str) -> bool:
        """Whether a Host header names this server. A name that somebody else lets point here is not one of its own."""
        name = _name_of(host)
        if name is None:
            return False
        return name in self._names or (self._is_open and is_number(name))

    def cookie_headers(self, cookies: str) -> list[str]:
        """The Set-Cookie headers that let a browser in.

        Args:
            cookies: its Cookie header. The oldest of many that other servers have given it are taken away: a request
                that has too many of them is refused.
        """
        secure = "; Secure" if self.is_secure else ""
        ours = [name for name in _parsed(cookies) if name.startswith(_COOKIE) and name != self.cookie_name]
        old = ours[: max(0, len(ours) - _MOST_COOKIES)]
        return [
            f"{self.cookie_name}={self.cookie}; HttpOnly; SameSite=Strict; Path=/{secure}",
            *(f"{name}=; Max-Age=0; HttpOnly; SameSite=Strict; Path=/{secure}" for name in old),
        ]

    def refusal(self, scope: Scope) -> tuple[int, str] | None:
        """Why a request is refused, as a status and a text; None where it is let in."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.knows_host(host):
            return 421, "This server does not go by that name. Start it with --allow-host NAME to let it."
        origin = headers.get("origin")
        if origin is not None and _host_of(origin) != host.lower() and origin not in self.origins:
            return 403, "Another site may not use this server."
        if not self._knows(scope, headers):
            return 403, "Open the whole address that live-gradcam printed, with its token."
        return None

    def has_token(self, scope: Scope, headers: Headers) -> bool:
        """Whether a request brings the token itself: in its address, or as programs do in a header."""
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(bearer.strip(), self.token):
            return True
        given = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=32).get("token", [""])[-1]
        return _same(given, self.token)

    def _knows(self, scope: Scope, headers: Headers) -> bool:
        try:
            if self.has_token(scope, headers):
                return True
        except ValueError:
            return False
        cookie = _parsed(headers.get("cookie", "")).get(self.cookie_name)
        if cookie is None or not _same(cookie.value, self.cookie):
            return False
        # SameSite takes another port for the same site, and a picture or a script is asked for without an Origin.
        is_foreign = "origin" not in headers and headers.get("sec-fetch-site") in _FOREIGN
        return not is_foreign or headers.get("sec-fetch-mode") == "navigate"


def _parsed(cookies: str) -> SimpleCookie:
    """The cookies of a header, the oldest first, as browsers send them; none of what is no such header."""
    try:
        return SimpleCookie(cookies)
    except CookieError:
        return SimpleCookie()


def _same(given: str, wanted: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell how far they are."""
    return hmac.compare_digest(given.encode(), wanted.encode())


def _name_of(host: str) -> str | None:
    """The name or number in a Host header, without the port; None where it is neither."""
    if not host or any(character in host for character in "/@?#\\ \t,"):
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _host_of(origin: str) -> str | None:
    """The host and port in an Origin header; None where it has none."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None


class Access:
    """Lets in whom the rules let in, and gives every answer the headers that keep a browser careful.

    Args:
        app: what is behind it.
        rules: who gets in.
    """

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._rules.refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await receive()
                await send({"type": "websocket.close", "code": 1008})  # before it is accepted: 403
            return
        answer: ASGIApp = self._app
        if refusal is not None:
            status, text = refusal
            answer = error_answer(scope, status, text)
        elif _wants_in(scope, self._rules):
            answer = self._let_in(scope)
        await answer(scope, receive, _with_headers(send, Headers(scope=scope).get("host", "")))

    def _let_in(self, scope: Scope) -> Response:
        """A page that goes on to the same address without the token.

        Not a redirection: a browser that comes from a link on another site would not send the new cookie there.
        """
        fields = scope["query_string"].decode("latin-1").split("&")
        kept = "&".join(field for field in fields if not field.startswith("token=") and field.isascii())
        target = "./" + (f"?{kept}" if kept else "")  # a proxy may have the page below a path
        escaped = "".join(character if character.isalnum() or character in "/?=&_.-" else "" for character in target)
        page = (
            '<!doctype html><meta charset="utf-8"><title>live-gradcam</title><link rel="icon" href="page/icon.svg">'
            f'<meta http-equiv="refresh" content="0;url={escaped.replace("&", "&amp;")}">'
        )
        answer = Response(page, media_type="text/html")
        for cookie in self._rules.cookie_headers(Headers(scope=scope).get("cookie", "")):
            answer.headers.append("set-cookie", cookie)
        return answer


def error_answer(scope: Scope, status: int, text: str) -> Response:
    """What says that a request fails: JSON to programs, which ask below /api/, and else a line."""
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": text}, status)
    return PlainTextResponse(text + "\n", status)


def _wants_in(scope: Scope, rules: Rules) -> bool:
    return (
        scope["path"] == "/"
        and scope["method"] in ("GET", "HEAD")
        and b"token=" in scope["query_string"]
        and rules.has_token(scope, Headers(scope=scope))
    )


def _with_headers(send: Send, host: str) -> Send:
    """Sends answers with the headers that every one has; what an answer says itself stays."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            headers["content-security-policy"] = f"{_POLICY} ws://{host} wss://{host}"
        await send(message)

    return sending
