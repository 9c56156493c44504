"""How the page is served, and how each of its viewers is explained."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from pathlib import Path

from live_gradcam.choices import VIEWS, View
from live_gradcam.drawing.overlay import DEFAULT_ALPHA, DEFAULT_COLORMAP, Overlay
from live_gradcam.errors import OutputError, UsageError, check_number, check_smooth
from live_gradcam.explanations.boxes import DEFAULT_BOXES, BoxOptions
from live_gradcam.files import writing
from live_gradcam.sources.options import SourceOptions

DEFAULT_PORT = 8000
#: A name that nobody can guess has so many characters at least.
_SHORTEST_TOKEN = 16
_LARGEST_PORT = 65535
#: What a browser can ask for: other letters come as xn--….
_NAME = re.compile(r"[A-Za-z0-9._-]+")
#: What an address can have as it is.
_TOKEN = re.compile(r"[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class ViewerOptions:
    """How each viewer is explained: what a worker needs to know besides the session's options.

    Attributes:
        smooth: time constant of predictions, maps and boxes, in seconds; 0 for none.
        view: what is shown at first.
        boxes: which boxes there are, and whether they are shown at first.
        colormap: the heatmap's colours at first, a key of `drawing.overlay.COLORMAPS`.
        alpha: the weight of the colours at first, 0…1.
        mirror: whether the picture is shown as in a mirror at first; None to do so for a camera that faces its viewer.
        keep: the folder in which taught models may be kept; None to write nothing.
    """

    smooth: float = 0.2
    view: View = "overlay"
    boxes: BoxOptions = DEFAULT_BOXES
    colormap: str = DEFAULT_COLORMAP
    alpha: float = DEFAULT_ALPHA
    mirror: bool | None = None
    keep: Path | None = None

    def check(self) -> None:
        """Refuse what is wrong before anything slow starts.

        Raises:
            UsageError: there is no such view or colour map; a number that cannot be.
        """
        check_smooth(self.smooth)
        VIEWS.check(self.view)
        Overlay(self.colormap, self.alpha)


@dataclass(frozen=True)
class ServeOptions:
    """How the page is served. Paths can be given as texts.

    Attributes:
        host: the address to listen on; 0.0.0.0 for all of this machine's. One of IPv6 may be in brackets: [::1].
        port: the port to listen on; 0 for any that is free.
        https: serve over https, with a certificate that is made for it where none is given.
        certfile: a certificate of one's own, PEM.
        keyfile: its key.
        hosts: names under which the page may be asked for, besides this machine's own.
        token: what lets a viewer in; None for a new one.
        max_clients: how many viewers there may be at a time.
        workers: how many processes explain.
        cluster: the address of a Ray cluster whose machines explain; None for this machine's processes.
        keep: the folder for snapshots and taught models of visitors; None to write nothing of theirs.
        reading: what is wanted of the sources.
        viewer: how each viewer is explained.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    https: bool = False
    certfile: Path | None = None
    keyfile: Path | None = None
    hosts: tuple[str, ...] = ()
    token: str | None = None
    max_clients: int = 64
    workers: int = 1
    cluster: str | None = None
    keep: Path | None = None
    reading: SourceOptions = field(default_factory=SourceOptions)
    viewer: ViewerOptions = field(default_factory=ViewerOptions)

    def __post_init__(self) -> None:
        for name in ("certfile", "keyfile", "keep"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, Path(getattr(self, name)))
        object.__setattr__(self, "hosts", tuple(host.strip().strip("[]") for host in self.hosts))
        if self.host.startswith("[") and self.host.endswith("]"):
            object.__setattr__(self, "host", self.host[1:-1])

    @property
    def is_secure(self) -> bool:
        """Whether it is served over https."""
        return self.https or self.certfile is not None

    def check(self) -> None:
        """Refuse what is wrong before anything slow starts.

        Raises:
            UsageError: a number, name or token that cannot be; a certificate without its key, or the other way round;
                processes and a cluster.
            OutputError: the folder of `keep` cannot be made or written.
        """
        if not 0 <= self.port <= _LARGEST_PORT:
            raise UsageError(f"--port is {self.port}: give a number from 0 to {_LARGEST_PORT}")
        check_number("--max-clients", self.max_clients, least=1)
        check_number("--workers", self.workers, least=1)
        if self.cluster is not None and self.workers > 1:
            raise UsageError(
                "--workers are processes of this machine, and --cluster uses others: leave one of them out"
            )
        for host in self.hosts:
            _check_name(host)
        if self.token is not None:
            _check_token(self.token)
        self._check_certificate()
        self.reading.camera.check()
        self.viewer.check()
        if self.keep is not None:
            if self.keep.is_file():
                raise OutputError(f"--keep {self.keep} is a file: give a folder")
            with writing(self.keep):
                self.keep.mkdir(parents=True, exist_ok=True)

    def _check_certificate(self) -> None:
        if (self.certfile is None) != (self.keyfile is None):
            raise UsageError("a certificate has a key: give both --certfile and --keyfile")
        for path in (self.certfile, self.keyfile):
            if path is not None and not path.is_file():
                raise OutputError(f"there is no file {path}")


def _check_name(host: str) -> None:
    if "/" in host:
        raise UsageError(f"--allow-host {host} is an address: give the name alone, such as cam.example.org")
    if not (_NAME.fullmatch(host) or is_number(host)):
        raise UsageError(
            f"--allow-host {host} is no name of a machine: give the name alone, without a port, such as cam.example.org"
        )


def is_number(host: str) -> bool:
    """Whether a host is an IP address, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _check_token(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise UsageError("the token must have letters (A to Z, a to z), digits, - and _ alone")
    if len(token) < _SHORTEST_TOKEN:
        raise UsageError(
            f"the token must have at least {_SHORTEST_TOKEN} letters and digits: anyone who guesses it gets in"
        )
