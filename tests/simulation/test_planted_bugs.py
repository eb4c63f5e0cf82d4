"""The simulation bites: each planted bug is found by one of the fixed seeds."""

from __future__ import annotations

import re

import pytest

from tests.simulation.histories import live
from tests.simulation.planted import PLANTED

_SEEDS = 16


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_bug_is_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the bug in the product some life within the fixed seeds breaks an invariant."""
    PLANTED[name](monkeypatch)

    found = next((failure for seed in range(_SEEDS) if (failure := live(seed).failure) is not None), None)

    assert found is not None
    assert not re.search(r"\w+Error\(", found), "the bug was planted where it does not fit any more"
