"""Which recording becomes which file. All of it is checked before the work begins."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from live_gradcam.addresses import address_of
from live_gradcam.annotating.options import AnnotateOptions
from live_gradcam.annotating.provenance import Provenance
from live_gradcam.annotating.sidecars.sidecar import Sidecar
from live_gradcam.choices import SIDECARS
from live_gradcam.errors import OutputError, UsageError
from live_gradcam.files import RESULT, check_output, check_replaces_no_source, identity, is_same_file, part_path
from live_gradcam.sources.folders import check_exists, look_into
from live_gradcam.sources.kinds import Kind, kind_of
from live_gradcam.sources.levels import for_pictures_only
from live_gradcam.sources.opening import is_of_another_package
from live_gradcam.sources.pictures import is_pattern, pictures_of, shows_pictures

_NONE: Mapping[str, Path] = {}


@dataclass(frozen=True)
class AnnotateJob:
    """One recording to annotate.

    Attributes:
        source: a video, a picture, a folder of pictures or a pattern for numbered ones.
        output: the file to write, or the folder of pictures.
        sidecars: what is written besides, by the names of `choices.SIDECARS`.
    """

    source: Path
    output: Path
    sidecars: Mapping[str, Path] = field(default_factory=dict)


def plan_jobs(
    sources: Sequence[Path], output: Path | None, options: AnnotateOptions, sidecars: Mapping[str, Path] = _NONE
) -> list[AnnotateJob]:
    """Work out which recording becomes which file.

    One recording becomes the file `output` (or, in a folder, `NAME-gradcam.mp4`; beside the source by default). Several
    recordings, or a folder's videos, go into the folder `output`, and their sidecars into the folders of these.

    Args:
        sources: the recordings, or folders of them.
        output: a file or a folder; None for a file beside the source.
        options: how they are annotated.
        sidecars: a file for each kind, or a folder for several recordings, by the names of `choices.SIDECARS`.

    Raises:
        UsageError: several sources and no folder for them, two that would get the same name, a kind of file or of
            sidecar that is not written, or more frames per second than the file can have.
        SourceError: a source that does not exist, or a folder with nothing to annotate.
    """
    for name in sidecars:
        SIDECARS.check(name)
    kinds: dict[str, Sidecar] = {name: SIDECARS.load(name) for name in SIDECARS if name in sidecars}
    found = [recording for source in sources for recording in _recordings_of(source, output, options)]
    ending = next(iter(options.encoding.sink.endings), "")
    if len(found) == 1 and found[0] == sources[0]:
        (source,) = found
        place = _place(source)
        target = output or place.with_name(f"{place.name}{RESULT}{ending}")
        if os.path.isdir(target) and ending:
            target = target / f"{place.name}{RESULT}{ending}"
        jobs = [AnnotateJob(source, target, {name: sidecars[name] for name in kinds})]
    else:
        if output is None:
            raise UsageError("several videos need a folder for their outputs: add -o FOLDER")
        jobs = []
        for source in found:
            name = _place(source).name
            beside = {kind: sidecars[kind] / f"{name}{sidecar.ending}" for kind, sidecar in kinds.items()}
            jobs.append(AnnotateJob(source, output / f"{name}{RESULT}{ending}", beside))
    for job in jobs:
        is_for_all = options.levels is not None and options.levels.of == "all"
        if is_for_all and not (is_of_another_package(job.source) or shows_pictures(job.source)):
            raise for_pictures_only(job.source)
        options.encoding.of_file(job.output)
        if options.output_fps is not None:
            options.check_rate(job.output, options.output_fps)
        for kind, path in job.sidecars.items():
            kinds[kind].check(path)
            if job.output in path.parents:
                raise UsageError(f"{path} is in the folder of pictures {job.output}: write it beside that folder")
    outputs = Counter(path for job in jobs for path in (job.output, *job.sidecars.values()))
    for path, times in outputs.items():
        if times > 1:
            raise UsageError(
                f"several outputs would have the name {path}: annotate these videos one by one, with -o FILE"
            )
    return jobs


def check_jobs(
    jobs: Sequence[tuple[AnnotateJob, Provenance]],
    options: AnnotateOptions,
    *,
    overwrite: bool,
    resume: bool,
) -> list[bool]:
    """Make sure that every output can be written, before the work begins.

    Args:
        jobs: from `plan_jobs`, and what their outputs say of themselves.
        options: how they are annotated.
        overwrite: whether outputs that exist may be replaced.
        resume: whether outputs that were made in the same way are left as they are; those that were cut short may be
            replaced.

    Returns:
        For each job whether it is done already.

    Raises:
        OutputError: an output that exists, is a source, is a folder that was not written by this program, or cannot be
            written.
    """
    sources: dict[tuple[int, int] | None, Path] = {
        found: job.source for job, _ in jobs if (found := identity(job.source)) is not None
    }
    done = []
    for job, provenance in jobs:
        sink = options.encoding.of_file(job.output).sink
        made = provenance.compare(sink.read_statement(job.output)) if resume else None
        is_done = made is True and all(os.path.exists(path) for path in job.sidecars.values())
        done.append(is_done)
        if is_done:
            continue
        replaces = overwrite or made is not None
        for path in (job.output, *job.sidecars.values()):
            check_replaces_no_source(path, job.source, sources)
            if (source := sources.get(identity(part_path(path)))) is not None:
                raise OutputError(
                    f"{source} is a source, and {path} is written there first: choose another name with -o"
                )
        check_output(job.output, overwrite=replaces, folder=not sink.endings)
        sink.check_replaced(job.output)
        for name, path in job.sidecars.items():
            check_output(path, overwrite=replaces, folder=SIDECARS.load(name).is_folder(path))
    return done


def _recordings_of(source: Path, output: Path | None, options: AnnotateOptions) -> list[Path]:
    """A source itself; of a folder its videos, or where it has none, the folder as a sequence of pictures.

    The output may lie in the folder, from the last time: it is none of its videos.
    """

    def is_ours(path: Path) -> bool:
        if path.stem.endswith(RESULT) and kind_of(path) is not Kind.PICTURE:
            return True
        if output is None or not path.is_file() or not is_same_file(path, output):
            return False
        return options.encoding.of_file(output).sink.read_statement(output) is not None

    if is_of_another_package(source):
        return [source]
    if is_pattern(source):
        pictures_of(source)
        return [source]
    check_exists(source, "file")
    if not source.is_dir():
        return [source]
    folder = look_into(source, is_ours)
    if folder.videos or not folder.pictures:
        return folder.take(folder.videos, "videos or pictures")
    folder.take(folder.pictures, "pictures")
    return [source]


def _place(source: Path) -> Path:
    """What an output is called after: the source without its ending; of a pattern, its folder.

    Of an address it is the last part, in the current folder.
    """
    if address_of(source) is not None:
        return Path(source.stem)
    named = source.parent if is_pattern(source) else source
    named = named.absolute() if named.name in ("", "..") else named
    return named if named.is_dir() else named.with_suffix("")
