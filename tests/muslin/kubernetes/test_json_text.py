"""JSON out: as Python's own writer has it, also after values that can't be written."""

from __future__ import annotations

import json
from typing import Any

import pytest

from muslin.kubernetes.json_text import encode


@pytest.mark.parametrize(
    "value", [{}, [], None, True, 'ü\u2028"\\\n', 1.5, -7, {"a": [{"b": [None, True, 1e30]}], "ü": {}}, {1: 2}]
)
def test_values_are_written_as_pythons_own_writer_does(value: Any) -> None:
    """Compact, and every character that JSON allows as itself."""
    assert encode(value) == json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def test_what_json_cannot_say_is_refused_each_time() -> None:
    """A circle, NaN, an object of Python; the same parts without what was wrong with them are written afterwards."""
    circle: dict[str, Any] = {"deep": {}}
    circle["deep"]["again"] = circle
    for wrong, error in ((circle, ValueError), ({"x": float("nan")}, ValueError), ({"x": object()}, TypeError)):
        for _ in range(2):
            with pytest.raises(error):
                encode(wrong)
    del circle["deep"]["again"]

    assert encode(circle) == b'{"deep":{}}'
