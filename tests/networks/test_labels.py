"""Labels files as other tools write them: indices in front or turned round, tables, other encodings."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from live_gradcam.errors import ModelError
from live_gradcam.networks.labels import read_labels

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
        # tables
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
    ("name", "content", "message"),
    [
        ("labels.txt", "café\n".encode("latin-1"), "is not UTF-8 text: save it with the encoding UTF-8"),
        ("labels.csv", "name\ncafé\n".encode("utf-16"), "is not UTF-8 text"),
        ("labels.json", b'{"cat": 0, "dog": 2}', "leaves no index out"),
        ("labels.json", b'{"cat": 0, "dog": 0}', "leaves no index out"),
        ("labels.json", b"7", "must be a JSON list"),
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
