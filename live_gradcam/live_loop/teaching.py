"""Teaching while frames run: examples are collected, the head is fitted behind, and swapped between two frames.

The thread of the run gives the commands; the thread that explains gives the features, which its pass has anyway, and
takes the newest head; a third one keeps the examples, fits and writes, so that neither of them waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from live_gradcam.attribution.session import Session
from live_gradcam.drawing.teaching_panel import TeachingPanel, TeachingRow
from live_gradcam.errors import UsageError
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.fitting.taught_class import TaughtClass
from live_gradcam.fitting.taught_head import LEAST_BURSTS, UNITS
from live_gradcam.live_loop.teaching_thread import Keeping, Message, Swap, TeachingThread, swap_of
from live_gradcam.sources.frame import Frame

if TYPE_CHECKING:
    from live_gradcam.fitting.head import Head
    from live_gradcam.fitting.teacher import Teacher

#: A key that is held repeats, and nobody says when it is let go: it was, when no repeat came for so many seconds. The
#: first repeat takes longer.
_FIRST_REPEAT, _REPEAT = 0.9, 0.6
#: Seconds between two examples: frames that are closer show the same. Of a camera of 10 frames per second it is each.
_BETWEEN_EXAMPLES = 0.095
_USUAL = Keeping()
#: How often somebody who waits for a model looks whether it will still come, in seconds.
_WAKE_SECONDS = 0.2


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
        keeping: what is kept of what is taught.
        clock: gives seconds that go on evenly.

    Attributes:
        session: the session of the network that is taught; None while there is none.
        last: the class of which examples were collected last; None before the first.
        vocabulary: what the head that is used now can name.
        is_empty: whether that head was fitted to no examples, and so has nothing to say of a frame.
    """

    def __init__(self, keeping: Keeping = _USUAL, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.session: Session | None = None
        self.last: int | None = None
        self.vocabulary = Vocabulary(())
        self.is_empty = True
        self._clock = clock
        self._teacher: Teacher | None = None
        self._head: Head | None = None
        self._is_beginning = False
        self._collecting: int | None = None
        self._until: float | None = None  # when the key counts as let go; None while somebody will say so
        self._is_due = False  # whether the next frame is an example
        self._last_time = -np.inf
        self._thread = TeachingThread(keeping)

    # --- in the thread of the run -----------------------------------------------------------------------------------

    @property
    def collecting(self) -> int | None:
        """The class of which examples are being collected; None while none are."""
        return self._collecting

    @property
    def classes(self) -> tuple[TaughtClass, ...]:
        """What is known of each class; none before the network is ready."""
        return self._thread.classes

    @property
    def is_unsaved(self) -> bool:
        """Whether something was taught after the last file was written."""
        return self._thread.is_unsaved

    @property
    def error(self) -> BaseException | None:
        """The exception that ended the thread that fits, if it was none of ours."""
        return self._thread.error

    @property
    def is_alive(self) -> bool:
        """Whether what is asked for will be done."""
        return self._thread.is_alive

    @property
    def has_failed(self) -> bool:
        """Whether no network is ready to be taught, and none is being made ready."""
        return self.session is None and not self._is_beginning

    def begin(self, make: Callable[[], tuple[Teacher, Session]]) -> None:
        """Have a network made ready, if none is: it takes seconds, in which frames go on."""
        if self.has_failed:
            self._is_beginning = True
            self._thread.do(lambda: self._begin(make))

    def _begin(self, make: Callable[[], tuple[Teacher, Session]]) -> None:
        try:
            self.take(*make())
        finally:
            self._is_beginning = False

    def take(self, teacher: Teacher, session: Session) -> None:
        """Teach a network that is ready."""
        self._thread.take(teacher)
        self._use(swap_of(teacher))
        self._teacher = teacher
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
            self._thread.do(self._thread.end_burst)

    def tick(self) -> None:
        """Look whether the key was let go."""
        if self._until is not None and not self._is_due and self._clock() > self._until:
            self.release()
            self._until = None

    def undo(self) -> None:
        """Take the last burst back."""
        self._check_ready()
        self.release()
        self._thread.do(self._thread.undo)

    def rename(self, index: int | None, name: str) -> None:
        """Name a class; None for the one that was collected last.

        Raises:
            UsageError: there is none yet.
        """
        self._check_ready()
        place = self.class_to_name(index)
        self._thread.do(lambda: self._thread.rename(place, name))

    def class_to_name(self, index: int | None) -> int:
        """The class that a name is for; None stands for the one that was collected last.

        Raises:
            UsageError: there is none yet.
        """
        index = self.last if index is None else index
        if index is None:
            raise UsageError("collect pictures of a class first: then you can name it")
        return index

    def save(self) -> None:
        """Write the model and the examples.

        Raises:
            UsageError: the network is not ready.
        """
        self._check_ready()
        self.release()
        self._thread.do(self._thread.save)

    def model(self) -> bytes:
        """The model as the bytes of a `.keras` file, once all that was asked for before is done. In any thread.

        Raises:
            UsageError: the network is not ready, or fewer than two classes have examples.
            OutputError: there is no room for a file.
        """
        self._check_ready()
        self.release()
        made: Future[bytes] = Future()
        self._thread.do(lambda: _fulfil(made, self._thread.model))
        while not wait([made], _WAKE_SECONDS).done:
            if not self.is_alive:
                raise UsageError("teaching has ended: there is no model")
        return made.result()

    def message(self) -> Message | None:
        """The next line to show of what was done; None for nothing new."""
        return self._thread.message()

    def to_json(self) -> dict[str, Any]:
        """What is known of it, as plain values.

        Returns:
            `is_ready`; `rows`: [{`index`, `name`, `count`, `bursts`, `note` (what is missing, in words), and
            `is_collecting`}]; `free`: the class that can be collected next, or null; `last`: the one that was
            collected last, or null; `accuracy`: 0…1 or null; `is_unsaved`; `can_save`: whether there is a model.
        """
        shown = self._shown() if self.session is not None else []
        free = self._free() if self.session is not None else None
        rows = [
            {
                "index": one.index,
                "name": one.name,
                "count": one.count,
                "bursts": one.bursts,
                "note": _what_is_missing(one),
                "is_collecting": one.index == self._collecting,
            }
            for one in shown
        ]
        return {
            "is_ready": self.session is not None,
            "rows": rows,
            "free": free and free.index,
            "last": self.last,
            "accuracy": self._thread.accuracy,
            "is_unsaved": self.is_unsaved,
            "can_save": sum(one.count > 0 for one in shown) > 1,
        }

    def panel(self, typed: str | None) -> TeachingPanel:
        """What is to be seen of it.

        Args:
            typed: the name that is being typed; None for none.
        """
        if self.session is None:
            return TeachingPanel((), ["getting ready to be taught …"])
        rows, free = [self._row(one) for one in self._shown()], self._free()
        if free is not None:
            rows.append(TeachingRow(str(free.index), "hold to collect a class", ""))
        known = self._thread.accuracy
        accuracy = "accuracy: hold each twice" if known is None else f"accuracy {100 * known:.0f} %"
        notes = [accuracy, "not written yet" if self.is_unsaved else ""]
        line = None if typed is None else f"name of {self._name_of(self.last)}: {typed}_"
        return TeachingPanel(rows, [note for note in notes if note], line, ("class", "pictures in bursts"))

    def _shown(self) -> list[TaughtClass]:
        """The classes that there is something to say of."""
        return [one for one in self.classes if one.count or one.is_named or one.index == self._collecting]

    def _free(self) -> TaughtClass | None:
        """The class that can be collected next; None where all are taken."""
        free = next((one for one in self.classes if not (one.count or one.is_named)), None)
        return None if free is None or free.index == self._collecting else free

    def _row(self, one: TaughtClass) -> TeachingRow:
        amount = f"{one.count} in {one.bursts}" if one.count else "none"
        return TeachingRow(str(one.index), one.name, amount, _what_is_missing(one), one.index == self._collecting)

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
            raise UsageError("the network is not ready to be taught yet: wait a moment")

    def taught(self) -> Taught | None:
        """What was taught; None where nothing was."""
        done, shown = self._thread, tuple(one for one in self.classes if one.count)
        if not (shown or done.models or done.failure):
            return None
        return Taught(shown, done.accuracy, tuple(done.models), done.failure, done.is_unsaved)

    # --- in the thread that explains ----------------------------------------------------------------------------------

    def swap(self, session: Session) -> bool:
        """Use the newest head, between two frames. Returns whether it is new.

        Args:
            session: the one that explains next, of the network that is taught.
        """
        newest = self._thread.swaps.take(0)
        if newest is not None:
            self._use(newest)
        if self._teacher is not None and self._head is not None:
            self._teacher.use(self._head, session.classifier)  # in whose place another teacher's may be
        return newest is not None

    def _use(self, newest: Swap) -> None:
        self._head, self.vocabulary, self.is_empty = newest

    def see(self, frame: Frame, features: np.ndarray | None) -> None:
        """Take a frame as an example, if it is to be one.

        Args:
            frame: the frame; its image does not change any more.
            features: float32 (d,), of the pass that explained it.
        """
        index = self._collecting
        is_wanted = self._is_due or (index is not None and self._until is None)
        if self._teacher is None or index is None or not is_wanted or features is None:
            return
        if abs(float(frame.pts) - self._last_time) < _BETWEEN_EXAMPLES:
            return
        self._last_time, self._is_due = float(frame.pts), False
        seen = self._teacher.backbone.seen(frame.image)  # while one waits it takes little memory
        self._thread.do(lambda: self._thread.add(seen, index, features))

    def drop(self) -> None:
        """End without waiting: what is not written is lost."""
        self._collecting = None
        self._thread.drop()

    def __enter__(self) -> Teaching:
        self._thread.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()
        if self.session is not None:
            self._thread.do(self._thread.save_what_is_left)
        self._thread.__exit__(*exception)


def _what_is_missing(one: TaughtClass) -> str:
    """What a class needs, in words; empty for nothing."""
    if not one.has_too_few:
        return ""
    return "too few: hold it again" if one.bursts < LEAST_BURSTS else "too few: hold it longer"


def _fulfil(made: Future[bytes], make: Callable[[], bytes]) -> None:
    """Make what somebody waits for, and let an error be theirs."""
    try:
        made.set_result(make())
    except Exception as error:
        made.set_exception(error)
