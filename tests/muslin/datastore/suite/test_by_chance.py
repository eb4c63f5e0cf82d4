"""Several faults in a row, by seeds: those here are told in each run, the soak tells others."""

from __future__ import annotations

import pytest

from tests.muslin.datastore.suite.by_chance import fault_by_chance

pytestmark = pytest.mark.slow

_SEEDS = {"memory": range(1, 9), "embedded": range(1, 4), "etcd": range(2, 4), "kubernetes": range(2, 3)}
"""A seed that the soak found to fail comes here."""
_MARKS = {
    "memory": [],
    "embedded": [pytest.mark.slow],
    "etcd": [pytest.mark.engines("etcd"), pytest.mark.slow],
    "kubernetes": [pytest.mark.engines, pytest.mark.slow],
}


@pytest.mark.parametrize(
    ("driver", "seed"),
    [pytest.param(driver, seed, marks=_MARKS[driver]) for driver, seeds in _SEEDS.items() for seed in seeds],
)
def test_a_story_by_chance_keeps_every_promise(driver: str, seed: int) -> None:
    """Whatever faults follow each other, the history can have happened."""
    about, fault = fault_by_chance(seed, [driver])

    assert fault is None, f"{about}: {fault}"
