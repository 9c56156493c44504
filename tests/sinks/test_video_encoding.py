"""Every codec in every kind of file: frames, times, tags and quality; GIFs; and what cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from video_files import boxes, moving, number_of, number_of_moving, numbered

from live_gradcam.choices import SINKS
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.sinks import video
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.sink import OpenSink, Pictures, show_for
from live_gradcam.sinks.writer import VideoWriter
from live_gradcam.sources.reader import VideoReader

pytestmark = pytest.mark.versions

_FFMPEGS_NAMES = {"h264": "h264", "hevc": "hevc", "av1": "libdav1d", "vp9": "vp9"}
_CARRIED = {
    ".mp4": ["h264", "hevc", "av1", "vp9"],
    ".m4v": ["h264", "hevc", "av1", "vp9"],
    ".mkv": ["h264", "hevc", "av1", "vp9"],
    ".webm": ["vp9", "av1"],
}
_PAIRS = [(codec, ending) for ending, codecs in _CARRIED.items() for codec in codecs]
_FAST = {"h264": "ultrafast", "hevc": "ultrafast", "av1": "13", "vp9": "8"}


def _write(
    path: Path,
    encoding: Encoding,
    times: list[Fraction],
    time_base: Fraction,
    picture: Any = moving,
    size: tuple[int, int] = (48, 64),
) -> OpenSink:
    encoding = encoding.of_file(path)
    writer = encoding.sink.open(path, Pictures(size, Fraction(25), time_base), encoding)
    for index, time in enumerate(times):
        writer.write(picture(index), time)
    writer.finish("")
    return writer


def _in_milliseconds(times: list[Fraction]) -> list[Fraction]:
    return [Fraction(round(time * 1000), 1000) for time in times]


def _variable(count: int) -> list[Fraction]:
    """Times that begin after 0, in ticks of 1/90000 s, some of them less than a frame and some of them long apart."""
    steps = np.random.default_rng(1).choice([1001, 1500, 3003, 3600, 27_000, 200_000], count)
    return [Fraction(int(tick), 90_000) for tick in np.cumsum(steps)]


# --- every codec in every file ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codec", "ending"), _PAIRS)
def test_frames_times_and_tags(tmp_path: Path, capfd: pytest.CaptureFixture[str], codec: str, ending: str) -> None:
    path, times = tmp_path / f"out{ending}", _variable(36)
    writer = _write(path, Encoding(codec, preset=_FAST[codec]), times, Fraction(1, 90_000))
    assert writer.encoder == SINKS.load(codec).codec.encoder
    with VideoReader(path) as reader:
        frames = list(reader.frames())
        assert not reader.loss
    assert [number_of_moving(frame.image) for frame in frames] == list(range(36))
    assert [frame.pts for frame in frames] == (times if ending in (".mp4", ".m4v") else _in_milliseconds(times))
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == (_FFMPEGS_NAMES[codec], "yuv420p")
        bt709, limited = 1, 1  # ITU-T H.273
        assert (context.colorspace, context.color_primaries, context.color_trc) == (bt709, bt709, bt709)
        assert context.color_range == limited
        if ending in (".mp4", ".m4v"):
            tags = {"h264": "avc1", "hevc": "hvc1", "av1": "av01", "vp9": "vp09"}
            assert context.codec_tag == tags[codec]
            names = [name for name, _, _ in boxes(path.read_bytes())]
            assert names.index("moov") < names.index("mdat")
    assert os.listdir(tmp_path) == [path.name]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("codec", "ending"), [pair for pair in _PAIRS if pair[1] != ".m4v"])
@pytest.mark.parametrize("count", [1, 2])
def test_one_frame_or_two(tmp_path: Path, codec: str, ending: str, count: int) -> None:
    path = tmp_path / f"out{ending}"
    times = [1000 + Fraction(i, 25) for i in range(count)]
    for _ in range(4 if codec == "hevc" else 1):  # libx265 makes up decoding times, other ones each time
        _write(path, Encoding(codec, preset=_FAST[codec]), times, Fraction(1, 25))
        with VideoReader(path) as reader:
            frames = list(reader.frames())
        assert [frame.pts for frame in frames] == times
        assert [number_of_moving(frame.image) for frame in frames] == list(range(count))


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_pictures_come_back_in_their_colours(tmp_path: Path, codec: str, coffee: np.ndarray) -> None:
    photograph = np.ascontiguousarray(coffee[:240, :320])
    path = tmp_path / "photo.mkv"
    times = [Fraction(i, 25) for i in range(3)]
    _write(path, Encoding(codec), times, Fraction(1, 25), lambda _: photograph, (240, 320))
    with VideoReader(path) as reader:
        difference = next(reader.frames()).image.astype(float) - photograph
    assert 10 * np.log10(255**2 / np.mean(difference**2)) > 30  # dB; half of the colour's pixels are not stored
    assert np.abs(difference.mean(axis=(0, 1))).max() < 2  # no tint; reading cuts off half a level and more


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_quality_and_preset_are_taken(tmp_path: Path, codec: str, coffee: np.ndarray) -> None:
    def size(**quality: Any) -> int:
        path = tmp_path / "out.mkv"
        _write(
            path,
            Encoding(codec, **quality),
            [Fraction(i, 25) for i in range(6)],
            Fraction(1, 25),
            lambda index: np.ascontiguousarray(coffee[index : 96 + index, 2 * index : 128 + 2 * index]),
            (96, 128),
        )
        return sum(map(len, _packets(path)))

    fastest = _FAST[codec]
    best, middle, least = (size(crf=crf, preset=fastest) for crf in (10, 30, 50))
    assert best > 1.5 * middle
    assert middle > 1.5 * least
    default = SINKS.load(codec).codec.crf
    assert size(preset=fastest) == size(crf=default, preset=fastest)
    other = {"h264": "medium", "hevc": "medium", "av1": "5", "vp9": "1"}[codec]
    assert size(crf=30, preset=other) != middle
    assert size(crf=30) == size(crf=30, preset=SINKS.load(codec).codec.preset)


def test_key_frames_come_every_two_seconds_in_every_codec(tmp_path: Path) -> None:
    for codec in ("h264", "hevc", "av1", "vp9"):
        path = tmp_path / f"{codec}.mkv"
        times = [Fraction(i, 25) for i in range(110)]
        _write(path, Encoding(codec, preset=_FAST[codec]), times, Fraction(1, 25), lambda _: numbered(0))
        with VideoReader(path) as reader:
            assert reader.key_times(None) == [(0, 0), (2, 50), (4, 100)], codec


def test_hevc_does_not_say_on_which_machine_it_was_encoded(tmp_path: Path) -> None:
    """Parts of several machines are joined by what the encoder says of them."""
    _write(tmp_path / "out.mp4", Encoding("hevc"), [Fraction(i, 25) for i in range(5)], Fraction(1, 25))
    content = (tmp_path / "out.mp4").read_bytes()
    assert b"hvcC" in content
    assert b"cpuid" not in content


#: Of glibc: it ends a process that has written past a piece of its memory.
_MALLOC_DEBUG = "libc_malloc_debug.so.0"
_WRITE_NARROW = """
import sys
from fractions import Fraction
import numpy as np
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.writer import VideoWriter

noise = np.random.default_rng(0).integers(0, 256, (24, 48, 48, 3), dtype=np.uint8)
for codec in ("h264", "hevc", "av1", "vp9"):
    path = f"{sys.argv[1]}/{codec}.mp4"
    with VideoWriter(
        path, size=(48, 48), frame_rate=Fraction(12), time_base=Fraction(1, 12), encoding=Encoding(codec)
    ) as writer:
        for index, image in enumerate(noise):
            writer.write(image, Fraction(index, 12))
"""


@pytest.mark.skipif(not Path("/lib/x86_64-linux-gnu", _MALLOC_DEBUG).exists(), reason="needs glibc's check of memory")
def test_no_encoder_writes_past_its_memory_for_narrow_pictures(tmp_path: Path) -> None:
    """A process whose memory is damaged ends later, anywhere."""
    checked = {**os.environ, "LD_PRELOAD": _MALLOC_DEBUG, "MALLOC_CHECK_": "3"}
    run = subprocess.run([sys.executable, "-c", _WRITE_NARROW, tmp_path], env=checked, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(("codec", "least"), [("h264", 2), ("hevc", 16), ("av1", 4), ("vp9", 2)])
def test_the_smallest_pictures_that_each_codec_takes(tmp_path: Path, codec: str, least: int) -> None:
    def write(height: int) -> None:
        one = Fraction(1)
        with VideoWriter(
            tmp_path / "x.mp4", size=(height, 64), frame_rate=one, time_base=one, encoding=Encoding(codec)
        ) as writer:
            writer.write(np.zeros((height, 64, 3), np.uint8), Fraction(0))

    write(least)
    with VideoReader(tmp_path / "x.mp4") as reader:
        assert [frame.image.shape for frame in reader.frames()] == [(least, 64, 3)]
    if least > 2:
        with pytest.raises(
            OutputError,
            match=f"{codec} takes no pictures of 64 × {least - 2} pixels: each side must have {least} at least",
        ):
            write(least - 2)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_slow_motion_is_written_whatever_an_encoder_calls_too_fast(tmp_path: Path, codec: str) -> None:
    """SVT-AV1 takes no more than 240 frames per second. The frames have times of their own."""
    path = tmp_path / "fast.mp4"
    with VideoWriter(
        path, size=(64, 64), frame_rate=Fraction(480), time_base=Fraction(1, 480), encoding=Encoding(codec)
    ) as writer:
        for index in range(24):
            writer.write(numbered(index), Fraction(index, 480))
    with VideoReader(path) as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == [Fraction(index, 480) for index in range(24)]
    assert [number_of(frame.image) for frame in frames] == list(range(24))


def test_the_default_codec_of_each_file(tmp_path: Path) -> None:
    for name, codec in [("a.mp4", "h264"), ("a.MKV", "h264"), ("a.webm", "vp9"), ("a.m4v", "h264"), ("a.gif", "gif")]:
        assert Encoding().of_file(Path(name)).codec == codec
    assert Encoding(crf=60).of_file(Path("a.webm")) == Encoding("vp9", crf=60)
    assert Encoding("png").of_file(Path("folder")).codec == "png"
    assert Encoding("png").of_file(Path("folder.mp4")).codec == "png"


_SAYS_NOTHING = """
import sys
from fractions import Fraction
import numpy as np
from pathlib import Path
from live_gradcam.sinks.encoding import Encoding
from live_gradcam.sinks.sink import Pictures

for codec in ("h264", "hevc", "av1", "vp9", "gif"):
    path = Path(sys.argv[1], codec + (".gif" if codec == "gif" else ".mkv"))
    encoding = Encoding(codec)
    writer = encoding.sink.open(path, Pictures((64, 64), Fraction(25), Fraction(1, 25)), encoding)
    for index in range(5):
        writer.write(np.full((64, 64, 3), 40 * index, np.uint8), Fraction(index, 25))
    writer.finish("")
"""


def test_encoders_print_nothing(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    run = subprocess.run(
        [sys.executable, "-c", _SAYS_NOTHING, tmp_path], capture_output=True, text=True, env=environment
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    assert len(os.listdir(tmp_path)) == 5


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"codec": "h265"}, "there is no codec 'h265'"),
        ({"codec": "theora"}, "there is no codec 'theora'"),
        ({"codec": "h264", "crf": 52}, "--crf is 52: for h264 it is from 0 (best) to 51 (smallest)"),
        ({"codec": "hevc", "crf": -1}, "--crf is -1: for hevc it is from 0 (best) to 51 (smallest)"),
        ({"codec": "av1", "crf": 64}, "--crf is 64: for av1 it is from 0 (best) to 63 (smallest)"),
        ({"codec": "vp9", "crf": 64}, "--crf is 64: for vp9 it is from 0 (best) to 63 (smallest)"),
        ({"codec": "gif", "crf": 20}, "gif has no --crf: leave it out"),
        ({"codec": "png", "crf": 20}, "png has no --crf: leave it out"),
        ({"codec": "png", "hardware": True}, "png has no --hardware: leave it out"),
        ({"codec": "h264", "preset": "9"}, "h264 has no preset '9': use one of ultrafast, superfast, veryfast"),
        ({"codec": "av1", "preset": "14"}, "av1 has no preset '14': use one of 0, 1, 2, 3"),
        ({"codec": "gif", "preset": "fast"}, "gif has no --preset: leave it out"),
    ],
)
def test_what_a_codec_does_not_have(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Encoding(**wanted)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "wanted", "message"),
    [
        ("a.webm", {"codec": "h264"}, "a.webm cannot hold h264, only vp9 or av1: call it NAME.mp4"),
        ("a.webm", {"codec": "hevc"}, "a.webm cannot hold hevc, only vp9 or av1: call it NAME.mp4"),
        ("a.mp4", {"codec": "gif"}, "a.mp4 cannot hold gif, only h264 or hevc or av1 or vp9: call it NAME.gif"),
        ("a.gif", {"codec": "vp9"}, "a.gif cannot hold vp9, only gif: call it NAME.webm"),
        ("a.gif", {"crf": 20}, "gif has no --crf: leave it out"),
        ("a.gif", {"hardware": True}, "gif has no --hardware: leave it out"),
        ("a.mp4", {"crf": 60}, "--crf is 60: for h264 it is from 0 (best) to 51 (smallest)"),
        ("a.webm", {"preset": "veryfast"}, "vp9 has no preset 'veryfast': use one of 0, 1"),
        (
            "a.avi",
            {},
            "a video cannot be written as a.avi: call it NAME.mp4, .m4v, .mkv, .webm or .gif, ",
        ),
        ("a.png", {"codec": "h264"}, "a video cannot be written as a.png"),
        ("a", {}, "a video cannot be written as a"),
        (".mp4", {}, "a video cannot be written as .mp4"),
    ],
)
def test_what_a_file_cannot_hold(tmp_path: Path, name: str, wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Encoding(**wanted).of_file(Path(name))
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError):
        _write(tmp_path / name, Encoding(**wanted), [Fraction(0)], Fraction(1, 25))
    assert os.listdir(tmp_path) == []


# --- graphics hardware --------------------------------------------------------------------------------------------


def _opens_anything(name: str) -> bool:
    try:
        context: Any = av.CodecContext.create(name, "w")
        context.height = context.width = 256
        context.pix_fmt, context.framerate, context.time_base = "nv12", Fraction(25), Fraction(1, 25)
        context.open()
    except (av.error.FFmpegError, ValueError):
        return False
    return True


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_without_the_hardware_the_software_encodes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], codec: str
) -> None:
    if any(_opens_anything(name) for name in SINKS.load(codec).codec.hardware):
        pytest.skip("there is the hardware")
    capfd.readouterr()
    path, times = tmp_path / "out.mkv", [Fraction(i, 25) for i in range(5)]
    hardware = _write(path, Encoding(codec, hardware=True), times, Fraction(1, 25))
    assert hardware.encoder == SINKS.load(codec).codec.encoder
    packets = _packets(path)
    _write(path, Encoding(codec), times, Fraction(1, 25))
    assert packets == _packets(path)
    assert capfd.readouterr() == ("", "")


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0)]


def test_a_hardware_encoder_that_opens_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the software stands in for the hardware. What does not open is passed over."""
    codec = replace(video.H264.codec, hardware=("h264_nowhere", "libx264"))
    monkeypatch.setattr(video, "H264", replace(video.H264, codec=codec))
    writer = _write(
        tmp_path / "out.mp4", Encoding("h264", hardware=True), [Fraction(i, 25) for i in range(5)], Fraction(1, 25)
    )
    assert writer.encoder == "libx264"
    with VideoReader(tmp_path / "out.mp4") as reader:
        assert [number_of_moving(frame.image) for frame in reader.frames()] == list(range(5))
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"


# --- GIF ----------------------------------------------------------------------------------------------------------


def test_every_frame_of_a_gif_in_hundredths_of_a_second(tmp_path: Path) -> None:
    times = [Fraction(i, 24) for i in range(30)]
    _write(tmp_path / "out.gif", Encoding(), times, Fraction(1, 12_288))
    with VideoReader(tmp_path / "out.gif") as reader:
        frames = list(reader.frames())
    assert [number_of_moving(frame.image) for frame in frames] == list(range(30))
    assert [frame.pts for frame in frames] == [Fraction(round(time * 100), 100) for time in times]


def test_frames_of_a_gif_that_do_not_change_are_frames(tmp_path: Path) -> None:
    times = [Fraction(i, 25) for i in range(12)]
    _write(tmp_path / "out.gif", Encoding(), times, Fraction(1, 25), lambda index: numbered(index // 4))
    with VideoReader(tmp_path / "out.gif") as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == times
    assert [number_of(frame.image) for frame in frames] == [0] * 4 + [1] * 4 + [2] * 4


def test_frames_of_a_gif_that_are_closer_than_it_can_tell(tmp_path: Path) -> None:
    times = [Fraction(i, 1000) for i in range(8)]
    _write(tmp_path / "out.gif", Encoding(), times, Fraction(1, 1000), numbered)
    with VideoReader(tmp_path / "out.gif") as reader:
        frames = list(reader.frames())
    assert [frame.pts for frame in frames] == [Fraction(i, 100) for i in range(8)]
    assert [number_of(frame.image) for frame in frames] == list(range(8))


def test_a_picture_of_a_gif_that_stays_for_longer_than_it_can_tell_is_written_again(tmp_path: Path) -> None:
    encoding = Encoding().of_file(tmp_path / "out.gif")
    writer = encoding.sink.open(tmp_path / "out.gif", Pictures((48, 64), Fraction(25), Fraction(1, 25)), encoding)
    for index, (time, duration) in enumerate([(0, 1500), (1500, 10), (1510, 700)]):
        show_for(writer, Fraction(duration))
        writer.write(numbered(index), Fraction(time))
    writer.finish("")
    assert writer.frames_written == 3
    most = Fraction(65_535, 100)  # seconds: a delay of 16 bits, in hundredths (GIF89a, 23)
    with VideoReader(tmp_path / "out.gif") as reader:
        frames = list(reader.frames())
    assert [number_of(frame.image) for frame in frames] == [0, 0, 0, 1, 2, 2]
    assert [frame.pts for frame in frames] == [0, most, 2 * most, 1500, 1510, 1510 + most]
    assert frames[-1].duration == 700 - most


def test_the_last_picture_of_a_gif_that_stays_for_longer_than_it_can_tell(tmp_path: Path) -> None:
    encoding = Encoding().of_file(tmp_path / "out.gif")
    writer = encoding.sink.open(
        tmp_path / "out.gif", Pictures((48, 64), Fraction(1, 1000), Fraction(1000)), encoding
    )  # as of a folder: the rate says how long each is shown
    writer.write(numbered(0), Fraction(0))
    writer.finish("")
    with VideoReader(tmp_path / "out.gif") as reader:
        assert [(frame.pts, frame.duration) for frame in reader.frames()] == [
            (0, Fraction(65_535, 100)),
            (Fraction(65_535, 100), Fraction(34_465, 100)),
        ]


@pytest.mark.parametrize("size", [(48, 64), (49, 65), (1, 1), (17, 3)])
def test_a_gif_has_the_frames_size_and_colours(tmp_path: Path, size: tuple[int, int], coffee: np.ndarray) -> None:
    picture = np.ascontiguousarray(coffee[100 : 100 + size[0], 150 : 150 + size[1]])
    _write(tmp_path / "out.gif", Encoding(), [Fraction(0), Fraction(1, 10)], Fraction(1, 100), lambda _: picture, size)
    with VideoReader(tmp_path / "out.gif") as reader:
        frames = list(reader.frames())
    assert [frame.image.shape for frame in frames] == [(*size, 3)] * 2
    error = np.abs(frames[1].image.astype(int) - picture)
    assert error.mean() < 8  # 256 colours, chosen for it, and dithered


def test_each_frame_of_a_gif_has_its_own_colours(tmp_path: Path) -> None:
    colours = [(0, 0, 255), (0, 255, 0), (255, 0, 0), (13, 130, 201), (255, 255, 255), (0, 0, 0)]
    pictures = [np.full((24, 32, 3), colour, np.uint8) for colour in colours]
    times = [Fraction(i, 10) for i in range(len(colours))]
    _write(tmp_path / "out.gif", Encoding(), times, Fraction(1, 10), pictures.__getitem__, (24, 32))
    with VideoReader(tmp_path / "out.gif") as reader:
        for frame, colour in zip(reader.frames(), colours, strict=True):
            assert np.abs(frame.image.astype(int) - colour).max() <= 1
