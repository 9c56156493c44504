"""How camera pixels become a network's input: the recipes that published networks were trained with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from live_gradcam.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    import numpy as np

ChannelOrder = Literal["rgb", "bgr", "grey"]


@dataclass(frozen=True)
class Preprocessing:
    """`input = (pixels − mean) × scale`, per channel, on pixels of 0…255.

    Attributes:
        mean: subtracted first, in the network's own channel order, in pixel units.
        scale: multiplied last, in the network's own channel order.
        channels: the order the network wants. `"grey"` is one channel (luma of ITU-R BT.601).
    """

    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    channels: ChannelOrder = "rgb"

    @classmethod
    def of_range(cls, low: float, high: float) -> Preprocessing:
        """The recipe of a network whose input is `low` for black and `high` for white, in RGB."""
        return cls(_same(-255 * low / (high - low)), _same((high - low) / 255))

    def pixels(self, inputs: np.ndarray) -> np.ndarray:
        """The pixels that become these inputs: what a person can look at.

        Args:
            inputs: (n, height, width, 3), or with one channel, as the network takes them.

        Returns:
            uint8 (n, height, width, 3), BGR.
        """
        import numpy as np

        shades = inputs.shape[-1]
        pixels = inputs.astype(np.float32) / self.scale[:shades] + self.mean[:shades]
        pixels = np.broadcast_to(pixels, (*inputs.shape[:-1], 3))
        if self.channels == "rgb":
            pixels = pixels[..., ::-1]
        return np.ascontiguousarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))

    @property
    def mean_colour(self) -> np.ndarray:
        """The colour that becomes 0 in the network's input: uint8 (3,), BGR.

        It is black for a network that takes pixels as they are, or normalises them itself.
        """
        import numpy as np

        mean = self.mean if self.channels == "bgr" else self.mean[::-1]
        if self.channels == "grey":
            mean = (self.mean[0],) * 3
        return np.clip(np.rint(mean), 0, 255).astype(np.uint8)


def _same(value: float) -> tuple[float, float, float]:
    return (value, value, value)


_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

#: As a preprocessing: the model's own, or what its batch norms expect.
AUTO = "auto"

#: Name (as `--preprocessing` spells it) to recipe. "tf", "caffe" and "torch" are the modes of
#: `keras.applications.imagenet_utils.preprocess_input`. "…-bgr" is for networks trained on what OpenCV reads, as it is.
PREPROCESSINGS: dict[str, Preprocessing] = {
    "raw": Preprocessing(),
    "raw-bgr": Preprocessing(channels="bgr"),
    "unit": Preprocessing(scale=_same(1 / 255)),
    "unit-bgr": Preprocessing(scale=_same(1 / 255), channels="bgr"),
    "tf": Preprocessing(mean=_same(127.5), scale=_same(1 / 127.5)),
    "tf-bgr": Preprocessing(mean=_same(127.5), scale=_same(1 / 127.5), channels="bgr"),
    "caffe": Preprocessing(mean=(103.939, 116.779, 123.68), channels="bgr"),
    "torch": Preprocessing(
        mean=tuple(255 * m for m in _IMAGENET_MEAN),  # type: ignore[arg-type]
        scale=tuple(1 / (255 * s) for s in _IMAGENET_STD),  # type: ignore[arg-type]
    ),
    "efficientnet-lite": Preprocessing(mean=_same(127.0), scale=_same(1 / 128)),
}


def find_preprocessing(wanted: str | Preprocessing | None) -> Preprocessing | None:
    """The recipe that the user asks for; None where it is to be found out.

    Args:
        wanted: a recipe, or a name as `--preprocessing` spells it.

    Raises:
        UsageError: there is no preprocessing of that name.
    """
    if wanted in (None, AUTO):
        return None
    if not isinstance(wanted, str):
        return wanted
    if wanted not in PREPROCESSINGS:
        hint = did_you_mean(wanted, [AUTO, *PREPROCESSINGS]) or f": use {AUTO} or one of {', '.join(PREPROCESSINGS)}"
        raise UsageError(f"there is no preprocessing {wanted!r}{hint}")
    return PREPROCESSINGS[wanted]
