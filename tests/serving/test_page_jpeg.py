"""What a JPEG says of itself, before it is decoded."""

from __future__ import annotations

import random
import struct

import cv2
import numpy as np
import pytest

from live_gradcam.serving.messages import MessageError
from live_gradcam.serving.server.jpeg import check_jpeg

PICTURE = np.random.default_rng(3).integers(0, 256, (36, 64, 3), np.uint8)


def encoded(ending: str = ".jpg", *parameters: int) -> bytes:
    return cv2.imencode(ending, PICTURE, parameters)[1].tobytes()


@pytest.mark.parametrize(
    "parameters",
    [(), (cv2.IMWRITE_JPEG_PROGRESSIVE, 1), (cv2.IMWRITE_JPEG_OPTIMIZE, 1), (cv2.IMWRITE_JPEG_RST_INTERVAL, 1)],
)
def test_the_size_of_what_encoders_write(parameters: tuple[int, ...]) -> None:
    assert check_jpeg(encoded(".jpg", *parameters), 36 * 64) == (36, 64)


def test_the_size_behind_a_comment_and_fill_bytes() -> None:
    jpeg = encoded()
    comment = b"\xff\xff\xff\xfe" + struct.pack(">H", 2 + 300) + b"\xff\xc0" * 150
    assert check_jpeg(jpeg[:2] + comment + jpeg[2:], 36 * 64) == (36, 64)


def resized(jpeg: bytes, height: int, width: int) -> bytes:
    """The same JPEG that says that it is of another size."""
    place = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:place] + struct.pack(">HH", height, width) + jpeg[place + 4 :]


@pytest.mark.parametrize(
    ("jpeg", "told"),
    [
        (b"", "the picture is no JPEG"),
        (encoded(".png"), "the picture is no JPEG"),
        (b"GIF89a" + bytes(50), "the picture is no JPEG"),
        (encoded(".bmp"), "the picture is no JPEG"),
        (encoded(".webp"), "the picture is no JPEG"),
        (b"\xff\xd8\xff", "the JPEG is cut off"),
        (encoded()[:100], "the JPEG is cut off"),
        (encoded()[: encoded().index(b"\xff\xc0") + 6], "the JPEG is cut off"),
        (b"\xff\xd8\xff\xe0\x00\x04ab" + b"no marker", "the JPEG is damaged"),
        (b"\xff\xd8\xff\xe0\x00\x00" * 10, "the JPEG is damaged"),
        (b"\xff\xd8\xff\xda\x00\x02" + bytes(50), "the JPEG is cut off"),
        (encoded().replace(b"\xff\xc0", b"\xff\xc9", 1), "the JPEG is of a kind that browsers do not show"),
        (resized(encoded(), 0, 64), "the JPEG does not say how large it is"),
        (resized(encoded(), 65500, 65500), "the picture has 65500x65500 pixels: at most 2304 are taken"),
        (encoded() + b"\xff\xda\x00" * 24, "the JPEG has too many scans"),
    ],
)
def test_what_is_not_decoded(jpeg: bytes, told: str) -> None:
    with pytest.raises(MessageError) as caught:
        check_jpeg(jpeg, 36 * 64)
    assert str(caught.value) == told


def test_what_passes_is_as_large_for_the_decoder() -> None:
    """Of changed JPEGs that pass: whatever the decoder makes of them has the size that was checked."""
    chance, jpeg, decoded = random.Random(4), encoded(), 0
    for _ in range(3000):
        changed = bytearray(jpeg)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed) if chance.random() < 0.3 else 700)] = chance.randrange(256)
        try:
            size = check_jpeg(bytes(changed), 1 << 20)
        except MessageError:
            continue
        picture = cv2.imdecode(
            np.frombuffer(bytes(changed), np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        )
        if picture is not None:
            decoded += 1
            assert picture.shape[:2] == size
    assert decoded > 500
