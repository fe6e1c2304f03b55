"""Every error that can reach a user: a documented kind, a sentence, a remedy, and the button that the docs promise."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from josh_blender.jobs.remedies import REMEDIES, REMEDIES_OF_SET_UP, Remedy, remedy_of

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("josh_blender", "operators", "panels")
ERRORS = ("UserError", "SetUpError", "Error")
SET_UP = "## Set-up\n"
_ROW = re.compile(r"^\| `(?P<kind>\w+)` \| (?P<what>[^|]+) \| (?P<remedy>[^|]+) \| (?P<button>[^|]*)\|$", re.MULTILINE)


@dataclass(frozen=True)
class Raised:
    """A place in the source where an error is made: its kind and the expressions of its two texts."""

    place: str
    kind: str
    message: ast.expr
    remedy: ast.expr | None


def raised_in(source: str, name: str) -> Iterator[Raised]:
    """Errors made with a kind that stands in the source; one that hands on another error's kind is left out."""
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ERRORS):
            continue
        words = dict(zip(("kind", "message", "remedy"), node.args, strict=False))
        words |= {word.arg: word.value for word in node.keywords if word.arg}
        kind = words["kind"]
        place = f"{name}:{node.lineno}"
        if isinstance(kind, ast.Constant):
            yield Raised(place, str(kind.value), words["message"], words.get("remedy"))
        else:
            assert isinstance(kind, ast.Attribute | ast.Name), f"{place}: a kind is a text that can be looked up"


def all_raised() -> list[Raised]:
    return [
        found
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        for found in raised_in(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))
    ]


def rows(text: str) -> dict[str, str]:
    """Button by kind of the tables in a text."""
    return {row["kind"]: row["button"].strip() for row in _ROW.finditer(text)}


def documented() -> tuple[dict[str, str], dict[str, str]]:
    """Buttons by kind: of everything but set-up, and of set-up."""
    text = (ROOT / "docs" / "errors.md").read_text(encoding="utf-8")
    before, _, rest = text.partition(SET_UP)
    of_set_up, _, after = rest.partition("\n## ")
    return rows(before) | rows(after), rows(of_set_up)


def test_every_kind_is_documented_and_nothing_else() -> None:
    raised = all_raised()
    kinds = {found.kind for found in raised} | {"invalid_scene"}
    assert len(kinds) > 60, "the walk found too little"
    general, of_set_up = documented()
    missing = sorted(f"{found.kind} ({found.place})" for found in raised if found.kind not in general | of_set_up)
    assert missing == [], "these need a row in docs/errors.md"
    assert sorted((general | of_set_up).keys() - kinds) == [], "docs/errors.md lists what nothing raises"


def ending(text: ast.expr) -> str | None:
    """The last characters of a text as far as they stand in the source, None where a value ends it."""
    if isinstance(text, ast.Constant):
        return str(text.value)
    if isinstance(text, ast.JoinedStr) and isinstance(text.values[-1], ast.Constant):
        return str(text.values[-1].value)
    return None


def test_every_error_is_a_sentence_with_a_remedy() -> None:
    for found in all_raised():
        end = ending(found.message)
        assert end is None or end.endswith("."), f"{found.place}: the message is no sentence"
        assert found.remedy is not None, f"{found.place}: no remedy"
        end = ending(found.remedy)
        assert end is None or end.rstrip("”").endswith((".", "`")), f"{found.place}: the remedy is no sentence: {end!r}"


def operator_names() -> set[str]:
    """The ``bl_idname`` of every operator of the extension."""
    found = set()
    for path in (ROOT / "operators").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Assign) and any(
                isinstance(t, ast.Name) and t.id == "bl_idname" for t in node.targets
            ):
                found.add(ast.literal_eval(node.value))
    return found


@pytest.mark.parametrize("of_set_up", [False, True])
def test_buttons_are_those_of_the_docs_and_exist(of_set_up: bool) -> None:
    buttons = documented()[of_set_up]
    for kind, label in buttons.items():
        remedy = remedy_of(kind, of_set_up)
        assert (remedy.label if remedy else "") == label, kind
    table: dict[str, Remedy] = REMEDIES_OF_SET_UP if of_set_up else REMEDIES
    assert table.keys() <= buttons.keys()
    assert {remedy.operator for remedy in table.values()} <= operator_names()


def test_the_walk_finds_what_it_is_to_find() -> None:
    source = 'raise UserError("bad", f"{name} is bad", remedy="")\nraise UserError(other.kind, other.message)\n'
    (found,) = raised_in(source, "x.py")
    assert (found.kind, found.place) == ("bad", "x.py:1")
    assert ending(found.message) == " is bad" and found.remedy is not None and ending(found.remedy) == ""
    with pytest.raises(AssertionError, match="looked up"):
        list(raised_in('UserError("a" + b, "c")', "x.py"))
