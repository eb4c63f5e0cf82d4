"""Any process may be killed at any step: running on ends in the same state.

`MUSLIN_LAB_SEEDS=20` draws more schedules than `make test` does; `MUSLIN_LAB_SEED=7` runs that one alone.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.lab.disturbed import DIRECTED, Kill, Outcome, differences, forget, run, schedule

pytestmark = [pytest.mark.netns, pytest.mark.slow]

_SEEDS = (
    [int(os.environ["MUSLIN_LAB_SEED"])]
    if "MUSLIN_LAB_SEED" in os.environ
    else range(1, int(os.environ.get("MUSLIN_LAB_SEEDS", "1")) + 1)
)


def _run(kills: Sequence[Kill], wanted: Outcome | None = None) -> Outcome:
    folder = Path(tempfile.mkdtemp(prefix="lab"))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_STATE_HOME", str(folder))
            return asyncio.run(run(kills, wanted.state if wanted else None))
    finally:
        forget(folder)


@pytest.fixture(scope="module")
def undisturbed(possible: None) -> Outcome:
    """How everything ends when nobody is killed but by the demo itself."""
    return _run(())


@pytest.mark.parametrize(
    "kills", [*DIRECTED.values(), *map(schedule, _SEEDS)], ids=[*DIRECTED, *(f"seed-{seed}" for seed in _SEEDS)]
)
def test_killed_processes_run_on_to_the_same_state(kills: Sequence[Kill], undisturbed: Outcome) -> None:
    """Objects, addresses, routes, rules and sessions end as in the undisturbed run; no allowed packet is lost."""
    outcome = _run(kills, undisturbed)

    assert outcome.struck
    assert (undisturbed.ipam, outcome.ipam) == ([], [])
    assert list(differences(outcome.state, undisturbed.state)) == []
    # How long something may take is for a machine on which nothing is killed.
    assert [each for each in outcome.checks if not each.held and not each.wanted.startswith("under")] == []
