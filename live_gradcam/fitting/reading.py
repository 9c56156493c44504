"""From what the user names to a data set. Everything is checked that needs no decoding."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from live_gradcam.errors import LiveGradcamError, UsageError, first_line
from live_gradcam.files import fingerprint
from live_gradcam.fitting.dataset import Dataset, Example, check_groups
from live_gradcam.fitting.listing import Listed, Listing, list_folder, list_pairs
from live_gradcam.fitting.options import FitOptions
from live_gradcam.fitting.tables import list_table
from live_gradcam.sources.dimensions import picture_size
from live_gradcam.sources.image import check_picture
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.opening import open_recording

#: What a data set is read from.
Source = str | Path | Mapping[str | Path, str]
#: Larger pictures are left out: one of a gigapixel takes 3 GB as pixels, and minutes.
_MOST_PIXELS = 300_000_000
#: A picture's content is read whole to know it again; a video's ends will do.
_CHUNK = 1 << 20

OnFile = Callable[[int, int], None]


def read_dataset(source: Source | None, options: FitOptions, on_file: OnFile | None = None) -> Dataset:
    """Read what there is to fit to, and check it.

    Args:
        source: a folder with a folder for each class, or with such folders in `train`, `val` and `test`; of a table
            (`options.csv`) the folder where its paths begin, or None for where the table is; or `{video: class}`.
        options: how.
        on_file: called after each file: (files looked at, files in all).

    Raises:
        SourceError: the folder, the table or one of the videos is not there, or cannot be read.
        UsageError: two folders differ in case alone, one file shows several classes, `val` or `test` has a class that
            `train` lacks, or there is too little: fewer than two classes, or a class with one group.
    """
    listing, value_name = _listed(source, options)
    files = _usable(listing, on_file)
    files = _without_copies(files, listing)
    shown = [listed.shows for listed, _ in files if listed.part == "train"]
    classes = (value_name,) if options.task == "values" else _classes(shown)
    _check_parts(files, classes, options)
    examples = [
        example for listed, kind in files for example in _examples(listed, kind, classes, options, listing.leave_out)
    ]
    dataset = Dataset(options.task, classes, tuple(examples), tuple(listing.left_out))
    check_groups(dataset)
    return dataset


def _listed(source: Source | None, options: FitOptions) -> tuple[Listing, str]:
    if options.csv is not None:
        if isinstance(source, Mapping):
            raise UsageError("give a table or pairs of videos and classes, and not both")
        return list_table(Path(options.csv), None if source is None else Path(source), options.task)
    if source is None:
        raise UsageError("there is nothing to fit to: give a folder with a folder for each class, or --csv FILE")
    return (list_pairs(source) if isinstance(source, Mapping) else list_folder(Path(source))), "value"


def _usable(listing: Listing, on_file: OnFile | None) -> list[tuple[Listed, Kind]]:
    """The files that can be used as far as their first bytes tell, each with what it is."""
    usable = []
    for number, listed in enumerate(listing.files, 1):
        try:
            kind, why = _kind_and_fault(listed.path)
        except OSError as error:
            kind, why = Kind.OTHER, f"cannot be read: {error.strerror}"
        if why is None:
            usable.append((listed, kind))
        else:
            listing.leave_out(listed.path, why)
        if on_file is not None:
            on_file(number, len(listing.files))
    return usable


def _kind_and_fault(path: Path) -> tuple[Kind, str | None]:
    """What a file is, and why it cannot be used; None where it can, as far as is known without decoding."""
    if not path.is_file():
        return Kind.OTHER, "no file"
    if not path.stat().st_size:
        return Kind.OTHER, "empty"
    kind = kind_of(path)
    if kind is Kind.OTHER:
        return kind, "no picture or video"
    if kind is Kind.PICTURE:
        try:
            check_picture(path)
        except LiveGradcamError as error:
            return kind, first_line(error)
        height, width = picture_size(path) or (1, 1)
        if height * width > _MOST_PIXELS:
            return kind, f"{width}×{height} pixels are too many: at most {_MOST_PIXELS // 1_000_000} million are read"
    return kind, None


# --- the same file again ------------------------------------------------------------------------------------------


def _without_copies(files: Sequence[tuple[Listed, Kind]], listing: Listing) -> list[tuple[Listed, Kind]]:
    """The files without those whose content was there before; of a copy in another part the one in `train` stays.

    Raises:
        UsageError: one content shows several things.
    """
    sizes = Counter(listed.path.stat().st_size for listed, _ in files)
    first: dict[str, Listed] = {}
    kept = []
    for listed, kind in sorted(files, key=lambda file: file[0].part != "train"):
        if sizes[listed.path.stat().st_size] > 1:
            other = first.setdefault(content_hash(listed.path, kind), listed)
            if other.shows != listed.shows:
                files_are = f"{other.path} and {listed.path} are the same file, but"
                if other.path == listed.path:
                    files_are = f"{other.path} is given twice,"
                raise UsageError(f"{files_are} of {_said(other)} and {_said(listed)}: remove one of them")
            if other is not listed:
                listing.leave_out(listed.path, f"the same as {other.path}")
                continue
        kept.append((listed, kind))
    place = {id(listed): number for number, (listed, _) in enumerate(files)}
    return sorted(kept, key=lambda file: place[id(file[0])])


def content_hash(path: Path, kind: Kind) -> str:
    """What changes when a file's content does: SHA-256 of all of a picture, `files.fingerprint` of a video."""
    if kind is Kind.VIDEO:
        return fingerprint(path)
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _said(listed: Listed) -> str:
    return " and ".join(listed.shows) or "no label" if isinstance(listed.shows, tuple) else f"{listed.shows:g}"


# --- classes ------------------------------------------------------------------------------------------------------


def _classes(shown: Iterable[tuple[str, ...] | float]) -> tuple[str, ...]:
    return tuple(sorted({name for names in shown if isinstance(names, tuple) for name in names}))


def _check_parts(files: Sequence[tuple[Listed, Kind]], classes: tuple[str, ...], options: FitOptions) -> None:
    """Refuse classes of `val` and `test` that `train` lacks: the network would have no number for them."""
    lacking: dict[str, set[str]] = defaultdict(set)
    for listed, _ in files:
        if isinstance(listed.shows, tuple):
            lacking[listed.part].update(set(listed.shows) - set(classes))
    for part, names in lacking.items():
        if names:
            raise UsageError(
                f"{part} has the class {sorted(names)[0]}, which train lacks: add pictures of it to train, or remove it"
            )
    folded = Counter(name.casefold() for name in classes)
    for name in classes:
        if folded[name.casefold()] > 1 and options.csv is not None:
            pair = " and ".join(one for one in classes if one.casefold() == name.casefold())
            raise UsageError(f"the classes {pair} in {options.csv} differ in case alone: write them the same way")


# --- examples -----------------------------------------------------------------------------------------------------


def _examples(
    listed: Listed, kind: Kind, classes: tuple[str, ...], options: FitOptions, leave_out: Callable[[Path, str], None]
) -> list[Example]:
    """A picture as an example, or a video as one for each time at which a frame is taken."""
    shows = listed.shows
    target = tuple(sorted(map(classes.index, shows))) if isinstance(shows, tuple) else shows
    example = Example(listed.path, target, listed.group, listed.part)
    if kind is Kind.PICTURE:
        return [example]
    try:
        times = _times(listed.path, options.every)
    except LiveGradcamError as error:
        leave_out(listed.path, first_line(error))
        return []
    return [replace(example, time=float(time)) for time in times]


def _times(video: Path, every: float) -> list[Fraction]:
    """When frames are taken of a video, in seconds on its clock.

    Raises:
        SourceError: it cannot be opened.
    """
    with open_recording(video) as recording:
        step = max(Fraction(every), 1 / recording.frame_rate)
        duration = Fraction(recording.duration or 0)
        if not duration:  # its header does not say it
            last = max((frame.pts for frame in recording.frames()), default=recording.begin)
            duration = last - recording.begin + 1 / recording.frame_rate
        count = max(1, -int(-duration // step))
        return [recording.begin + number * step for number in range(count)]
