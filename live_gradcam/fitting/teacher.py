"""Teaching: examples come one after the other, and the head is fitted to them again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from live_gradcam.errors import ModelError, UsageError
from live_gradcam.fitting.examples import (
    Lesson,
    TaughtExample,
    check_lesson,
    encoded,
    lesson_of,
    write_lesson,
)
from live_gradcam.fitting.head import Head
from live_gradcam.fitting.options import chosen_fit
from live_gradcam.fitting.scores import Scores
from live_gradcam.fitting.taught_class import NOTHING, TaughtClass, checked_name
from live_gradcam.fitting.taught_head import UNITS, head_of, scores_of_bursts
from live_gradcam.networks.card import Card
from live_gradcam.networks.catalog import DEFAULT_MODEL, load_with_options
from live_gradcam.networks.model_source import ModelOptions

if TYPE_CHECKING:
    import keras

    from live_gradcam.choices import Fit
    from live_gradcam.fitting.features import Backbone
    from live_gradcam.networks.classifier import Classifier

_USUAL_MODEL = ModelOptions()


class Teacher:
    """Fits a network's head to examples that come one after the other.

    There is room for ten classes; the first one is there from the start, and is called "nothing". Examples of one class
    that are added one after the other are a burst: pictures of one moment, which are never on both sides when the
    accuracy is tested.

    Args:
        classifier: the network whose features are used. It is not changed.
        fit: how pictures enter it: "stretch", "crop" or "letterbox"; None for the network's own way, or else stretch.

    Raises:
        UsageError: there is no such fit, or it cannot be taught with.
    """

    def __init__(self, classifier: Classifier, *, fit: str | None = None) -> None:
        self.base = classifier
        self.input_fit: Fit = chosen_fit(fit, classifier.fit)
        self._names: list[str | None] = [NOTHING, *[None] * (UNITS - 1)]
        self._examples: list[TaughtExample] = []
        self._burst = self._bursts_before = 0
        self._in_burst: int | None = None
        self._heads: WeakKeyDictionary[keras.Model, Head] = WeakKeyDictionary()  # of the live classifiers, by model

    @classmethod
    def load(
        cls, model: str | Path = DEFAULT_MODEL, *, fit: str | None = None, model_options: ModelOptions = _USUAL_MODEL
    ) -> Teacher:
        """Go on with a model that was saved, or begin with a network.

        Args:
            model: a `.keras` file, beside which its examples are, or a network as `load_classifier` takes it, without
                examples.
            fit: as for the class; that of the examples, where there are any.
            model_options: how the network is loaded.

        Raises:
            LiveGradcamError: as `load_classifier`; or examples that are damaged.
            UsageError: the examples were collected with another fit.
        """
        lesson = lesson_of(model, fit)
        teacher = cls(load_with_options(model, model_options), fit=fit or (lesson.fit if lesson else None))
        if lesson is not None:
            teacher.take_up(lesson)
        elif teacher.base.card is not None:
            teacher.take_names(teacher.base.card.classes)
        return teacher

    def take_names(self, names: Sequence[str]) -> None:
        """Call classes what they were called before, as far as there is room, where their examples are not there."""
        places = iter(range(1, UNITS))
        for name in names:
            if name.casefold() != NOTHING and (place := next(places, None)) is not None:
                self._names[place] = name

    def take_up(self, lesson: Lesson) -> None:
        """Begin with examples that were collected before.

        Raises:
            UsageError: they are of more classes than there is room for.
            ModelError: they are of another network.
        """
        if len(lesson.names) > UNITS:
            raise UsageError(f"the pictures are of {len(lesson.names)} classes, and {UNITS} can be taught")
        if any(len(example.features) != self.backbone.size for example in lesson.examples):
            raise ModelError(
                f"the pictures beside {self.base.name} were collected with another network: move them away, or use "
                "that one"
            )
        self._names = [*lesson.names, *[None] * (UNITS - len(lesson.names))]
        self._examples = list(lesson.examples)
        self._burst = self._bursts_before = max((example.burst for example in lesson.examples), default=0)

    # --- the network ----------------------------------------------------------------------------------------------

    @cached_property
    def backbone(self) -> Backbone:
        """The network without its last layer."""
        from live_gradcam.fitting.features import Backbone

        return Backbone(self.base, self.input_fit)

    @cached_property
    def live_classifier(self) -> Classifier:
        """The network with a head of ten units, which `use` changes in place: what is compiled of it stays as it is.

        At first its weights are drawn at random, so that what is compiled of it can be compared with it: call `use`
        when that is done. Units without a class must be hidden by who shows them.
        """
        return self.new_live_classifier()

    def new_live_classifier(self) -> Classifier:
        """One more like it, with a head of its own: to be compiled while frames run, and heads change, in the other."""
        draw = np.random.default_rng(0)
        weights = draw.normal(0, 0.05, (self.backbone.size, UNITS)).astype(np.float32)
        return self._with(Head(weights, np.zeros(UNITS, np.float32)), tuple(one.name for one in self.classes))

    def use(self, head: Head, classifier: Classifier | None = None) -> None:
        """Put a head of ten units into a live classifier, in about a millisecond: not while a frame is explained.

        Args:
            head: the head. If it is there already, nothing is done.
            classifier: of `new_live_classifier`; None for `live_classifier`.
        """
        from live_gradcam.fitting.network import set_head

        classifier = classifier or self.live_classifier
        if self._heads.get(classifier.model) is not head:
            set_head(classifier, head)
            self._heads[classifier.model] = head

    def another(self) -> Teacher:
        """A teacher of the same network without examples. Both have one `live_classifier`, with the head used last."""
        other = Teacher(self.base, fit=self.input_fit)
        other.backbone, other.live_classifier, other._heads = self.backbone, self.live_classifier, self._heads
        return other

    @property
    def classifier(self) -> Classifier:
        """The network with a head for the classes that have examples, fitted to all of these.

        Raises:
            UsageError: fewer than two classes have examples.
        """
        shown = self.shown
        if len(shown) < 2:
            raise UsageError("fewer than two classes have pictures: collect some of a second one")
        head = self.head()
        own = Head(head.weights[:, shown], head.bias[shown])
        return self._with(own, tuple(self.classes[index].name for index in shown))

    def _with(self, head: Head, labels: tuple[str, ...]) -> Classifier:
        from live_gradcam.fitting.network import with_head

        return replace(with_head(self.base, self.backbone.model, head, labels), fit=self.input_fit, card=None)

    # --- examples -------------------------------------------------------------------------------------------------

    def add(self, frame: np.ndarray, target: int | str, *, features: np.ndarray | None = None) -> int:
        """Add an example.

        Args:
            frame: uint8 (H, W, 3), BGR.
            target: the class: its place, 0…9, or its name. A new name takes the first place that is free.
            features: float32 (d,), where they are known already.

        Returns:
            The class's place.

        Raises:
            UsageError: there is no such place, or no room for another class.
        """
        index = self._place(target)
        seen = self.backbone.seen(frame)
        if features is None:
            features = self.backbone.features([seen], are_seen=True)[0]
        if index != self._in_burst:
            self._burst, self._in_burst = self._burst + 1, index
        picture = encoded(seen)
        self._examples.append(TaughtExample(index, self._burst, np.array(features, np.float32), picture))
        return index

    def end_burst(self) -> None:
        """The next example begins a new burst, even if it is of the same class."""
        self._in_burst = None

    def undo_last_burst(self) -> TaughtClass | None:
        """Take the burst back that was collected last; what `take_up` began with stays.

        Returns:
            Its class, as it was; None where there is none.
        """
        if not self._examples or self._examples[-1].burst <= self._bursts_before:
            return None
        last = self._examples[-1]
        before = self.classes[last.target]
        self._examples = [example for example in self._examples if example.burst != last.burst]
        self.end_burst()
        return before

    def _place(self, target: int | str) -> int:
        if isinstance(target, bool) or not isinstance(target, int | np.integer | str):
            raise UsageError(f"there is no class {target!r}: give its place, 0 to {UNITS - 1}, or its name")
        if not isinstance(target, str):
            if not 0 <= target < UNITS:
                raise UsageError(f"there is no class {target}: the places are 0 to {UNITS - 1}")
            return int(target)
        name = checked_name(target)
        place = self._place_of_name(name)
        if place is not None:
            return place
        used = {example.target for example in self._examples}
        for index in range(1, UNITS):
            if self._names[index] is None and index not in used:
                self._names[index] = name
                return index
        raise UsageError(f"there is no room for {name!r}: {UNITS} classes can be taught")

    # --- names ----------------------------------------------------------------------------------------------------

    def rename(self, index: int, name: str) -> str:
        """Name a class.

        Args:
            index: its place.
            name: any line of text.

        Returns:
            The name as it is kept: without space around it.

        Raises:
            UsageError: there is no such place, it is no name, or another class has it.
        """
        index, name = self._place(int(index)), checked_name(name)
        if self._place_of_name(name) not in (None, index):
            raise UsageError("another class is called {name} already", name=name)
        self._names[index] = name
        return name

    def _place_of_name(self, name: str) -> int | None:
        names = [one.name.casefold() for one in self.classes]
        return names.index(name.casefold()) if name.casefold() in names else None

    # --- what is known --------------------------------------------------------------------------------------------

    @property
    def classes(self) -> tuple[TaughtClass, ...]:
        """All ten, with the number of their examples."""
        targets = [example.target for example in self._examples]
        bursts = {(example.target, example.burst) for example in self._examples}
        return tuple(
            TaughtClass(
                index,
                name or f"class {index}",
                targets.count(index),
                sum(target == index for target, _ in bursts),
                name is not None,
            )
            for index, name in enumerate(self._names)
        )

    @property
    def bytes(self) -> int:
        """How much the examples take in memory: their features, and pictures that are not files."""
        pictures = (one.picture for one in self._examples if isinstance(one.picture, bytes))
        return sum(map(len, pictures)) + sum(one.features.nbytes for one in self._examples)

    @property
    def shown(self) -> list[int]:
        """The places of the classes that have examples."""
        return sorted({example.target for example in self._examples})

    @property
    def listed(self) -> list[int]:
        """The places of the classes that the ten units predict: those with examples; the first while there are none."""
        return self.shown or [0]

    @property
    def features(self) -> np.ndarray:
        """float32 (n, d), of the examples."""
        if not self._examples:
            return np.zeros((0, self.backbone.size), np.float32)
        return np.stack([example.features for example in self._examples])

    @property
    def targets(self) -> np.ndarray:
        """The class of each example, int (n,)."""
        return np.array([example.target for example in self._examples], np.int64)

    # --- fitting --------------------------------------------------------------------------------------------------

    def head(self) -> Head:
        """A head of ten units, fitted to the examples; units without a class have a probability of 0."""
        return head_of(self.features, self.targets, self.listed)

    def head_of_one(self, place: int) -> Head:
        """A head of ten units that says one class of every frame."""
        return head_of(np.zeros((0, self.backbone.size), np.float32), np.zeros(0, np.int64), [place])

    def fit(self) -> Head:
        """Fit the head, and use it in `live_classifier`."""
        head = self.head()
        self.use(head)
        return head

    def scores(self) -> Scores | None:
        """How good heads are that never saw the bursts that they are tested on.

        Classes with fewer than two bursts are not tested. None where fewer than two classes can be.
        """
        bursts = np.array([example.burst for example in self._examples], np.int64)
        return scores_of_bursts(self.features, self.targets, bursts, [one.name for one in self.classes])

    # --- files ----------------------------------------------------------------------------------------------------

    def save(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the network as plain Keras with its card, and the examples beside it, so that teaching can go on.

        Args:
            path: a `.keras` file. Beside it come `NAME.examples`, a folder that `live-gradcam fit` can read, and
                `NAME.features.npz`.
            overwrite: whether files that exist may be replaced.

        Returns:
            The path.

        Raises:
            UsageError: fewer than two classes have examples, or the name does not end in .keras.
            OutputError: they cannot be written, or exist.
        """
        from live_gradcam.fitting.fitted import check_model_path

        path = Path(path)
        check_model_path(path, overwrite=overwrite)
        check_lesson(path, overwrite=overwrite)
        self.save_model(path, overwrite=overwrite)
        write_lesson(path, Lesson(tuple(self._names), tuple(self._examples), self.input_fit))
        return path

    def save_model(self, path: Path, *, overwrite: bool = False) -> Path:
        """Write the network as plain Keras with its card, without the examples.

        Args:
            path: as for `save`.
            overwrite: as for `save`.

        Raises:
            LiveGradcamError: as `save`.
        """
        from live_gradcam.fitting.fitted import check_model_path, write_model

        check_model_path(path, overwrite=overwrite)
        classifier, scores = self.classifier, self.scores()
        taught = [self.classes[index] for index in self.shown]
        card = Card(
            classes=classifier.labels,
            fit=self.input_fit,
            backbone=(self.base.card and self.base.card.backbone) or self.base.name,
            counts={one.name: one.count for one in taught},
            scores={} if scores is None else {"cross-validation": scores.to_json()},
            levels=self.base.card.levels if self.base.card else None,
        )
        write_model(path, classifier.model, card, overwrite=overwrite)
        return path
