"""Whichever process is killed at whichever step: run on, and the end is the same."""

from __future__ import annotations

import functools

import pytest

from tests.simulation.assassin import ROLES, Deed, steps_of, tell
from tests.simulation.histories import Ended

_KILLS = 8


@functools.cache
def _unharmed() -> tuple[Ended, dict[str, int]]:
    return tell(), steps_of()


@pytest.mark.slow
@pytest.mark.parametrize("part", range(_KILLS))
@pytest.mark.parametrize("role", ROLES)
def test_the_end_is_the_same(role: str, part: int) -> None:
    """Killed at steps spread over its life, each process comes back and the cluster ends as if nothing had been."""
    unharmed, steps = _unharmed()
    step = 1 + part * (steps[role] - 1) // _KILLS
    ended = tell(Deed(role, step))

    assert any(f"{role} dies" in line for line in ended.trace)
    assert (ended.failure, ended.state) == (None, unharmed.state), f"step {step}\n" + "\n".join(ended.trace[-20:])


@pytest.mark.slow
@pytest.mark.parametrize("call", range(1, 16, 2))
def test_the_end_is_the_same_where_it_died_inside_an_apply(call: int) -> None:
    """Killed before its n-th system call, between filter, routes and connections, the agent's successor finishes."""
    unharmed, _ = _unharmed()
    ended = tell(Deed("node-a agent", call, call=True))

    assert any("node-a agent dies" in line for line in ended.trace)
    assert (ended.failure, ended.state) == (None, unharmed.state), "\n".join(ended.trace[-20:])
