"""How frames enter the network where nobody says how: the most accurate fit that keeps up.

`benchmarks/fits.py` measures what each is worth: on 16:9 tiles name the most, then fewer tiles, then the middle square,
and a squeezed frame the least.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.kept.records import NetworkRecord
    from live_gradcam.choices import Fit
    from live_gradcam.networks.classifier import Classifier

_log = logging.getLogger(__name__)

#: The share of the time between two frames that explaining may take: the rest is for reading and drawing them.
_SHARE = 0.7
#: Frames this much longer or shorter than the network's input are of the same shape.
_ALIKE = 1.1


@dataclass(frozen=True)
class Stream:
    """What is known of the frames that will come.

    Attributes:
        frame_size: (height, width) of its frames in pixels.
        frame_rate: its frames per second; None where it waits for who takes them.
    """

    frame_size: tuple[int, int] = (720, 1280)
    frame_rate: float | None = 30.0


#: Says what is known of the frames that will come; None while nothing is.
Look = Callable[[], Stream | None]


def describe_fit(fit: str, tiles: int) -> str:
    """How a frame enters the network, in words: "3 tiles", "crop"."""
    return f"{tiles} tiles" if tiles > 1 else fit


def most_accurate_fit(classifier: Classifier | NetworkRecord, *, of_catalog: bool, takes_tiles: bool) -> Fit:
    """The fit for pictures and files.

    A network that was trained on ImageNet takes tiles. A model file is trained as nobody but its maker knows: its own
    Resizing layer says how, and else frames are squeezed, as Keras' loaders do it unless they are told otherwise. That
    is a guess (`is_guess`), which the user is to be told.

    Args:
        classifier: the network, or what is known of it from an earlier start.
        of_catalog: whether it is one of the catalogue's, by its name.
        takes_tiles: whether the method does: one that takes many passes explains one input alone.
    """
    if classifier.fit is not None:
        fit: Fit = classifier.fit  # type: ignore[assignment]  # it is one of them
        return fit
    return "tiles" if of_catalog and takes_tiles else "stretch"


def is_guess(classifier: Classifier | NetworkRecord, *, of_catalog: bool) -> bool:
    """Whether nobody says how pictures were made to fit when the network was trained. For the arguments see above."""
    return classifier.fit is None and not of_catalog


class FitGuess:
    """Says once that the fit is a guess, where it matters: for a frame of another shape than the network's input.

    Args:
        classifier: the network, whose file does not say how pictures were made to fit.
    """

    def __init__(self, classifier: Classifier | NetworkRecord) -> None:
        self._classifier = classifier
        self._is_said = False

    def look_at(self, frame_size: tuple[int, int]) -> None:
        """Take note of a frame of (height, width) pixels."""
        height, width = self._classifier.input_size
        squeeze = frame_size[0] * width / (frame_size[1] * height)
        if self._is_said or 1 / _ALIKE <= squeeze <= _ALIKE:
            return
        self._is_said = True
        _log.warning(
            "%s does not say how pictures were resized in training. Frames are squeezed into its input, as Keras' "
            "loaders do it. If yours were cropped, use --fit crop or --fit tiles. --fit stretch stops this message",
            self._classifier.name,
        )


def keeping_up(explainer: Explainer, stream: Stream) -> Explainer:
    """The explainer of the most accurate fit that holds a stream's frame rate on this machine.

    Args:
        explainer: of tiles; what has another fit keeps it.
        stream: what is to be explained.
    """
    if explainer.fit != "tiles" or stream.frame_rate is None:
        return explainer
    budget = _SHARE * 1e3 / stream.frame_rate
    for candidate in _candidates(explainer, stream.frame_size):
        taken = candidate.milliseconds(stream.frame_size)
        what = describe_fit(candidate.fit, candidate.tiles_for(stream.frame_size))
        _log.info(
            "the fit %s takes %.1f ms per frame; %.1f ms are fast enough for %.1f FPS",
            what,
            taken,
            budget,
            stream.frame_rate,
        )
        if taken <= budget:
            break
    return candidate


def _candidates(explainer: Explainer, frame_size: tuple[int, int]) -> Iterator[Explainer]:
    """From the most accurate one to the quickest: all tiles, fewer, the middle square."""
    yield explainer
    for tiles in range(explainer.tiles_for(frame_size) - 1, 1, -1):
        yield explainer.variant(method=explainer.method, layer=explainer.layer, fit="tiles", tiles=tiles)
    if explainer.tiles_for(frame_size) > 1:
        yield explainer.variant(method=explainer.method, layer=explainer.layer, fit="crop")
