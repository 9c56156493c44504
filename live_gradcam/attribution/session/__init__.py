"""A session: from the options that every command shares to a warmed-up explainer with the classes to explain."""

from live_gradcam.attribution.session.listing import LayerRow, describe_model, explain_lowering, list_layers
from live_gradcam.attribution.session.options import SessionOptions, parse_feed
from live_gradcam.attribution.session.session import Session
from live_gradcam.attribution.session.starting import start_session

__all__ = [
    "LayerRow",
    "Session",
    "SessionOptions",
    "describe_model",
    "explain_lowering",
    "list_layers",
    "parse_feed",
    "start_session",
]
