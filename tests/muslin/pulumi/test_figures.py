"""What a program costs, in CPU time: the same measurement as the bench."""

from __future__ import annotations

from statistics import median

import pytest

from tests.bench.pulumi_program import GOAL_IMPORT_S, GOAL_PROGRAM_S, added_by_import, program_s

pytestmark = pytest.mark.slow


def test_a_program_of_fifty_nodes() -> None:
    """With mocks, and the models loaded on the way, it stays under two seconds."""
    assert program_s() < GOAL_PROGRAM_S


def test_importing_the_package() -> None:
    """It adds less than a fifth of a second to Pulumi's own import."""
    rounds = added_by_import(3)

    assert median(rounds.ours) - median(rounds.other) < GOAL_IMPORT_S
