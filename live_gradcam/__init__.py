"""Live Grad-CAM: what does the network see, and where does it see it?

The public names are resolved when they are first used: importing this package does not import TensorFlow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from live_gradcam.annotating.annotate import annotate
    from live_gradcam.annotating.options import AnnotateOptions
    from live_gradcam.attribution.explainer import Explainer
    from live_gradcam.attribution.session import SessionOptions
    from live_gradcam.explanations.explanation import Explanation, Prediction, Target
    from live_gradcam.networks.catalog import load_classifier
    from live_gradcam.networks.classifier import Classifier

__all__ = [
    "AnnotateOptions",
    "Classifier",
    "Explainer",
    "Explanation",
    "Prediction",
    "SessionOptions",
    "Target",
    "annotate",
    "load_classifier",
]

_ROOMS = {
    "AnnotateOptions": "live_gradcam.annotating.options",
    "Classifier": "live_gradcam.networks.classifier",
    "Explainer": "live_gradcam.attribution.explainer",
    "Explanation": "live_gradcam.explanations.explanation",
    "Prediction": "live_gradcam.explanations.explanation",
    "SessionOptions": "live_gradcam.attribution.session",
    "Target": "live_gradcam.explanations.explanation",
    "annotate": "live_gradcam.annotating.annotate",
    "load_classifier": "live_gradcam.networks.catalog",
}


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
