"""Labels files as other tools write them: indices in front or turned round, tables, other encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from live_gradcam.errors import ModelError
from live_gradcam.networks.labels import read_labels, text_of_labels

TEN = {str(digit): digit for digit in range(10)}
#: As `flow_from_directory` numbers folders: in the order of the alphabet.
TWELVE = {name: index for index, name in enumerate(sorted(str(number) for number in range(12)))}


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("class_indices.json", '{"cat": 0, "dog": 1}', ("cat", "dog")),
        ("class_indices.json", '{"dog": 1, "bird": 2, "cat": 0}', ("cat", "dog", "bird")),
        ("class_indices.json", json.dumps(TEN), tuple(TEN)),
        ("class_indices.json", json.dumps(TWELVE), ("0", "1", "10", "11", *"23456789")),
        ("class_indices.txt", '{"cat": 0, "dog": 1}', ("cat", "dog")),
        ("labels.txt", "0 Cat\n1 Big dog\n", ("Cat", "Big dog")),
        ("labels.txt", "1 dog\n0 cat\n", ("cat", "dog")),
        ("labels.txt", "0: cat\n1: dog\n", ("cat", "dog")),
        ("labels.txt", "0\tcat\n1\tdog\n", ("cat", "dog")),
        # names that begin with numbers
        ("labels.txt", "1 cent\n2 cent\n5 cent\n", ("1 cent", "2 cent", "5 cent")),
        ("labels.txt", "0 stars\n1 stars\n2 stars\n", ("0 stars", "1 stars", "2 stars")),
        ("labels.txt", "0\n1\n2\n", ("0", "1", "2")),
        ("labels.txt", "0 cat\n1 dog\nbird\n", ("0 cat", "1 dog", "bird")),
        # brackets in front of names, and letters that some programs take for the end of a line
        ("labels.txt", "{curly} brace\n[square] one\n", ("{curly} brace", "[square] one")),
        ("labels.txt", "[square] one\n{curly} brace\n", ("[square] one", "{curly} brace")),
        ("labels.txt", '["cat", "dog"]', ("cat", "dog")),
        ("labels.txt", "big\x0ccat\ndog\u2028y\r\ncow\rsheep\n\n", ("big\x0ccat", "dog\u2028y", "cow", "sheep")),
        ("labels.json", '["cat", 3, 1.5, ["n01", "dog"]]', ("cat", "3", "1.5", "dog")),
        # tables
        ("labels.csv", "name\nbig\x0ccat\ndog\u2028y\n", ("big\x0ccat", "dog\u2028y")),
        ("labels.csv", "cat\ndog\n", ("cat", "dog")),
        ("labels.csv", "label\ncat\ndog\n", ("cat", "dog")),
        ("labels.csv", "index,name\n0,cat\n1,dog\n", ("cat", "dog")),
        ("labels.csv", "ClassId,Name\r\n1,dog\r\n0,cat\r\n", ("cat", "dog")),
        ("labels.csv", "class,label\n0,cat\n1,dog\n", ("cat", "dog")),
        ("labels.csv", "id,class_name,count\n1,cat,7\n2,dog,9\n", ("cat", "dog")),
        ("labels.csv", "nummer;tier\n0;cat\n1;dog\n", ("cat", "dog")),
        ("labels.csv", "0,cat\n1,dog\n", ("cat", "dog")),
        ("labels.csv", "dog,1\ncat,0\n", ("cat", "dog")),
        ("labels.csv", '0,"tench, Tinca tinca"\n1,goldfish\n', ("tench, Tinca tinca", "goldfish")),
        ("labels.csv", "label\n0\n1\n2\n", ("0", "1", "2")),
        ("labels.tsv", "id\tname\n0\tcat\n1\tdog\n", ("cat", "dog")),
    ],
)
def test_labels_as_other_tools_write_them(tmp_path: Path, name: str, content: str, expected: tuple[str, ...]) -> None:
    (tmp_path / name).write_text(content, "utf-8", newline="")
    assert read_labels(tmp_path / name) == expected


@pytest.mark.parametrize(
    "names", [("cat", "dog"), ("0 cat", "1 dog"), ("{curly}", "[square]"), ('{"quoted"}', "dog"), ("['a'", "cat")]
)
def test_labels_are_read_as_they_are_written(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "labels.txt").write_text(text_of_labels(names), "utf-8")
    assert read_labels(tmp_path / "labels.txt") == names


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.txt", "café\n".encode("latin-1"), "is not UTF-8 text: save it with the encoding UTF-8"),
        ("labels.csv", "name\ncafé\n".encode("utf-16"), "is not UTF-8 text"),
        ("labels.json", b'{"cat": 0, "dog": 2}', "leaves no index out"),
        ("labels.json", b'{"cat": 0, "dog": 0}', "leaves no index out"),
        ("labels.json", b"7", "must be a JSON list"),
        ("labels.json", b'"cat"', "must be a JSON list"),
        ("labels.json", b'["cat", null]', "must be a JSON list"),
        ("labels.json", b'["cat", true]', "must be a JSON list"),
        ("labels.json", b'["cat", []]', "must be a JSON list"),
        ("labels.json", b'[{"name": "cat"}, {"name": "dog"}]', "must be a JSON list"),
        ("labels.json", b'{"classes": ["cat", "dog"]}', "must be a JSON list"),
        ("labels.txt", b"{0: 'cat',\n 1: 'dog'}", "must be a JSON list"),
        ("labels.txt", b"['cat',\n 'dog']", "must be a JSON list"),
        ("labels.txt", b"\ncat\ndog\n", "has no name in line 1: remove that line"),
        ("labels.txt", b"cat\r\n \r\ndog\r\n\r\n", "has no name in line 2: remove that line"),
        ("labels.txt", b" \n\n", "is empty"),
        (
            "labels.csv",
            b"n01440764,tench\nn01443537,goldfish\n",
            "several columns: give the column of the names the title",
        ),
        ("labels.csv", b"id,name\n3,cat\n7,dog\n", "leaves indices out"),
        ("labels.csv", b"0,tench, Tinca\n1,goldfish\n", "quotation marks"),
        ("labels.csv", b"index,name\n", "is empty"),
        ("labels.csv", b"", "is empty"),
    ],
)
def test_labels_that_cannot_be_told_are_refused_in_a_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=message) as caught:
        read_labels(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)
