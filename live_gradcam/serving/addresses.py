"""Where the page is: the addresses to open, and the names under which it may be asked for."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
from dataclasses import dataclass

from live_gradcam.serving.options import ServeOptions

#: Addresses of nobody: nothing is sent there, but the system says from which of this machine's it would be.
_FAR_AWAY = (("192.0.2.1", socket.AF_INET), ("2001:db8::1", socket.AF_INET6))


@dataclass(frozen=True)
class PageAddress:
    """Where the page is.

    Attributes:
        local: the address to open on this machine, with its token.
        others: the addresses to open elsewhere, the best first; none where it listens to this machine alone.
        port: what it listens on.
        is_secure: whether it is https. Without, a browser on another machine does not give its camera to it.
        has_own_certificate: whether the certificate was made here, so that browsers do not know it.
        at_localhost: the address for a browser to which `ssh -L` brings the port.
        login: USER@HOST to come here by ssh, where somebody came by ssh; None elsewhere.
    """

    local: str
    others: tuple[str, ...]
    port: int
    is_secure: bool
    has_own_certificate: bool
    at_localhost: str
    login: str | None = None


def page_address(options: ServeOptions, port: int, token: str) -> PageAddress:
    """Where the page is.

    Args:
        options: how it is served.
        port: what it listens on.
        token: what lets in.
    """
    scheme = "https" if options.is_secure else "http"

    def address(host: str) -> str:
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/?token={token}"

    numbers = [options.host] if is_open(options.host) else []
    if is_wildcard(options.host):
        numbers = own_numbers(options.host)
    local = options.host if not is_wildcard(options.host) else "localhost"
    return PageAddress(
        address(local),
        tuple(address(host) for host in (*options.hosts, *numbers)) if is_open(options.host) else (),
        port,
        options.is_secure,
        options.https and options.certfile is None,
        address("localhost"),
        _login(),
    )


def own_names(options: ServeOptions) -> list[str]:
    """The names and numbers under which the page may be asked for, besides localhost."""
    names = list(options.hosts)
    if not is_wildcard(options.host):
        names.append(options.host)
    if is_open(options.host):
        name = socket.gethostname()
        names += [name, f"{name.partition('.')[0]}.local"]
        if is_wildcard(options.host):
            names += own_numbers(options.host)
    return names


def own_numbers(host: str) -> list[str]:
    """The addresses by which the machines around reach what listens on all of this machine's, of the kind of `host`."""
    found = []
    for far_away, family in _FAR_AWAY:
        if family == socket.AF_INET6 and host == "0.0.0.0":
            continue
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((far_away, 9))
            found.append(str(probe.getsockname()[0]).partition("%")[0])
    return [number for number in found if not ipaddress.ip_address(number).is_loopback]


def is_wildcard(host: str) -> bool:
    """Whether a host stands for all addresses of this machine."""
    return host in ("0.0.0.0", "::", "")


def is_open(host: str) -> bool:
    """Whether other machines can reach what listens on a host."""
    if host == "localhost":
        return False
    try:
        return not ipaddress.ip_address(host).is_loopback
    except ValueError:
        return True


def _login() -> str | None:
    """Of SSH_CONNECTION, which is "client port server port"."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    user = os.environ.get("USER") or os.environ.get("LOGNAME")
    return f"{user}@{parts[2]}" if len(parts) == 4 and user else None
