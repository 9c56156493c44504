"""Where the object is in a picture: transparency, folders of masks, tables of boxes."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from video_files import make_video, numbered

from live_gradcam.errors import SourceError, UsageError
from live_gradcam.fitting import video_frames
from live_gradcam.fitting.dataset import Example
from live_gradcam.fitting.masks import Object, find_objects, holds_masks, read_boxes
from live_gradcam.sources.opening import open_recording

LEFT_HALF = np.repeat([[True, True, False, False]], 4, axis=0)


def example(path: Path) -> Example:
    return Example(path, (0,), str(path))


def object_of(one: Example, masks: Path | None = None) -> Object | None:
    """What says where the object of an example of 4 × 4 pixels is."""
    return find_objects([one], masks).of(one, (4, 4))


def mask_of(one: Example, size: tuple[int, int] = (4, 4)) -> np.ndarray:
    found = find_objects([one]).of(one, size)
    assert found is not None
    return found.mask


def write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def picture(path: Path) -> Path:
    return write(path, np.full((4, 4, 3), 90, np.uint8))


def mask(path: Path, light: int = 255) -> Path:
    return write(path, LEFT_HALF.astype(np.uint8) * light)


def test_transparency_is_a_mask(tmp_path):
    image = np.full((4, 4, 4), 90, np.uint8)
    image[..., 3] = LEFT_HALF * 255
    cut_out = write(tmp_path / "owl.png", image)
    np.testing.assert_array_equal(mask_of(example(cut_out)), LEFT_HALF)
    assert object_of(example(cut_out)).by == "transparency"


def test_without_any_there_is_none(tmp_path):
    assert object_of(example(picture(tmp_path / "owl.jpg"))) is None
    opaque = write(tmp_path / "opaque.png", np.full((4, 4, 4), 255, np.uint8))
    assert object_of(example(opaque)) is None
    assert object_of(Example(tmp_path / "owl.mp4", (0,), "owl", time=1.0)) is None


@pytest.mark.parametrize("place", ["masks/birds/owl.png", "birds/masks/owl.png", "birds/masks/owl_mask.png"])
@pytest.mark.parametrize("light", [255, 1])
def test_a_folder_of_masks_is_found_beside_or_above_a_picture(tmp_path, place, light):
    owl = picture(tmp_path / "birds" / "owl.jpg")
    mask(tmp_path / place, light)
    np.testing.assert_array_equal(mask_of(example(owl)), LEFT_HALF)


def test_a_mask_of_another_size_is_stretched(tmp_path):
    owl = write(tmp_path / "owl.jpg", np.zeros((8, 8, 3), np.uint8))
    mask(tmp_path / "masks" / "owl.png")
    np.testing.assert_array_equal(mask_of(example(owl), (8, 8)), np.kron(LEFT_HALF, np.ones((2, 2), bool)))


def test_a_name_that_several_pictures_have_needs_its_folder(tmp_path):
    first, second = picture(tmp_path / "birds" / "1.jpg"), picture(tmp_path / "cats" / "1.jpg")
    mask(tmp_path / "of all" / "1.png")
    mask(tmp_path / "of all" / "cats" / "1.png")
    found = find_objects([example(first), example(second)], tmp_path / "of all")
    assert found.masks == {second: tmp_path / "of all" / "cats" / "1.png"}


def test_boxes_of_a_table(tmp_path):
    first, second = picture(tmp_path / "birds" / "1.jpg"), picture(tmp_path / "cats" / "2.jpg")
    table = tmp_path / "boxes.csv"
    table.write_text(
        "path,left,top,right,bottom\nbirds/1.jpg,0,0,2,4\n2.jpg,0,0,1,1\n2.jpg,3,3,9,9\nother.jpg,0,0,1,1\n"
    )
    found = find_objects([example(first), example(second)], boxes=table)
    of_first, of_second = (found.of(example(one), (4, 4)) for one in (first, second))
    assert of_first is not None
    assert of_second is not None
    assert of_first.by == "boxes"
    np.testing.assert_array_equal(of_first.mask, LEFT_HALF)
    assert np.argwhere(of_second.mask).tolist() == [[0, 0], [3, 3]]


@pytest.mark.parametrize(
    "text",
    [
        '{"birds/1.jpg": [[0, 0, 2, 4]], "2.jpg": [[0, 0, 1, 1], [3, 3, 9, 9]], "other.jpg": [[0, 0, 1, 1]]}',
        "\ufeffTop;Left;Bottom;Right;Path\n0;0;4;2;birds/1.jpg\n0;0;1;1;2.jpg\n\n3;3;9;9;2.jpg\n",
    ],
)
def test_boxes_of_json_and_of_other_tables(tmp_path, text):
    first, second = tmp_path / "birds" / "1.jpg", tmp_path / "cats" / "2.jpg"
    file = tmp_path / "boxes"
    file.write_text(text, "utf-8")
    assert read_boxes(file, [first, second]) == {first: ((0, 0, 2, 4),), second: ((0, 0, 1, 1), (3, 3, 9, 9))}


_NEITHER = "is not JSON of the form .*, and no table with the columns path, left, top, right, bottom"


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("path,left,top,right\na.jpg,0,0,2\n", SourceError, _NEITHER),
        ("", SourceError, _NEITHER),
        ('{"a.jpg": [0, 0, 1, 1]}', SourceError, _NEITHER),
        ("path,left,top,right,bottom\na.jpg,0,0,2\n", SourceError, "line 2 of .* is no box: give a path and four"),
        ("path,left,top,right,bottom\na.jpg,2,0,1,4\n", SourceError, "left before right"),
        ("path,left,top,right,bottom\na.jpg,0,0,inf,4\n", SourceError, "line 2 of .* is no box"),
        ("path,left,top,right,bottom\nother.jpg,0,0,1,1\n", UsageError, "names none of the pictures"),
        ('{"1.jpg": [[0, 0, 1, 1]]}', UsageError, "may be .*a/1.jpg or .*b/1.jpg"),
    ],
)
def test_a_file_of_boxes_that_is_none_says_what_is_wrong(tmp_path, text, error, words):
    table = tmp_path / "boxes.csv"
    table.write_text(text)
    with pytest.raises(error, match=words):
        read_boxes(table, [tmp_path / "a" / "1.jpg", tmp_path / "b" / "1.jpg"])


def test_a_folder_that_does_not_fit_is_refused(tmp_path):
    owl = example(picture(tmp_path / "birds" / "owl.jpg"))
    with pytest.raises(SourceError, match="there is no folder of masks"):
        find_objects([owl], tmp_path / "none")
    mask(tmp_path / "others" / "eagle.png")
    with pytest.raises(UsageError, match=r"no mask of any picture or video: .*others/birds/owl\.png"):
        find_objects([owl], tmp_path / "others")


def test_masks_are_told_from_a_class_of_that_name(tmp_path):
    picture(tmp_path / "birds" / "owl.jpg")
    picture(tmp_path / "masks" / "venetian.jpg")
    assert not holds_masks(tmp_path / "masks")
    (tmp_path / "masks" / "venetian.jpg").unlink()
    mask(tmp_path / "masks" / "birds" / "owl.png")
    assert holds_masks(tmp_path / "masks")
    assert not holds_masks(tmp_path / "birds")


def test_a_folder_is_listed_once_however_many_masks_there_are(tmp_path, monkeypatch):
    pictures = [example(picture(tmp_path / "birds" / f"{number}.jpg")) for number in range(12)]
    for number in range(12):
        mask(tmp_path / "masks" / "birds" / f"{number}.png")
    listed: list[Path] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda folder: (listed.append(Path(folder)), scandir(folder))[1])
    assert holds_masks(tmp_path / "masks")
    assert listed.count(tmp_path / "birds") == 1
    listed.clear()
    assert len(find_objects(pictures).masks) == 12
    assert listed.count(tmp_path / "masks" / "birds") == 1


# --- videos -------------------------------------------------------------------------------------------------------


def test_the_mask_of_a_video_is_a_video(tmp_path):
    """The object is in the left half of the first frames, and then nowhere."""
    for folder in ("birds", "masks/birds"):
        (tmp_path / folder).mkdir(parents=True)
    clip = make_video(tmp_path / "birds" / "owl.mp4", [numbered(index) for index in range(20)], rate=10)
    half = np.zeros((48, 64, 3), np.uint8)
    half[:, :32] = 255
    frames = [half] * 10 + [np.zeros_like(half)] * 10
    file = make_video(tmp_path / "masks" / "birds" / "owl_mask.mkv", frames, rate=10)
    first, last = (Example(clip, (0,), "owl", time=time) for time in (0.5, 1.5))
    objects = find_objects([first, last])
    assert objects.masks == {clip: file}
    found = objects.of(first, (48, 64))
    assert found is not None
    assert found.by == "mask"
    assert found.mask[:, :31].all()
    assert not found.mask[:, 33:].any()
    assert objects.of(last, (48, 64)) is None
    assert holds_masks(tmp_path / "masks")


def test_the_mask_of_a_video_is_opened_once_while_times_rise(tmp_path, monkeypatch):
    """The edge of the object moves: each time has its own mask, whichever way it is reached."""
    (tmp_path / "masks").mkdir()
    clip = make_video(tmp_path / "owl.mp4", [numbered(index) for index in range(10)], rate=10)
    frames = [np.zeros((48, 64, 3), np.uint8) for _ in range(10)]
    for index, frame in enumerate(frames):
        frame[:, : 16 + 4 * index] = 255
    file = make_video(tmp_path / "masks" / "owl.mkv", frames, rate=10)
    opened: list[Path] = []
    monkeypatch.setattr(video_frames, "open_recording", lambda path: (opened.append(path), open_recording(path))[1])
    objects = find_objects([Example(clip, (0,), "owl", time=0.0)])

    def edge_at(seconds: float) -> int:
        found = objects.of(Example(clip, (0,), "owl", time=seconds), (48, 64))
        assert found is not None
        return int(np.rint(found.mask.mean(axis=0)).sum())

    rising = [0.06, 0.14, 0.17, 0.17, 0.66]
    assert [edge_at(seconds) for seconds in rising] == pytest.approx([20, 24, 24, 24, 44], abs=1)  # it is compressed
    assert opened == [file]
    assert edge_at(0.27) == pytest.approx(28, abs=1)  # back to an earlier one
    assert opened == [file] * 2
    with pytest.raises(SourceError, match=r"owl\.mkv has no frame at 5\.000 s"):
        edge_at(5)
    assert edge_at(0.88) == pytest.approx(52, abs=1)
    objects.close()
    assert edge_at(0.88) == pytest.approx(52, abs=1)
    assert opened == [file] * 4
    objects.close()


def test_a_folder_without_masks_of_the_videos_is_refused(tmp_path):
    clip = Example(tmp_path / "birds" / "owl.mp4", (0,), "owl", time=0.0)
    mask(tmp_path / "others" / "birds" / "owl.png")  # one for all frames would be wrong of most
    with pytest.raises(UsageError, match=r"no mask of any picture or video: .* such as .*others/birds/owl\.mp4"):
        find_objects([clip], tmp_path / "others")
