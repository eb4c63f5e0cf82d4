"""What texts mean, against the answers of sigs.k8s.io/yaml in scalars.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from muslin.errors import BadInput, Failed
from muslin.yaml import load
from muslin.yaml.edit import edit
from muslin.yaml.events import ParserFactory, fastest_parser, python_parser
from muslin.yaml.write import dump

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "scalars.json").read_text())["cases"]
TABS_BETWEEN_TOKENS = {"a:\t1", "a: 1\t"}
"""PyYAML's scanner in Python does not take a tab for a blank; refusing is not misreading."""
LOST_BY_RUAMEL = {"v: ! 1", "v: ! yes", "v: !", "v: !!float 1_000", "v: {a:1}"}
"""What ruamel.yaml would write with another meaning; the edit notices and is refused."""
REFUSED = object()


def _expected(case: dict[str, Any]) -> Any:
    answer = case.get("muslin", case)
    return REFUSED if answer.get("error") else answer["json"]


def _read(text: str, parser: ParserFactory = fastest_parser) -> Any:
    try:
        documents = load(text, parser=parser)
    except BadInput:
        return REFUSED
    return documents[0].value if documents else None


def _same(first: Any, second: Any) -> bool:
    """Equal, and of the same type: in Python 1 equals true."""
    if first is REFUSED or second is REFUSED:
        return first is second
    return json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)


def test_the_corpus_is_large_enough_to_mean_something() -> None:
    """An emptied corpus would pass every other test."""
    assert len(CASES) > 400


@pytest.mark.parametrize("parser", [fastest_parser, python_parser])
def test_every_text_means_what_it_means_to_kubernetes(parser: ParserFactory) -> None:
    """Both sources of events give the real program's answers."""
    skipped = TABS_BETWEEN_TOKENS if parser is python_parser else set()

    wrong = {
        case["text"]: _read(case["text"], parser)
        for case in CASES
        if case["text"] not in skipped and not _same(_read(case["text"], parser), _expected(case))
    }

    assert wrong == {}


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _strings(part)]
    return [text for part in value for text in _strings(part)] if isinstance(value, list) else []


AMBIGUOUS = sorted(
    {text for case in CASES if _expected(case) is not REFUSED for text in _strings(_expected(case))}
    | {case["text"].removeprefix("v: ") for case in CASES if "\n" not in case["text"]}
)
"""Every string of the corpus, and every text in it taken as a string."""


@pytest.mark.parametrize("parser", [fastest_parser, python_parser])
def test_a_written_string_is_read_as_the_same_string(parser: ParserFactory) -> None:
    """Strings that look like something else are written in quotes, as values and as keys."""
    wrong = [
        text
        for text in AMBIGUOUS
        if not text.startswith("\ufeff") and not _same(_read(dump({text: text}), parser), {text: text})
    ]

    assert wrong == []


@pytest.mark.slow
def test_a_text_set_by_an_edit_is_read_as_the_same_text() -> None:
    """The round trip through ruamel.yaml keeps ambiguous strings strings, and every other line alone."""
    around = "first: 017 # octal\nv: 1\nlast: yes\n"

    wrong = []
    for text in AMBIGUOUS:
        edited = edit(around, ("v",), text)
        if not _same(_read(edited), {"first": 15, "v": text, "last": True}) or "first: 017 # octal\n" not in edited:
            wrong.append((text, edited))

    assert wrong == []


def test_an_edit_beside_a_text_keeps_its_meaning() -> None:
    """Each one-line text of the corpus goes through ruamel.yaml unchanged in meaning, or the edit is refused."""
    wrong, refused = [], []
    for case in CASES:
        text, expected = case["text"], _expected(case)
        if "\n" in text or not isinstance(expected, dict) or "v" not in expected:
            continue
        try:
            edited = edit(f"{text}\nedited: 1\n", ("edited",), 2)
        except Failed:
            refused.append(text)
            continue
        if not _same(_read(edited), {**expected, "edited": 2}):
            wrong.append((text, edited))

    assert wrong == []
    assert set(refused) == LOST_BY_RUAMEL
