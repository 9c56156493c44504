"""A camera loop of your own: every frame is explained, and you draw what you like.

python examples/own_live_loop.py 0

The function `live` has a window, recordings and keys already. Write a loop like this one if you want none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import cv2
import numpy as np

from live_gradcam import Overlay, SessionOptions, open_source, start_session


def explained_frames(source: str) -> Iterator[np.ndarray]:
    """Explain the frames of a source, one after the other, and draw on each.

    Args:
        source: a camera ("0"), a stream ("rtsp://…"), a video or a folder of pictures.

    Returns:
        The pictures, uint8 (height, width, 3) BGR.
    """
    session = start_session(SessionOptions(fit="crop", names="everyday"))
    overlay = Overlay("viridis", 0.6)
    with open_source(source) as opened:
        for frame in opened.frames():
            explanation = session.explain(frame.image)
            picture = overlay.blend(frame.image, explanation)
            best = explanation.predictions[0]
            text = f"{best.label} {best.probability:.0%}"
            cv2.putText(picture, text, (16, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (255, 255, 255), 2, cv2.LINE_AA)
            yield picture


def main(source: str) -> None:
    """Show them in a window until somebody presses q."""
    for picture in explained_frames(source):
        cv2.imshow("my own window", picture)
        if cv2.waitKey(1) & 0xFF == ord("q"):
            return


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "0")
