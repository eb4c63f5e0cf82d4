"""A reconciler's process looks for garbage seldom, and never at what stays."""

from __future__ import annotations

import subprocess
import sys

import pytest

_STORY = """
import gc
from muslin.kubernetes.json_text import decode, encode
from reconciler import garbage
garbage.seldom()
kept = gc.get_freeze_count()
assert kept > 0 and gc.get_threshold()[0] > 10_000
calls = []
looked = garbage.after_the_first(lambda *given: calls.append(given))
world = [{"a": [number]} for number in range(1000)]
looked(1, 2)
first = gc.get_freeze_count()
assert first > kept + 1000
more = [{"a": [number]} for number in range(1000)]
looked(3, 4)
assert calls == [(1, 2), (3, 4)]
assert gc.get_freeze_count() == first
assert decode(encode(more * 3)) == more * 3  # reads much, and moves nothing that is frozen
assert gc.get_freeze_count() == first
"""


@pytest.mark.slow
def test_what_is_there_after_the_first_look_is_not_looked_at_any_more() -> None:
    """Frozen at the start and once more after the first look, and nothing that reads much takes that back."""
    done = subprocess.run([sys.executable, "-c", _STORY], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
