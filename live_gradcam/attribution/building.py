"""From a classifier and options to a plan: the network is laid out flat, checked, rewritten and cut."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from live_gradcam.attribution.check import AsCalled, confirmed, logits_like_the_model
from live_gradcam.attribution.logits import LogitNetwork, without_final_activation
from live_gradcam.attribution.mean_gradient import offset_path
from live_gradcam.attribution.methods.method import load_method
from live_gradcam.attribution.one_pass import OnePass
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.attribution.photograph import photograph_for
from live_gradcam.attribution.plan import Plan, Written
from live_gradcam.attribution.refusals import check_comparable, check_entries, check_method, groups_of
from live_gradcam.attribution.scoring import Scoring
from live_gradcam.attribution.target_layers import TargetLayers, find_layers, values_of
from live_gradcam.compiling.affine import kind_of
from live_gradcam.compiling.comparison import check_images
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.lowering import in_bf16, lower
from live_gradcam.compiling.tuning import Tuner
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.vocabulary import Vocabulary
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network, flatten
from live_gradcam.networks.split import SplitNetwork, split_at
from live_gradcam.networks.weights_now import WeightsOfNow, with_weights_of_now

_log = logging.getLogger(__name__)


def build_plan(classifier: Classifier, options: ExplainerOptions) -> Plan:
    """Check, rewrite and cut a network. This takes seconds: it runs the network, and may time forms of its layers.

    Args:
        classifier: from `load_classifier`.
        options: what is asked for.

    Raises:
        UsageError: as `ExplainerOptions.check`, or a layer that does not exist; a method that is not defined for this
            head, these layers, this score or this fit.
        ModelError: the model has no feature maps, or its graph cannot be seen, or does not run at the input size.
    """
    return _plan(classifier, options, None)


def plan_in_training(classifier: Classifier, options: ExplainerOptions, pictures: np.ndarray) -> Plan:
    """The plan of a network whose weights change: they stay variables, and nothing is rewritten.

    Its functions of the network's own input (`OnePass.explain_input`) go on being right while it is trained.

    Args:
        classifier: the model in training. It is run, and not changed.
        options: what is asked for.
        pictures: some of the network's inputs, float32 (n, height, width, channels).

    Raises:
        UsageError: as `build_plan`.
        ModelError: as `build_plan`.
    """
    return _plan(classifier, options, pictures)


def _plan(classifier: Classifier, options: ExplainerOptions, in_training: np.ndarray | None) -> Plan:
    """The plan; of a model in training by some of its inputs."""
    options.check()
    method = load_method(options.explained.method)
    if options.fitting.input_size is not None:
        classifier = replace(classifier, input_size=options.fitting.input_size)
    weights = WeightsOfNow(classifier) if in_training is None else None
    model = _Model.of(classifier, in_training)
    operations = find_layers(model.logits.network, options.explained.layer)
    targets = values_of(operations)
    check_method(method, model.logits.network, targets, options)
    if in_training is None:
        logits, written = _written(model, targets, options)
        before, network = with_weights_of_now(written.before, written.network, but=classifier.changing)
        written = replace(written, before=before, network=network)
    else:
        logits, written = _as_variables(model)
    vocabulary = _vocabulary(classifier, logits, options)
    check_entries(classifier, logits, options.explained.score)
    check_comparable(options.explained.method, method, vocabulary)
    split = split_at(written.network, *targets)
    layers = TargetLayers.of(written.before, operations, split.targets)
    path = offset_path(written.network, split)
    if in_training is not None and path.kernel is not None:  # which is a copy
        path = path.from_activations(split)
    explained = options.explained
    listed = len(vocabulary.names) - vocabulary.first_listed
    one_pass = OnePass(
        split=split,
        offset_path=path,
        preprocessing=classifier.preprocessing,
        scoring=Scoring(logits.activation, logits.output, explained.score, method.score, vocabulary.members),
        method=method,
        topk=min(explained.topk, listed),
        maps=min(explained.topk if explained.maps is None else explained.maps, listed),
        coverage=layers.coverages[-1],
        features=_features(written.network, split, classifier.name) if explained.features else None,
    )
    return Plan(classifier, options, written, layers, vocabulary, one_pass, weights)


def vary_plan(plan: Plan, options: ExplainerOptions) -> Plan | None:
    """The plan of the same network with another method or fit; None where it has to be built again.

    Raises:
        UsageError: as `build_plan`.
    """
    fits = {plan.options.fitting.fit, options.fitting.fit}
    if options.explained.layer != plan.layers.name or (len(fits) > 1 and "native" in fits):
        return None
    if options.explained.names != plan.options.explained.names:
        return None
    method = load_method(options.explained.method)
    check_method(method, plan.written.before, plan.one_pass.split.targets, options)
    check_comparable(options.explained.method, method, plan.vocabulary)
    return plan.with_method(method, options)


@dataclass(frozen=True, eq=False)
class _Model:
    """The user's model, as it is called and without its final activation.

    Attributes:
        classifier: the model, and how it is used.
        as_called: it laid out flat.
        logits: the same without its final activation.
        check: what it gives for some images; None at another size than its own, where it cannot be called.
        pictures: real inputs, float32 (n, height, width, channels).
    """

    classifier: Classifier
    as_called: Network
    logits: LogitNetwork
    check: AsCalled | None
    pictures: np.ndarray

    @classmethod
    def of(cls, classifier: Classifier, pictures: np.ndarray | None) -> _Model:
        as_called = flatten(classifier.model, classifier.input_size)
        if pictures is None:
            pictures = photograph_for(classifier)
        check = AsCalled.at(classifier.input_size, classifier.model, check_images(as_called, pictures))
        logits = logits_like_the_model(as_called, classifier.output, check)
        if check is None:  # of another size than the model's: what hides there hides here
            logits = _as_at_its_own_size(classifier, as_called)
        if logits.by_inverse and logits.activation == "softmax":
            _log.info("%s does more after its softmax: its logits are logarithms of its probabilities", classifier.name)
        return cls(classifier, as_called, logits, check, pictures)


def _as_at_its_own_size(classifier: Classifier, as_called: Network) -> LogitNetwork:
    """The network without its final activation, left out or undone as it has to be at the model's own size."""
    height, width = classifier.model.inputs[0].shape[1:3]
    own = replace(classifier, input_size=(height, width))
    network = flatten(own.model, own.input_size)
    check = AsCalled(own.model, check_images(network, photograph_for(own)))
    found = logits_like_the_model(network, own.output, check)
    return without_final_activation(as_called, found.output, by_inverse=found.by_inverse)


def _written(model: _Model, targets: tuple[int, ...], options: ExplainerOptions) -> tuple[LogitNetwork, Written]:
    """The network as it runs; and without its final activation, which is found again where nothing is rewritten."""
    compiling, is_native = options.compiling, options.fitting.fit == "native"  # whose networks are those of the sizes
    engine = check_engine(compiling.engine, compiling.precision)
    logits, check = model.logits, model.check
    before = network = logits.network
    rewrites: dict[str, int] = {}
    tuner = Tuner(compiling.tune)
    if compiling.lowering and not is_native:
        network, rewrites = lower(
            network,
            keep=targets,
            for_xla=engine.is_xla and not tf.config.list_physical_devices("GPU"),
            tuner=tuner,
            pictures=model.pictures,
            accept=None if check is None else lambda scores: check.passes(model.logits, scores),
        )
    if not rewrites and not is_native:
        logits = confirmed(logits, model.as_called, check, name=model.classifier.name)
        before = network = logits.network
    if compiling.precision == "bf16" and engine.is_xla:
        network = in_bf16(network, keep=targets)
    return logits, Written(before, network, rewrites, tuner)


def _as_variables(model: _Model) -> tuple[LogitNetwork, Written]:
    """The network as it is, whose weights are variables."""
    found = confirmed(model.logits, model.as_called, model.check, name=model.classifier.name)
    logits = without_final_activation(model.as_called, found.output, by_inverse=found.by_inverse, as_variables=True)
    return logits, Written(logits.network, logits.network, {}, Tuner("off"))


def _features(network: Network, split: SplitNetwork, name: str) -> int:
    """The number of the vector that the last layer with weights reads.

    Raises:
        ModelError: it reads no vector, or there is none after the target layer.
    """
    for operation in reversed(split.head):
        if kind_of(operation.layer) == "dense" and len(network.shapes[operation.inputs[0]]) == 1:
            return operation.inputs[0]
        if getattr(operation.layer, "weights", None):
            break
    raise ModelError(f"{name} has no dense layer at its end, so it has no features to give")


def _vocabulary(classifier: Classifier, logits: LogitNetwork, options: ExplainerOptions) -> Vocabulary:
    groups = groups_of(classifier) if options.explained.names == "everyday" else None
    if groups and logits.activation != "softmax":
        raise UsageError(
            f"everyday names need probabilities that add up to 1, and those of {classifier.name} do not: use "
            "--names imagenet"
        )
    return Vocabulary(classifier.labels, groups, are_values=logits.output == "values")
