"""Lives of a whole cluster by seed; what must hold is said in watchman.py and oracle.py."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.histories import Ended, live

_FIXED = 40


def seeds() -> list[int]:
    """The fixed ones, and those that failed once."""
    text = Path(__file__).with_name("seeds.txt").read_text()
    found = [int(words[0]) for line in text.splitlines() if (words := line.partition("#")[0].split())]
    return sorted({*range(_FIXED), *found})


def explain(ended: Ended, seed: int) -> str:
    """What a person needs: the end of the trace, and how to see it again."""
    return "\n".join([*ended.trace[-25:], ended.failure or "", f"repeat: python -m tests.soak --seed {seed}"])


@pytest.mark.slow
@pytest.mark.parametrize("seed", seeds())
def test_a_cluster_lives_through_it(seed: int) -> None:
    """Through crashes, faults, drift and mistakes every invariant holds, and in calm everything is as wanted."""
    ended = live(seed)

    assert ended.failure is None, explain(ended, seed)
    assert len(ended.trace) > 50


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 3, 6])
def test_the_same_seed_is_the_same_life(seed: int) -> None:
    """Two runs of a seed have one trace, to the microsecond; another seed has another."""
    assert live(seed).trace == live(seed).trace
    assert live(seed).digest != live(seed + 1).digest


@pytest.mark.slow
def test_a_seed_from_the_soak_can_be_repeated_elsewhere() -> None:
    """Another process, with other hashes of strings, lives the same life: the digest is printed and equal."""
    printed = {
        subprocess.run(
            [sys.executable, "-m", "tests.soak", "--seed", "4"],
            env={**os.environ, "PYTHONHASHSEED": hashes},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.splitlines()[-1]
        for hashes in ("1", "2")
    }

    assert printed == {f"seed 4: trace {live(4).digest}: held"}


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 5, 8, 9])
def test_the_end_is_that_of_a_life_without_trouble(seed: int) -> None:
    """The same deeds of people without any fault end in the same declared objects and the same pods on their nodes."""
    troubled, quiet = live(seed), live(seed, trouble=False)

    assert (troubled.failure, quiet.failure) == (None, None)
    assert troubled.state == quiet.state


def test_a_short_life_is_lived() -> None:
    """One quick life in every run of the tests, also where slow ones are left out."""
    ended = live(1, deeds=4)

    assert ended.failure is None, explain(ended, 1)
    assert any("has 10.48.0." in line for line in ended.trace)
