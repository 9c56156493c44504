"""`doctor`: what this machine has, what is missing, and what would help, in a form to paste into an issue."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from live_gradcam.choices import AUTO_ENGINE, ENGINE_VARIABLE, ENGINES, SINKS, default_engine
from live_gradcam.errors import LiveGradcamError, first_line
from live_gradcam.files import cache_folder, can_be_written

_PACKAGE = "live-gradcam"

#: What each extra of pyproject.toml is for.
EXTRAS = {
    "cluster": "work on the machines of a Ray cluster",
    "dicom": "X-rays and other DICOM files",
    "fast": "the engine openvino, with which a start takes a second",
    "heic": "pictures of phones, HEIC",
    "lite": "the networks efficientnet-lite1 and -lite2",
    "notebook": "a live camera in a cell of a notebook",
    "onnx": "the engine onnxruntime, and export to ONNX",
    "openvino": "the engine openvino, the quickest on most processors",
    "serve": "the page for any browser's camera",
    "zarr": "raw maps as NAME.zarr",
}
#: Extras for those who work on live-gradcam itself.
FOR_DEVELOPERS = ("dev", "docs", "test")

#: "ok"; "note": something would help; "missing": nothing works without it.
State = Literal["ok", "note", "missing"]

_MEBIBYTE = 2**20


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        topic: what it belongs to, such as "packages".
        name: what was looked at.
        value: what was found.
        state: whether it is well.
        remedy: what to do about it; empty where there is nothing to do.
    """

    topic: str
    name: str
    value: str
    state: State = "ok"
    remedy: str = ""


@dataclass(frozen=True)
class Diagnosis:
    """All that was looked at.

    Attributes:
        findings: in the order of their topics.
    """

    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is missing that everything needs."""
        return all(finding.state != "missing" for finding in self.findings)

    def to_json(self) -> list[dict[str, str]]:
        """[{`topic`, `name`, `value`, `state`, `remedy`}]."""
        return [vars(finding).copy() for finding in self.findings]

    def to_markdown(self) -> str:
        """A table for an issue, without names of folders that name a person."""
        lines = ["| | | |", "| --- | --- | --- |"]
        for finding in self.findings:
            remedy = f"{finding.state}: {finding.remedy}" if finding.state != "ok" else ""
            cells = (f"{finding.topic}: {finding.name}", finding.value, remedy)
            lines.append(f"| {' | '.join(_without_home(cell).replace('|', '/') for cell in cells)} |")
        return "\n".join(lines)


def diagnose() -> Diagnosis:
    """Look at everything. Imports TensorFlow, opens each camera for a moment, and changes nothing.

    Returns:
        What was found. Nothing is raised: what fails is a finding.
    """
    findings: list[Finding] = []
    for topic, look in _TOPICS.items():
        try:
            findings += look()
        except Exception as error:  # of a driver or a library: the other topics are still of use
            findings.append(Finding(topic, "look", first_line(error), "note", "this topic could not be looked at"))
    return Diagnosis(tuple(findings))


def _machine() -> Iterator[Finding]:
    from live_gradcam.compiling.runtime import processor_name

    yield Finding("machine", "system", platform.platform())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("machine", "processor", f"{processor_name()}, {cores} of {os.cpu_count()} cores for this process")
    memory = _memory()
    if memory:
        yield Finding("machine", "memory", f"{memory / 2**30:.1f} GiB")


def _memory() -> int | None:
    """Bytes of memory that the machine has; None where the system does not say it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


# --- packages -----------------------------------------------------------------------------------------------------


@cache
def _requirements() -> tuple[Requirement, ...]:
    return tuple(map(Requirement, metadata.requires(_PACKAGE) or ()))


def _packages() -> Iterator[Finding]:
    yield Finding("packages", _PACKAGE, metadata.version(_PACKAGE))
    yield Finding("packages", "python", platform.python_version())
    for requirement in _requirements():
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found = _version(requirement)
            fits = found is not None and requirement.specifier.contains(found, prereleases=True)
            yield Finding(
                "packages",
                requirement.name,
                found or "not installed",
                "ok" if fits else "missing",
                "" if fits else f"pip install '{requirement.name}{requirement.specifier}'",
            )
    if _has("opencv-python-headless"):
        yield Finding(
            "packages",
            "opencv-python-headless",
            "installed beside opencv-python: the window may be missing",
            "note",
            "pip uninstall opencv-python-headless; pip install --force-reinstall opencv-python",
        )


def _version(requirement: Requirement) -> str | None:
    """The installed version of a package; None where there is none. Builds of TensorFlow have other names."""
    names = (requirement.name, "tensorflow-cpu") if requirement.name == "tensorflow" else (requirement.name,)
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def _has(name: str) -> bool:
    return _version(Requirement(name)) is not None


def _extras() -> Iterator[Finding]:
    for extra, use in EXTRAS.items():
        wanted = [
            requirement
            for requirement in _requirements()
            if requirement.marker is not None
            and requirement.marker.evaluate({"extra": extra})
            and not requirement.marker.evaluate({"extra": ""})
        ]
        versions = {requirement.name: _version(requirement) for requirement in wanted}
        if versions and all(versions.values()):
            found = ", ".join(f"{name} {version}" for name, version in versions.items())
            yield Finding("extras", extra, f"{found} ({use})")
        else:  # or an installation that is older than the extra
            yield Finding("extras", extra, f"not installed ({use})", "note", f"pip install '{_PACKAGE}[{extra}]'")


# --- what computes, what is read, what is shown and written ----------------------------------------------------------


def _devices() -> Iterator[Finding]:
    from live_gradcam.silence import quiet_tensorflow

    try:
        with quiet_tensorflow():
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
    except Exception as error:  # whatever its import raises where it is broken
        yield Finding("devices", "tensorflow", first_line(error), "missing", "pip install --force-reinstall tensorflow")
        return
    names = ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus)
    yield Finding("devices", "graphics processor", names or "none that TensorFlow sees: the processor computes")


def _engines() -> Iterator[Finding]:
    from live_gradcam.attribution.session.engine_choice import candidates
    from live_gradcam.attribution.session.remembered_engines import RememberedEngines
    from live_gradcam.compiling.compilation import check_engine

    for name in ENGINES:
        try:
            engine = check_engine(name)
        except LiveGradcamError as error:
            text, _, remedy = str(error).partition(": ")
            yield Finding("engines", name, text, "note", remedy)
        else:
            yield Finding("engines", name, f"{engine.title}, in {' and '.join(engine.precisions)}")
    yield _default_engine(candidates())
    for model, chosen in RememberedEngines().all():
        yield Finding("engines", f"{AUTO_ENGINE} for {model}", f"{chosen.way}: {chosen.text}")


def _default_engine(candidates: list[str]) -> Finding:
    asked = default_engine()
    if asked != AUTO_ENGINE:
        return Finding("engines", "default", f"{asked}, as ${ENGINE_VARIABLE} says")
    if len(candidates) == 1:
        return Finding("engines", "default", f"{candidates[0]}: the extra fast is often faster")
    return Finding("engines", "default", f"{AUTO_ENGINE}: the fastest of {', '.join(candidates)} for each network")


def _cameras() -> Iterator[Finding]:
    from live_gradcam.sources.devices import list_cameras

    cameras = list_cameras()
    for index, description in cameras:
        yield Finding("cameras", str(index), description)
    if not cameras:
        yield Finding(
            "cameras",
            "none",
            "no camera opens on this machine",
            "note",
            "give a file or an address, or use another machine's camera: live-gradcam serve",
        )


def _display() -> Iterator[Finding]:
    from live_gradcam.surfaces.window import Window

    try:
        Window().check()
    except LiveGradcamError as error:
        text, _, remedy = str(error).rpartition(": ")
        yield Finding("display", "window", text, "note", remedy)
    else:
        yield Finding("display", "window", "opens")


def _encoders() -> Iterator[Finding]:
    from live_gradcam.sinks.codec import Codec, opens

    for name in SINKS.of_this_package:
        codec = getattr(SINKS.load(name), "codec", None)
        if not isinstance(codec, Codec):
            continue
        hardware = [encoder for encoder in codec.hardware if opens(encoder, (720, 1280))]
        more = f"; on the graphics hardware {', '.join(hardware)}" if hardware else ""
        if codec.is_there:
            yield Finding("encoders", name, codec.encoder + more)
        else:
            remedy = "pip install --force-reinstall --only-binary :all: av"
            yield Finding("encoders", name, f"{codec.encoder} is not in this FFmpeg{more}", "note", remedy)


def _cache() -> Iterator[Finding]:
    folder = cache_folder()
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) if folder.is_dir() else 0
    value = f"{folder}, {size / _MEBIBYTE:.0f} MiB"
    if can_be_written(folder):
        yield Finding("cache", "folder", value)
    else:
        remedy = "each start compiles again: set XDG_CACHE_HOME to a folder that can be written"
        yield Finding("cache", "folder", f"{value}, which cannot be written", "note", remedy)


def _without_home(text: str) -> str:
    """A text in which the user's own folder is ~. A folder that is the root of all names nobody, and some have none."""
    try:
        home = Path.home()
    except RuntimeError:
        return text
    return text if home == Path(home.anchor) else re.sub(rf"{re.escape(str(home))}(?!\w)", "~", text)


#: What is looked at, in this order.
_TOPICS: dict[str, Callable[[], Iterator[Finding]]] = {
    "machine": _machine,
    "packages": _packages,
    "extras": _extras,
    "devices": _devices,
    "engines": _engines,
    "cameras": _cameras,
    "display": _display,
    "encoders": _encoders,
    "cache": _cache,
}
