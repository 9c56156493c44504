"""Features that were computed before: kept in the user's cache folder, so that the next fit is quick.

A row is kept for a picture's content, the time of a frame, the network and all that its features depend on. SQLite
writes a row whole or not at all, and several programs may use the file at a time. Where it does not work (a full disk,
a folder on a network), features are computed.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path

import numpy as np

from live_gradcam.files import cache_folder

#: How much is kept, in bytes of features: the rows that were used last.
_MOST_BYTES = 512 * 1024 * 1024
_TIMEOUT_SECONDS = 2.0
_MOST_PARAMETERS = 500
_TABLE = "CREATE TABLE IF NOT EXISTS features (key BLOB PRIMARY KEY, used REAL, value BLOB) WITHOUT ROWID"


class FeatureCache:
    """Features by what they are of.

    Args:
        identity: all that features depend on besides the picture: the network, how pictures enter it, versions.
        path: the file; None for the one in the user's cache folder.
        most_bytes: how much is kept.
    """

    def __init__(self, identity: Mapping[str, object], path: Path | None = None, most_bytes: int = _MOST_BYTES) -> None:
        self._identity = repr(sorted(identity.items()))
        self._path = path or cache_folder() / "features.sqlite"
        self._most_bytes = most_bytes

    def key(self, content: str, seconds: float | None) -> bytes:
        """What a row is kept under: of a file's content hash, and the time of a frame of it."""
        return hashlib.sha256(f"{content} {seconds} {self._identity}".encode()).digest()

    def get(self, keys: Sequence[bytes], size: int) -> dict[bytes, np.ndarray]:
        """Those features, float32 (size,), that are kept; none where the file cannot be read."""
        found: dict[bytes, np.ndarray] = {}
        with suppress(sqlite3.Error, OSError), closing(self._open()) as base, base:
            for some in _in_parts(list(dict.fromkeys(keys))):
                marks = ",".join("?" * len(some))
                for key, value in base.execute(f"SELECT key, value FROM features WHERE key IN ({marks})", some):
                    if len(value) == 4 * size:
                        found[key] = np.frombuffer(value, "<f4")
            base.executemany("UPDATE features SET used = ? WHERE key = ?", [(time.time(), key) for key in found])
        return found

    def put(self, rows: Mapping[bytes, np.ndarray]) -> None:
        """Keep features, and forget those that were used longest ago where there are too many."""
        if not rows:
            return
        with suppress(sqlite3.Error, OSError), closing(self._open()) as base, base:
            now = time.time()
            values = [(key, now, np.asarray(row, "<f4").tobytes()) for key, row in rows.items()]
            base.executemany("INSERT OR REPLACE INTO features VALUES (?, ?, ?)", values)
            (kept,) = base.execute("SELECT TOTAL(LENGTH(value)) FROM features").fetchone()
            if kept > self._most_bytes:
                self._forget(base, kept)

    def _forget(self, base: sqlite3.Connection, kept: float) -> None:
        """Forget the rows that were used longest ago, to three quarters of what may be kept, and give the room back."""
        oldest = base.execute("SELECT key, LENGTH(value) FROM features ORDER BY used").fetchall()
        forgotten = []
        for key, size in oldest:
            if kept <= 0.75 * self._most_bytes:
                break
            forgotten.append((key,))
            kept -= size
        base.executemany("DELETE FROM features WHERE key = ?", forgotten)

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return self._connected()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # it is locked, or the disk is full
                raise
            self._path.unlink(missing_ok=True)  # it is damaged
            return self._connected()

    def _connected(self) -> sqlite3.Connection:
        base = sqlite3.connect(self._path, timeout=_TIMEOUT_SECONDS)
        try:
            base.execute(_TABLE)
        except BaseException:
            base.close()
            raise
        return base


def _in_parts(keys: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    return (keys[begin : begin + _MOST_PARAMETERS] for begin in range(0, len(keys), _MOST_PARAMETERS))
