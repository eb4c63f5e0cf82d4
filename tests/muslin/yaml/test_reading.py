"""Texts that are read: documents, JSON, encodings."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muslin.yaml import load

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def test_empty_documents_are_left_out() -> None:
    """Comments, blank lines and null make no document, as kubectl sees it."""
    documents = load("# nothing\n---\n---\na: 1\n---\nnull\n...\n---\n# end\n")

    assert [document.value for document in documents] == [{"a": 1}]


def test_a_leading_byte_order_mark_is_no_part_of_the_text() -> None:
    """Editors on Windows write one; column 1 is the first character behind it."""
    document = load(b"\xef\xbb\xbfa: 1")[0]

    assert (document.value, document.places.key(("a",)).column) == ({"a": 1}, 1)


@pytest.mark.slow
@given(JSON)
def test_json_is_read_as_json(value: object) -> None:
    """What a JSON writer makes, escapes for characters above U+FFFF included, means what it meant."""
    text = json.dumps({"value": value})

    assert load(text)[0].value == {"value": value}
    assert load(json.dumps({"value": value}, indent="\t"))[0].value == {"value": value}
