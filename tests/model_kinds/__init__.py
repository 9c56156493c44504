"""Small models of the kinds that people build, and the reference that explanations of them are compared with."""

from tests.model_kinds import composed, heads, layers_of_convolutions, pixels, precisions, tokens
from tests.model_kinds.kind import KINDS, Kind

__all__ = ["KINDS", "Kind", "composed", "heads", "layers_of_convolutions", "pixels", "precisions", "tokens"]
