"""Pictures that programs post: each is explained by itself, as `live-gradcam explain` does."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from live_gradcam.attribution.session import Session, SessionOptions
from live_gradcam.choices import Names
from live_gradcam.errors import UsageError
from live_gradcam.explanations.boxes import with_boxes
from live_gradcam.networks.labels import choose_names, find_targets
from live_gradcam.pictures import ExplainedPicture
from live_gradcam.serving.explaining.decoding import picture_of


class PostedPictures:
    """Explains pictures with the fit and the names that `explain` chooses.

    What these need is compiled for the first picture that asks for it, in the thread that explains it.

    Args:
        session: of the stream: where it has the same fit and names, it explains the pictures too.
        options: what was asked for.
        threshold: of the boxes, as a share of the map's maximum.
    """

    def __init__(self, session: Session, options: SessionOptions, threshold: float) -> None:
        self._session = session
        self._options = options
        self._threshold = threshold
        self._lock = threading.Lock()
        self._by_names: dict[Names, Session] = {}

    def explain(self, jpeg: bytes, classes: Sequence[str], passing: AbstractContextManager[object]) -> dict[str, Any]:
        """Explain a picture.

        Args:
            jpeg: the picture. Its size is to be checked before.
            classes: to explain, by index or label, or as "A>B"; none for those of the options, or the top class.
            passing: is entered while the picture is explained, and not while something is compiled for it.

        Returns:
            The fields of `live-gradcam explain --json`.

        Raises:
            UsageError: the picture is damaged, there is no such class, or there are more than can be explained.
        """
        image = picture_of(jpeg)
        if image is None:
            raise UsageError("the picture is damaged: it cannot be decoded")
        maps = self._session.maps
        if len(classes) > maps:
            raise UsageError(f"{len(classes)} classes are asked for, and {maps} can be explained at a time")
        asked, labels = classes or self._options.classes, self._session.vocabulary.classes
        names = self._options.names or choose_names(asked, labels, are_usual=False)
        targets = find_targets(asked, labels, names)
        size = (image.shape[0], image.shape[1])
        session = self._ready(names, size)
        with passing:
            explanation = session.explain_frame(image, targets or None)
        explanation = with_boxes(explanation.of_maps(slice(0, max(1, len(targets)))), size, threshold=self._threshold)
        return ExplainedPicture(None, image, explanation).to_json()

    def _ready(self, names: Names, size: tuple[int, int]) -> Session:
        with self._lock:
            if names not in self._by_names:
                self._by_names[names] = self._session.for_pictures(names)
            session = self._by_names[names]
            if not session.is_ready_for(size):
                session.get_ready_for(size)  # while others are explained
        return session
