"""The thread that keeps what is taught: it adds examples, fits heads and writes files, so that no frame waits."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.files import timestamped_name
from live_gradcam.fitting.taught_class import TaughtClass
from live_gradcam.fitting.taught_head import UNITS
from live_gradcam.flow.slot import Slot
from live_gradcam.flow.threads import DetachedThread

if TYPE_CHECKING:
    from live_gradcam.fitting.head import Head
    from live_gradcam.fitting.teacher import Teacher

_log = logging.getLogger(__name__)

#: How long the end of a run waits for what is being fitted and written, and where there is nothing, in seconds.
_LAST_SECONDS, _A_MOMENT = 30.0, 0.2
#: How much the thread stands back where frames and fits want the same processors (`nice`).
_STANDS_BACK = 10


class Swap(NamedTuple):
    """A head, and what it can name.

    Attributes:
        head: the head.
        vocabulary: what it can name.
        is_empty: whether it was fitted to no examples: then it is sure of "nothing", whatever it sees.
    """

    head: Head
    vocabulary: Vocabulary
    is_empty: bool


class Message(NamedTuple):
    """A line about what was done, or could not be.

    Attributes:
        words: in English, with its values as {name}; without values it is any text.
        is_error: whether it could not be done.
        values: by name.
    """

    words: str
    is_error: bool
    values: Mapping[str, str | int] = MappingProxyType({})

    @property
    def text(self) -> str:
        """The whole line."""
        return self.words.format(**self.values) if self.values else self.words

    def log(self) -> None:
        """Log it, where nobody sees it on a screen."""
        _log.log(logging.WARNING if self.is_error else logging.INFO, "%s", self.text)


@dataclass(frozen=True)
class Keeping:
    """What is kept of what is taught.

    Attributes:
        output: the `.keras` file to write; None for a new name for each, of the time.
        overwrite: whether a file that was there before may be replaced.
        folder: where files without a name go; None where nothing may be written.
        most_bytes: how much the examples may take in memory; None for no limit.
    """

    output: Path | None = None
    overwrite: bool = False
    folder: Path | None = Path()
    most_bytes: int | None = None


class TeachingThread:
    """Does what is asked for, one after the other. Use as a context manager, which waits for the last of it.

    Args:
        keeping: what is kept.

    Attributes:
        classes: what is known of each class; none before there is a teacher.
        accuracy: of heads on bursts that they never saw, 0…1; None where that cannot be tested.
        is_unsaved: whether something was taught after the last file was written.
        models: the files that were written.
        failure: why the last file could not be written; None if it could.
        error: the exception that ended the thread, if it was none of ours.
        swaps: the newest head, for the thread that explains.
    """

    def __init__(self, keeping: Keeping) -> None:
        self.classes: tuple[TaughtClass, ...] = ()
        self.accuracy: float | None = None
        self.is_unsaved = False
        self.models: list[Path] = []
        self.failure: str | None = None
        self.error: BaseException | None = None
        self.swaps: Slot[Swap] = Slot()
        self._keeping = keeping
        self._is_full = self._is_dropped = False
        self._is_untested = False
        self._teacher: Teacher | None = None
        self._head: Head | None = None
        self._messages: SimpleQueue[Message] = SimpleQueue()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = DetachedThread(self._work, "teach")

    def do(self, task: Callable[[], None]) -> None:
        """Have something done after all that was asked for before."""
        self._tasks.put(task)

    @property
    def is_alive(self) -> bool:
        """Whether what is asked for will be done."""
        return self._thread.is_alive()

    def message(self) -> Message | None:
        """The next line to show of what was done; None for nothing new."""
        return None if self._messages.empty() else self._messages.get()

    def _work(self) -> None:
        try:
            while (task := self._tasks.get()) is not None and not self._is_dropped:
                try:
                    task()
                except LiveGradcamError as error:
                    self._messages.put(
                        Message(error.words, str(error) != self.failure, error.values)
                    )  # which the run gives back
                if self._tasks.empty():
                    self._test()
            if not self._is_dropped:
                self._test()
        except BaseException as error:  # raised again in the thread that explains
            self.error = error

    def _say(self, words: str, *, is_error: bool = False, **values: str | int) -> None:
        self._messages.put(Message(words, is_error, values))

    # --- what is done -------------------------------------------------------------------------------------------------

    def take(self, teacher: Teacher) -> None:
        """Begin with a teacher, in whatever thread."""
        self._teacher, self.classes, self._is_untested = teacher, teacher.classes, True
        self.do(lambda: None)  # after which it is tested

    @property
    def _taught(self) -> Teacher:
        assert self._teacher is not None  # nothing is asked for before
        return self._teacher

    def add(self, image: np.ndarray, index: int, features: np.ndarray) -> None:
        """Add an example: see `Teacher.add`."""
        _stand_back()
        most = self._keeping.most_bytes
        if most is not None and self._taught.bytes >= most:
            if not self._is_full:
                self._say("there is no room for more pictures: take some back, or go on with these", is_error=True)
            self._is_full = True
            return
        self._is_full = False
        self._taught.add(image, index, features=features)
        self.classes, self.is_unsaved = self._taught.classes, True

    def end_burst(self) -> None:
        """End the burst, and fit the head to all examples."""
        self._taught.end_burst()
        self._fit()

    def undo(self) -> None:
        """Take the last burst back."""
        undone = self._taught.undo_last_burst()
        if undone is None:
            self._say("there is no burst to take back")
            return
        self.is_unsaved = True
        self._fit()
        left = self.classes[undone.index].count
        self._say("pictures of {name} taken back: {count}", name=undone.name, count=undone.count - left)

    def rename(self, index: int, name: str) -> None:
        """Name a class."""
        teacher = self._taught
        kept = teacher.rename(index, name)
        self.classes, self.is_unsaved = teacher.classes, True
        self.swaps.put(swap_of(teacher, self._head))
        self._say("class {index} is called {name}", index=index, name=kept)

    def save(self) -> None:
        """Write the model and the examples."""
        folder = self._keeping.folder
        if folder is None:
            raise UsageError("nothing is written here: download the model")
        path = self._keeping.output or folder / timestamped_name(".keras")
        self._say("writing {path} …", path=str(path))
        try:
            self._taught.save(path, overwrite=self._keeping.overwrite or path in self.models)
        except LiveGradcamError as error:
            self.failure = str(error)
            raise
        self.failure, self.is_unsaved = None, False
        if path not in self.models:
            self.models.append(path)
        self._say("written as {path}", path=str(path))

    def model(self) -> bytes:
        """The model as the bytes of a `.keras` file. A file is written for it, and removed at once.

        Raises:
            UsageError: fewer than two classes have examples.
            OutputError: there is no room for the file.
        """
        with TemporaryDirectory(prefix="live-gradcam-") as folder:
            content = self._taught.save_model(Path(folder) / "taught.keras").read_bytes()
        self.is_unsaved = False
        return content

    def save_what_is_left(self) -> None:
        """Write what was taught after the last file, where the file has a name."""
        if self._keeping.output is not None and self.is_unsaved and len(self._taught.shown) > 1:
            self.save()

    def _fit(self) -> None:
        teacher = self._taught
        self.classes = teacher.classes
        swap = swap_of(teacher)
        self._head = swap.head
        self.swaps.put(swap)
        self._is_untested = True

    def _test(self) -> None:
        """Test heads on what they never saw: when nobody waits for something else."""
        if self._is_untested and self._teacher is not None:
            self._is_untested = False
            scores = self._teacher.scores()
            self.accuracy = None if scores is None else scores.accuracy

    def drop(self) -> None:
        """End without waiting. What was asked for is left undone, and nothing is kept."""
        self._is_dropped = True
        self._tasks.put(None)

    def __enter__(self) -> TeachingThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._tasks.put(None)
        self._thread.join(_A_MOMENT if self._teacher is None else _LAST_SECONDS)  # a compilation is not waited for
        while (message := self.message()) is not None:
            message.log()


def swap_of(teacher: Teacher, head: Head | None = None) -> Swap:
    """A teacher's head, and what it can name; units without a class are hidden.

    Args:
        teacher: the teacher.
        head: the head as it was fitted last; None to fit it now.
    """
    names = tuple(one.name for one in teacher.classes)
    vocabulary = Vocabulary(names, hidden=frozenset(range(UNITS)) - frozenset(teacher.listed))
    return Swap(head or teacher.head(), vocabulary, is_empty=not teacher.shown)


def _stand_back() -> None:
    """Let the thread that explains go first, where the system has priorities of threads."""
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _STANDS_BACK)
