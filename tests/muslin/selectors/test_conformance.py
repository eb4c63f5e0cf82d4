"""The reference implementation's answers about selectors, all of them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from muslin.selectors import SelectorError, parse


def _rows() -> list[dict[str, Any]]:
    folder = os.environ.get("MUSLIN_CONFORMANCE")
    if not folder:
        pytest.skip("MUSLIN_CONFORMANCE names no folder")
    return [json.loads(line) for line in (Path(folder) / "selectors.jsonl").read_text().splitlines()]


def _answer(row: dict[str, Any]) -> dict[str, Any]:
    """What we say to the questions that the row answers."""
    try:
        selector = parse(row["selector"])
    except SelectorError:
        return {"valid": False}
    answer: dict[str, Any] = {"valid": True, "canonical": selector.canonical, "uid": selector.uid}
    if "labels" in row:
        answer["match"] = selector.matches(row["labels"] or {})
    return answer


@pytest.mark.conformance
def test_selectors_mean_what_the_reference_says(capsys: pytest.CaptureFixture[str]) -> None:
    """Validity, canonical form, identity and match agree with the reference in every row."""
    rows = _rows()
    asked = ("valid", "canonical", "uid", "match")

    wrong = []
    for row in rows:
        answer = _answer(row)
        expected = {name: row[name] for name in asked if row.get(name) is not None}
        if {name: answer.get(name) for name in expected} != expected:
            wrong.append((row, answer))

    with capsys.disabled():
        print(f"\nselectors.jsonl: {len(rows) - len(wrong)} of {len(rows)} rows hold")
    assert rows
    assert wrong == []
