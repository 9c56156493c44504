"""A classifier: a Keras model together with what is needed to ask it about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from live_gradcam.choices import Output
from live_gradcam.explanations.vocabulary import Groups
from live_gradcam.listings import html_table
from live_gradcam.networks.card import Card
from live_gradcam.networks.labels import find_class, groups_of
from live_gradcam.networks.preprocessing import PREPROCESSINGS, Preprocessing

if TYPE_CHECKING:
    import keras

#: How many names of classes a notebook shows.
_SHOWN_CLASSES = 8


@dataclass(frozen=True, repr=False)
class Classifier:
    """An image classifier and how to use it.

    Attributes:
        name: the name in the catalogue, or the model file's name.
        model: the Keras model, one image input (batch, height, width, channels) and one output (batch, classes).
            It is never changed.
        labels: a name for each class. A model with one sigmoid unit has two: what its 0 and its 1 mean.
        input_size: (height, width) in pixels of the network's input.
        preprocessing: how pixels become the network's input.
        output: what its numbers are (`networks.outputs.Output`); None for what its last layer says.
        pixel_guess: the name of the preprocessing, where nobody says that it is the right one; else None.
        fit: how pictures were made to fit the input when the network was trained, as a name of `explanations.fits.Fit`,
            where its file says so; None where it does not.
        card: what its file says about it; None where there is nothing.
        changing: the names of the layers whose weights are to be followed, as they change on purpose. Of all others an
            explainer keeps those that it was made of.
    """

    name: str
    model: keras.Model
    labels: tuple[str, ...]
    input_size: tuple[int, int]
    preprocessing: Preprocessing
    fit: str | None = None
    output: Output | None = None
    pixel_guess: str | None = None
    card: Card | None = None
    changing: tuple[str, ...] = ()

    @property
    def groups(self) -> Groups | None:
        """The everyday names of its classes, where these are ImageNet's; None where they are others."""
        return groups_of(self.labels)

    def __repr__(self) -> str:
        return f"Classifier({', '.join(f'{what}: {value}' for what, value in self._rows())})"

    def _repr_html_(self) -> str:
        return html_table((), self._rows(), title=f"{self.name}, a classifier")

    def _rows(self) -> list[tuple[str, str]]:
        """What a person wants to know of it, each with its name."""
        height, width = self.input_size
        more = ", …" if len(self.labels) > _SHOWN_CLASSES else ""
        classes = f"{len(self.labels)} ({', '.join(self.labels[:_SHOWN_CLASSES])}{more})"
        known = (name for name, recipe in PREPROCESSINGS.items() if recipe == self.preprocessing)
        guessed = ", a guess" if self.pixel_guess is not None else ""
        rows = [
            ("model", self.name),
            ("classes", classes),
            ("input", f"{width}×{height} pixels"),
            ("preprocessing", next(known, "of its own") + guessed),
            ("weights", f"{self.model.count_params():,}"),
        ]
        return rows + ([("fit", self.fit)] if self.fit else [])

    def class_index(self, name: str) -> int:
        """The index of a class given by its index or its label.

        Raises:
            UsageError: there is no such class; the message suggests the closest.
        """
        return find_class(name, self.labels)
