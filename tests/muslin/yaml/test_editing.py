"""Changing one field of a text that people wrote."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.errors import BadInput, Failed
from muslin.yaml import load
from muslin.yaml.edit import edit
from muslin.yaml.places import Path
from tests.muslin.yaml.test_fuzz import TEXTS

TEXT = """\
# the cluster
apiVersion: v1   # version
spec:
    nodes:
      - name: a # first
        on: yes
      - name: b

    # about the rest
    mode: 017
    'quoted': "yes"
---  # the second
x: 'y'
list:
- 1
...
"""


@pytest.mark.parametrize(
    ("path", "value", "document", "before", "after"),
    [
        (("spec", "nodes", 0, "name"), "c", 0, "name: a # first", "name: c # first"),
        (("spec", "nodes", 1, "name"), "yes", 0, "name: b", 'name: "yes"'),
        (("spec", "nodes", 2), {"name": "c"}, 0, "name: b\n", "name: b\n      - name: c\n"),
        (("spec", "nodes", 1), {"name": "c", "l": [1]}, 0, "name: b\n", "name: c\n        l:\n          - 1\n"),
        (("spec", "nodes", 0, "true"), False, 0, "on: yes", "on: false"),
        (("spec", "mode"), 15.5, 0, "mode: 017", "mode: 15.5"),
        (("spec", "new", "deep"), "1e3", 0, '"yes"\n', '"yes"\n    new:\n        deep: "1e3"\n'),
        (("apiVersion",), None, 0, "v1   #", "null #"),
    ],
)  # fmt: skip
def test_only_the_field_changes(path: Path, value: Any, document: int, before: str, after: str) -> None:
    """Comments, quotes, indentation and other documents stay as they were."""
    edited = edit(TEXT, path, value, document=document)

    assert edited == TEXT.replace(before, after)


def test_the_second_document_is_edited_without_touching_the_first() -> None:
    """The first document's text is the same, character by character."""
    edited = edit(TEXT, ("list", 0), 2, document=1)

    assert edited.startswith(TEXT[: TEXT.index("x: 'y'")])
    assert load(edited)[1].value == {"x": "y", "list": [2]}


def test_windows_line_ends_stay() -> None:
    """A file keeps its kind of line end."""
    assert edit("a: 1 # one\r\nb: 2\r\n", ("b",), 3) == "a: 1 # one\r\nb: 3\r\n"


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ((), 0),
        (("apiVersion", "x"), 0),
        (("spec", "nodes", 5), 0),
        (("spec", "nodes", "x"), 0),
        (("x",), 2),
        (("x",), -1),
    ],
)  # fmt: skip
def test_a_path_that_does_not_fit_is_refused(path: tuple[str | int, ...], document: int) -> None:
    """What cannot be set is told with its place."""
    with pytest.raises(BadInput):
        edit(TEXT, path, 1, document=document)


def test_a_value_behind_an_alias_is_not_changed_for_others() -> None:
    """Rather than change both, nothing is changed."""
    with pytest.raises(Failed, match="without changing something else"):
        edit("a: &x {k: 1}\nb: *x\n", ("b", "k"), 2)


def test_a_key_is_found_by_what_it_means() -> None:
    """`yes:` is the key `true`, the quoted one is not."""
    assert edit("on: 1\n'null': 3\n", ("true",), 4) == "on: 4\n'null': 3\n"
    assert load(edit("'on': 1\n", ("true",), 4))[0].value == {"on": 1, "true": 4}


@given(TEXTS)
def test_any_text_is_edited_or_refused(text: str) -> None:
    """Whatever stands around the field, the answer is the right text or a told fault."""
    text = f"{text}\nedited: 1\n"
    try:
        edited = edit(text, ("edited",), "yes")
    except (BadInput, Failed):
        return

    assert load(edited)[0].value == {**load(text)[0].value, "edited": "yes"}


def test_a_hostile_text_is_refused_before_it_is_edited() -> None:
    """The slow round trip sees only what the reader let through."""
    with pytest.raises(BadInput, match="deeper"):
        edit("[" * 10_000, ("a",), 1)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_any_string_can_be_set(value: str) -> None:
    """The new value reads back, the rest stands."""
    edited = edit("# head\na: 1 # one\nb: [1,  2]\n", ("a",), value)

    assert load(edited)[0].value == {"a": value, "b": [1, 2]}
    assert edited.startswith("# head\na: ")
