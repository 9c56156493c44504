"""Make a small set of two classes: 100 faces, and 100 pieces of pictures that are no faces.

python examples/make_faces.py FOLDER

The pictures come with scikit-image: a part of "Labeled Faces in the Wild", 25 × 25 pixels each, grey. `make demo-fit`
fits a network to them.
"""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

#: The pictures that a network sees are larger: enlarged smoothly, they show no squares.
_SIZE = (200, 200)


def main(folder: str) -> None:
    """Write the pictures into the folders `face` and `other`."""
    pictures = np.load(str(files("skimage") / "data" / "lfw_subset.npy"))  # float64 (200, 25, 25) in 0…1, faces first
    for number, picture in enumerate(pictures):
        kind, place = ("face", number) if number < len(pictures) // 2 else ("other", number - len(pictures) // 2)
        path = Path(folder) / kind / f"{place:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        large = cv2.resize(picture, _SIZE, interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), (255 * large).clip(0, 255).astype(np.uint8))
    print(f"wrote {len(pictures)} pictures into {folder}")


if __name__ == "__main__":
    main(sys.argv[1])
