"""A picture is written as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from live_gradcam.errors import OutputError
from live_gradcam.sinks.image import write_image
from tests.small_disk import small_disk

NOISE = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)


def test_on_a_full_disk_the_picture_that_was_there_stays(tmp_path: Path) -> None:
    before = np.full((8, 8, 3), 7, np.uint8)
    with small_disk(tmp_path / "disk", "100k") as folder:  # the noise takes 120 KB
        write_image(folder / "old.png", before)
        for name in ("old.png", "new.png"):
            with pytest.raises(OutputError, match="No space left"):
                write_image(folder / name, NOISE)
        assert [path.name for path in folder.iterdir()] == ["old.png"]
        np.testing.assert_array_equal(cv2.imread(str(folder / "old.png")), before)
