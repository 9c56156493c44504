"""The one way to open what gives frames, for every command and for Python."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from live_gradcam.addresses import address_of, masked
from live_gradcam.choices import SOURCES
from live_gradcam.errors import SourceError, UsageError
from live_gradcam.sources.options import DEFAULT_OPTIONS, SourceOptions
from live_gradcam.sources.source import FrameSource, Recording, SourceOpener, is_recording


def open_source(uri: str | Path | int, options: SourceOptions = DEFAULT_OPTIONS) -> FrameSource:
    """Open what gives frames: a camera, a stream, a video, pictures, or what another package adds.

        with open_source("shots/", SourceOptions(picture_fps=Fraction(10))) as source:
            for frame in source.frames():
                show(frame.image, frame.pts)

    Frames come as fast as they are taken; `playback.Playback` gives those of a recording when their time has come. What
    only recordings can give (a span of time, sound) is there where `source.is_recording(…)` says so.

    Args:
        uri: a camera (0, "0", "/dev/video0"), a stream ("rtsp://…", "http://…", "udp://…"), a video, a picture, a
            folder of pictures, a pattern for numbered ones ("shots/%04d.png"), or what another package opens.
        options: what is wanted of it.

    Returns:
        The source, open.

    Raises:
        SourceError: it cannot be opened.
        UsageError: an option that contradicts it, or a pipeline of GStreamer, which is not read.
    """
    text = text_of(uri)
    if not text:
        raise UsageError("the source is an empty text: give a camera (0), a file, a folder or an address")
    if " ! " in text and not os.path.exists(text):
        raise UsageError(
            "GStreamer pipelines are not read. Give the camera (0, /dev/video0) or an address (rtsp://…), or end the "
            "pipeline in mpegtsmux ! udpsink port=5000, run it with gst-launch-1.0, and give udp://127.0.0.1:5000"
        )
    opener = next(_matching(text))
    return opener.open(text, options)


def open_recording(uri: str | Path, options: SourceOptions = DEFAULT_OPTIONS) -> Recording:
    """Open what can be read from its beginning, with exact times: a video, pictures. No camera or stream is opened.

    Args:
        uri: as for `open_source`; a file or folder that is called like a camera ("0") is meant here.
        options: as for `open_source`.

    Raises:
        SourceError: it cannot be opened, or is no recording.
        UsageError: as for `open_source`.
    """
    text = text_of(uri)
    is_there = os.path.isfile(text) or os.path.isdir(text)
    opener = next(opener for opener in _matching(text) if not (is_there and opener.is_live))
    if opener.is_live:
        raise SourceError(f"{masked(text)} is live and no recording: use live-gradcam live for it")
    source = opener.open(text, options)
    if not is_recording(source):
        source.close()
        raise SourceError(f"{source.name} gives frames but is no recording: use live-gradcam live for it")
    return source


def is_live(uri: str | Path | int) -> bool:
    """Whether what a text, a path or a number names does not wait for its reader: a camera, a stream."""
    return next(_matching(text_of(uri))).is_live


def is_of_another_package(uri: str | Path) -> bool:
    """Whether another package opens what a text or a path names."""
    text = text_of(uri)
    return next(_matching_of_other_packages(text), None) is not None


def text_of(uri: str | Path | int) -> str:
    """A source as a text: a number becomes its digits, and a path that was an address becomes that again.

    The address of a file (`file:///a%20b.mp4`) becomes its path: it is read as any file.
    """
    text = (address_of(uri) if isinstance(uri, Path) else None) or str(uri)
    scheme, _, rest = text.partition("://")
    path = rest.removeprefix("localhost")
    return unquote(path) if scheme.lower() == "file" and path.startswith("/") else text


def _matching(text: str) -> Iterator[SourceOpener]:
    """What opens a text, in the order in which it is asked. The last one takes everything.

    What other packages add comes first: it may read a scheme, or a kind of file, that this one would give to FFmpeg.
    """
    yield from _matching_of_other_packages(text)
    for name in SOURCES.of_this_package:
        opener: SourceOpener = SOURCES.load(name)
        if opener.matches(text):
            yield opener


def _matching_of_other_packages(text: str) -> Iterator[SourceOpener]:
    """The same of other packages alone: one that fails is left out with a warning, and the other sources work."""
    for name, opener in SOURCES.usable(SOURCES.added):
        try:
            matches = opener.matches(text)
        except Exception as error:  # of a package that is not ours: whatever it raises
            SOURCES.leave_out(name, error)
            continue
        if matches:
            yield opener
