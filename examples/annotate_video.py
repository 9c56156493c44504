"""Annotate a video, with a line of progress and a table of numbers beside it.

python examples/annotate_video.py talk.mp4 talk-explained.mp4
"""

from __future__ import annotations

import sys

from live_gradcam import AnnotateOptions, Progress, SessionOptions, annotate


def show(progress: Progress) -> None:
    """Print how far the work is."""
    if progress.stage == "annotating" and progress.frames % 25 == 0:
        of = f" of {progress.of_seconds:.1f}" if progress.of_seconds else ""
        print(f"{progress.frames} frames, {progress.seconds:.1f}{of} s")


def main(video: str, output: str) -> None:
    """Annotate a video, and say what became of it."""
    report = annotate(
        video,
        output,
        session=SessionOptions(fit="stretch"),
        options=AnnotateOptions(layout="side-by-side", smooth=0.2),
        on_progress=show,
    )
    for result in report.results:
        print(f"{result.job.output}: {result.status}")
        for note in result.notes:
            print(note)
    if not report.is_complete:
        sys.exit(1)


if __name__ == "__main__":  # worker processes import this file
    main(*sys.argv[1:])
