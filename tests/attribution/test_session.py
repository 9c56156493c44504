"""A session's options: refused before TensorFlow is imported, written as ever, and with a model of any kind."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import environment
from toy_networks import FRAME, two_dense_layers

from live_gradcam.attribution.session import Session, SessionOptions, start_session
from live_gradcam.errors import UsageError
from live_gradcam.explanations.explanation import Target
from live_gradcam.networks.catalog import identity_of

WRONG = {
    "model": ("efficientnet-lite9", r"there is no model 'efficientnet-lite9'; did you mean efficientnet-lite"),
    "method": ("gradcam", r"there is no method 'gradcam'; did you mean grad-cam"),
    "methods": (("grad-cam", "hires"), r"there is no method 'hires'; did you mean hirescam\?"),
    "score": ("logits", r"there is no score 'logits'; did you mean logit\?"),
    "fit": ("tile", r"there is no fit 'tile'; did you mean tiles"),
    "names": ("every-day", r"there is no set of names 'every-day'; did you mean everyday\?"),
    "tune": ("always", r"there is no tune 'always'"),
    "precision": ("f16", r"there is no precision 'f16'"),
    "engine": ("xlaa", r"there is no engine 'xlaa'; did you mean xla\?"),
    "output": ("class", r"there is no kind of output 'class'; did you mean classes"),
    "preprocessing": ("imagenet", r"there is no preprocessing 'imagenet'"),
    "topk": (0, r"--topk is 0: give a number from 1 on$"),
    "tiles": (0, r"--tiles is 0: give a number from 1 on$"),
    "threads": (0, r"--threads is 0: give a number from 1 on$"),
    "maps": (0, r"the number of maps is 0: give a number from 1 on$"),
    "input_size": (224, r"the input size is 224: give \(height, width\), such as \(224, 224\)$"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_name_or_a_number_that_does_not_exist_is_refused(name: str) -> None:
    value, message = WRONG[name]
    with pytest.raises(UsageError, match=rf"^{message}"):
        SessionOptions(**{name: value}).check()


def test_names_are_refused_before_tensorflow_is_imported() -> None:
    program = f"""
import sys
from live_gradcam.attribution.session import SessionOptions
from live_gradcam.errors import UsageError
from live_gradcam.networks.catalog import identity_of

SessionOptions(preprocessing="auto", output="classes", names="everyday").check()
for name, value in { ({name: value for name, (value, _) in WRONG.items()})!r}.items():
    try:
        SessionOptions(**{{name: value}}).check()
    except UsageError:
        continue
    raise SystemExit(f"{{name}} passes")
print("tensorflow" in sys.modules)
"""
    finished = subprocess.run(
        [sys.executable, "-c", program], env=environment(), capture_output=True, text=True, check=True
    )
    assert finished.stdout == "False\n"


def test_options_are_written_as_version_0_1_0_wrote_them() -> None:
    """`annotate --resume` compares them with what an earlier version wrote into its files."""
    options = SessionOptions("own.keras", feed=("age=3",), classes=("top1",), input_size=(96, 128))
    assert json.dumps(options.to_json()) == (
        '{"model": "own.keras", "weights": "imagenet", "labels": null, "preprocessing": null, "output": null, '
        '"head": null, "feed": ["age=3"], "layer": null, "classes": ["top1"], "topk": 5, "score": "logit", '
        '"fit": "auto", "tiles": null, "names": null, "lowering": true, "engine": "xla", "tune": "auto", '
        '"precision": "f32", "threads": null, "method": "grad-cam", "maps": 1, "input_size": [96, 128], '
        '"is_live": false, "methods": [], "custom_objects": null, "trust": false}'
    )
    assert SessionOptions(Path("own.keras")).to_json() == SessionOptions("own.keras").to_json()


def test_a_model_in_memory_is_written_as_its_name_and_known_by_its_weights() -> None:
    model = two_dense_layers()
    options = SessionOptions(model)
    assert options.to_json()["model"] == model.name
    (before,) = identity_of(model, options.of_model()).values()
    assert list(identity_of(model, options.of_model()).values()) == [before]
    model.set_weights([2 * weight for weight in model.get_weights()])
    assert list(identity_of(model, options.of_model()).values()) != [before]


def started(model: object) -> Session:
    return start_session(SessionOptions(model, preprocessing="unit", engine="graph", tune="off", classes=("2",)))


def test_a_python_users_own_model_is_explained_from_memory_and_by_path(tmp_path: Path) -> None:
    model = two_dense_layers()
    model.save(tmp_path / "toy.keras")
    in_memory, by_path = started(model), started(tmp_path / "toy.keras")
    assert (in_memory.model, by_path.model) == (model.name, "toy.keras")
    assert in_memory.fit == by_path.fit == "stretch"
    expected, actual = by_path.explain(FRAME), in_memory.explain(FRAME)
    assert actual.target == expected.target == 2
    np.testing.assert_allclose(actual.heatmaps, expected.heatmaps, atol=1e-6)
    np.testing.assert_allclose(actual.probabilities, expected.probabilities, atol=1e-6)
    assert list(in_memory.start_s) == ["import", "load", "build", "tune", "compile"]


def test_a_frame_of_a_stream_is_explained_for_these_classes_and_no_others() -> None:
    session = started(two_dense_layers())
    top = session.predict(FRAME)[0].index
    pinned = next(index for index in range(3) if index != top)
    session = replace(session, targets=(Target(pinned),))
    assert session.explain(FRAME).target == pinned
    assert session.explain_frame(FRAME).target == top
    assert session.explain_frame(FRAME, targets=(Target(2),)).target == 2


def test_a_class_that_is_called_by_a_number_can_be_named_and_a_line_says_so(caplog: pytest.LogCaptureFixture) -> None:
    options = SessionOptions(two_dense_layers(), labels=tuple("12345"), fit="stretch", engine="graph", tune="off")
    explanation = start_session(replace(options, classes=("1",))).explain(FRAME)
    assert (explanation.targets[0].index, explanation.targets[0].label) == (0, "1")
    said = [record.getMessage() for record in caplog.records if "-c 1" in record.getMessage()]
    assert said == [
        "-c 1 is the class called 1, which has the index 0. Write +1 for the class with the index 1, which is called 2"
    ]


def test_a_ready_session_compiles_nothing_for_its_first_frame() -> None:
    options = SessionOptions(two_dense_layers(), preprocessing="unit", engine="graph", tune="off", fit="tiles")
    session = start_session(options)
    assert session.explainer.trace_count == 0
    ready = session.ready_for((FRAME.shape[0], FRAME.shape[1]))
    traced = ready.explainer.trace_count
    assert (traced, ready.frame_size) == (1, FRAME.shape[:2])
    ready.explain_frame(FRAME)
    assert ready.explainer.trace_count == traced


def test_what_a_session_says_of_itself_is_its_explainers() -> None:
    session = started(two_dense_layers())
    assert (session.engine, session.precision, session.tiles_for((90, 160))) == ("graph", "f32", 1)
    assert session.predict(FRAME)[0].index == session.explain(FRAME).predictions[0].index
    both = session.side_by_side(["grad-cam", "layercam"])
    assert {name: one.method for name, one in both.items()} == {"grad-cam": "grad-cam", "layercam": "layercam"}
    assert both["grad-cam"].notices == ()
