"""Fit a network to one's own classes: `live_gradcam.fit`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from live_gradcam.fitting.fitted import Fitted
from live_gradcam.fitting.options import DEFAULT_OPTIONS, FitOptions
from live_gradcam.networks.catalog import DEFAULT_MODEL

if TYPE_CHECKING:
    import keras

#: Called as a stage goes on: (what is done, done, in all).
OnProgress = Callable[[str, int, int], None]


def fit(
    source: str | Path | Mapping[str | Path, str],
    *,
    model: str | Path | keras.Model = DEFAULT_MODEL,
    options: FitOptions = DEFAULT_OPTIONS,
    on_progress: OnProgress | None = None,
) -> Fitted:
    """Fit a network to one's own classes.

    Args:
        source: a folder with a folder of pictures and videos for each class, or `{video: class}`.
        model: the network whose features are used: as for `load_classifier`.
        options: how.
        on_progress: called as a stage goes on.

    Raises:
        LiveGradcamError: there are not enough examples, or the network has no pooled features.
    """
    raise NotImplementedError
