"""Real packets through the real kernel get the judge's verdict and the fake filter's."""

from __future__ import annotations

from random import Random

from runtime.calc.verdict import Path, judge
from runtime.dataplane.nftables import Nftables
from runtime.dataplane.ruleset import compile_ruleset
from tests.support.fake_nftables import filter_verdict, masqueraded
from tests.support.netns import isolated
from tests.support.node_states import as_filter_packet, random_packet, random_state
from tests.support.pod_wiring import Probes, wire_node


@isolated
def test_kernel_judge_and_fake_agree() -> None:
    """A hundred random states, each reached from the one before, eight packets each: three answers, one truth."""
    random = Random(20261)
    wiring = wire_node()
    driver = Nftables()
    probes = Probes(wiring)
    passed = 0
    for _ in range(100):
        state = random_state(random)
        ruleset = compile_ruleset(state)
        driver.converge(ruleset)
        for _ in range(8):
            packet = random_packet(random)

            seen_from = probes.arrives(packet)

            arrived = seen_from is not None
            assert arrived == filter_verdict(ruleset, as_filter_packet(packet)), (packet, state)
            assert arrived == judge(state, packet).allowed, (packet, state)
            if arrived:
                translated = packet.path is Path.FORWARD and masqueraded(ruleset, as_filter_packet(packet))
                assert (seen_from == packet.source) != translated, (packet, state)
            passed += arrived
    assert 80 < passed < 720
