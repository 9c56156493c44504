"""Folders of numbered PNGs, with their times."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.accompaniment import name_of
from live_gradcam.sinks.codec import refuse_quality
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.image import encode_image
from live_gradcam.sinks.sink import NO_EXTRAS, Carried, Extras, Pictures, Sink
from live_gradcam.sinks.writer import Writer
from live_gradcam.sources.folders import listed

#: The file with the statement.
_STATEMENT = "provenance.json"
#: The names of what is written into a folder, and of what systems put into any. A hidden file may be a user's own.
_OURS = re.compile(rf"\d+\.png|frames\.csv|{re.escape(_STATEMENT)}|\.DS_Store|\._.*|Thumbs\.db|desktop\.ini")


class FolderSink(Sink):
    """See `Sink`."""

    noun = "folder of pictures"
    endings = ()
    has_hardware = False

    def check_quality(self, name: str, crf: int | None, preset: str | None) -> None:
        """There is one quality."""
        refuse_quality(name, crf, preset)

    def check_replaced(self, path: Path) -> None:
        """A folder that something else wrote, or that has other files too, is not replaced."""
        found = sorted(path.iterdir()) if path.is_dir() else []
        if found and not (path / _STATEMENT).exists():
            raise OutputError(f"{path} is a folder that live-gradcam did not write: choose another name")
        others = [file for file in found if not _OURS.fullmatch(file.name)]
        if others:
            raise OutputError(f"{path} has other files too ({listed(others)}): move them, or choose another name")

    def open(
        self, path: Path, pictures: Pictures, encoding: Encoding, extras: Extras = NO_EXTRAS, statement: str = ""
    ) -> FolderWriter:
        """Begin a folder."""
        return FolderWriter(path, extras)

    def read_statement(self, path: Path) -> str | None:
        """It is a file of its own."""
        with suppress(OSError, ValueError):
            return (path / _STATEMENT).read_text(encoding="utf-8")
        return None


class FolderWriter(Writer):
    """Writes a folder of numbered PNGs, `000000.png` and so on, and their times, `frames.csv`: file, seconds.

    It appears under its name only when it is finished. As a context manager it finishes the folder, or removes it when
    an exception passes.

    Args:
        path: the folder; it grows as `NAME.part`.
        extras: what is left out.

    Attributes:
        frames_written: how many pictures there are so far.
        carried: the sound and subtitles that are left out.

    Raises:
        OutputError: it cannot be written.
    """

    encoder = "png"

    def __init__(self, path: str | Path, extras: Extras = NO_EXTRAS) -> None:
        self.path = Path(path)
        self.frames_written = 0
        self.carried = Carried([], [name_of(stream) for stream in extras.others])
        self._part = part_path(self.path)
        remove_part(self.path)
        with writing(self.path):
            self._part.mkdir()
            self._times: IO[str] = (self._part / "frames.csv").open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._times, lineterminator="\n")
        self._rows.writerow(["file", "time"])

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """Add a frame, uint8 (height, width, 3) BGR, of a time in seconds.

        Raises:
            OutputError: the disk is full or the file cannot be written.
        """
        name = f"{self.frames_written:06d}.png"
        with writing(self.path):
            (self._part / name).write_bytes(encode_image(self._part / name, image))
            self._rows.writerow([name, f"{float(pts):.6f}"])
        self.frames_written += 1

    def write_packet(self, packet: Any) -> None:
        """A folder has no sound and no subtitles."""

    def finish(self, statement: str = "") -> None:
        """Give the folder its name.

        Args:
            statement: how it came about, which becomes another file; "" for none.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        try:
            with writing(self.path):
                self._times.close()
                if statement:
                    (self._part / _STATEMENT).write_text(statement, encoding="utf-8")
                publish(self.path)
        except OutputError:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was written."""
        with suppress(OSError):
            self._times.close()
        remove_part(self.path)


PNG = FolderSink()
