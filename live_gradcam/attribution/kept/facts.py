"""What takes a network to find out, and an earlier start has found out: yes or no."""

from __future__ import annotations

from collections.abc import Callable

from live_gradcam.compiling.kept_files import KeptFiles, Key

_TEXTS = {True: b"yes", False: b"no"}


def recalled(files: KeptFiles, key: Key, find: Callable[[], bool]) -> bool:
    """Whether something is so.

    Args:
        files: where the answer is kept.
        key: what it is the answer to, with all that it depends on.
        find: finds it out.
    """
    content = files.read(key)
    for answer, text in _TEXTS.items():
        if content is not None and bytes(content) == text:
            return answer
    answer = find()
    files.write(key, _TEXTS[answer])
    return answer
