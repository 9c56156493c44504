"""A session of a toy, which starts in a moment."""

from __future__ import annotations

from dataclasses import replace

from toy_networks import classifier_of, two_dense_layers

from live_gradcam import Explainer, Session

#: What no notebook may take for HTML, and Matplotlib for no formula.
LABELS = ('<b>bold</b> & "sweet"', "$x_1$", "tabby", "tiger cat", "$5")


def toy_session(maps: int = 1) -> Session:
    classifier = replace(classifier_of(two_dense_layers()), labels=LABELS)
    return Session(Explainer(classifier, maps=maps, engine="graph", lowering=False, tune="off"), (), {})
