"""Folders of one's own classes, made of `material`: a class is a folder, and a thing is a folder in it.

All that is drawn at random is drawn the same each time.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from material import ROOMS, cut_out, lay, room
from skimage import data

#: The classes, and the folders of their stamps.
_CLASSES = {
    "birds": "animals/birds",
    "flowers": "plants/flowers",
    "fruit": "food/fruit",
    "mammals": "animals/mammals",
    "vegetables": "food/vegetables",
}
#: Folders of stamps that are drawn, or photographs of toys.
_NO_PHOTOGRAPHS = {"cartoon", "toys", "plastic"}
#: (height, width) of the pictures with a background, how much of it a thing fills at most, and times its own size.
_SIZE, _SHARE, _ENLARGED = (480, 480), 0.8, 4.0
#: The same where the background is to tempt the network: the thing is small, and most of the picture is background.
_SMALL_SHARE = 0.5
_BLUR = 4.0  # of the rooms: the Gaussian's standard deviation in pixels
_GRASS_BGR = (0.45, 1.25, 0.85)  # scikit-image's photograph of grass is grey
_JPEG = (cv2.IMWRITE_JPEG_QUALITY, 92)
#: Of the solar cells those that their experts were sure of; the rest is in between.
_SURE = {"0.0": "intact", "1.0": "defect"}


class Stamp(NamedTuple):
    """A thing, cut out.

    Attributes:
        kind: its class.
        thing: what it is; several stamps may be of one thing, such as a lion, sitting and standing.
        path: its file.
    """

    kind: str
    thing: str
    path: Path


def stamps_of(material: Path) -> list[Stamp]:
    """The stamps of all classes that are photographs, in order."""
    return [
        Stamp(kind, thing_of(path.stem), path)
        for kind, folder in _CLASSES.items()
        for path in sorted((material / "stamps" / folder).rglob("*.png"))
        if not _NO_PHOTOGRAPHS & set(path.parts)
    ]


def thing_of(stem: str) -> str:
    """What a stamp is of, by its name: up to the first mark or number. Of the numbered flowers each is another one."""
    name = stem.lower()
    return name if re.fullmatch(r"flower\d+", name) else re.split(r"[-_\d]", name)[0]


def make_stamps(material: Path, folder: Path) -> None:
    """The stamps as they are: PNG with transparency, 167 of 5 classes."""
    for stamp in stamps_of(material):
        path = folder / stamp.kind / stamp.thing / stamp.path.name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(stamp.path, path)


def make_rooms(material: Path, folder: Path) -> None:
    """Each stamp once, somewhere on a photograph of a room that is out of focus; JPEG, with masks."""
    rooms = _rooms(material)
    for stamp, random in _drawn(stamps_of(material)):
        _compose(stamp, rooms[random.integers(len(rooms))], folder, _SHARE, random)


def make_grass(material: Path, folder: Path) -> None:
    """A trap: birds on nothing but grass, and as many mammals on rooms. Small, so that the background is easier."""
    rooms, grass = _rooms(material), cv2.cvtColor(data.grass(), cv2.COLOR_GRAY2BGR)
    stamps = stamps_of(material)
    birds = [stamp for stamp in stamps if stamp.kind == "birds"]
    mammals = [stamp for stamp in stamps if stamp.kind == "mammals"]
    for stamp, random in _drawn(birds):
        top, left = random.integers(0, np.subtract(grass.shape[:2], _SIZE) + 1)
        lawn = grass[top : top + _SIZE[0], left : left + _SIZE[1]] * np.array(_GRASS_BGR) * random.uniform(0.8, 1.2)
        _compose(stamp, lawn.clip(0, 255).astype(np.uint8), folder, _SMALL_SHARE, random)
    chosen = np.linspace(0, len(mammals) - 1, len(birds)).round().astype(int)
    for stamp, random in _drawn([mammals[number] for number in chosen]):
        _compose(stamp, rooms[random.integers(len(rooms))], folder, _SMALL_SHARE, random)


def make_cells(material: Path, folder: Path) -> None:
    """Solar cells that are surely intact or surely defect: 2223 grey pictures, and not of which module each is."""
    for line in (material / "cells" / "labels.csv").read_text().splitlines():
        name, probability, _ = line.split()
        if str(float(probability)) in _SURE:
            path = folder / _SURE[str(float(probability))] / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(material / "cells" / name, path)


#: What can be made: by name the function, and the material that it needs.
SETS: dict[str, tuple[Callable[[Path, Path], None], tuple[str, ...]]] = {
    "stamps": (make_stamps, ("stamps",)),
    "rooms": (make_rooms, ("stamps", "rooms")),
    "cells": (make_cells, ("cells",)),
    "grass": (make_grass, ("stamps", "rooms")),
}


def _drawn(stamps: list[Stamp]) -> Iterator[tuple[Stamp, np.random.Generator]]:
    """Each stamp with a die of its own, so that no other one changes what is drawn for it."""
    for number, stamp in enumerate(stamps):
        yield stamp, np.random.default_rng([number, *stamp.thing.encode()])


def _rooms(material: Path) -> list[np.ndarray]:
    return [room(material / "rooms" / f"pexels-{name}.jpg", _SIZE, blur=_BLUR) for name in ROOMS]


def _compose(stamp: Stamp, background: np.ndarray, folder: Path, share: float, random: np.random.Generator) -> None:
    """Write a stamp on a background, and its mask into the folder `masks` beside the classes."""
    most = round(_SIZE[0] * share), round(_SIZE[1] * share)
    colours, alpha = cut_out(stamp.path, most, enlarged=_ENLARGED)
    top, left = random.integers(0, np.subtract(_SIZE, alpha.shape[:2]) + 1)
    picture, mask = lay(colours, alpha, background, (int(top), int(left)))
    place = Path(stamp.kind) / stamp.thing / stamp.path.stem
    for path, pixels in (
        (folder / place.with_suffix(".jpg"), picture),
        (folder / "masks" / place.with_suffix(".png"), mask.astype(np.uint8) * 255),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), pixels, _JPEG if path.suffix == ".jpg" else ())
