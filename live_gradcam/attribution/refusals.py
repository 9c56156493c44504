"""What a method, a score or a name cannot be used for, said before anything is compiled."""

from __future__ import annotations

from live_gradcam.attribution.logits import LogitNetwork
from live_gradcam.attribution.mean_gradient import is_pooled_head
from live_gradcam.attribution.methods.method import MOST_PLACES, Method
from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.choices import Score
from live_gradcam.errors import ModelError, UsageError
from live_gradcam.explanations.vocabulary import Groups, Vocabulary
from live_gradcam.networks.batching import takes_batches
from live_gradcam.networks.classifier import Classifier
from live_gradcam.networks.graph import Network
from live_gradcam.networks.outputs import entries_of
from live_gradcam.networks.split import split_at


def check_method(method: Method, network: Network, targets: tuple[int, ...], options: ExplainerOptions) -> None:
    """Refuse a method that is not defined for these layers, this score or this fit.

    Args:
        method: the method.
        network: the network, rewritten or not.
        targets: the numbers of the target layers' activations.
        options: what was asked for.

    Raises:
        UsageError: as said above.
    """
    name, score = options.explained.method, options.explained.score
    if not takes_batches(network):
        if options.fitting.fit == "tiles":
            raise UsageError(
                "the network is made for one image at a time, and tiles are several: use another fit, such as crop"
            )
        if method.asks_for == "scores" or method.passes is not None:
            raise UsageError(
                f"{name} shows the network several images at a time, and it is made for one: use another method, such "
                "as grad-cam"
            )
    if method.passes is not None and options.fitting.fit == "tiles":
        raise UsageError(f"{name} takes many passes and does not work with tiles: use another fit, such as crop")
    if len(targets) > 1 and method.takes_one_layer:
        names = ", ".join(_name_of(network, target) for target in targets)
        raise UsageError(f"{name} takes one layer, and there are {len(targets)}: name one with --layer ({names})")
    if method.score is not None and score != "logit":
        raise UsageError(f"{name} compares logits: use the score logit, not {score}")
    if method.needs_pooled_head and not is_pooled_head(network, split_at(network, *targets)):
        raise UsageError(
            f"{name} works only where global pooling and one dense layer follow the target layer, and nothing else: "
            "use grad-cam, which works everywhere and gives the same map there"
        )
    height, width, *channels = network.shapes[targets[-1]]
    if method.asks_for == "scores" and not channels:
        raise UsageError(
            f"{name} needs a layer of feature maps, and this one gives tokens: use another layer or method"
        )
    if method.asks_for == "scores" and (height or 1) * (width or 1) > MOST_PLACES:
        raise UsageError(
            f"{name} runs the head for each place of the layer, and {height} × {width} places are too many: use a "
            "later layer"
        )


def check_comparable(name: str, method: Method, vocabulary: Vocabulary) -> None:
    """Refuse a method that compares classes where there are none to compare.

    Raises:
        UsageError: as said above.
    """
    if method.score is not None and (vocabulary.are_values or len(vocabulary.classes) < 2):
        raise UsageError(f"{name} compares classes, and the network has none to compare: use grad-cam")


def check_entries(classifier: Classifier, found: LogitNetwork, score: Score) -> None:
    """Refuse labels and a score that do not go with what the network's numbers are.

    Raises:
        ModelError: the labels are not as many as the numbers.
        UsageError: a score of probabilities, and the numbers are values.
    """
    entries = entries_of(found.output, found.network.shapes[found.network.output][-1] or 0)
    if len(classifier.labels) != entries:
        raise ModelError(f"{classifier.name} has {len(classifier.labels)} labels for {entries} {found.output}")
    if found.output == "values" and score != "logit":
        raise UsageError(f"{classifier.name} gives values, which have no {score}: use the score logit")


def groups_of(classifier: Classifier) -> Groups:
    """The everyday names of a classifier's classes.

    Raises:
        UsageError: they are not ImageNet's.
    """
    if classifier.groups is None:
        raise UsageError(
            f"{classifier.name} has classes of its own, and only ImageNet's have everyday names: use --names imagenet, "
            "which lists the classes as they are"
        )
    return classifier.groups


def _name_of(network: Network, value: int) -> str:
    producer = network.producer(value)
    return producer.name if producer else "the input"
