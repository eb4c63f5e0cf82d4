"""What is written to a datastore for an object: defaults, what is refused there, and texts as they were written."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from muslin.errors import BadInput
from muslin.resources import Key, as_stored, dump, load, refused_changes, refused_deletion, refused_write, required_keys

from .builders import manifest


def _stored_spec(kind: str, spec: dict[str, Any], name: str = "example", **metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = as_stored(load(manifest(kind, spec, name, **metadata)))["spec"]
    return found


@pytest.mark.parametrize(
    ("spec", "types"),
    [
        ({}, ["Ingress"]),
        ({"egress": [{"action": "Allow"}]}, ["Egress"]),
        ({"ingress": [{"action": "Allow"}], "egress": [{"action": "Allow"}]}, ["Ingress", "Egress"]),
        ({"ingress": [{"action": "Allow"}], "types": ["Egress"]}, ["Egress"]),
    ],
)
@pytest.mark.parametrize(
    "kind", ["NetworkPolicy", "GlobalNetworkPolicy", "StagedNetworkPolicy", "StagedGlobalNetworkPolicy"]
)
def test_policies_get_tier_and_types(kind: str, spec: dict[str, Any], types: list[str]) -> None:
    """A stored policy names its tier, also in a label, and the directions that it applies to."""
    metadata = {} if "Global" in kind else {"namespace": "shop"}
    stored = as_stored(load(manifest(kind, spec, labels={"role": "web"}, **metadata)))

    assert (stored["spec"]["tier"], stored["spec"]["types"]) == ("default", types)
    assert stored["metadata"]["labels"] == {"role": "web", "projectcalico.org/tier": "default"}
    assert stored["spec"].get("stagedAction") == ("Set" if "Staged" in kind else None)


def test_the_label_follows_the_tier() -> None:
    """Whatever label was given, the stored one is the tier of the policy."""
    policy = manifest("GlobalNetworkPolicy", {"tier": "ops"}, labels={"projectcalico.org/tier": "default"})

    assert as_stored(load(policy))["metadata"]["labels"] == {"projectcalico.org/tier": "ops"}


def test_a_staged_deletion_stays_bare() -> None:
    """A staged deletion gets its tier and nothing else; with anything else it is refused, empty values apart."""
    assert _stored_spec("StagedGlobalNetworkPolicy", {"stagedAction": "Delete", "ingress": []}) == {
        "stagedAction": "Delete",
        "tier": "default",
    }
    for spec in ({"selector": "all()"}, {"order": 0}, {"types": ["Ingress"]}, {"doNotTrack": True}):
        with pytest.raises(BadInput, match="zero-value"):
            load(manifest("StagedGlobalNetworkPolicy", {"stagedAction": "Delete", **spec}))


def test_a_staged_policy_of_kubernetes_has_its_own_form() -> None:
    """Its content is kept as it is; a staged deletion has none."""
    spec = {
        "podSelector": {},
        "ingress": [{"from": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}],
        "policyTypes": ["Ingress"],
    }

    assert _stored_spec("StagedKubernetesNetworkPolicy", spec, namespace="shop") == {"stagedAction": "Set", **spec}
    assert _stored_spec("StagedKubernetesNetworkPolicy", {"stagedAction": "Delete"}, namespace="shop") == {
        "podSelector": {},
        "stagedAction": "Delete",
    }
    with pytest.raises(BadInput, match="zero-value"):
        load(manifest("StagedKubernetesNetworkPolicy", {"stagedAction": "Delete", **spec}, namespace="shop"))


@pytest.mark.parametrize(("prefix", "size"), [("192.0.2.0/24", 26), ("2001:db8::/64", 122)])
def test_pools_are_stored_whole(prefix: str, size: int) -> None:
    """Every setting of a pool that has a default is written."""
    assert _stored_spec("IPPool", {"cidr": prefix, "natOutgoing": True, "nodeSelector": ""}) == {
        "cidr": prefix,
        "blockSize": size,
        "ipipMode": "Never",
        "vxlanMode": "Never",
        "natOutgoing": True,
        "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"],
        "assignmentMode": "Automatic",
    }


def test_defaults_can_break_a_rule() -> None:
    """A namespaced pool without uses passes by itself; as stored it would serve tunnels, and is refused."""
    pool = load(manifest("IPPool", {"cidr": "192.0.2.0/24", "namespaceSelector": "team == 'a'"}))

    with pytest.raises(BadInput, match="AllowedUse Tunnel cannot have namespaceSelector"):
        as_stored(pool)


def test_a_pool_is_stored_under_its_canonical_prefix() -> None:
    """However the prefix was written, a pool has it in one form."""
    assert _stored_spec("IPPool", {"cidr": "2001:DB8:0:0::/64"})["cidr"] == "2001:db8::/64"


@pytest.mark.parametrize(
    ("template", "what"),
    [
        ({}, "Template name must be specified"),
        ({"generateName": "a"}, "interfaceCIDRs or interfacePattern must be specified"),
        ({"generateName": "a", "interfacePattern": "eth.*"}, None),
        ({"generateName": "a", "interfaceCIDRs": ["192.0.2.0/24"]}, None),
    ],
)
def test_templates_of_host_endpoints_are_whole_when_stored(template: dict[str, Any], what: str | None) -> None:
    """A template has a name and says which interfaces; `load` alone lets it pass, as `validate` does."""
    resource = load(_with_templates(template))

    if what is None:
        as_stored(resource)
    else:
        with pytest.raises(BadInput, match=what):
            as_stored(resource)


def test_templates_have_names_of_their_own() -> None:
    """Two templates of one name would make the same HostEndpoints."""
    template = {"generateName": "a", "interfacePattern": "eth.*"}

    with pytest.raises(BadInput, match="Template name must be unique"):
        as_stored(load(_with_templates(template, template)))


def _with_templates(*templates: dict[str, Any]) -> dict[str, Any]:
    controllers = {"node": {"hostEndpoint": {"templates": list(templates)}}}
    return manifest("KubeControllersConfiguration", {"controllers": controllers}, "default")


def test_older_settings_of_felix_decide_the_newer_ones() -> None:
    """The deprecated switch of load balancing on connect is written in its newer form as well."""
    spec = _stored_spec("FelixConfiguration", {"bpfConnectTimeLoadBalancingEnabled": True}, "default")

    assert (spec["bpfConnectTimeLoadBalancing"], spec["bpfHostNetworkedNATWithoutCTLB"]) == ("Enabled", "Disabled")


def test_storing_again_changes_nothing() -> None:
    """What was stored is stored again as it is."""
    for obj in (
        manifest("NetworkPolicy", {"egress": [{"action": "Allow"}]}, namespace="shop"),
        manifest("IPPool", {"cidr": "192.0.2.0/24"}),
        manifest("KubeControllersConfiguration", {"controllers": {"node": {}, "migration": {}}}, "default"),
        manifest("FelixConfiguration", {}, "default"),
        manifest("Node", {}),
        manifest("Tier", {"order": 5}),
    ):
        once = as_stored(load(obj))

        assert as_stored(load(once)) == once


@pytest.mark.parametrize(
    "resource",
    [
        manifest("Profile", {}, "projectcalico-default-allow"),
        manifest("BlockAffinity", {"cidr": "192.0.2.0/26", "node": "a", "state": "confirmed", "deleted": True}),
    ],
)
def test_some_objects_are_nobodys_to_write(resource: dict[str, Any]) -> None:
    """The profile that allows everything is fixed, and who deletes an affinity deletes it."""
    assert refused_write(load(resource))
    with pytest.raises(BadInput):
        as_stored(load(resource))


def test_built_in_objects_stay() -> None:
    """Built-in tiers and the default profile can't be deleted, others can."""
    for name in ("default", "kube-admin", "kube-baseline"):
        assert [problem.what for problem in refused_deletion(Key("Tier", name))] == [
            f"The built-in tier {name} cannot be deleted"
        ]
    assert refused_deletion(Key("Profile", "projectcalico-default-allow"))
    assert not refused_deletion(Key("Tier", "ops"))
    assert not refused_deletion(Key("GlobalNetworkPolicy", "default"))


def test_objects_name_what_they_need() -> None:
    """A policy needs its tier, a peer its filters, each once; others need nothing."""
    assert required_keys(load(manifest("GlobalNetworkPolicy", {}))) == (Key("Tier", "default"),)
    assert required_keys(load(manifest("StagedNetworkPolicy", {"tier": "ops"}, namespace="shop"))) == (
        Key("Tier", "ops"),
    )
    assert required_keys(load(manifest("BGPPeer", {"filters": ["a", "b", "a"]}))) == (
        Key("BGPFilter", "a"),
        Key("BGPFilter", "b"),
    )
    assert required_keys(load(manifest("IPPool", {"cidr": "192.0.2.0/24"}))) == ()


def test_a_pool_stays_for_load_balancers_or_not() -> None:
    """The use for load balancers is neither given to a pool nor taken from it."""
    mine = load(manifest("IPPool", {"cidr": "192.0.2.0/24"}))
    theirs = load(manifest("IPPool", {"cidr": "192.0.2.0/24", "allowedUses": ["LoadBalancer"]}))

    for old, new in ((mine, theirs), (theirs, mine)):
        assert [problem.source for problem in refused_changes(old, new)] == ["IPPoolSpec load-balancers-stay"]


def test_prefixes_and_addresses_are_printed_as_they_were_written() -> None:
    """A text keeps its form, whatever its value compares with; copies keep it as well."""
    spec = {"nets": ["192.0.2.1", "198.51.100.7/24", "2001:DB8::1/64", "203.0.113.0/24"]}
    given = manifest("GlobalNetworkSet", spec)
    canonical = manifest(
        "GlobalNetworkSet", {"nets": ["192.0.2.1/32", "198.51.100.0/24", "2001:db8::/64", "203.0.113.0/24"]}
    )
    resource = load(given)

    assert dump(resource) == given
    assert resource == load(canonical)
    assert hash(resource) == hash(load(canonical))
    for copied in (copy.deepcopy(resource), pickle.loads(pickle.dumps(resource))):
        assert dump(copied) == given


def test_addresses_of_nodes_keep_their_text() -> None:
    """Interfaces' addresses and MAC addresses too."""
    spec = {
        "bgp": {"ipv4Address": "192.0.2.1", "ipv6Address": "2001:DB8::1/64"},
        "vxlanTunnelMACAddr": "EE:EE:EE:00:00:01",
        "ipv6VXLANTunnelAddr": "2001:DB8::2",
    }
    node = load(manifest("Node", spec))

    assert dump(node)["spec"] == spec
    assert str(node.spec.vxlan_tunnel_mac_addr) == "ee:ee:ee:00:00:01"
    assert dump(copy.deepcopy(node))["spec"] == spec


def test_scalars_of_yaml_can_stand_for_text() -> None:
    """As calicoctl reads YAML, a number or true is the text that Go makes of it; otherwise it is refused."""
    labels = {"a": True, "b": False, "c": 80, "d": 1.10, "e": 1e-07, "g": "h", "i": None}
    node = manifest("Node", {"orchRefs": [{"nodeName": 5, "orchestrator": "k8s"}]}, labels=labels)

    printed = dump(load(node, as_calicoctl=True))

    assert printed["metadata"]["labels"] == {
        "a": "true", "b": "false", "c": "80", "d": "1.1", "e": "1e-07", "g": "h", "i": ""
    }  # fmt: skip
    assert printed["spec"]["orchRefs"] == [{"nodeName": "5", "orchestrator": "k8s"}]
    assert node["metadata"]["labels"] == labels
    with pytest.raises(BadInput, match="must be text"):
        load(node)


def test_other_wrong_types_stay_wrong() -> None:
    """Only scalars stand for text: a list does not, nor does text for a number."""
    for spec in ({"orchRefs": [{"orchestrator": ["k8s"]}]}, {"orchRefs": [{"orchestrator": None}]}):
        with pytest.raises(BadInput):
            load(manifest("Node", spec), as_calicoctl=True)
    with pytest.raises(BadInput):
        load(manifest("Tier", {"order": "5"}), as_calicoctl=True)


def test_names_of_fields_in_any_case_where_calicoctl_reads_them() -> None:
    """Go takes them for the fields that they are but for capitals, however deep; two of one field are refused."""
    spec = {"Tier": "sec", "INGRESS": [{"Action": "Allow", "Source": {"NETS": ["192.0.2.0/24"]}}]}
    given = manifest("GlobalNetworkPolicy", spec)

    assert dump(load(given, as_calicoctl=True))["spec"] == {
        "tier": "sec",
        "ingress": [{"action": "Allow", "source": {"nets": ["192.0.2.0/24"]}}],
    }
    with pytest.raises(BadInput, match="unknown field"):
        load(given)
    for twice in ({"order": 1, "Order": 2}, {"ORDER": 1, "Order": 2}, {"ordr": 1}):
        with pytest.raises(BadInput, match="unknown field"):
            load(manifest("Tier", twice), as_calicoctl=True)


def test_empty_texts_are_not_stored() -> None:
    """As Go's client leaves them out, at any depth; what is empty in settings of agents is meant to be."""
    spec = {
        "namespaceSelector": "",
        "selector": "",
        "ingress": [{"action": "Allow", "source": {"selector": "", "nets": ["192.0.2.0/24"]}}],
    }
    stored = as_stored(load(manifest("GlobalNetworkPolicy", spec)))["spec"]
    peer = as_stored(load(manifest("BGPPeer", {"node": "", "nodeSelector": "", "peerIP": "192.0.2.1"})))["spec"]
    settings = as_stored(load(manifest("FelixConfiguration", {"healthHost": ""}, "default")))["spec"]

    assert stored == {
        "tier": "default",
        "types": ["Ingress"],
        "ingress": [{"action": "Allow", "source": {"nets": ["192.0.2.0/24"]}}],
    }
    assert peer == {"peerIP": "192.0.2.1"}
    assert settings["healthHost"] == ""
