"""What this agent does not do is said, and fails closed."""

from __future__ import annotations

from ipaddress import ip_address

from muslin.resources.host_endpoint import HostEndpoint
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from runtime.calc.compute import compute
from runtime.calc.verdict import Packet, judge
from tests.support.clusters import namespace_profile, node, policy, pool, workload

_ONE, _TWO = ip_address("10.48.0.1"), ip_address("10.48.0.2")


def _told(*resources: object) -> list[str]:
    return [problem.where for problem in compute(Snapshot.of(resources), "node-a").problems]  # type: ignore[arg-type]


def test_an_encapsulated_pool_is_told() -> None:
    """No route would come, and nobody would know why."""
    assert _told(pool("wide", "10.48.0.0/16", ipipMode="Always")) == ["IPPool wide  spec"]
    assert _told(pool("plain", "10.48.0.0/16")) == []


def test_a_host_endpoint_of_this_node_is_told() -> None:
    """A host that looks guarded and is not would be the worst of both."""
    here = HostEndpoint.model_validate({"metadata": {"name": "here"}, "spec": {"node": "node-a", "interfaceName": "*"}})
    there = HostEndpoint.model_validate({"metadata": {"name": "it"}, "spec": {"node": "node-b", "interfaceName": "*"}})

    assert _told(node("node-a", "192.0.2.1/24"), here, there) == ["HostEndpoint here"]


def test_a_rule_about_services_denies_whoever_it_might_mean() -> None:
    """Allowing rules allow nothing by it, others deny everybody; both readers agree, and it is told."""
    for action, by_it in (("Allow", True), ("Deny", False), ("Pass", False)):
        rules = [
            {"action": action, "destination": {"services": {"name": "dns", "namespace": "default"}}},
            {"action": "Allow"},
        ]
        cluster = Snapshot.of(
            [
                namespace_profile("default"),
                workload("one", str(_ONE), interfaceName="cali1"),
                workload("two", str(_TWO), interfaceName="cali2"),
                policy("p", types=["Egress"], egress=rules),
            ]
        )
        state = compute(cluster, "node-a")
        packet = Packet(_ONE, _TWO, 17, 4000, 53, None, "cali1", "cali2")

        assert judge(state, packet).allowed is by_it
        assert verdict(cluster, Flow(_ONE, _TWO, 17, 4000, 53)).allowed is by_it
        assert [problem.where for problem in state.problems] == ["NetworkPolicy default/p  spec.egress[0]"]
