"""docs/troubleshooting.md has every error that a user can see, and no other."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
#: What a template and the page write for what differs.
_VARIES = "…"
#: How many letters of a message have to be on the page: less would be the row of nearly all messages.
_FIXED_LETTERS = 7
#: A message of up to so many words of its own passes on another one: "FILE, line 3: …".
_PASSED_ON = 1


@cache
def nodes() -> tuple[tuple[Path, ast.AST], ...]:
    """Everything in the package's code, with its file."""
    paths = sorted((_ROOT / "live_gradcam").rglob("*.py"))
    return tuple((path, node) for path in paths for node in ast.walk(ast.parse(path.read_text("utf-8"))))


def error_classes() -> set[str]:
    """`LiveGradcamError` and all that is derived from it."""
    classes = [node for _, node in nodes() if isinstance(node, ast.ClassDef)]
    names, before = {"LiveGradcamError"}, set[str]()
    while names != before:
        before = set(names)
        names |= {one.name for one in classes if {ast.unparse(base) for base in one.bases} & names}
    return names


def texts(node: ast.expr) -> list[str]:
    """What an expression can be, with … for what is only known later."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    if isinstance(node, ast.JoinedStr):
        return (
            [first + rest for first in texts(node.values[0]) for rest in texts(ast.JoinedStr(node.values[1:]))]
            if node.values
            else [""]
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return [left + right for left in texts(node.left) for right in texts(node.right)]
    if isinstance(node, ast.IfExp):
        return texts(node.body) + texts(node.orelse)
    return [_VARIES]


@cache
def templates() -> tuple[tuple[str, str], ...]:
    """Each message of an error in the code, with its place. Those that only pass on another one are left out."""
    errors = error_classes()
    found = []
    for path, node in nodes():
        if isinstance(node, ast.Call) and node.args and isinstance(node.func, ast.Name) and node.func.id in errors:
            for text in texts(node.args[0]):
                if node.keywords:  # the values of {name}
                    text = re.sub(r"\{\w+\}", _VARIES, text)
                template = re.sub(f"{_VARIES}+", _VARIES, " ".join(text.split()))
                if len(re.findall(r"[a-z]+", template)) > _PASSED_ON:
                    found.append((template, f"{path.relative_to(_ROOT)}:{node.lineno}"))
    return tuple(found)


def rows() -> list[str]:
    """The messages of the page's tables of errors."""
    tables = re.findall(r"^\| error \| what to do \|\n\| --- \| --- \|\n((?:\|.*\n)+)", _PAGE, re.MULTILINE)
    return [
        message
        for table in tables
        for row in table.splitlines()
        for message in re.findall(r"`([^`]+)`", row.split(" | ")[0])
    ]


def covers(message: str, template: str) -> bool:
    """Whether a message of the page, in which … is any text, is that of a template."""
    pattern = ".*".join(re.escape(part) for part in re.split(rf"\s?{_VARIES}", message))
    return re.fullmatch(pattern, template) is not None


def test_templates_are_read_as_python_makes_them() -> None:
    code = 'f"there is {a}{b}: " + ("use it" if c else f"leave {d} out")'
    assert texts(ast.parse(code, mode="eval").body) == ["there is ……: use it", "there is ……: leave … out"]
    assert covers("there is … out", "there is …: leave … out")
    assert not covers("there is … out", "there is …: use it")
    assert {"UsageError", "ClusterError", "ModelError"} <= error_classes()


def test_every_error_is_on_the_page() -> None:
    found = templates()
    assert len(found) > 250
    messages = rows()
    missing = [
        f"{place}: {template}" for template, place in found if not any(covers(row, template) for row in messages)
    ]
    assert not missing, "docs/troubleshooting.md has no row for\n" + "\n".join(missing)


def test_every_row_is_of_an_error_that_there_is() -> None:
    found = [template for template, _ in templates()]
    assert [row for row in rows() if not any(covers(row, template) for template in found)] == []


def test_no_row_is_of_nearly_all_errors() -> None:
    assert [row for row in rows() if len(re.findall(r"[^\W\d_]", row)) < _FIXED_LETTERS] == []
