"""Compare methods on a folder of pictures: which maps show what the network goes by?

python examples/compare_methods.py pictures/
"""

from __future__ import annotations

import sys

from live_gradcam import EvaluationOptions, SessionOptions, evaluate


def main(folder: str) -> None:
    """Print deletion and insertion of each method and of the controls, and write the curves as a picture."""
    result = evaluate(
        folder,
        session=SessionOptions(fit="stretch"),
        options=EvaluationOptions(methods=("grad-cam", "layercam", "eigen-cam"), steps=20),
    )
    print(f"{'map':14} deletion ↓  insertion ↑")
    for name, figures in result.figures.items():
        print(f"{name:14} {figures.deletion_auc:10.3f} {figures.insertion_auc:12.3f}")
    for file, reason in result.failed:
        print(f"{file}: {reason}")
    result.write_curves("curves.png")


if __name__ == "__main__":
    main(sys.argv[1])
