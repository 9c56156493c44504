"""A live run without a network: a session that answers at once, a camera that is a loop, a surface in a thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from live_gradcam.attribution.session.chosen_engine import ChosenEngine
from live_gradcam.explanations.explanation import Explanation, Prediction, Region, Target
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.commands import Command, CommandTable
from live_gradcam.surfaces.scene import Scene
from live_gradcam.surfaces.surface import Wants

LABELS = ("something", "else", "other")
_PROBABILITIES = np.array([0.7, 0.2, 0.1], np.float32)


def camera(rate: float = 30, size: tuple[int, int] = (360, 640), frames: int | None = None) -> Iterator[Frame]:
    """Frames of (height, width) pixels, so many per second.

    It goes on: the last frame of a source that ends waits as long as the one before it takes, for no newer comes.
    """
    begun = time.monotonic()
    for index in itertools.count() if frames is None else range(frames):
        due = begun + index / rate
        time.sleep(max(0.0, due - time.monotonic()))
        yield Frame(
            np.full((*size, 3), 1 + index % 250, np.uint8), index, Fraction(index) / Fraction(rate), time.monotonic()
        )


@dataclass(frozen=True)
class FakeSession:
    """Explains every frame alike.

    Attributes:
        seconds: how long it takes for one.
        compiling: how long it takes to get ready for frames of a size.
        compiled_for: that size, (height, width); other frames are explained all the same.
    """

    seconds: float = 0.0
    method: str = "grad-cam"
    layer: str = "last"
    fit: str = "tiles"
    engine: str = "xla"
    precision: str = "f32"
    chosen: ChosenEngine | None = None
    targets: tuple[Target, ...] = ()
    model: str = "fake"
    layers: tuple[str, ...] = ("first", "last")
    methods: tuple[str, ...] = ("grad-cam", "layercam")
    vocabulary: Vocabulary = field(default_factory=lambda: Vocabulary(LABELS))
    weights: int = 0
    maps: int = 1
    compiling: float = 0.0
    compiled_for: tuple[int, int] | None = None
    card_levels: None = None

    def ready_for(self, frame_size: tuple[int, int]) -> FakeSession:
        time.sleep(self.compiling)
        return replace(self, compiled_for=frame_size)

    def noise_floor(self, frame_size: tuple[int, int]) -> float:
        return 0.0

    def variant(self, **changes: Any) -> FakeSession:
        return replace(self, **changes)

    def explain_frame(self, image: np.ndarray, targets: Any = None) -> Explanation:
        time.sleep(self.seconds)
        height, width = image.shape[:2]
        best = tuple(Prediction(index, LABELS[index], float(_PROBABILITIES[index])) for index in range(len(LABELS)))
        chosen = targets[0].index if isinstance(targets, tuple) and targets else targets or 0
        return Explanation(
            best,
            np.eye(7, dtype=np.float32)[None],
            (best[chosen],),
            np.ones(1, np.float32),
            _PROBABILITIES,
            _PROBABILITIES,
            Region(0, 0, width, height),
            fit=self.fit,
        )


class ThreadedSurface:
    """Shows scenes and gives commands in a thread of its own, as a server does for those who look at it.

    Args:
        script: what that thread does: it gets the surface, on which it calls `ask`, `wait_for` and `scene`. Then it
            quits.
        wants: what the surface wants; None for what a window wants.
    """

    def __init__(self, script: Callable[[ThreadedSurface], None], wants: Wants | None = None) -> None:
        self.wants = wants or Wants()
        self.calls: list[str] = []
        self.scenes = 0
        self.failure: BaseException | None = None
        self.table: CommandTable[Any] = CommandTable()
        self._script = script
        self._changed = threading.Condition()
        self._scene: Scene | None = None
        self._asked: list[Command] = []
        self._thread = threading.Thread(target=self._work, name="viewer")

    def check(self) -> None:
        self.calls.append("check")

    def open(self, commands: CommandTable[Any]) -> None:
        self.calls.append("open")
        self.table = commands
        self._thread.start()

    def show(self, scene: Scene) -> None:
        with self._changed:
            self.scenes += 1
            self._scene = scene
            self._changed.notify_all()

    def commands(self) -> Iterable[Command]:
        with self._changed:
            asked, self._asked = self._asked, []
        return asked

    def close(self) -> None:
        self.calls.append("close")
        self._thread.join()

    def _work(self) -> None:
        try:
            self._script(self)
        except BaseException as failure:  # raised again by the test
            self.failure = failure
        self.ask("quit")

    def ask(self, name: str, argument: Any = None) -> None:
        """Give a command."""
        with self._changed:
            self._asked.append(Command(name, argument))

    def ask_together(self, name: str, argument: Any, *, then: str) -> None:
        """Give two commands that the run finds at once."""
        with self._changed:
            self._asked += [Command(name, argument), Command(then)]

    def wait_for(self, condition: Callable[[Scene], object], seconds: float = 20) -> Scene:
        """The first scene from now on that is as it must be."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._scene is not None and condition(self._scene), seconds), (
                self.said
            )
            assert self._scene is not None
            return self._scene

    @property
    def said(self) -> str:
        """What the newest scene is like, for a test that fails."""
        return str(self._scene and (self._scene.state, self._scene.hud))


def fake_session(**changes: Any) -> Any:
    """A session, typed as nobody asks."""
    return FakeSession(**changes)
