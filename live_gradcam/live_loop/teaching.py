"""Teaching while frames run: examples are collected, the head is fitted behind, and swapped between two frames.

The thread of the run gives the commands; the thread that explains gives the features, which its pass has anyway, and
takes the newest head; a third one keeps the examples, fits and writes, so that neither of them waits.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np

from live_gradcam.attribution.session import Session
from live_gradcam.drawing.teaching_panel import TeachingPanel, TeachingRow
from live_gradcam.errors import LiveGradcamError, UsageError
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.files import timestamped_name
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.teacher import LEAST_BURSTS, UNITS, TaughtClass, Teacher
from live_gradcam.flow.slot import Slot
from live_gradcam.flow.threads import DetachedThread
from live_gradcam.sources.frame import Frame

_log = logging.getLogger(__name__)

#: A key that is held repeats, and nobody says when it is let go: it was, when no repeat came for so many seconds. The
#: first repeat takes longer.
_FIRST_REPEAT, _REPEAT = 0.9, 0.6
#: Seconds between two examples: frames that are closer show the same. Of a camera of 10 frames per second it is each.
_BETWEEN_EXAMPLES = 0.095
#: How long the end of a run waits for what is being fitted and written.
_LAST_SECONDS = 30.0


class Swap(NamedTuple):
    """A head, and what it can name."""

    head: Head
    vocabulary: Vocabulary


@dataclass(frozen=True)
class Taught:
    """What was taught in a run.

    Attributes:
        classes: those with examples.
        accuracy: of heads on bursts that they never saw, 0…1; None where that cannot be tested.
        models: the files that were written.
        failure: why the last file could not be written; None if it could.
        is_unsaved: whether something was taught after the last file was written.
    """

    classes: tuple[TaughtClass, ...]
    accuracy: float | None
    models: tuple[Path, ...]
    failure: str | None
    is_unsaved: bool

    def to_json(self) -> dict[str, Any]:
        """The same for JSON."""
        return {
            "classes": [{"name": one.name, "count": one.count, "bursts": one.bursts} for one in self.classes],
            "accuracy": self.accuracy,
            "models": [str(path) for path in self.models],
            "failure": self.failure,
            "is_unsaved": self.is_unsaved,
        }


class Teaching:
    """Has a network taught while its frames are explained. Use as a context manager.

    Args:
        output: the `.keras` file to write; None for a new name for each, of the time.
        overwrite: whether a file that was there before the run may be replaced.
        folder: where files without a name go.
        clock: gives seconds that go on evenly.

    Attributes:
        session: the session of the network that is taught; None while there is none.
        error: the exception that ended the thread that fits, if it was none of ours.
        classes: what is known of each class.
        accuracy: as in `Taught`.
        last: the class of which examples were collected last; None before the first.
    """

    def __init__(
        self,
        *,
        output: Path | None = None,
        overwrite: bool = False,
        folder: Path = Path(),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.session: Session | None = None
        self.error: BaseException | None = None
        self.classes: tuple[TaughtClass, ...] = ()
        self.accuracy: float | None = None
        self.last: int | None = None
        self.vocabulary = Vocabulary(())
        self._output, self._overwrite, self._folder = output, overwrite, folder
        self._clock = clock
        self._teacher: Teacher | None = None
        self._is_beginning = False
        self._collecting: int | None = None
        self._until: float | None = None  # when the key counts as let go; None while somebody will say so
        self._is_due = False  # whether the next frame is an example
        self._last_time = -np.inf
        self._swaps: Slot[Swap] = Slot()
        self._head: Head | None = None
        self._models: list[Path] = []
        self._failure: str | None = None
        self._is_unsaved = False
        self._is_untested = False
        self._messages: SimpleQueue[str] = SimpleQueue()
        self._tasks: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = DetachedThread(self._work, "teach")

    # --- in the thread of the run -----------------------------------------------------------------------------------

    @property
    def collecting(self) -> int | None:
        """The class of which examples are being collected; None while none are."""
        return self._collecting

    @property
    def is_unsaved(self) -> bool:
        """Whether something was taught after the last file was written."""
        return self._is_unsaved

    @property
    def has_failed(self) -> bool:
        """Whether no network is ready to be taught, and none is being made ready."""
        return self.session is None and not self._is_beginning

    def begin(self, make: Callable[[], tuple[Teacher, Session]]) -> None:
        """Have a network made ready, if none is: it takes seconds, in which frames go on."""
        if self.session is None and not self._is_beginning:
            self._is_beginning = True
            self._do(lambda: self._begin(make))

    def take(self, teacher: Teacher, session: Session) -> None:
        """Teach a network that is ready."""
        self._teacher = teacher
        self._look()
        self.vocabulary = self._vocabulary(teacher)
        self._is_untested = True
        self.session = session

    def collect(self, index: int) -> None:
        """A key is pressed, or repeats: the next frame is an example of a class.

        Raises:
            UsageError: there is no such class, or the network is not ready.
        """
        is_first = self._start(index)
        self._until = self._clock() + (_FIRST_REPEAT if is_first else _REPEAT)

    def hold(self, index: int) -> None:
        """Collect examples of a class until `release`.

        Raises:
            UsageError: as `collect`.
        """
        self._start(index)
        self._until = None

    def release(self) -> None:
        """Collect no more, and fit the head to all examples."""
        if self._collecting is not None:
            self._collecting, self._is_due = None, False
            self._do(self._end_burst)

    def tick(self) -> None:
        """Look whether the key was let go."""
        if self._until is not None and not self._is_due and self._clock() > self._until:
            self._until = None
            self.release()

    def undo(self) -> None:
        """Take the last burst back."""
        self._check_ready()
        self.release()
        self._do(self._undo)

    def rename(self, index: int | None, name: str) -> None:
        """Name a class; None for the one that was collected last.

        Raises:
            UsageError: there is none yet.
        """
        self._check_ready()
        index = self.last if index is None else index
        if index is None:
            raise UsageError("collect examples of a class first: then it can be named")
        self._do(lambda: self._rename(index, name))

    def save(self) -> None:
        """Write the model and the examples.

        Raises:
            UsageError: the network is not ready.
        """
        self._check_ready()
        self.release()
        self._do(self._save)

    def message(self) -> str | None:
        """The next line to show of what was done; None for nothing new."""
        return None if self._messages.empty() else self._messages.get()

    def panel(self, typed: str | None) -> TeachingPanel:
        """What is to be seen of it.

        Args:
            typed: the name that is being typed; None for none.
        """
        if self.session is None:
            return TeachingPanel((), ["getting ready to be taught …"])
        rows = [self._row(one) for one in self.classes if one.count or one.is_named or one.index == self._collecting]
        free = next((one for one in self.classes if not (one.count or one.is_named)), None)
        if free is not None and free.index != self._collecting:
            rows.append(TeachingRow(str(free.index), "hold to collect a class", ""))
        accuracy = (
            "accuracy: hold each class twice" if self.accuracy is None else f"accuracy {100 * self.accuracy:.0f} %"
        )
        notes = [accuracy, "not written yet" if self._is_unsaved else ""]
        line = None if typed is None else f"name of {self._name_of(self.last)}: {typed}_"
        return TeachingPanel(rows, [note for note in notes if note], line, ("class", "pictures in bursts"))

    def _row(self, one: TaughtClass) -> TeachingRow:
        mark = ""
        if one.has_too_few:
            mark = "too few: hold it again" if one.bursts < LEAST_BURSTS else "too few: hold it longer"
        amount = f"{one.count} in {one.bursts}" if one.count else "none"
        return TeachingRow(str(one.index), one.name, amount, mark, one.index == self._collecting)

    def _name_of(self, index: int | None) -> str:
        return "" if index is None else self.classes[index].name

    def _start(self, index: int) -> bool:
        """Begin or go on to collect a class. Returns whether it begins."""
        self._check_ready()
        if not 0 <= index < UNITS:
            raise UsageError(f"there is no class {index}: the keys are 0 to {UNITS - 1}")
        is_first = index != self._collecting
        if is_first:
            self.release()
        self._collecting, self.last, self._is_due = index, index, True
        return is_first

    def _check_ready(self) -> None:
        if self.session is None:
            raise UsageError("the network is not ready to be taught yet")

    def taught(self) -> Taught | None:
        """What was taught; None where nothing was."""
        shown = tuple(one for one in self.classes if one.count)
        if not shown and not self._models:
            return None
        return Taught(shown, self.accuracy, tuple(self._models), self._failure, self._is_unsaved)

    # --- in the thread that explains ----------------------------------------------------------------------------------

    def swap(self) -> bool:
        """Use the newest head, between two frames. Returns whether there was one."""
        newest = self._swaps.take(0)
        if newest is None or self._teacher is None:
            return False
        self._teacher.use(newest.head)
        self.vocabulary = newest.vocabulary
        return True

    def see(self, frame: Frame, features: np.ndarray | None) -> None:
        """Take a frame as an example, if it is to be one.

        Args:
            frame: the frame; its image does not change any more.
            features: float32 (d,), of the pass that explained it.
        """
        index, teacher = self._collecting, self._teacher
        is_wanted = self._is_due or (index is not None and self._until is None)
        if index is None or not is_wanted or teacher is None or features is None:
            return
        if abs(float(frame.pts) - self._last_time) < _BETWEEN_EXAMPLES:
            return
        self._last_time, self._is_due = float(frame.pts), False
        self._do(lambda: self._add(frame.image, index, features))

    # --- in the thread that fits --------------------------------------------------------------------------------------

    def _do(self, task: Callable[[], None]) -> None:
        self._tasks.put(task)

    def _work(self) -> None:
        try:
            while (task := self._tasks.get()) is not None:
                try:
                    task()
                except LiveGradcamError as error:
                    self._messages.put(str(error))
                if self._tasks.empty():
                    self._test()
            self._test()
        except BaseException as error:  # raised again in the thread that explains
            self.error = error

    def _test(self) -> None:
        """Find out how good heads are that never saw what they are tested on: when nobody waits for something else."""
        if self._is_untested and self._teacher is not None:
            self._is_untested = False
            scores = self._teacher.scores()
            self.accuracy = None if scores is None else scores.accuracy

    def _begin(self, make: Callable[[], tuple[Teacher, Session]]) -> None:
        try:
            self.take(*make())
        finally:
            self._is_beginning = False

    def _add(self, image: np.ndarray, index: int, features: np.ndarray) -> None:
        assert self._teacher is not None  # there are no features without it
        self._teacher.add(image, index, features=features)
        self._look()
        self._is_unsaved = True

    def _end_burst(self) -> None:
        assert self._teacher is not None
        self._teacher.end_burst()
        self._fit()

    def _undo(self) -> None:
        assert self._teacher is not None
        undone = self._teacher.undo_last_burst()
        if undone is None:
            self._messages.put("there is no burst to take back")
            return
        self._is_unsaved = True
        self._fit()
        left = self.classes[undone.index].count
        self._messages.put(f"{undone.count - left} pictures of {undone.name} taken back")

    def _fit(self) -> None:
        """Fit the head, and hand it over."""
        assert self._teacher is not None
        self._look()
        self._head = self._teacher.head()
        self._swaps.put(Swap(self._head, self._vocabulary(self._teacher)))
        self._is_untested = True

    def _rename(self, index: int, name: str) -> None:
        assert self._teacher is not None
        kept = self._teacher.rename(index, name)
        self._is_unsaved = True
        self._look()
        head = self._head or self._teacher.head()
        self._swaps.put(Swap(head, self._vocabulary(self._teacher)))
        self._messages.put(f"class {index} is called {kept}")

    def _save(self) -> None:
        assert self._teacher is not None
        path = self._output or self._folder / timestamped_name(".keras")
        self._messages.put(f"writing {path} …")
        try:
            self._teacher.save(path, overwrite=self._overwrite or path in self._models)
        except LiveGradcamError as error:
            self._failure = str(error)
            raise
        self._failure, self._is_unsaved = None, False
        if path not in self._models:
            self._models.append(path)
        self._messages.put(f"written as {path}")

    def _look(self) -> None:
        assert self._teacher is not None
        self.classes = self._teacher.classes

    @staticmethod
    def _vocabulary(teacher: Teacher) -> Vocabulary:
        names = tuple(one.name for one in teacher.classes)
        return Vocabulary(names, hidden=frozenset(range(UNITS)) - frozenset(teacher.listed))

    def __enter__(self) -> Teaching:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        if self._output is not None:
            self._do(self._save_what_is_left)
        self._tasks.put(None)
        self._thread.join(_LAST_SECONDS)
        while (message := self.message()) is not None:
            _log.info("%s", message)

    def _save_what_is_left(self) -> None:
        if self._is_unsaved and self._teacher is not None and len(self._teacher.shown) > 1:
            self._save()
