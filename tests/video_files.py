"""Video files for the tests, made with PyAV, of pictures that say which one they are."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

SAMPLE_RATE = 48_000
_BITS = 8
_BLACK, _WHITE = 40, 210  # far enough from the ends that no codec clips them


def numbered(index: int, *, height: int = 48, width: int = 64, noise: int = 0) -> np.ndarray:
    """A picture that shows a number below 256 as eight bars, uint8 BGR; `number_of` reads it.

    Noise of a few levels makes it as many bytes as a photograph has.
    """
    bits = [(index >> bit) & 1 for bit in range(_BITS)]
    row = np.repeat([_WHITE if bit else _BLACK for bit in bits], width // _BITS)
    image = np.broadcast_to(row[None, :, None], (height, row.size, 3))
    return (image + np.random.default_rng(index).integers(-noise, noise + 1, image.shape)).astype(np.uint8)


def number_of(image: np.ndarray) -> int:
    """The number that a picture of `numbered` shows, after any codec."""
    bars = np.array_split(image[:, :, 1].mean(axis=0), _BITS)
    return sum(int(bar.mean() > (_BLACK + _WHITE) / 2) << bit for bit, bar in enumerate(bars))


def moving(index: int, *, height: int = 48, width: int = 64) -> np.ndarray:
    """A picture of `numbered` over a texture that moves, so that a codec makes each frame of those before and after."""
    rows, columns = np.mgrid[:height, :width]
    texture = 128 + 60 * np.sin((columns + 3 * index) * 0.3) + 40 * np.cos((rows - 2 * index) * 0.23)
    image = np.repeat(texture[..., None], 3, axis=2).astype(np.uint8)
    image[: height // 2] = numbered(index, height=height // 2, width=width)
    return image


def number_of_moving(image: np.ndarray) -> int:
    """The number that a picture of `moving` shows, after any codec."""
    return number_of(image[: image.shape[0] * 2 // 5])


def make_video(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    rate: int | Fraction = 25,
    ticks: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    audio_codec: str | None = None,
    audio_seconds: float = 0.0,
    flags: int = 0,
    metadata: dict[str, str] | None = None,
    file_format: str | None = None,
) -> Path:
    """Write pictures as a video, and if wanted a tone.

    Args:
        path: its ending gives the format.
        images: uint8 (height, width, 3), BGR, all of one size.
        codec: of the video.
        pix_fmt: how the video stores its pixels.
        rate: frames per second.
        ticks: the time of each picture in `time_base`; 0, 1, 2, … by default.
        time_base: seconds; one over `rate` by default.
        codec_options: for the encoder.
        container_options: for the format.
        rotation: degrees counterclockwise by which a player must turn it.
        pixel_aspect: how many times wider than high a pixel is to be shown.
        audio_codec: of the tone; none by default.
        audio_seconds: how long the tone is.
        flags: more of FFmpeg's for the encoder.
        metadata: what the file says of itself.
        file_format: FFmpeg's name of the format; by the path's ending if not given.

    Returns:
        The path.
    """
    time_base = time_base or 1 / Fraction(rate)
    with av.open(str(path), "w", format=file_format, options=container_options or {}) as container:
        container.metadata.update(metadata or {})
        stream: Any = container.add_stream(codec, rate=rate, options=codec_options or {})
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = time_base
        stream.codec_context.flags |= flags
        if pixel_aspect:
            stream.codec_context.sample_aspect_ratio = pixel_aspect
        if rotation:
            stream.set_display_rotation(rotation)
        tone = container.add_stream(audio_codec, rate=SAMPLE_RATE, layout="stereo") if audio_codec else None
        for index, image in enumerate(images):
            picture = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=pix_fmt)
            picture.pts, picture.time_base = (ticks[index] if ticks else index), time_base
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        if tone:
            _write_tone(container, tone, audio_seconds)
    return path


def _write_tone(container: Any, stream: Any, seconds: float) -> None:
    stream.codec_context.open(strict=False)
    length = stream.codec_context.frame_size or 1024  # PCM takes any
    for begin in range(0, round(seconds * SAMPLE_RATE) - length + 1, length):
        wave = np.sin(np.arange(begin, begin + length) * 0.05)
        samples = av.AudioFrame.from_ndarray(
            (np.stack([wave, 0.5 * wave]) * 0.3).astype(np.float32), format="fltp", layout="stereo"
        )
        samples.sample_rate = SAMPLE_RATE
        if stream.codec_context.format.name != "fltp":
            (samples,) = av.AudioResampler(stream.codec_context.format, "stereo", SAMPLE_RATE).resample(samples)
        samples.pts, samples.time_base = begin, Fraction(1, SAMPLE_RATE)
        container.mux(stream.encode(samples))
    container.mux(stream.encode(None))


def make_plain_video(
    path: Path,
    yuv: tuple[int, int, int],
    *,
    size: int = 64,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    matrix: int | None = None,
    full_range: bool | None = None,
    transfer: int | None = None,
) -> Path:
    """Write a video of one colour, the planes' values and the file's tags given: nothing is converted.

    Args:
        path: its ending gives the format.
        yuv: the value of all pixels of each plane.
        size: height and width.
        codec: of the video.
        pix_fmt: how the video stores its pixels.
        matrix: the colour matrix that the file names (ITU-T H.273), or None for none.
        full_range: whether the file says that values go from 0 to 255, or None for nothing said.
        transfer: the transfer function that the file names (ITU-T H.273), or None for none.
    """
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    dtype = "<u2" if "10le" in pix_fmt else np.uint8
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=25, options={"crf": "1", **quiet})
        stream.height = stream.width = size
        stream.pix_fmt = pix_fmt
        if matrix is not None:
            stream.codec_context.colorspace = matrix
        if full_range is not None:
            stream.codec_context.color_range = 2 if full_range else 1
        if transfer is not None:
            stream.codec_context.color_trc = transfer
        for index in range(4):  # libx265 makes up the times of fewer
            picture = av.VideoFrame(size, size, pix_fmt)
            for plane, value in zip(picture.planes, yuv, strict=True):
                plane.update(np.full(plane.buffer_size // np.dtype(dtype).itemsize, value, dtype).tobytes())
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


#: The luma weights of red and blue: ITU-R BT.601, BT.709 and BT.2020 (not of constant luminance).
LUMA_WEIGHTS = {"BT.601": (0.299, 0.114), "BT.709": (0.2126, 0.0722), "BT.2020": (0.2627, 0.0593)}


def exact_yuv(bgr: Sequence[float], standard: str, *, full_range: bool = False) -> tuple[float, float, float]:
    """Y', Cb and Cr of a colour, for 8 bits but not rounded, as ITU-R BT.601 and BT.709 define them."""
    blue, green, red = (value / 255 for value in bgr)
    of_red, of_blue = LUMA_WEIGHTS[standard]
    luma = of_red * red + (1 - of_red - of_blue) * green + of_blue * blue
    low, luma_range, chroma_range = (0, 255, 255) if full_range else (16, 219, 224)
    blueness = (blue - luma) / (2 - 2 * of_blue)
    redness = (red - luma) / (2 - 2 * of_red)
    return low + luma_range * luma, 128 + chroma_range * blueness, 128 + chroma_range * redness


def eight_bits(yuv: tuple[float, float, float]) -> tuple[int, int, int]:
    """Values as a plane stores them."""
    y, cb, cr = (min(255, max(0, round(value))) for value in yuv)
    return y, cb, cr


def deep_yuv(bgr: Sequence[float], standard: str, *, full_range: bool = False) -> tuple[int, int, int]:
    """Y', Cb and Cr of a colour of eight bits as planes of ten bits store them."""
    y, cb, cr = exact_yuv(bgr, standard, full_range=full_range)
    if full_range:  # 0 to 1023 around 512
        values = (y * 1023 / 255, 512 + (cb - 128) * 1023 / 255, 512 + (cr - 128) * 1023 / 255)
    else:
        values = (4 * y, 4 * cb, 4 * cr)
    y, cb, cr = (min(1023, max(0, round(value))) for value in values)
    return y, cb, cr


def audio_packets(path: Path) -> list[tuple[Fraction, bytes]]:
    """The time and the payload of each packet of a file's sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        return [(packet.pts * stream.time_base, bytes(packet)) for packet in container.demux(stream) if packet.size]


def cut(path: Path, share: float) -> Path:
    """Keep only the first part of a file, as an interrupted download does."""
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    return path


def boxes(content: bytes) -> list[tuple[str, int, int]]:
    """The outermost boxes of an MP4 file: name, first byte and byte after the last."""
    found, begin = [], 0
    while begin < len(content):
        size = int.from_bytes(content[begin : begin + 4], "big")
        if size == 1:
            size = int.from_bytes(content[begin + 8 : begin + 16], "big")
        found.append((content[begin + 4 : begin + 8].decode("ascii"), begin, begin + size))
        begin += size
    return found
