"""Any bytes give documents or BadInput: no other exception, no crash, in bounded time."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from muslin.errors import BadInput
from muslin.yaml import Limits, load
from muslin.yaml.events import ParserFactory, fastest_parser, python_parser

_SIGNS = "[]{},:-?&*!|>'\"%@`#\n\t ab1~."
_WORDS = ["\\", "---\n", "...\n", "<<: ", "&a ", "*a", "!!str ", "  ", "- ", ": ", "? ", "yes", "0x", "1e9", "|2-\n"]
_ODD = ["\0", "\ufeff", "\x85", "\u2028", "\ud800", "é", "😀", "\\ud83d\\ude00", "\r\n", "%YAML 1.1\n"]
PIECES = st.sampled_from([*_SIGNS, *_WORDS, *_ODD])
TEXTS = st.lists(PIECES, max_size=40).map("".join)


def _survives(text: bytes | str, parser: ParserFactory) -> None:
    try:
        documents = load(text, "fuzz.yaml", parser=parser)
    except BadInput as error:
        problems = error.problems
    else:
        json.dumps([document.value for document in documents], allow_nan=False)
        return

    assert all(problem.what and problem.fix and problem.where.startswith("fuzz.yaml") for problem in problems)


@given(st.binary(max_size=200) | TEXTS.map(lambda text: text.encode(errors="surrogatepass")), st.booleans())
def test_any_bytes_are_documents_or_bad_input(text: bytes, python: bool) -> None:
    """Hypothesis' own deadline bounds each reading to a fifth of a second."""
    _survives(text, python_parser if python else fastest_parser)


@given(TEXTS | st.text(max_size=100), st.booleans())
def test_any_characters_are_documents_or_bad_input(text: str, python: bool) -> None:
    """Characters come from requests and flags, and can hold halves of pairs."""
    _survives(text, python_parser if python else fastest_parser)


@given(TEXTS)
def test_limits_hold_for_any_text(text: str) -> None:
    """With tiny limits nothing larger than they allow comes back."""
    limits = Limits(depth=2, nodes=6, aliases=1, scalar_characters=3, documents=2)
    try:
        documents = load(text, limits=limits)
    except BadInput:
        return

    assert len(documents) <= 2
    assert sum(_size(document.value) for document in documents) <= 6


def _size(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _size(inner) for inner in value.values())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1
