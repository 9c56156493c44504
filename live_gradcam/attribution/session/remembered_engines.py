"""Which engines were chosen at earlier starts: by model, shape, versions and processor."""

from __future__ import annotations

from contextlib import suppress

from live_gradcam.attribution.kept.keys import engines_key
from live_gradcam.attribution.session.chosen_engine import ChosenEngine
from live_gradcam.attribution.session.options import SessionOptions
from live_gradcam.compiling.kept_files import KeptFiles, Key, programs_folder
from live_gradcam.files import can_be_written

_KIND = "engine"
#: Of a session's options, what it depends on which engine is the fastest and agrees, besides the network.
_OPTIONS = ("engine", "precision", "method", "methods", "layer", "score", "fit", "tiles", "input_size")


class RememberedEngines:
    """What was chosen on this machine."""

    def __init__(self) -> None:
        self._files = KeptFiles()

    def key_of(self, options: SessionOptions) -> Key | None:
        """What a choice depends on; None where it cannot be remembered: see `kept.keys`."""
        network = engines_key(options.model, options.of_model(), options.threads)
        if network is None:
            return None
        asked = {name: getattr(options, name) for name in _OPTIONS}
        return {"kind": _KIND, "network": network, "options": asked}

    def read(self, key: Key) -> ChosenEngine | None:
        """What was chosen; None for nothing that can be read."""
        content = self._files.read(key)
        if content is not None:
            with suppress(ValueError, KeyError, TypeError):
                return ChosenEngine.from_bytes(content)
        return None

    @property
    def can_write(self) -> bool:
        """Whether a choice can be remembered."""
        return can_be_written(programs_folder())

    def write(self, key: Key, chosen: ChosenEngine) -> None:
        """Remember a choice."""
        self._files.write(key, chosen.to_bytes())

    def all(self) -> list[tuple[str, ChosenEngine]]:
        """What was chosen, each with the name of its network, by name."""
        found = []
        for file in self._files.files():
            chosen = self.read(file.key) if file.key.get("kind") == _KIND else None
            if chosen is not None:
                found.append((str(file.key["network"]["model"]), chosen))
        return sorted(found, key=lambda row: (row[0], row[1].way))
