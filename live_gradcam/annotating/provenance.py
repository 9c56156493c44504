"""How a file came about, as it says itself: source, options and version."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.choices import AUTO_ENGINE, USUAL_ENGINE
from live_gradcam.files import fingerprint, reading
from live_gradcam.networks.catalog import identity_of
from live_gradcam.sources.opening import is_of_another_package
from live_gradcam.sources.pictures import pictures_of

#: Of the session, what does not change the result, or is written only where it is another than usual.
_OF_NO_EFFECT = ("tune", "threads", "is_live", "trust", "maps")
#: How a file says which engine was asked for. Those of earlier versions say the usual one where none was.
_CHOSEN, _USUAL = (json.dumps({"engine": name})[1:-1] for name in (AUTO_ENGINE, USUAL_ENGINE))


@dataclass(frozen=True)
class Provenance:
    """How a file came about.

    Attributes:
        version: of this program.
        source: the name of the recording.
        fingerprint: of its content: size, and SHA-256 of its first and its last MiB; of pictures, of their names and
            sizes; of what is no file and another package reads, of its address.
        options: how it was explained and drawn, with the fingerprints of the model's own files.
    """

    version: str
    source: str
    fingerprint: str
    options: dict[str, Any]

    @staticmethod
    def of(source: Path, options: dict[str, Any]) -> Provenance:
        """What a file made of a source says.

        Args:
            source: the recording.
            options: from `made_with`.

        Raises:
            SourceError: the file cannot be read, or the folder has no pictures.
        """
        name = source.name.encode("utf-8", "backslashreplace").decode()  # one that is no UTF-8 has surrogates
        return Provenance(version("live-gradcam"), name, _fingerprint(source), options)

    def text(self, *, complete: bool) -> str:
        """As it is written into a file, which is complete or was cut short."""
        provenance = {
            "made by": f"live-gradcam {self.version}",
            "source": self.source,
            "fingerprint": self.fingerprint,
            "options": self.options,
            "complete": complete,
        }
        return json.dumps(provenance, ensure_ascii=False)

    def compare(self, made: str | None) -> bool | None:
        """Whether an output was made in this way, by what it says: True; False if it was cut short; None if not.

        Whichever engine was chosen where none was asked for, it gave what the usual one gives.
        """
        made = _by_usual_engine(made)
        if made == _by_usual_engine(self.text(complete=True)):
            return True
        return False if made == _by_usual_engine(self.text(complete=False)) else None


def _by_usual_engine(text: str | None) -> str | None:
    """What an output says of itself, with the usual engine where it says that one was chosen."""
    return text and text.replace(_CHOSEN, _USUAL)


def made_with(session: SessionOptions, options: AnnotateOptions) -> dict[str, Any]:
    """What `Provenance.options` says of all recordings that are annotated in one way. The model's files are read."""
    explained = {name: value for name, value in session.to_json().items() if name not in _OF_NO_EFFECT}
    if session.is_live:  # which chooses other fits and names
        explained["is_live"] = True
    content = identity_of(session.model, session.of_model())
    chosen = {**explained, **options.to_json(), **({"files": content} if content else {})}
    plain: dict[str, Any] = json.loads(json.dumps(chosen, default=str))
    return plain


def _fingerprint(path: Path) -> str:
    """Of a file's content; of several pictures, SHA-256 of their names and sizes.

    Raises:
        SourceError: the file cannot be read. A picture among several that cannot be read stops nothing.
    """
    if os.path.isfile(path):
        with reading(path):
            return fingerprint(path)
    digest = hashlib.sha256()
    if is_of_another_package(path):
        return hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
    pictures = pictures_of(path)
    for picture in pictures:
        digest.update(f"{picture.name}\0{_size(picture)}\0".encode("utf-8", "surrogateescape"))
    return f"{len(pictures)} {digest.hexdigest()}"


def _size(picture: Path) -> str:
    """In bytes; nothing of a link that leads nowhere."""
    try:
        return str(picture.stat().st_size)
    except OSError:
        return ""
