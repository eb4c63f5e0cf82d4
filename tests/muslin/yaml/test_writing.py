"""Objects to text: deterministic, read back alike, comments where they belong."""

from __future__ import annotations

from typing import Any

import pytest
import yaml as pyyaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from muslin.yaml import load
from muslin.yaml.events import python_parser
from muslin.yaml.write import Comments, dump, dump_documents

TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.text(st.sampled_from("a: #-\n\t'\"\\.0x1e_~é\x85\u2028"))
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)  # fmt: skip
OBJECTS = st.dictionaries(TEXTS, VALUES, max_size=4)


@pytest.mark.slow
@given(st.lists(OBJECTS, min_size=1, max_size=3))
def test_what_is_written_is_read_back(objects: list[dict[str, Any]]) -> None:
    """Both parsers give back the same values, whatever the strings contain."""
    text = dump_documents(objects)

    assert [document.value for document in load(text)] == objects
    assert [document.value for document in load(text, parser=python_parser)] == objects


@given(st.dictionaries(TEXTS, TEXTS, max_size=4))
def test_strings_are_strings_to_every_reader(strings: dict[str, str]) -> None:
    """YAML 1.1 and YAML 1.2 readers agree with Kubernetes about everything we write."""
    text = dump(strings)

    assert pyyaml.safe_load(text) == strings
    assert YAML(typ="safe", pure=True).load(text) == strings


def test_the_same_objects_give_the_same_text_in_the_order_given() -> None:
    """Block style, keys in the order of the mapping, tuples as lists, quotes where needed."""
    policy = {
        "kind": "NetworkPolicy",
        "metadata": {"name": "web", "labels": {"on": "yes"}},
        "spec": {"selector": "app == 'web'", "nets": ("192.0.2.0/24", "2001:db8::/32"), "ports": [80, "8000:8080"]},
        "empty": {"list": [], "map": {}, "text": "", "nothing": None},
        "script": "one\n\n  two\n",
        "rows": [[1, 2], [{"a": 1}]],
    }

    assert dump(policy) == (
        'kind: NetworkPolicy\nmetadata:\n  name: web\n  labels:\n    "on": "yes"\n'
        "spec:\n  selector: app == 'web'\n  nets:\n  - 192.0.2.0/24\n  - 2001:db8::/32\n"
        "  ports:\n  - 80\n  - 8000:8080\n"
        'empty:\n  list: []\n  map: {}\n  text: ""\n  nothing: null\n'
        "script: |\n  one\n\n    two\nrows:\n- - 1\n  - 2\n- - a: 1\n"
    )


def test_comments_stand_above_documents_and_fields() -> None:
    """A decision is explained where it shows; reading is not disturbed."""
    objects: list[dict[str, Any]] = [
        {
            "spec": {
                "asNumber": 64512,
                "peers": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}],
                "ways": [{"to": 1, "by": 2}],
            }
        },
        {"b": 1},
    ]
    comments = Comments(
        "Made by a blueprint.\nDo not edit.",
        {
            ("spec", "asNumber"): "private AS",
            ("spec", "peers"): "two: one may fail",
            ("spec", "peers", 0, "ip"): "first\n\nreflector",
            ("spec", "peers", 1): "second",
            ("spec", "ways", 0, "by"): "further in",
        },
    )

    text = dump_documents(objects, [comments, "Another."])

    assert text == (
        "# Made by a blueprint.\n# Do not edit.\nspec:\n  # private AS\n  asNumber: 64512\n"
        "  # two: one may fail\n  peers:\n"
        "  -\n    # first\n    #\n    # reflector\n    ip: 192.0.2.1\n  # second\n  - ip: 192.0.2.2\n"
        "  ways:\n  - to: 1\n    # further in\n    by: 2\n"
        "---\n# Another.\nb: 1\n"
    )
    assert [document.value for document in load(text)] == objects


@pytest.mark.parametrize(
    ("value", "comments", "error", "message"),
    [
        ({"a": float("nan")}, None, ValueError, "no JSON form"),
        ({"a": float("inf")}, None, ValueError, "no JSON form"),
        ({"a": 10**30 + 1}, None, ValueError, "too large"),
        ({"a": {"b": {1, 2}}}, None, TypeError, "a.b: set"),
        ({"a": {1: 2}}, None, TypeError, "the key 1 of a"),
        ({"a": 1}, Comments(fields={("b", 0): "lost"}), ValueError, r"not there: b\[0\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_back_is_not_written(
    value: Any, comments: Comments | None, error: type[Exception], message: str
) -> None:
    """A programming error is told at once, with the field."""
    with pytest.raises(error, match=message):
        dump(value, comments)


@given(OBJECTS)
def test_nothing_invisible_is_written(value: dict[str, Any]) -> None:
    """No character that hides or reorders text reaches a file as it is."""
    hidden = set(dump(value)) & set("\x00\x07\x7f\x85\xa0\u200b\u200e\u2028\u2029\u202e\ufeff")

    assert hidden == set()
