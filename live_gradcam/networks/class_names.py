"""What a class may be called: one rule for folders, tables, what is typed at the camera, and the cards of models."""

from __future__ import annotations

import unicodedata

#: Unicode's categories of what does something to a terminal, ends a line, or is a key and no letter: controls, private
#: use, halves of pairs, separators.
_NOT_SHOWN = ("Cc", "Co", "Cs", "Zl", "Zp")
#: Unicode's kinds of what turns the direction of the letters after it around.
_TURNS = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
#: Of what alone nothing is to be seen: spaces, and what joins letters, as in Persian words and families of emoji.
_NOTHING_TO_SEE = ("Cf", "Zs")


def is_shown(character: str) -> bool:
    """Whether a character fits into a line, and does nothing to a terminal."""
    turns = unicodedata.bidirectional(character) in _TURNS
    return unicodedata.category(character) not in _NOT_SHOWN and not turns


def class_name(text: str) -> str | None:
    """A class's name as it is kept: without space around it, in the one spelling that Unicode has of it.

    Archives of macOS have another spelling of the same letters.

    Args:
        text: as it was given.

    Returns:
        None where it is no name: nothing of it can be seen, or a character of it cannot be shown.
    """
    name = unicodedata.normalize("NFC", text).strip()
    can_be_seen = any(unicodedata.category(character) not in _NOTHING_TO_SEE for character in name)
    return name if can_be_seen and all(map(is_shown, name)) else None
