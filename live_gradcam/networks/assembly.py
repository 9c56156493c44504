"""A classifier, put together of a loaded model and of what the user says about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from live_gradcam.errors import ModelError
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.labels import labels_for, numbered_labels
from live_gradcam.networks.model_source import LoadedModel, ModelOptions
from live_gradcam.networks.preprocessing import Preprocessing

if TYPE_CHECKING:
    import keras


def classifier_of(loaded: LoadedModel, options: ModelOptions) -> Classifier:
    """Make a classifier with one image input and one output.

    Args:
        loaded: the model, and what its source knows about it.
        options: what the user says, which goes before that.

    Raises:
        UsageError: no input, output or preprocessing of that name.
        ModelError: the model is no image classifier, or the labels are not as many as its classes.
    """
    from live_gradcam.networks.own_model import facts_of
    from live_gradcam.networks.single import with_one_input, with_one_output
    from live_gradcam.networks.subclassed import with_graph

    name = loaded.name
    model = with_one_output(name, with_graph(name, loaded.model), options.head, options.say)
    model = with_one_input(name, model, options.feed)
    height, width, channels = _input_shape(name, model)
    units = _units(name, model)
    facts = facts_of(loaded, model, (height, width), options)
    output = facts.output or "classes"
    labels = facts.labels if options.labels is None else options.labels
    return Classifier(
        name=name,
        model=model,
        labels=labels_for(labels, units, output) or numbered_labels(units, output),
        input_size=(height, width),
        preprocessing=_for_channels(facts.preprocessing, channels),
        fit=facts.fit,
        output=facts.output,
        pixel_guess=facts.guess,
        card=facts.card,
    )


def _input_shape(name: str, model: keras.Model) -> tuple[int, int, int]:
    """(height, width, channels) of the model's input; a free size becomes its own preprocessor's, or 224."""
    from live_gradcam.networks.own_model import size_of_preprocessor
    from live_gradcam.networks.single import check_takes_pictures

    if not getattr(model, "inputs", None):
        raise ModelError(f"{name} does not say how large its input is: add keras.Input((height, width, 3)) in front")
    shapes = [tuple(tensor.shape) for tensor in model.inputs]
    check_takes_pictures(name, shapes[0])
    _, height, width, channels = shapes[0]
    usual = size_of_preprocessor(model) or (224, 224)
    return height or usual[0], width or usual[1], channels


def _units(name: str, model: keras.Model) -> int:
    """How many numbers a model of one output gives."""
    if len(model.outputs) != 1:  # of a SavedModel
        raise ModelError(f"{name} has {len(model.outputs)} outputs: only models with one output can be used")
    shape = tuple(model.outputs[0].shape)
    if len(shape) != 2 or shape[1] is None:
        raise ModelError(f"{name} gives an output of shape {shape}, and not class scores: (batch, classes)")
    return shape[1]


def _for_channels(preprocessing: Preprocessing, channels: int) -> Preprocessing:
    return Preprocessing(preprocessing.mean, preprocessing.scale, "grey") if channels == 1 else preprocessing
