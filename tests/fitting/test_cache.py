"""Features that are kept: found again for the same picture and network alone, and never too many of them."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from live_gradcam.fitting.cache import FeatureCache

_ROW = np.arange(10, dtype=np.float32) / 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "features.sqlite"


def test_what_is_kept_is_found_again(path: Path) -> None:
    cache = FeatureCache({"model": "a"}, path)
    keys = [cache.key("content", None), cache.key("content", 1.0), cache.key("other", None)]
    assert len(set(keys)) == 3
    assert cache.get(keys, 10) == {}
    cache.put({keys[0]: _ROW, keys[2]: 2 * _ROW})
    found = FeatureCache({"model": "a"}, path).get(keys, 10)
    assert set(found) == {keys[0], keys[2]}
    np.testing.assert_array_equal(found[keys[2]], 2 * _ROW)
    assert cache.get(keys, 9) == {}  # of another number of features


def test_another_network_has_other_keys(path: Path) -> None:
    one, other = (FeatureCache({"model": name, "fit": "crop"}, path).key("content", None) for name in "ab")
    assert one != other
    assert one == FeatureCache({"fit": "crop", "model": "a"}, path).key("content", None)


def test_what_was_used_longest_ago_is_forgotten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = FeatureCache({}, path, most_bytes=40 * 10)
    clock = itertools.count()
    monkeypatch.setattr("live_gradcam.fitting.cache.time.time", lambda: next(clock))
    keys = [cache.key(str(number), None) for number in range(11)]
    for key in keys[:10]:
        cache.put({key: _ROW})
    cache.get(keys[:2], 10)
    cache.put({keys[10]: _ROW})
    assert set(cache.get(keys, 10)) == {*keys[:2], *keys[6:]}  # three quarters are left
    for number in range(10):
        cache.put({cache.key(f"{number} {row}", None): _ROW for row in range(100)})
    assert path.stat().st_size < 100_000


def test_a_damaged_file_is_begun_again(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"this is no data base" * 100)
    cache = FeatureCache({}, path)
    key = cache.key("content", None)
    cache.put({key: _ROW})
    np.testing.assert_array_equal(cache.get([key], 10)[key], _ROW)


def test_without_a_place_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = FeatureCache({}, tmp_path / "file" / "features.sqlite")
    cache.put({cache.key("content", None): _ROW})
    assert cache.get([cache.key("content", None)], 10) == {}


def test_many_rows(path: Path) -> None:
    cache = FeatureCache({}, path)
    rows = {cache.key(str(number), None): np.float32([number] * 4) for number in range(1203)}
    cache.put(rows)
    found = cache.get(list(rows), 4)
    assert all((found[key] == row).all() for key, row in rows.items())
