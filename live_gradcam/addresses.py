"""Addresses of streams as they may be shown: without what lets others in."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

_HIDDEN = "***"
#: With one slash too: that is what a path makes of an address.
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]+:/{1,3})([^\s/]\S*)", re.IGNORECASE)
#: A host and what follows it, with an @ somewhere in it: `host/a`, `10.0.0.8:554/a`, `[::1]:554/a`. Before a number, a
#: name without a point is more likely a user's, and the number the beginning of a password with a slash in it.
_HOST = re.compile(r"([^:/?#@]+|([^:/?#@]*\.[^:/?#@]*|localhost):\d+|\[[^\]]*\](:\d+)?)[/?#]", re.IGNORECASE)
#: Parameters, in a query, or in the path as some cameras have them: password, loginpas, access_token, api_key, …
_SECRET = re.compile(
    r"((?:[\w.%-]*(?:pass|pwd|psw|token|auth|key|secret|sig|cred|session|jwt)[\w.%-]*|[\w.%-]*pas|\bpw|\bsid)=)[^&\s]+",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)


def masked(text: str) -> str:
    """A text in which no address has a password, a token or a key any more: `rtsp://user:***@host/?token=***`.

    Rather too much than too little is hidden where an address is not well formed.
    """
    return _ADDRESS.sub(lambda found: found[1] + _SECRET.sub(rf"\1{_HIDDEN}", _without_login(found[2])), text)


def masked_values(content: Any) -> Any:
    """The same for all texts in a structure of dictionaries and lists, as JSON has them."""
    if isinstance(content, dict):
        return {name: masked_values(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [masked_values(value) for value in content]
    return masked(content) if isinstance(content, str) else content


def _without_login(address: str) -> str:
    """What follows `scheme://`, with the password hidden in `user:password@host/path`, and `token@host/path` too.

    The last @ ends the login, for passwords with an @ or a slash in them.
    """
    login, _, rest = address.rpartition("@")
    if not login or _HOST.match(login):
        return address
    user, colon, _ = login.partition(":")
    return f"{user}:{_HIDDEN}@{rest}" if colon else f"{_HIDDEN}@{rest}"


def address_of(path: Path) -> str | None:
    """The address that somebody gave where a path was asked for, its slashes put back; None for a path."""
    scheme, *rest = path.parts or ("",)
    if not rest or not _SCHEME.fullmatch(scheme) or Path(scheme).exists():
        return None
    slashes = "///" if scheme.lower() == "file:" else "//"
    return f"{scheme}{slashes}{'/'.join(rest)}"
