"""Explain one picture: the predictions, the panels as a picture, and the numbers as JSON.

python examples/explain_picture.py cup.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from live_gradcam import SessionOptions, explain


def main(picture: str) -> None:
    """Explain a picture and write `NAME-explained.png` and `NAME-explained.json` into the current folder."""
    name = f"{Path(picture).stem}-explained"
    result = explain(picture, f"{name}.png", session=SessionOptions(method="layercam", topk=3))
    for prediction in result.explanation.predictions:
        print(f"{prediction.probability:6.1%}  {prediction.label}")
    Path(f"{name}.json").write_text(json.dumps(result.to_json()), encoding="utf-8")
    print(f"wrote {name}.png and {name}.json")


if __name__ == "__main__":
    main(sys.argv[1])
