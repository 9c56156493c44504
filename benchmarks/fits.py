"""Which `--fit` names and finds most in wide camera frames, and what it costs: how a frame enters a square network.

    python benchmarks/fits.py                             # EfficientNet-Lite0, 1 and 2
    python benchmarks/fits.py --models efficientnet-lite0 --fits stretch,crop --limit 12 --no-time     # a quick try
    python benchmarks/fits.py --shapes                    # also frames of 3:2, 4:3, portrait and square
    python benchmarks/fits.py --save /tmp/frames          # some of the frames, to look at
    python benchmarks/fits.py --json fits.json            # the tables, and what became of every frame

Photographed things, cut out (Tux Paint's stamps), lie on blurred photographs of rooms, at the left, in the centre and
at the right of the frame (in portrait at the top and the bottom). What the thing is, is known, and by its alpha channel
exactly where. Measured are the share of frames whose first class, or one of the first five, is right; for the map of
the right class the part of it that lies on the thing, over the thing's part of the frame (1: the map is blind), and how
often its highest point is in the thing's box or at most 15 pixels from it; and the time of a frame. Frames without any
evidence for the right class have no map: they count only as `empty`. The material comes from Debian and PyPI into the
cache folder, by apt-get, dpkg-deb and pip.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np
from material import FOLDER, ROOMS, cut_out, fetch_material, lay, room

from live_gradcam.compiling.runtime import describe_runtime, set_compiler_flags
from live_gradcam.errors import UsageError
from live_gradcam.silence import quiet_tensorflow

if TYPE_CHECKING:
    from live_gradcam import Explainer

_MODELS = "efficientnet-lite0,efficientnet-lite1,efficientnet-lite2"
#: The arguments of `Explainer`. Times are compared with the first's.
_FITS: dict[str, dict[str, Any]] = {
    "stretch": {"fit": "stretch"},
    "crop": {"fit": "crop"},
    "letterbox": {"fit": "letterbox"},
    "native": {"fit": "native"},
    "native 288": {"fit": "native", "input_size": (288, 288)},
    "tiles": {"fit": "tiles"},
    "2 tiles": {"fit": "tiles", "tiles": 2},
}
#: (height, width) of the frames.
_WIDE = "16:9"
_SHAPES = {_WIDE: (720, 1280), "3:2": (720, 1080), "4:3": (720, 960), "portrait": (1280, 720), "square": (720, 720)}
_PLACES = ("left", "centre", "right")
#: Of a thing on the frame: height and width at most, times its own size at most, and pixels to the frame's edge at the
#: left and the right.
_MOST, _ENLARGED, _MARGIN = (400, 640), 4.0, 100
_BLUR = 4.0  # of the rooms: the Gaussian's standard deviation in pixels
_TOLERANCE = 15  # of the pointing game, in pixels
_SETTLING = 10

#: The stamps that are photographs, at least 100 pixels long, of what is a class of ImageNet, and the classes that are
#: right. Several where the name and the picture allow them. Left out are things of a kind that has no class of its own
#: (snowy owl, Australian magpie, Bactrian camel, cow, rabbit), whether or not a network would call them by another's.
_THINGS: dict[str, tuple[int, ...]] = {
    "animals/birds/chicken_profile": (8,),
    "animals/birds/hen": (8,),
    "animals/birds/rooster": (7,),
    "animals/birds/crowned_crane": (134,),
    "animals/birds/drake": (97,),
    "animals/birds/duck": (97,),  # a mallard's drake
    "animals/birds/gander": (99,),
    "animals/birds/peacock": (84,),
    "animals/birds/pelican": (144,),
    "animals/birds/penguin": (145,),  # a king penguin
    "animals/birds/pink_flamingo": (130,),
    "animals/birds/rainbow-lorikeet": (90,),
    "animals/birds/tucan": (96,),
    "animals/birds/vulture": (23,),
    "animals/fish/lionfish": (396,),
    "animals/fish/lobster": (123,),  # a spiny lobster, as its description says
    "animals/insects/Brown_slug": (114,),
    "animals/insects/Woodlouse": (126,),
    "animals/insects/grasshopper": (311,),
    "animals/insects/mantis": (315,),
    "animals/lizards/iguana": (39,),
    "animals/mammals/apes/chimp": (367,),
    "animals/mammals/apes/gorilla": (366,),
    "animals/mammals/aquatic/orca": (148,),
    "animals/mammals/aquatic/otter": (360,),
    "animals/mammals/aquatic/sea_lion": (150,),
    "animals/mammals/badger": (362,),
    "animals/mammals/bears/bear": (294, 295),  # brown or American black
    "animals/mammals/bears/european-bear": (294,),
    "animals/mammals/bears/toys/edward_bear": (850,),
    "animals/mammals/bovines/bison": (347,),
    "animals/mammals/bovines/ram": (348,),
    "animals/mammals/camel/dromedary": (354,),
    "animals/mammals/cats/lion": (291,),
    "animals/mammals/cats/lion-2": (291,),
    "animals/mammals/cats/tiger": (292,),
    "animals/mammals/cats/tiger_sumatran": (292,),
    "animals/mammals/dogs/dingo": (273,),
    "animals/mammals/dogs/fox": (277,),
    "animals/mammals/elephant": (386, 101),  # an African one, and a tusker
    "animals/mammals/equines/zebra": (340,),
    "animals/mammals/ferret": (358, 359),  # polecat or black-footed ferret
    "animals/mammals/hippopotamus": (344,),
    "animals/mammals/pig": (341,),
    "animals/mammals/pig_golden": (341,),
    "animals/mammals/pig_golden2": (341,),
    "animals/mammals/rodents/beaver": (337,),
    "animals/mammals/rodents/marmot": (336,),
    "animals/mammals/wildboar": (342,),
    "animals/marsupials/koala": (105,),
    "animals/marsupials/wombat": (106,),
    "food/fruit/Strawberry2": (949,),
    "food/fruit/cherimoya": (956,),
    "food/fruit/lemon": (951,),
    "food/fruit/orange_seville": (950,),
    "food/fruit/pineapple": (953,),
    "food/vegetables/broccoli": (937,),
    "food/vegetables/corn": (987, 998),  # corn, and an ear
    "plants/mushrooms/cep": (997, 947),  # a bolete, and a mushroom
    "plants/mushrooms/cep-1": (997, 947),
    "plants/mushrooms/cep-2": (997, 947),
}


class Scene(NamedTuple):
    """A frame of which is known what is on it, and where.

    Attributes:
        name: the thing's.
        place: where it lies.
        classes: the ones that are right.
        frame: uint8 (H, W, 3), BGR.
        mask: bool (H, W): the thing's pixels.
    """

    name: str
    place: str
    classes: tuple[int, ...]
    frame: np.ndarray
    mask: np.ndarray


def main() -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--models", default=_MODELS, help="names, with commas")
    parser.add_argument("--fits", default=",".join(_FITS), help=f"of {', '.join(_FITS)}; with commas")
    parser.add_argument("--shapes", action="store_true", help="also frames that are not 16:9")
    parser.add_argument("--limit", type=int, default=len(_THINGS), help="how many things, from all over the table")
    parser.add_argument("--rounds", type=int, default=60, help="frames of which each fit's time is taken")
    parser.add_argument("--no-time", action="store_true")
    parser.add_argument("--material", type=Path, default=FOLDER)
    parser.add_argument("--save", type=Path, metavar="FOLDER", help="write some of the frames as JPEG")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    fits = [name.strip() for name in options.fits.split(",")]
    if unknown := set(fits) - set(_FITS):
        parser.error(f"no fit {', '.join(sorted(unknown))}: use {', '.join(_FITS)}")
    if not 1 <= options.limit <= len(_THINGS):
        parser.error(f"there are 1 to {len(_THINGS)} things")
    set_compiler_flags()  # before TensorFlow is imported
    fetch_material(options.material, ("stamps", "rooms"))
    if options.save:
        save(scenes(options.material, _SHAPES[_WIDE], options.limit), options.save)

    with quiet_tensorflow():
        report: dict[str, Any] = {"models": {}, "things": options.limit, **describe_runtime()}
    for model in options.models.split(","):
        explainers = build(model.strip(), fits)
        tables = report["models"][model.strip()] = {}
        for shape in _SHAPES if options.shapes else (_WIDE,):
            seen = look(explainers, scenes(options.material, _SHAPES[shape], options.limit))
            rows = {fit: summarise(outcomes) for fit, outcomes in seen.items()}
            if shape == _WIDE and not options.no_time:
                for fit, times in compare_times(explainers, options.material, options.limit, options.rounds).items():
                    rows[fit] |= times
            print_table(f"{model.strip()}, {shape}", rows)
            tables[shape] = {"rows": rows, "frames": seen}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


def scenes(material: Path, size: tuple[int, int], limit: int) -> Iterator[Scene]:
    """So many things from all over the table, each at three places on the same room. Always the same.

    Args:
        material: the folder of the stamps and the rooms.
        size: (height, width) of the frames.
        limit: how many things.
    """
    chosen = np.random.default_rng(0).integers(0, len(ROOMS), len(_THINGS))
    rooms = [room(material / "rooms" / f"pexels-{name}.jpg", size, blur=_BLUR) for name in ROOMS]
    names = list(_THINGS)
    for number in np.linspace(0, len(names) - 1, limit).round().astype(int):
        colours, alpha = cut_out(material / "stamps" / f"{names[number]}.png", _MOST, enlarged=_ENLARGED)
        for place in _PLACES:
            background = rooms[chosen[number]]
            frame, mask = lay(colours, alpha, background, corner_of(alpha.shape, background.shape, place))
            yield Scene(names[number], place, _THINGS[names[number]], frame, mask)


def corner_of(thing: tuple[int, ...], frame: tuple[int, ...], place: str) -> tuple[int, int]:
    """(top, left) of a thing at a place; the places follow each other along the frame's longer side."""
    corner = [(frame[0] - thing[0]) // 2, (frame[1] - thing[1]) // 2]
    along = int(frame[1] >= frame[0])
    off_centre = max(0, corner[along] - _MARGIN)
    corner[along] += {"left": -off_centre, "centre": 0, "right": off_centre}[place]
    return corner[0], corner[1]


def save(shown: Iterator[Scene], folder: Path) -> None:
    """Write every seventh frame as JPEG."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, scene in enumerate(shown):
        if number % 7 == 0:
            path = folder / f"{number:03}-{Path(scene.name).name}-{scene.place}.jpg"
            cv2.imwrite(str(path), scene.frame)
    print(f"frames to look at: {folder}")


def build(model: str, fits: Sequence[str]) -> dict[str, Explainer]:
    """An explainer for each fit. Those that do not exist are left out and named."""
    from live_gradcam import Explainer, load_classifier

    classifier = load_classifier(model)
    explainers = {}
    for fit in fits:
        try:
            explainers[fit] = Explainer(classifier, maps=1, topk=5, **_FITS[fit])
        except UsageError as error:
            print(f"left out: {error}")
    return explainers


def look(explainers: dict[str, Explainer], shown: Iterator[Scene]) -> dict[str, list[dict[str, Any]]]:
    """What becomes of every frame with each fit."""
    seen: dict[str, list[dict[str, Any]]] = {fit: [] for fit in explainers}
    for scene in shown:
        for fit, explainer in explainers.items():
            seen[fit].append({"thing": scene.name, "place": scene.place, **judge(explainer, scene)})
    return seen


def judge(explainer: Explainer, scene: Scene) -> dict[str, Any]:
    """Explain the right class of a frame; of several, the one with the highest probability."""
    from live_gradcam.explanations.fits import heatmap_on_frame

    target = scene.classes[0]
    if len(scene.classes) > 1:
        probabilities = explainer(scene.frame).probabilities
        target = max(scene.classes, key=lambda index: float(probabilities[index]))
    explanation = explainer(scene.frame, target=target)
    right = [prediction.index in scene.classes for prediction in explanation.predictions]
    outcome = {"top-1": right[0], "top-5": any(right), "probability": explanation.targets[0].probability}
    on_frame = heatmap_on_frame(explanation.heatmaps[0], explanation.region, scene.mask.shape)
    if not on_frame.any():
        return outcome
    share = on_frame[scene.mask].sum(dtype=float) / on_frame.sum(dtype=float)
    return outcome | {"on thing": share / scene.mask.mean(), "pointing": points_at(on_frame, scene.mask)}


def points_at(on_frame: np.ndarray, mask: np.ndarray) -> bool:
    """Whether the map's highest point is in the box of the mask, or near it: of equal ones the middle one counts."""
    highest = np.argwhere(on_frame == on_frame.max())
    row, column = highest[len(highest) // 2]
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    distance = np.hypot(max(left - column, 0, column - (left + width - 1)), max(top - row, 0, row - (top + height - 1)))
    return bool(distance <= _TOLERANCE)


def summarise(outcomes: list[dict[str, Any]]) -> dict[str, float]:
    """The row of a table: means over the frames, for the map over those that have one."""
    mapped = [outcome for outcome in outcomes if "pointing" in outcome]
    row = {name: float(np.mean([outcome[name] for outcome in outcomes])) for name in ("top-1", "top-5")}
    for place in _PLACES:
        row[place] = float(np.mean([outcome["top-1"] for outcome in outcomes if outcome["place"] == place]))
    for name in ("on thing", "pointing"):
        row[name] = float(np.mean([outcome[name] for outcome in mapped])) if mapped else 0.0
    return row | {"empty": len(outcomes) - len(mapped)}


def compare_times(
    explainers: dict[str, Explainer], material: Path, limit: int, rounds: int
) -> dict[str, dict[str, float]]:
    """Median milliseconds of a frame, and the median over frames of the ratio to the first fit.

    Each fit takes turns with the first alone: more programs in turn would push each other out of the processor's cache.
    """
    names = list(explainers)
    first = explainers[names[0]]
    rows = {}
    for name, explainer in explainers.items():
        explainer.warm_up(frame_size=_SHAPES[_WIDE])  # as for a stream, of which all frames are of one size
        frames = endless_frames(lambda: scenes(material, _SHAPES[_WIDE], limit))
        turns = enumerate(islice(frames, _SETTLING + rounds))
        pairs = [time_pair(first, explainer, frame, swap=turn % 2 == 1) for turn, frame in turns]
        times = np.array(pairs[_SETTLING:])
        rows[name] = {
            "ms": 1e3 * float(np.median(times[:, 1])),
            f"÷ {names[0]}": float(np.median(times[:, 1] / times[:, 0])),
        }
    return rows


def time_pair(first: Explainer, other: Explainer, frame: np.ndarray, *, swap: bool) -> tuple[float, float]:
    """The seconds that each takes for a frame."""
    seconds = {}
    for position, explainer in reversed([*enumerate((first, other))]) if swap else enumerate((first, other)):
        start = time.perf_counter()
        explainer(frame)
        seconds[position] = time.perf_counter() - start
    return seconds[0], seconds[1]


def endless_frames(again: Callable[[], Iterator[Scene]]) -> Iterator[np.ndarray]:
    """The frames of the scenes, over and over."""
    while True:
        for scene in again():
            yield scene.frame


def print_table(title: str, rows: dict[str, dict[str, float]]) -> None:
    """A row for each fit, aligned."""
    columns = list(next(iter(rows.values())))
    print(f"\n{title:28}" + "".join(f"{column:>11}" for column in columns))
    for name, row in rows.items():
        cells = [f"{row[column]:.3f}" if column != "empty" else str(row[column]) for column in columns]
        print(f"{name:28}" + "".join(f"{cell:>11}" for cell in cells))


if __name__ == "__main__":
    try:
        main()
    except UsageError as error:
        sys.exit(f"error: {error}")
