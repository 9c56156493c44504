"""A viewer of the page: what they have chosen, what they teach, and the answers to their frames."""

from __future__ import annotations

import logging
import time
from collections import deque
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any

from live_gradcam.attribution.fit_choice import describe_fit
from live_gradcam.drawing.overlay import Overlay
from live_gradcam.errors import LiveGradcamError, UsageError, first_line
from live_gradcam.explanations.boxes import SteadyBoxes
from live_gradcam.explanations.explanation import Explanation
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.flow.metrics import FrameRate
from live_gradcam.live_loop.explaining_commands import EXPLAINING, TEACH
from live_gradcam.live_loop.pool import SessionPool
from live_gradcam.live_loop.state import LiveState
from live_gradcam.live_loop.steady import Networks, SteadyExplainer
from live_gradcam.live_loop.teaching import Teaching
from live_gradcam.live_loop.teaching_commands import TEACHING
from live_gradcam.live_loop.variants import Variants
from live_gradcam.serving.explaining.answers import facts_of, maps_of
from live_gradcam.serving.explaining.carrying import carried, take_over
from live_gradcam.serving.explaining.classroom import Classroom
from live_gradcam.serving.explaining.decoding import DecodedFrame, ViewerClock
from live_gradcam.serving.explaining.telling import ready_of, state_of
from live_gradcam.serving.messages import NEW_SOURCE, STILL, Reply, pack_answer, pack_notice, pack_text
from live_gradcam.serving.options import ViewerOptions
from live_gradcam.sources.frame import Frame
from live_gradcam.surfaces.commands import Argument, Command, CommandTable
from live_gradcam.surfaces.scene import LiveExplanation

_log = logging.getLogger(__name__)

#: How many notices wait at most, and how long one is at most, in characters.
_MOST_NOTICES, _LONGEST_NOTICE = 20, 500
#: The largest frame that is kept to be drawn, in bytes: of 1920x1080 pixels.
_MOST_KEPT = 3 * 1920 * 1080
_ENDED = "teaching stopped because of an error in the program: {why}. Open the page again to teach"

#: What a viewer can ask for here. What is shown, the page changes by itself.
VIEWER_COMMANDS: CommandTable[Any] = CommandTable(*EXPLAINING, TEACH, *TEACHING)


class ViewerRun:
    """Explains a viewer's frames, and does their commands. Use as a context manager, in one thread.

    Args:
        networks: what explains; all viewers of a worker share them.
        classroom: lets the viewer teach.
        options: how the viewer is explained.

    Attributes:
        state: what the viewer has chosen.
        teaching: what the viewer teaches the network.
        explained: the newest explained frame, with its boxes; None before the first, and of a frame that is too large
            to be kept.
        explanation: the newest explanation; None before the first, of a black frame, and where nothing is taught yet.
    """

    def __init__(self, networks: Networks, classroom: Classroom, options: ViewerOptions) -> None:
        overlay = Overlay(options.colormap, options.alpha)
        self.state = LiveState(overlay, options.view, mirror=bool(options.mirror), boxes=options.boxes.drawn)
        self.state.smooth, self.state.pinned = options.smooth, networks.own.first.targets
        self.teaching: Teaching = classroom.new_teaching()
        self.explained: LiveExplanation | None = None
        self.explanation: Explanation | None = None
        self._classroom = classroom
        self._explainer = SteadyExplainer(networks, self.state, self.teaching)
        self._threshold = options.boxes.threshold
        self._boxes = SteadyBoxes(threshold=self._threshold)
        self._clock, self._rate = ViewerClock(), FrameRate()
        self._count = 0
        self._awaited: tuple[int, int] | None = None  # the size of frames that something is compiled for
        self._notices: deque[bytes] = deque(maxlen=_MOST_NOTICES)
        self._told_of: SessionPool | None = None
        self._said: dict[str, Any] = {}
        self._carried: dict[str, Any] | None = None
        self._revision = 0

    # --- what commands act on ---------------------------------------------------------------------------------------

    @property
    def variants(self) -> Variants:
        """The network's methods, layers and fits."""
        return self._explainer.variants

    @property
    def vocabulary(self) -> Vocabulary:
        """The classes that can be asked for."""
        return self._explainer.vocabulary

    @property
    def maps(self) -> int:
        """How many classes can be explained at a time."""
        return self.variants.current.maps

    @property
    def rate(self) -> float:
        """How many frames per second are explained."""
        return self._rate.fps

    def teach(self, wanted: bool) -> None:
        """Teach the network, or go back to it as it was.

        Raises:
            UsageError: as many viewers teach as there is room for, or this one's teaching has ended.
        """
        if wanted and self.teaching.error is not None:
            raise UsageError(_ENDED, why=first_line(self.teaching.error))
        if wanted and self.teaching.session is None:
            self._classroom.admit(self.teaching)
        if not wanted:
            self.teaching.release()
        self.state.teaching, self.state.naming = wanted, None

    # --- what is asked for ------------------------------------------------------------------------------------------

    def open(self, state: dict[str, Any] | None) -> list[bytes]:
        """The first messages for the viewer.

        Args:
            state: what another worker's `Reply.state` last gave; None for a viewer who is new.
        """
        if state is not None and take_over(state, self):
            self.notify("the network was started again, and what you taught is lost: teach it again", is_error=True)
        return self._reply().texts

    def command(self, name: str, argument: Argument) -> Reply:
        """Do a command. What is wrong with it is told, and nothing else happens."""
        try:
            VIEWER_COMMANDS.do(Command(name, argument), self)
        except UsageError as error:
            self.notify(error.words, is_error=True, **error.values)
        return self._reply()

    def explain(self, frame: DecodedFrame) -> Reply:
        """Explain a frame.

        Raises:
            LiveGradcamError: it cannot be explained.
        """
        if frame.image is None:
            raise LiveGradcamError("the picture is damaged: it cannot be decoded")
        start = time.monotonic()
        if frame.flags & NEW_SOURCE:
            self._explainer.forget()
            self._boxes = SteadyBoxes(threshold=self._threshold)
        now, is_still = self._clock.time_of(frame.time), bool(frame.flags & STILL)
        self._count += 1
        shown = Frame(frame.image, self._count, Fraction(now), now)
        if self._is_ready_for((frame.image.shape[0], frame.image.shape[1])):
            explained = self._boxed(self._explainer.explain(shown, is_still=is_still), is_still=is_still)
        else:
            session = self.variants.current
            explained = LiveExplanation(shown, None, session.model, session.method, session.layer)
        self.explanation = explained.explanation
        self.explained = explained if frame.image.size <= _MOST_KEPT else None
        end = time.monotonic()
        self._rate.tick(end)
        reply = self._reply()
        facts = {
            "revision": self._revision,
            **facts_of(explained),
            "milliseconds": {
                "waiting": round(1e3 * frame.waited, 2),
                "decoding": round(1e3 * frame.decoding, 2),
                "explaining": round(1e3 * (end - start), 2),
            },
            "rate": round(self._rate.fps, 2),
        }
        return reply._replace(answer=pack_answer(frame.id, facts, maps_of(self.explanation)))

    def poll(self) -> Reply:
        """What has changed without a frame."""
        self._explainer.refresh()
        if self._awaited is not None:
            with suppress(LiveGradcamError):  # the next frame is told why, and nobody waits any more
                self._is_ready_for(self._awaited)
        return self._reply()

    def _is_ready_for(self, size: tuple[int, int]) -> bool:
        """Whether a frame of a size can be explained now: nobody's frames wait while something is compiled."""
        session = self._explainer.refresh()
        self._awaited = None  # also where it cannot be had
        is_ready = self.variants.pool.get_ready(session, size)
        self._awaited = None if is_ready else size
        return is_ready

    @property
    def compiling(self) -> str | None:
        """What is being compiled for the viewer, in words; None for nothing."""
        if self._awaited is not None:
            session = self.variants.current
            return describe_fit(session.fit, session.tiles_for(self._awaited))
        return self.variants.compiling

    def notify(self, words: str, *, is_error: bool = False, **values: str | int) -> None:
        """Tell the viewer something: see `pack_notice`."""
        self._notices.append(pack_notice(words[:_LONGEST_NOTICE], is_error=is_error, values=values))

    def _boxed(self, explained: LiveExplanation, *, is_still: bool) -> LiveExplanation:
        """With boxes of all maps where they are shown, and else of the first map, for the numbers."""
        stable = explained.stable
        if stable is None:
            return explained
        boxes = SteadyBoxes(threshold=self._threshold, seconds=0) if is_still else self._boxes
        if not is_still:
            boxes.seconds = self.state.smooth
        maps = None if self.state.boxes else 1
        found = boxes.steady(stable.explanation, stable.frame_size, explained.frame.captured_at, maps=maps)
        missing = len(found.targets) - len(found.boxes)
        found = replace(found, boxes=(*found.boxes, *[()] * missing))
        return replace(explained, stable=replace(stable, explanation=found))

    # --- what is told -----------------------------------------------------------------------------------------------

    def _reply(self) -> Reply:
        self._take_notice()
        texts = [*self._notices]
        self._notices.clear()
        if self.variants.pool is not self._told_of:
            self._told_of = self.variants.pool
            texts.append(ready_of(self._told_of, can_be_taught=self._classroom.is_open))
        said = {**state_of(self), "generation": self._explainer.generation}
        carry = None
        if said != self._said:
            self._said = said
            self._revision += 1
            shown = {name: value for name, value in said.items() if name != "generation"}
            texts.append(pack_text("state", revision=self._revision, state=shown))
            now = carried(self)
            carry = now if now != self._carried else None
            self._carried = now
        return Reply(None, texts, carry, pending=self.state.teaching or self.compiling is not None)

    def _take_notice(self) -> None:
        """Tell what became of what was asked for."""
        variants, teaching = self.variants, self.teaching
        if variants.error is not None:
            _log.error("a method or layer could not be compiled", exc_info=variants.error)
            variants.error = None
        if variants.failure is not None:
            self.notify(variants.failure, is_error=True)
            variants.failure = None
        teaching.tick()
        while (message := teaching.message()) is not None:
            self.notify(message.words, is_error=message.is_error, **message.values)
        if teaching.error is not None and self.state.teaching:
            _log.error("teaching has ended", exc_info=teaching.error)
            self.notify(_ENDED, is_error=True, why=first_line(teaching.error))
            self.state.teaching = False
        if self.state.teaching and teaching.has_failed:
            self.state.teaching = False

    def refresh(self) -> list[bytes]:
        """All there is to know, again."""
        self._said, self._told_of = {}, None
        return self._reply().texts

    def __enter__(self) -> ViewerRun:
        self._explainer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._explainer.__exit__()
        self._classroom.dismiss(self.teaching)
