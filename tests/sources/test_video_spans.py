"""Parts of video files read: the same frames at the same times as in the whole, wherever the reading begins."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import boxes, cut, make_video, moving, number_of_moving

from live_gradcam.sources.frame import Frame
from live_gradcam.sources.loss import Loss
from live_gradcam.sources.reader import VideoReader

_COUNT = 80  # 3.2 s: from 2 s on the reader does not begin at the file's beginning
_NO_EXTRA_KEY_FRAMES = {"g": "12", "sc_threshold": "0"}
_H264 = ("libx264", "yuv420p", {**_NO_EXTRA_KEY_FRAMES, "bf": "3"})
_OPEN_GOP = ("libx264", "yuv420p", {**_NO_EXTRA_KEY_FRAMES, "bf": "3", "x264-params": "open-gop=1"})
_HEVC = ("libx265", "yuv420p", {"preset": "ultrafast", "x265-params": "log-level=none:keyint=12:bframes=3:scenecut=0"})
_VP9 = ("libvpx-vp9", "yuv420p", {"g": "12", "cpu-used": "8", "lag-in-frames": "16", "auto-alt-ref": "1"})
_AV1 = ("libsvtav1", "yuv420p", {"g": "12", "preset": "10"})
_MPEG2 = ("mpeg2video", "yuv420p", {"g": "12", "bf": "2", "sc_threshold": "1000000000", "threads": "1"})
_VARIABLE = [900 * tick for tick in np.cumsum(np.random.default_rng(3).choice([2, 4, 5, 10], _COUNT)).tolist()]

_FILES = [
    pytest.param("mp4", _H264, "aac", id="mp4 H.264"),
    pytest.param("mkv", _H264, "libmp3lame", id="mkv H.264"),
    pytest.param("ts", _H264, "aac", id="ts H.264"),
    pytest.param("flv", _H264, "aac", id="flv H.264"),
    pytest.param("avi", _H264, "libmp3lame", id="avi H.264 with B-frames"),
    pytest.param("mp4", _OPEN_GOP, None, id="mp4 H.264 of open groups"),
    pytest.param("mkv", _OPEN_GOP, None, id="mkv H.264 of open groups"),
    pytest.param("ts", _OPEN_GOP, None, id="ts H.264 of open groups"),
    pytest.param("mp4", _HEVC, None, id="mp4 HEVC"),
    pytest.param("ts", _HEVC, None, id="ts HEVC"),
    pytest.param("webm", _VP9, "libopus", id="webm VP9"),
    pytest.param("webm", ("libvpx-vp9", "yuva420p", {"g": "12", "cpu-used": "8"}), None, id="webm VP9 transparent"),
    pytest.param("mp4", _AV1, None, id="mp4 AV1"),
    pytest.param("avi", ("mpeg4", "yuv420p", {"g": "12"}), "libmp3lame", id="avi MPEG-4"),
    pytest.param("mpg", _MPEG2, "mp2", id="mpg MPEG-2"),
    pytest.param("mpg", ("mpeg1video", "yuv420p", _MPEG2[2]), None, id="mpg MPEG-1"),
    pytest.param("ts", _MPEG2, None, id="ts MPEG-2"),
    pytest.param("mov", ("mjpeg", "yuvj420p", {}), "pcm_s16le", id="mov MJPEG"),
    pytest.param("gif", ("gif", "gray", {}), None, id="gif"),
    pytest.param("wmv", ("wmv2", "yuv420p", {"g": "12"}), None, id="wmv"),
]


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SVT_LOG", "1")


def _make(path: Path, kind: tuple[str, str, dict[str, str]], audio: str | None = None, **more: Any) -> Path:
    codec, pix_fmt, options = kind
    return make_video(
        path,
        [moving(i) for i in range(_COUNT)],
        codec=codec,
        pix_fmt=pix_fmt,
        codec_options=options,
        audio_codec=audio,
        audio_seconds=_COUNT / 25,
        **more,
    )


def _read(
    path: Path, start: Fraction | None = None, end: Fraction | None = None
) -> tuple[list[Frame], list[tuple[Fraction, bytes]], Loss]:
    """Frames, and time and payload of each packet of the sound."""
    heard: list[av.Packet] = []
    with VideoReader(path) as reader:
        frames = list(reader.frames(start=start, end=end, on_packet=heard.append))
        return frames, [(packet.pts * packet.time_base, bytes(packet)) for packet in heard], reader.loss


def _keys(path: Path, start: Fraction | None = None) -> list[tuple[Fraction, int]] | None:
    with VideoReader(path) as reader:
        return reader.key_times(start)


def _assert_same(part: Sequence[Frame], whole: Sequence[Frame]) -> None:
    assert [frame.pts for frame in part] == [frame.pts for frame in whole]
    assert [number_of_moving(frame.image) for frame in part] == [number_of_moving(frame.image) for frame in whole]
    assert [frame.index for frame in part] == list(range(len(part)))
    assert all(np.array_equal(a.image, b.image) for a, b in zip(part, whole, strict=True))


def _spans(frames: Sequence[Frame]) -> list[tuple[Fraction | None, Fraction | None]]:
    """From and to key frames and others, between frames, before the beginning and after the end."""
    first, last = frames[0].pts, frames[-1].pts
    between = (frames[66].pts + frames[67].pts) / 2
    return [
        (None, frames[24].pts),
        (Fraction(0), frames[7].pts),
        (first - 1, first),
        (frames[36].pts, frames[48].pts),
        (frames[59].pts, frames[61].pts),
        (frames[60].pts, frames[72].pts),
        (between, frames[70].pts + Fraction(1, 100_000)),
        (frames[65].pts, frames[65].pts),
        (frames[71].pts, None),
        (last, None),
        (last + 1, None),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "kind", "audio"), _FILES)
def test_a_span_is_that_part_of_the_whole(
    tmp_path: Path, ending: str, kind: tuple[str, str, dict[str, str]], audio: str | None
) -> None:
    path = _make(tmp_path / f"in.{ending}", kind, audio)
    whole, heard, _ = _read(path)
    assert [number_of_moving(frame.image) for frame in whole] == list(range(_COUNT))
    assert len(heard) > 60 or audio is None
    for start, end in _spans(whole):
        frames, packets, loss = _read(path, start, end)
        wanted = [f for f in whole if (start is None or f.pts >= start) and (end is None or f.pts < end)]
        _assert_same(frames, wanted)
        assert packets == [p for p in heard if (start is None or p[0] >= start) and (end is None or p[0] < end)]
        assert loss.corrupt_packets == 0


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "kind"), [("mp4", _H264), ("mkv", _OPEN_GOP), ("ts", _HEVC), ("webm", _VP9)])
def test_a_span_of_a_variable_frame_rate(tmp_path: Path, ending: str, kind: tuple[str, str, dict[str, str]]) -> None:
    path = _make(tmp_path / f"in.{ending}", kind, ticks=_VARIABLE, time_base=Fraction(1, 90_000))
    whole, _, _ = _read(path)
    steps = {b.pts - a.pts for a, b in pairwise(whole)}
    assert len(steps) >= 4
    for start, end in _spans(whole):
        frames, _, _ = _read(path, start, end)
        _assert_same(frames, [f for f in whole if (start is None or f.pts >= start) and (end is None or f.pts < end)])


def test_the_packets_of_the_sound_alone(tmp_path: Path) -> None:
    path = _make(tmp_path / "in.mkv", _H264, "libmp3lame")
    _, heard, _ = _read(path)
    for start, end in [(None, None), (Fraction(1), None), (None, Fraction(2)), (Fraction(5, 4), Fraction(9, 4))]:
        with VideoReader(path) as reader:
            packets = [(packet.pts * packet.time_base, bytes(packet)) for packet in reader.other_packets(start, end)]
        assert packets == [p for p in heard if (start is None or p[0] >= start) and (end is None or p[0] < end)]
        assert 0 < len(packets) <= len(heard)


def _spoil(path: Path, keep: float) -> Path:
    """Overwrite the pictures of an MP4's beginning but for the first ones, which hold what opens the decoder."""
    content = bytearray(path.read_bytes())
    begin, end = next((begin, end) for name, begin, end in boxes(bytes(content)) if name == "mdat")
    first, last = begin + round(0.1 * (end - begin)), begin + round(keep * (end - begin))
    content[first:last] = bytes(last - first)
    path.write_bytes(content)
    return path


def test_what_is_long_before_a_span_is_not_decoded(tmp_path: Path) -> None:
    path = _make(tmp_path / "in.mp4", _H264)
    whole, _, _ = _read(path)
    _, _, loss = _read(_spoil(path, 0.3))
    assert loss.corrupt_packets > 0
    frames, _, loss = _read(path, whole[65].pts)
    _assert_same(frames, whole[65:])
    assert loss == Loss(0, 0.0)


# --- where a file can be cut --------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ending", "kind", "gap"),
    [
        ("mp4", _H264, 12),
        ("mkv", _H264, 12),
        ("ts", _OPEN_GOP, 12),
        ("flv", _H264, 12),
        ("mp4", _HEVC, 12),
        ("webm", _VP9, 12),
        ("mp4", _AV1, 12),
        ("avi", ("mpeg4", "yuv420p", {"g": "12", "sc_threshold": "1000000000"}), 12),
        ("mov", ("mjpeg", "yuvj420p", {}), 1),
    ],
)
def test_where_key_frames_are(tmp_path: Path, ending: str, kind: tuple[str, str, dict[str, str]], gap: int) -> None:
    path = _make(tmp_path / f"in.{ending}", kind)
    whole, _, _ = _read(path)
    keys = range(0, _COUNT, gap)
    assert _keys(path) == [(whole[key].pts, key) for key in keys]
    assert _keys(path, whole[20].pts) == [(whole[key].pts, key - 20) for key in keys if key >= 20]
    between = (whole[20].pts + whole[21].pts) / 2
    assert _keys(path, between) == [(whole[key].pts, key - 21) for key in keys if key >= 21]


def test_pieces_between_key_frames_are_the_whole(tmp_path: Path) -> None:
    path = _make(tmp_path / "in.mkv", _OPEN_GOP, ticks=_VARIABLE, time_base=Fraction(1, 90_000))
    whole, _, _ = _read(path)
    keys = _keys(path)
    assert keys is not None
    ends = [*(time for time, _ in keys[1:]), None]
    pieces = [_read(path, start, end)[0] for (start, _), end in zip(keys, ends, strict=True)]
    assert [len(piece) for piece in pieces] == np.diff([*(count for _, count in keys), _COUNT]).tolist()
    joined = [frame for piece in pieces for frame in piece]
    assert [frame.pts for frame in joined] == [frame.pts for frame in whole]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(joined, whole, strict=True))


def test_a_file_without_times_is_not_cut_but_has_spans(tmp_path: Path) -> None:
    path = _make(tmp_path / "raw.h264", _H264)
    assert _keys(path) is None
    whole, _, _ = _read(path)
    frames, _, _ = _read(path, Fraction(65, 25), Fraction(70, 25))
    _assert_same(frames, whole[65:70])


def test_a_program_stream_tells_no_times_after_a_jump(tmp_path: Path) -> None:
    assert _keys(_make(tmp_path / "in.mpg", _MPEG2)) is None


def _together(path: Path, *counts: int, rates: Sequence[int] = (25, 25)) -> Path:
    """Transport streams one after the other; their numbers go on, their clocks do not."""
    content, done = b"", 0
    for count, rate in zip(counts, rates, strict=True):
        part = path.with_name("part.ts")
        make_video(part, [moving(done + i) for i in range(count)], rate=rate, codec_options={"g": "12", "bf": "0"})
        content += part.read_bytes()
        done += count
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("counts", [(90, 40), (60, 100)])
def test_a_span_of_recordings_put_together(tmp_path: Path, counts: tuple[int, int]) -> None:
    path = _together(tmp_path / "both.ts", *counts)
    whole, _, _ = _read(path)
    assert [number_of_moving(frame.image) for frame in whole] == list(range(sum(counts)))
    assert _keys(path) is None
    for begin in (10, 55, 70, 95, 120):
        frames, _, _ = _read(path, whole[begin].pts, whole[begin + 5].pts)
        _assert_same(frames, whole[begin : begin + 5])


def test_recordings_put_together_whose_times_never_meet(tmp_path: Path) -> None:
    first, second = tmp_path / "1.ts", tmp_path / "2.ts"
    make_video(first, [moving(i) for i in range(60)], codec_options={"g": "12", "bf": "0"})
    ticks = [45 + 3600 * i for i in range(60)]
    images = [moving(60 + i) for i in range(60)]
    make_video(second, images, ticks=ticks, time_base=Fraction(1, 90_000), codec_options={"g": "12", "bf": "0"})
    first.write_bytes(first.read_bytes() + second.read_bytes())
    assert _keys(first) is None
    whole, _, _ = _read(first)
    frames, _, _ = _read(first, whole[58].pts, whole[64].pts)
    _assert_same(frames, whole[58:64])


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = _together(tmp_path / "in.ts", 90, rates=(25,))
    whole, _, _ = _read(path)
    _assert_same(_read(path, whole[70].pts, whole[75].pts)[0], whole[70:75])
    _together(path, 60, 100)
    whole, _, _ = _read(path)
    _assert_same(_read(path, whole[70].pts, whole[75].pts)[0], whole[70:75])


def test_a_damaged_file_is_not_cut(tmp_path: Path) -> None:
    path = _make(tmp_path / "in.mp4", _H264, container_options={"movflags": "+faststart"})
    assert _keys(path) is not None
    assert _keys(cut(path, 0.6)) is None  # the last packet is a part of one


# --- a beginning that is cut off ----------------------------------------------------------------------------------


def _copy_earlier(source: Path, target: Path, seconds: Fraction) -> Path:
    """Copy the pictures of a file so much earlier that they begin before 0, as trimming without encoding does it."""
    with av.open(str(source)) as container, av.open(str(target), "w", options={"avoid_negative_ts": "disabled"}) as out:
        stream = out.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.size:
                ticks = round(seconds / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = stream
                out.mux(packet)
    return target


def test_what_an_edit_list_cuts_off_does_not_count(tmp_path: Path) -> None:
    source = _make(tmp_path / "in.mp4", _H264)
    path = _copy_earlier(source, tmp_path / "cut.mp4", Fraction(18, 25))
    whole, _, _ = _read(path)
    assert [number_of_moving(frame.image) for frame in whole] == list(range(18, _COUNT))
    assert [frame.pts for frame in whole] == [Fraction(i, 25) for i in range(_COUNT - 18)]
    assert _keys(path) == [(Fraction(key - 18, 25), key - 18) for key in (24, 36, 48, 60, 72)]
    frames, _, _ = _read(path, whole[55].pts)
    _assert_same(frames, whole[55:])


def test_a_file_whose_first_pictures_have_no_time(tmp_path: Path) -> None:
    source = _make(tmp_path / "in.mp4", _H264)
    path = _copy_earlier(source, tmp_path / "cut.mkv", Fraction(18, 25))  # Matroska has no times before 0
    whole, _, _ = _read(path)
    assert [number_of_moving(frame.image) for frame in whole] == list(range(_COUNT))
    assert _keys(path) is None
    frames, _, _ = _read(path, whole[70].pts)
    _assert_same(frames, whole[70:])
