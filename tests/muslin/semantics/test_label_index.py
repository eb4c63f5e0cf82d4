"""Bitmaps of selectors say what the selectors themselves say of each set of labels."""

from __future__ import annotations

from random import Random

import pytest

from muslin.selectors import parse
from muslin.semantics.label_index import LabelIndex, bitmap, positions

_RANDOM = Random(7)
_LABELS = [
    None
    if _RANDOM.random() < 0.1
    else {
        key: _RANDOM.choice(["web", "db", "front", "back", "e"])
        for key in ("app", "tier", "env")
        if _RANDOM.random() < 0.7
    }
    for _ in range(200)
]
_INDEX = LabelIndex(_LABELS)


@pytest.mark.parametrize(
    "text",
    [
        "all()", "global()", "has(app)", "!has(app)", "app == 'web'", "app != 'web'", "app in {'web', 'db'}",
        "app not in {'web', 'db'}", "app contains 'b'", "app starts with 'fro'", "app ends with 'e'",
        "!(app contains 'b')", "app == 'web' && tier != 'front'", "app == 'web' || (has(env) && !(tier == 'db'))",
        "never == 'x'", "never != 'x'", "has(never)", "never not in {'x'}", "never contains ''",
    ],
)  # fmt: skip
def test_a_selector_gives_the_positions_whose_labels_it_matches(text: str) -> None:
    """Every kind of comparison, and what is made of several."""
    selector = parse(text)

    expected = [at for at, labels in enumerate(_LABELS) if labels is not None and selector.matches(labels)]
    assert positions(_INDEX.matching(selector)) == expected


def test_positions_and_bitmaps_are_each_others_inverse() -> None:
    """Also of nothing, and of the last position."""
    assert [positions(bitmap(at, 77)) for at in ([], [0], [76], [3, 8, 9, 76])] == [[], [0], [76], [3, 8, 9, 76]]


def test_nobody_is_selected_where_nobody_is() -> None:
    """An index of nothing gives nothing."""
    assert LabelIndex(()).matching(parse("all()")) == 0
