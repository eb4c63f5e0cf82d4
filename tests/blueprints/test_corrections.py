"""The documents' mistakes are not repeated: each of docs/reference-architecture.md has its line here."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.emit import render
from muslin.errors import BadInput
from muslin.resources import dump
from muslin.resources import load as load_resource
from muslin.selectors import SelectorError, parse
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from muslin.yaml import load as read_yaml
from tests.blueprints.clusters import facts, nodes_in
from tests.support.clusters import namespace_profile, workload

_PAGE = Path(__file__).parents[2] / "docs" / "reference-architecture.md"
_LABELLED = {
    "nodes": [{"name": "node-a", "address": "192.0.2.1", "rack": "r1", "labels": {"network-type": "routable"}}]
}
_SWITCH = {"topOfRack": [{"name": "r1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"]}]}


def _texts(blueprint: str, **told: Any) -> str:
    return "\n".join(
        text
        for path, text in render(BLUEPRINTS[blueprint](facts(**told), None, None)).items()
        if path.endswith(".yaml")
    )


def _spec(blueprint: str, kind: str, **told: Any) -> dict[str, Any]:
    decided = BLUEPRINTS[blueprint](facts(**told), None, None)
    return {each.metadata.name: dump(each)["spec"] for each in decided.resources if each.kind == kind}


def test_the_documents_text_is_a_tag() -> None:
    """The selector without quotes is no text to any reader of YAML; ours is written in quotes and read back."""
    with pytest.raises(BadInput):
        read_yaml(b"spec:\n  nodeSelector: !has(route-reflector)\n", "document.yaml")
    assert '"!has(route-reflector)"' in _texts("route_reflectors", **nodes_in(4)).replace("'", '"')


def test_labels_are_texts_and_have_one_name() -> None:
    """The label that the selectors look for, as text; the document's boolean is refused."""
    labels: dict[str, Any] = {"route-reflector": True}
    with pytest.raises(BadInput):
        load_resource(
            {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "z", "labels": labels}}
        )
    text = _texts("route_reflectors", **nodes_in(4))
    assert 'route-reflector: "true"' in text
    assert "router-reflector" not in text


def test_workers_do_not_reflect() -> None:
    """A node of a rack gets a label, and no cluster ID; with one AS for all racks the own AS may stand in a path."""
    told = {**nodes_in(4, racks=2), "topOfRack": [
        {"name": f"t{number}", "address": f"10.0.255.{number}", "asNumber": 64400, "racks": [f"r{number}"]}
        for number in (0, 1)
    ]}  # fmt: skip

    assert "routeReflectorClusterID" not in _texts("top_of_rack", **told)
    assert {each["numAllowedLocalASNumbers"] for each in _spec("top_of_rack", "BGPPeer", **told).values()} == {1}


def test_the_documents_selector_does_not_parse() -> None:
    """`has` takes a name; every selector that we write parses."""
    with pytest.raises(SelectorError):
        parse("has('network-node')")
    for kind in ("BGPPeer", "IPPool"):
        specs = _spec("top_of_rack", kind, **_LABELLED, **_SWITCH, routable={"pods": "203.0.113.0/26"}).values()
        selectors = [spec["nodeSelector"] for spec in specs]

        assert [str(parse(each)).replace('"', "'") for each in selectors] == selectors


def test_routable_pods_have_another_pool_outside_of_the_first_without_nat() -> None:
    """Another name, no NAT, and no overlap; unlabelled nodes keep the first pool."""
    pools = _spec("single_subnet", "IPPool", **_LABELLED, **_SWITCH, routable={"pods": "203.0.113.0/26"})

    assert set(pools) == {"default-ipv4-ippool", "routable-ipv4-ippool"}
    assert "natOutgoing" not in pools["routable-ipv4-ippool"]
    assert parse(pools["default-ipv4-ippool"]["nodeSelector"]).matches({})
    with pytest.raises(BadInput, match="overlaps the pod range"):
        _spec("single_subnet", "IPPool", **_LABELLED, **_SWITCH, routable={"pods": "10.48.100.0/24"})


@pytest.mark.parametrize(
    ("source", "destination", "protocol", "port"),
    [
        ("10.48.0.1", "10.48.0.9", 17, 53),
        ("10.48.0.1", "10.48.0.9", 6, 53),
        ("2001:db8:48::1", "2001:db8:48::9", 17, 53),
        ("2001:db8:48::1", "2001:db8:48::9", 6, 53),
        ("2001:db8:48::9", "2001:db8:48::1", 6, 80),
    ],
)
def test_dns_over_both_protocols_and_families(source: str, destination: str, protocol: int, port: int) -> None:
    """Questions to DNS pass; what else is asked of a pod does not, in each family, by a label that Calico sets."""
    told = {
        "nodes": [{"name": "node-a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}],
        "subnets": ["192.0.2.0/24", "2001:db8::/64"],
        "podRangeV6": "2001:db8:48::/48",
    }
    (policy,) = [
        each
        for each in BLUEPRINTS["single_subnet"](facts(**told), None, None).resources
        if each.kind.endswith("Policy")
    ]
    snapshot = Snapshot.of(
        [
            policy,
            namespace_profile("red"),
            namespace_profile("kube-system"),
            workload("web", ["10.48.0.1", "2001:db8:48::1"], namespace="red"),
            workload("dns", ["10.48.0.9", "2001:db8:48::9"], namespace="kube-system"),
        ]
    )
    flow = Flow(ip_address(source), ip_address(destination), protocol, 40000, port)

    assert verdict(snapshot, flow).allowed is (port == 53)
    assert dump(policy)["spec"]["namespaceSelector"] == "all()"


@pytest.mark.parametrize(
    ("network", "native", "ipip", "vxlan", "vxlan6"), [(1500, 1500, 1480, 1450, 1430), (9001, 9001, 8981, 8951, 8931)]
)
def test_the_documents_table_of_mtus(network: int, native: int, ipip: int, vxlan: int, vxlan6: int) -> None:
    """Its two rows, and the column that it has not: VXLAN over IPv6. 1440 is in none of them."""
    six = {
        "nodes": [{"name": "node-a", "address": "192.0.2.1", "addressV6": "2001:db8::1"}],
        "subnets": ["192.0.2.0/24", "2001:db8::/64"],
        "podRangeV6": "2001:db8:48::/48",
    }
    networks: tuple[dict[str, Any], ...] = (
        {},
        {"network": {"podAddresses": False}},
        {"network": {"bgp": False}},
        {"network": {"bgp": False}, **six},
    )
    told = [
        int(BLUEPRINTS["single_subnet"](facts(**each, networkMTU=network), None, None).decision("MTU").chosen)
        for each in networks
    ]

    assert told == [native, ipip, vxlan, vxlan6]
    assert 1440 not in told


def test_vxlan_says_what_upstream_must_set() -> None:
    """The backend's value and the probes, in plain letters; names of variables as they are."""
    blueprint = BLUEPRINTS["single_subnet"](facts(network={"bgp": False}), None, None)
    told = blueprint.decision("backend").consequence

    assert told.isascii()
    assert [word in told for word in ("calico_backend: vxlan", "-bird-live", "-bird-ready")] == [True] * 3


def test_fifty_is_many() -> None:
    """Exactly 50 nodes: reflectors, and three processes that fan out."""
    with pytest.raises(BadInput, match="route_reflectors"):
        BLUEPRINTS["single_subnet"](facts(plannedNodes=50), None, None)
    decided = BLUEPRINTS["route_reflectors"](facts(**nodes_in(4), plannedNodes=50), None, None)

    assert decided.decision("fan-out replicas").chosen == "3"


def test_the_page_names_sections_and_a_correction_for_each() -> None:
    """Every row is whole."""
    rows = [line.strip("|").split(" | ") for line in _PAGE.read_text("utf-8").splitlines() if line.startswith("| ")]

    assert len(rows) > 20
    assert [row for row in rows if len(row) != 4 or not all(cell.strip() for cell in row)] == []
