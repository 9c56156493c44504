"""How a file came about, as it says itself: source, options and version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import av

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.sources.opening import is_of_another_package
from live_gradcam.sources.pictures import pictures_of

#: The tag of it: a text of any length that MP4, Matroska and WebM all have, and hardly anybody else uses.
TAG = "synopsis"
#: In a folder of pictures.
FILE = "provenance.json"
_GIF_COMMENT, _GIF_END, _GIF_BLOCK = b"\x21\xfe", b"\x3b", 255
_BEGIN = b'{"made by"'
_ENDS = 1 << 20
#: Of the session, what does not change the result.
_OF_NO_EFFECT = ("tune", "threads", "is_live", "trust", "maps")


@dataclass(frozen=True)
class Provenance:
    """How a file came about.

    Attributes:
        version: of this program.
        source: the name of the recording.
        fingerprint: of its content: size, and SHA-256 of its first and its last MiB; of pictures, of their names and
            sizes; of what is no file and another package reads, of its address.
        options: how it was explained and drawn.
    """

    version: str
    source: str
    fingerprint: str
    options: dict[str, Any]

    @staticmethod
    def of(source: Path, session: SessionOptions, options: AnnotateOptions) -> Provenance:
        """What a file made of a source in a way says."""
        explained = {name: value for name, value in asdict(session).items() if name not in _OF_NO_EFFECT}
        files = [
            Path(name) for name in (session.model, session.weights, session.labels) if name and Path(name).is_file()
        ]
        content = {file.name: _fingerprint(file) for file in files}
        record = {**explained, **options.record(), **({"files": content} if content else {})}
        plain = json.loads(json.dumps(record, default=str))
        return Provenance(version("live-gradcam"), source.name, _fingerprint(source), plain)

    def text(self, *, complete: bool) -> str:
        """As it is written into a file, which is complete or was cut short."""
        record = {
            "made by": f"live-gradcam {self.version}",
            "source": self.source,
            "fingerprint": self.fingerprint,
            "options": self.options,
            "complete": complete,
        }
        return json.dumps(record, ensure_ascii=False)

    def compare(self, path: Path) -> bool | None:
        """Whether a file was made in this way: True; False if it was but is cut short; None for any other."""
        made = _read(path)
        if made == self.text(complete=True):
            return True
        return False if made == self.text(complete=False) else None


def add_comment(path: Path, text: str) -> None:
    """Put a comment into a GIF that is finished.

    Raises:
        OSError: it cannot be written.
    """
    encoded = text.encode("utf-8")
    blocks = [encoded[at : at + _GIF_BLOCK] for at in range(0, len(encoded), _GIF_BLOCK)]
    comment = _GIF_COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    with path.open("r+b") as file:
        file.seek(-len(_GIF_END), 2)
        file.write(comment + _GIF_END)


def _read(path: Path) -> str | None:
    """What a file says about itself; None if it says nothing, or is not there."""
    try:
        if path.is_dir():
            return (path / FILE).read_text(encoding="utf-8")
        if path.suffix.lower() == ".gif":
            return _comment(path)
        with av.open(str(path.absolute())) as container:
            return next((text for key, text in container.metadata.items() if key.lower() == TAG), None)
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def _comment(path: Path) -> str | None:
    """The comment at the end of a GIF."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _ENDS))
        content = file.read()
    begin = content.rfind(_BEGIN) - 1  # the length of the first block
    if content[max(0, begin - len(_GIF_COMMENT)) : max(0, begin)] != _GIF_COMMENT:
        return None
    text, at = b"", begin
    while at < len(content) and content[at]:
        text += content[at + 1 : at + 1 + content[at]]
        at += 1 + content[at]
    return text.decode("utf-8")


def _fingerprint(path: Path) -> str:
    """Size, and SHA-256 of the first and the last MiB; of several pictures, SHA-256 of their names and sizes."""
    digest = hashlib.sha256()
    if not path.is_file() and is_of_another_package(path):
        return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    if not path.is_file():
        pictures = pictures_of(path)
        for picture in pictures:
            digest.update(f"{picture.name}\0{picture.stat().st_size}\0".encode("utf-8", "surrogateescape"))
        return f"{len(pictures)} {digest.hexdigest()}"
    size = path.stat().st_size
    with path.open("rb") as file:
        digest.update(file.read(_ENDS))
        file.seek(max(0, size - _ENDS))
        digest.update(file.read(_ENDS))
    return f"{size} {digest.hexdigest()}"
