"""A core Node as Calico's Node, and what a change of it writes back."""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muslin import resources
from muslin.conversion.node import KUBE_LABELS, blocks_of_pod_cidrs, node_from_core, node_patch
from muslin.errors import BadInput
from tests.muslin.conversion.objects import BORN, core_node

KEYS = (b64encode(b"4" * 32).decode(), b64encode(b"6" * 32).decode())
EVERYTHING = {
    "IPv4Address": "192.0.2.1/24",
    "IPv6Address": "2001:db8::1/64",
    "ASNumber": "64500",
    "RouteReflectorClusterID": "203.0.113.1",
    "IPv4IPIPTunnelAddr": "10.48.0.1",
    "IPv4VXLANTunnelAddr": "10.48.0.2",
    "IPv6VXLANTunnelAddr": "2001:db8::2",
    "VXLANTunnelMACAddr": "66:3b:72:c9:44:e2",
    "VXLANTunnelMACAddrV6": "66:3b:72:c9:44:e3",
    "IPv4WireguardInterfaceAddr": "10.48.0.3",
    "IPv6WireguardInterfaceAddr": "2001:db8::3",
    "WireguardPublicKey": KEYS[0],
    "WireguardPublicKeyV6": KEYS[1],
    "Interfaces": '[{"name":"eth0","addresses":["192.0.2.1"]},{"name":"lo"}]',
    "labels": '{"rack":"7"}',
    "annotations": '{"note":"n"}',
}
SPEC = {
    "bgp": {
        "ipv4Address": "192.0.2.1/24",
        "ipv6Address": "2001:db8::1/64",
        "asNumber": 64500,
        "routeReflectorClusterID": "203.0.113.1",
        "ipv4IPIPTunnelAddr": "10.48.0.1",
    },
    "ipv4VXLANTunnelAddr": "10.48.0.2",
    "ipv6VXLANTunnelAddr": "2001:db8::2",
    "vxlanTunnelMACAddr": "66:3b:72:c9:44:e2",
    "vxlanTunnelMACAddrV6": "66:3b:72:c9:44:e3",
    "wireguard": {"interfaceIPv4Address": "10.48.0.3", "interfaceIPv6Address": "2001:db8::3"},
    "orchRefs": [{"nodeName": "node-1", "orchestrator": "k8s"}],
    "addresses": [
        {"address": "192.0.2.1/24", "type": "CalicoNodeIP"},
        {"address": "2001:db8::1/64", "type": "CalicoNodeIP"},
        {"address": "192.0.2.1", "type": "InternalIP"},
        {"address": "198.51.100.1", "type": "ExternalIP"},
    ],
    "interfaces": [{"name": "eth0", "addresses": ["192.0.2.1"]}, {"name": "lo"}],
}


def _patched(core: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """What the API makes of a merge patch of annotations."""
    changed = deepcopy(core)
    for name, text in patch["metadata"].get("annotations", {}).items():
        if text is None:
            changed["metadata"]["annotations"].pop(name, None)
        else:
            changed["metadata"]["annotations"][name] = text
    return changed


def test_every_annotation_is_its_field() -> None:
    """All that Calico keeps in annotations is in the fields that it has for it."""
    node, problems = node_from_core(core_node(EVERYTHING, podCIDR="10.49.0.0/24", podCIDRs=["10.49.0.0/24"]))

    assert problems == ()
    assert node["spec"] == SPEC
    status = {"wireguardPublicKey": KEYS[0], "wireguardPublicKeyV6": KEYS[1], "podCIDRs": ["10.49.0.0/24"]}
    assert node["status"] == status
    assert node["metadata"] == {
        "name": "node-1",
        **BORN,
        "labels": {"rack": "7", "kubernetes.io/hostname": "node-1"},
        "annotations": {"note": "n", KUBE_LABELS: '{"kubernetes.io/hostname":"node-1"}'},
    }


def test_the_model_reads_what_is_converted() -> None:
    """A converted node is a Node."""
    assert resources.load(node_from_core(core_node(EVERYTHING)).value).kind == "Node"


def test_a_bare_node_has_no_bgp() -> None:
    """A node without annotations has neither an empty `bgp` nor an empty `wireguard`."""
    spec = node_from_core(core_node()).value["spec"]

    assert spec.keys() == {"orchRefs", "addresses"}


def test_labels_of_kubernetes_win() -> None:
    """A label that both have has Kubernetes' value."""
    own = {"labels": '{"kubernetes.io/hostname":"mine","rack":"7"}'}
    metadata = node_from_core(core_node(own)).value["metadata"]

    assert metadata["labels"] == {"kubernetes.io/hostname": "node-1", "rack": "7"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("IPv4Address", "2001:db8::1/64"),
        ("IPv6Address", "192.0.2.1/24"),
        ("IPv4Address", "nonsense"),
        ("ASNumber", "-1"),
        ("ASNumber", "4294967296"),
        ("RouteReflectorClusterID", "1"),
        ("VXLANTunnelMACAddr", "66:3b"),
        ("IPv6VXLANTunnelAddr", "fe80::1%eth0"),
        ("Interfaces", "{"),
        ("Interfaces", '["eth0"]'),
        ("labels", "[]"),
        ("labels", '{"a":1}'),
        ("labels", '{"no label!":"x"}'),
        ("IPv4IPIPTunnelAddr", "10.48.0.1/24"),
        ("WireguardPublicKey", "key"),
        ("Interfaces", '{"name":7}'),
        ("annotations", "NaN"),
        ("annotations", '{"no key!":"x"}'),
    ],
)
def test_a_bad_annotation_is_left_out_and_told(name: str, text: str) -> None:
    """What cannot be read is missing, the problem names the annotation, and all else is there."""
    node, problems = node_from_core(core_node({"IPv4VXLANTunnelAddr": "10.48.0.2", name: text}))

    (problem,) = problems
    assert f"metadata.annotations[projectcalico.org/{name}]" in problem.where
    assert node == node_from_core(core_node({"IPv4VXLANTunnelAddr": "10.48.0.2"})).value


def test_addresses_that_are_none_are_left_out_and_told() -> None:
    """Some clouds write the name of a host where an address belongs; the node must stay."""
    core = core_node({"Interfaces": '[{"name":"eth0","addresses":["192.0.2.1","host",7]}]'}, podCIDRs=["x"])
    core["status"]["addresses"].append({"type": "InternalIP", "address": "host.example.org"})
    node, problems = node_from_core(core)

    assert node["spec"]["addresses"] == node_from_core(core_node()).value["spec"]["addresses"]
    assert node["spec"]["interfaces"] == [{"name": "eth0", "addresses": ["192.0.2.1"]}]
    assert [problem.where.partition("  ")[2] for problem in problems] == [
        "status.addresses[3]",
        *["metadata.annotations[projectcalico.org/Interfaces][0]"] * 2,
        "spec.podCIDRs",
    ]
    assert resources.load(node).kind == "Node"


def test_a_single_address_may_be_written_as_a_network() -> None:
    """A tunnel's address has no length."""
    node = node_from_core(core_node({"IPv4IPIPTunnelAddr": "10.48.0.1/32"})).value

    assert node["spec"]["bgp"]["ipv4IPIPTunnelAddr"] == "10.48.0.1"
    assert resources.load(node).kind == "Node"


@pytest.mark.parametrize("name", EVERYTHING)
def test_no_annotation_makes_a_node_unreadable(name: str) -> None:
    """Whatever a person or a program writes there, the node stays one that agents can read."""
    texts = [
        "",
        "x",
        "0",
        "-1",
        "1.1",
        "::",
        "192.0.2.1",
        "192.0.2.1/24",
        "2001:db8::1/128",
        "[]",
        "{}",
        '[{"name":""}]',
    ]
    texts += ['{"":""}', '{"a":"b c"}', '{"a b":"c"}', "\x00", "9" * 5000, "é", '[{"name":"eth0","addresses":["::1"]}]']
    for text in texts:
        assert resources.load(node_from_core(core_node({**EVERYTHING, name: text})).value).kind == "Node"


@pytest.mark.parametrize(("text", "number"), [("64500", 64500), ("1.10", 65546), ("4294967295", 4294967295)])
def test_as_numbers_are_plain_or_dotted(text: str, number: int) -> None:
    """Both spellings are the same number."""
    assert node_from_core(core_node({"ASNumber": text})).value["spec"]["bgp"]["asNumber"] == number


def test_pod_cidr_gives_the_tunnels_addresses() -> None:
    """With addresses from podCIDRs a tunnel has the first of them, WireGuard's only if it has a key."""
    plain = node_from_core(core_node(podCIDR="10.49.3.0/24"), use_pod_cidr=True).value["spec"]
    keyed = node_from_core(core_node(EVERYTHING, podCIDR="10.49.3.0/24"), use_pod_cidr=True).value["spec"]

    assert plain["bgp"] == {"ipv4IPIPTunnelAddr": "10.49.3.1"}
    assert "wireguard" not in plain
    assert keyed["bgp"]["ipv4IPIPTunnelAddr"] == "10.49.3.1"
    assert keyed["wireguard"] == {"interfaceIPv4Address": "10.49.3.1"}


@pytest.mark.parametrize(("cidr", "told"), [("2001:db8::/64", 0), ("nonsense", 1)])
def test_pod_cidr_without_ipv4_gives_no_tunnel_address(cidr: str, told: int) -> None:
    """An IPv6 podCIDR has no address for an IPv4 tunnel; one that is none is told."""
    node, problems = node_from_core(core_node(EVERYTHING, podCIDR=cidr), use_pod_cidr=True)

    assert "ipv4IPIPTunnelAddr" not in node["spec"]["bgp"]
    assert "wireguard" not in node["spec"]
    assert len(problems) == told


def test_a_node_without_pod_cidr_uses_its_annotations() -> None:
    """Addresses from podCIDRs need a podCIDR."""
    assert node_from_core(core_node(EVERYTHING), use_pod_cidr=True).value["spec"] == SPEC


def test_pod_cidrs_stand_for_blocks() -> None:
    """Each podCIDR is a block of its node."""
    cidrs = ["10.49.3.0/24", "2001:db8:1::/64"]

    def blocks(**spec: Any) -> list[tuple[str, str]]:
        found = [resources.load(each) for each in blocks_of_pod_cidrs(core_node(**spec))]
        return [(str(each.spec.cidr), each.spec.affinity) for each in found]

    assert blocks(podCIDRs=cidrs) == [(each, "host:node-1") for each in cidrs]
    assert blocks(podCIDR=cidrs[0]) == [(cidrs[0], "host:node-1")]
    assert blocks() == []
    assert blocks(podCIDR="nonsense") == []


def test_an_unchanged_node_changes_nothing() -> None:
    """Writing back what was read is no change, whatever is wrong in annotations."""
    core = core_node({**EVERYTHING, "ASNumber": "1.10", "IPv4Address": "nonsense"})

    assert node_patch(node_from_core(core).value, core) == {"metadata": {"resourceVersion": "17"}}


def test_a_change_writes_its_annotation_alone() -> None:
    """A patch has what changed, and null for what is gone; labels of Kubernetes are nobody's to write."""
    core = core_node(EVERYTHING)
    node = node_from_core(core).value
    node["spec"]["bgp"]["asNumber"] = 64501
    del node["spec"]["vxlanTunnelMACAddr"]
    node["metadata"]["labels"] |= {"rack": "8", "kubernetes.io/hostname": "other"}

    assert node_patch(node, core)["metadata"]["annotations"] == {
        "projectcalico.org/ASNumber": "64501",
        "projectcalico.org/VXLANTunnelMACAddr": None,
        "projectcalico.org/labels": '{"rack":"8"}',
    }


def test_without_a_record_labels_that_kubernetes_has_are_kubernetes_s() -> None:
    """A node that somebody wrote down by hand has no record; what it repeats is not made Calico's."""
    core = core_node()
    node = {"kind": "Node", "metadata": {"name": "node-1", "labels": {"kubernetes.io/hostname": "node-1", "rack": "7"}}}

    assert node_patch(node, core)["metadata"]["annotations"] == {"projectcalico.org/labels": '{"rack":"7"}'}


def test_what_follows_from_pod_cidr_is_not_written() -> None:
    """An unchanged node stays unchanged, and keeps what it has from the time before."""
    core = core_node(EVERYTHING, podCIDR="10.49.3.0/24")
    node = node_from_core(core, use_pod_cidr=True).value

    assert "annotations" not in node_patch(node, core, use_pod_cidr=True)["metadata"]


def test_a_node_without_bgp_loses_all_of_it() -> None:
    """Removing `bgp` removes each of its annotations."""
    core = core_node(EVERYTHING)
    node = node_from_core(core).value
    del node["spec"]["bgp"]

    assert set(node_patch(node, core)["metadata"]["annotations"]) == {
        f"projectcalico.org/{name}"
        for name in ("IPv4Address", "IPv6Address", "ASNumber", "RouteReflectorClusterID", "IPv4IPIPTunnelAddr")
    }


@pytest.mark.parametrize("record", ["{", "[]", "7"])
def test_an_unreadable_record_of_labels_refuses_the_write(record: str) -> None:
    """Without the record nobody knows whose labels are whose."""
    node = node_from_core(core_node()).value
    node["metadata"]["annotations"][KUBE_LABELS] = record

    with pytest.raises(BadInput, match="labels"):
        node_patch(node, core_node())


_TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
_LABELS = st.dictionaries(st.sampled_from(["rack", "example.org/zone", "a_b"]), st.sampled_from(["", "7", "x.y"]))


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.sampled_from(sorted(set(EVERYTHING) - {"Interfaces", "labels", "annotations"})), st.booleans()),
    _LABELS,
    st.dictionaries(st.sampled_from(["note", "example.org/Note"]), _TEXT),
)
def test_what_is_written_is_read_again(kept: dict[str, bool], labels: dict[str, str], notes: dict[str, str]) -> None:
    """Any node written over any other gives itself."""
    after = core_node({name: EVERYTHING[name] for name, there in kept.items() if there})
    after["metadata"]["annotations"] |= {
        "projectcalico.org/labels": json.dumps(labels),
        "projectcalico.org/annotations": json.dumps(notes),
    }
    wanted = node_from_core(after).value
    before = core_node({name: EVERYTHING[name] for name, there in kept.items() if not there})

    found = node_from_core(_patched(before, node_patch(wanted, before)))

    assert found.problems == ()
    assert found.value == wanted
