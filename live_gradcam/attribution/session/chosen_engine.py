"""An engine that was chosen, and why."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.choices import Precision
from live_gradcam.compiling.compilation import describe_way

_log = logging.getLogger(__name__)


class Way(NamedTuple):
    """A way to run a network.

    Attributes:
        engine: a name of `choices.ENGINES`.
        precision: of its products.
    """

    engine: str
    precision: Precision

    def __str__(self) -> str:
        return describe_way(self.engine, self.precision)


@dataclass(frozen=True)
class ChosenEngine:
    """A way to run a network that was chosen.

    Attributes:
        way: which one.
        why: the reason, to stand after a colon.
        notice: what is said at every start; empty for nothing.
        milliseconds: per frame, of each way that was timed and agrees.
        is_sure: whether nothing disturbed the timing.
        attempts: how often there was a timing until this one, this one included.
    """

    way: Way
    why: str
    notice: str = ""
    milliseconds: Mapping[str, float] = field(default_factory=dict)
    is_sure: bool = True
    attempts: int = 1

    @property
    def text(self) -> str:
        """The reason with the times."""
        times = ", ".join(f"{way} {taken:.1f} ms" for way, taken in self.milliseconds.items())
        return f"{self.why} ({times} per frame)" if times else self.why

    def of(self, options: SessionOptions) -> SessionOptions:
        """The options with this engine and precision."""
        return replace(options, engine=self.way.engine, precision=self.way.precision)

    def say(self) -> None:
        """Log what was chosen and why."""
        _log.info("the engine is %s: %s", self.way, self.text)
        if self.notice:
            _log.warning("%s", self.notice)

    def to_bytes(self) -> bytes:
        """As JSON."""
        return json.dumps(vars(self)).encode()

    @classmethod
    def from_bytes(cls, content: memoryview) -> ChosenEngine:
        """The choice of what `to_bytes` gave.

        Raises:
            ValueError, KeyError, TypeError: it is something else.
        """
        found = json.loads(bytes(content))
        return cls(**{**found, "way": Way(*found["way"])})
