"""GIFs: every picture with 256 colours of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from live_gradcam.errors import OutputError
from live_gradcam.files import part_path, publish, remove_part, writing
from live_gradcam.sinks.accompaniment import name_of
from live_gradcam.sinks.codec import refuse_quality
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.sink import NO_EXTRAS, Carried, Companion, Extras, Pictures, Sink
from live_gradcam.sinks.writer import FileWriter

_TICK = Fraction(1, 100)  # second
_LONGEST = 65_535  # ticks, the most that a GIF can say of one picture
_COMMENT, _END, _BLOCK = b"\x21\xfe", b"\x3b", 255
#: How much of a file is searched for the comment.
_SEARCHED = 1 << 20


class GifSink(Sink):
    """See `Sink`."""

    noun = "GIF"
    endings = (".gif",)
    #: Players show shorter frames for a tenth of a second.
    most_fps = 50
    has_hardware = False

    def check_quality(self, name: str, crf: int | None, preset: str | None) -> None:
        """There is one quality."""
        refuse_quality(name, crf, preset)

    def open(
        self, path: Path, pictures: Pictures, encoding: Encoding, extras: Extras = NO_EXTRAS, statement: str = ""
    ) -> GifWriter:
        """Begin a file."""
        return GifWriter(path, pictures, extras)

    def join(
        self,
        parts: Sequence[Path],
        path: Path,
        time_base: Fraction,
        companion: Companion,
        extras: Extras,
        statement: str,
    ) -> Carried:
        """Give the only part its name."""
        try:
            with writing(path):
                shutil.copyfile(parts[0], part_path(path))
                _publish(path, statement)
        except OutputError:
            remove_part(path)
            raise
        return Carried([], [name_of(stream) for stream in extras.others])

    def read_statement(self, path: Path) -> str | None:
        """It is the comment at the end."""
        with suppress(OSError, ValueError):
            return _comment(path)
        return None


class GifWriter(FileWriter):
    """Writes a GIF, which appears under its name only when it is finished. Its sound and subtitles are left out.

    A picture that stays for longer than a GIF can say is in it several times.

    Args:
        path: the file.
        pictures: their size and times, which are rounded to hundredths of a second.
        extras: what is left out, all but the metadata.

    Raises:
        OutputError: it cannot be written.
    """

    def __init__(self, path: Path, pictures: Pictures, extras: Extras = NO_EXTRAS) -> None:
        self._palette = _Palette()
        self._shown: av.VideoFrame | None = None
        self._period = round(1 / pictures.frame_rate / _TICK)
        super().__init__(path, pictures._replace(time_base=_TICK), extras)

    def _add_video(self, output: Any, frame_rate: Fraction) -> Any:
        self.encoder = "gif"
        video = output.add_stream(self.encoder, rate=frame_rate)
        video.height, video.width = self._size
        video.codec_context.time_base = self._time_base
        video.pix_fmt = "pal8"
        return video

    def _converted(self, picture: av.VideoFrame) -> av.VideoFrame:
        self._shown = self._palette.reduced(picture)
        return self._shown

    def write(self, image: np.ndarray, pts: Fraction) -> None:
        """See `FileWriter.write`."""
        self._stay_until(round(pts / _TICK))
        super().write(image, pts)

    def _stay_until(self, tick: int) -> None:
        """Write the last picture again wherever the time that can be said of it ends."""
        while self._shown is not None and tick - self._last_tick > _LONGEST:
            self._last_tick += _LONGEST
            self._shown.pts = self._last_tick
            with self._failures():
                for packet in self._video.encode(self._shown):
                    packet.duration = tick - self._last_tick
                    self._container.mux(packet)

    def finish(self, statement: str = "") -> None:
        """Complete the file, with a statement as its comment, and give it its name.

        Raises:
            OutputError: it cannot be written; nothing is left of it.
        """
        try:
            self._stay_until(self._last_tick + (self._last_duration or self._period))
            self._complete()
            with writing(self.path):
                _publish(self.path, statement)
        except OutputError:
            self.discard()
            raise


class _Palette:
    """Reduces pictures to 256 colours each, chosen for it."""

    def __init__(self) -> None:
        self._graph: Any = None

    def reduced(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture, uint8 BGR, with a palette."""
        if self._graph is None:
            self._graph = av.filter.Graph()
            source = self._graph.add_buffer(
                width=picture.width,
                height=picture.height,
                format=picture.format,
                time_base=Fraction(1, 100),
            )
            split = self._graph.add("split")
            made = self._graph.add("palettegen", "stats_mode=single")
            used = self._graph.add("paletteuse", "new=1:dither=sierra2_4a")
            source.link_to(split)
            split.link_to(used, 0, 0)
            split.link_to(made, 1, 0)
            made.link_to(used, 0, 1)
            used.link_to(self._graph.add("buffersink"))
            self._graph.configure()
        self._graph.vpush(picture)
        return self._graph.vpull()


def _publish(path: Path, statement: str) -> None:
    """Have a GIF that is written say something, and give it its name."""
    if statement:
        encoded = statement.encode("utf-8")
        blocks = [encoded[at : at + _BLOCK] for at in range(0, len(encoded), _BLOCK)]
        comment = _COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
        with part_path(path).open("r+b") as file:
            file.seek(-len(_END), 2)
            file.write(comment + _END)
    publish(path)


def _comment(path: Path) -> str | None:
    """The comment at the end of a GIF."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _SEARCHED))
        content = file.read()
    begin = content.find(_COMMENT)
    while begin >= 0:
        blocks, at = [], begin + len(_COMMENT)
        while at < len(content) and content[at]:
            blocks.append(content[at + 1 : at + 1 + content[at]])
            at += 1 + content[at]
        if content[at:] == b"\0" + _END:  # else it is a picture's bytes that look like one
            return b"".join(blocks).decode("utf-8")
        begin = content.find(_COMMENT, begin + 1)
    return None


GIF = GifSink()
