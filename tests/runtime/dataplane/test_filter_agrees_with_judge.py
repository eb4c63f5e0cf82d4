"""The compiled packet filter and the judge of node states say the same about every packet."""

from __future__ import annotations

from random import Random

import pytest

from runtime.calc.verdict import judge
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.fake_nftables import filter_verdict
from tests.support.node_states import as_filter_packet, random_packet, random_state


@pytest.mark.parametrize("seed", range(16))
def test_compiled_filter_decides_as_the_judge(seed: int) -> None:
    """Executing the ruleset's values gives the judge's verdict, over random states and packets."""
    random = Random(seed)
    for _ in range(10):
        state = random_state(random)
        ruleset = compile_ruleset(state)
        for _ in range(12):
            packet = random_packet(random)

            judgement = judge(state, packet)

            assert filter_verdict(ruleset, as_filter_packet(packet)) == judgement.allowed, (packet, judgement, state)


@pytest.mark.slow
def test_random_packets_are_allowed_and_denied_often() -> None:
    """The comparison above is worth something: neither verdict is rare."""
    random = Random(7)
    allowed = sum(judge(random_state(random), random_packet(random)).allowed for _ in range(150))

    assert 20 < allowed < 130
