"""What is installed as decided holds in every line; each line is seen to differ, to be absent, not to be told."""

from __future__ import annotations

from typing import Any, Final

import pytest

from blueprints.upstream import manifests
from blueprints.upstream.verify.installed import Installed, value_at
from blueprints.upstream.verify.lines import Line, Verdict
from blueprints.upstream.verify.verifying import verify
from tests.blueprints.upstream.changes import (
    Change,
    backend,
    container,
    loose_budget,
    newer_probes,
    no_bird,
    of,
    older_typha,
    other_labels,
    pod_network,
    set_config,
    set_spec,
    set_variable,
    typha_replicas,
    with_variable,
    without,
)
from tests.blueprints.upstream.networks import NETWORKS, decided
from tests.blueprints.upstream.upstreams import by_manifests, by_the_operator, found, installed, upstreams_objects

_KUBERNETES = [name for name in NETWORKS if "datastore" not in NETWORKS[name]]


def _not_held(lines: tuple[Line, ...]) -> set[tuple[str, Verdict]]:
    return {(each.check, each.verdict) for each in lines if each.verdict is not Verdict.HOLDS}


@pytest.mark.parametrize("name", NETWORKS)
def test_what_we_write_holds(name: str) -> None:
    """Upstream's manifests with our patches, Typha, and our resources."""
    network = decided(name)
    lines = verify(network, installed(by_manifests(network)))
    etcd = {("etcd certificates", Verdict.CANNOT_TELL)} if "datastore" in NETWORKS[name] else set()

    assert _not_held(lines) == etcd
    assert len({each.check for each in lines}) == len(lines)
    assert all(each.source and each.expected and (each.fix == "") for each in lines if not etcd)


@pytest.mark.parametrize("name", _KUBERNETES)
def test_what_we_tell_the_operator_holds(name: str) -> None:
    """Its own number of Typhas cannot be seen in files."""
    network = decided(name)
    lines = verify(network, installed(by_the_operator(network)))

    assert _not_held(lines) == {("Typha replicas", Verdict.CANNOT_TELL)}


def test_what_upstream_releases_is_not_as_decided() -> None:
    """Of upstream's own file each line that a decision changes is told, with what to do."""
    lines = verify(decided("several-subnets-60-nodes"), installed(upstreams_objects()))
    wrong = {each.check for each in lines if each.verdict.is_wrong}

    assert {"typha_service_name", "CALICO_IPV4POOL_CIDR", "CALICO_IPV4POOL_IPIP", "Typha Service"} <= wrong
    assert all(each.fix for each in lines if each.verdict is not Verdict.HOLDS)


_DIFFERS, _ABSENT, _CANNOT = Verdict.DIFFERS, Verdict.ABSENT, Verdict.CANNOT_TELL


_CHANGES: Final[list[tuple[Change, str, Verdict]]] = [
    (backend, "calico_backend", _DIFFERS),
    (no_bird, "livenessProbe asks BIRD", _DIFFERS),
    (set_config("veth_mtu", "1440"), "veth_mtu", _DIFFERS),
    (set_config("veth_mtu", "0"), "veth_mtu", _CANNOT),
    (set_config("typha_service_name", None), "typha_service_name", _ABSENT),
    (set_config("cni_network_config", "{}"), "CNI datastore", _ABSENT),
    (typha_replicas, "Typha replicas", _DIFFERS),
    (other_labels, "Service selects Typha", _DIFFERS),
    (older_typha, "Typha version", _DIFFERS),
    (pod_network, "Typha on the hosts' network", _DIFFERS),
    (loose_budget, "Typha PodDisruptionBudget", _DIFFERS),
    (without("PodDisruptionBudget"), "Typha PodDisruptionBudget", _ABSENT),
    (without("Service"), "Typha Service", _ABSENT),
    (without("Deployment"), "Typha replicas", _ABSENT),
    (without("ConfigMap"), "calico_backend", _ABSENT),
    (without("ConfigMap"), "FELIX_TYPHAK8SSERVICENAME", _CANNOT),
    (without("DaemonSet"), "CALICO_IPV4POOL_CIDR", _ABSENT),
    (without("IPPool"), "IPPool default-ipv4-ippool", _CANNOT),
    (with_variable("FELIX_TYPHAK8SSERVICENAME", None), "FELIX_TYPHAK8SSERVICENAME", _ABSENT),
    (with_variable("DATASTORE_TYPE", None), "calico-node datastore", _DIFFERS),
    (with_variable("CALICO_IPV4POOL_IPIP", "Always"), "CALICO_IPV4POOL_IPIP", _DIFFERS),
    (with_variable("CALICO_IPV4POOL_IPIP", None), "CALICO_IPV4POOL_IPIP", _DIFFERS),
    (with_variable("CALICO_IPV4POOL_CIDR", None), "CALICO_IPV4POOL_CIDR", _ABSENT),
    (with_variable("CALICO_IPV4POOL_NAT_OUTGOING", "false"), "CALICO_IPV4POOL_NAT_OUTGOING", _DIFFERS),
    (with_variable("NO_DEFAULT_POOLS", "true"), "default-ipv4-ippool at first start", _CANNOT),
    (with_variable("IP_AUTODETECTION_METHOD", None), "IP_AUTODETECTION_METHOD", _CANNOT),
    (with_variable("IP_AUTODETECTION_METHOD", "interface=eth1"), "IP_AUTODETECTION_METHOD", _DIFFERS),
    (with_variable("IP", "none"), "IP", _DIFFERS),
    (with_variable("FELIX_VXLANMTU", "1410"), "FELIX_VXLANMTU", _DIFFERS),
    (set_spec("IPPool", "natOutgoing", False), "IPPool default-ipv4-ippool natOutgoing", _DIFFERS),
    (set_spec("IPPool", "disabled", True), "IPPool default-ipv4-ippool disabled", _DIFFERS),
    (set_spec("IPPool", "blockSize", 99), "IPPool default-ipv4-ippool", _DIFFERS),
    (set_spec("BGPConfiguration", "nodeToNodeMeshEnabled", True), "BGPConfiguration default nodeToNode", _DIFFERS),
    (set_spec("FelixConfiguration", "ipipMTU", 1440), "FelixConfiguration default ipipMTU", _DIFFERS),
    (set_spec("GlobalNetworkPolicy", "order", 1), "GlobalNetworkPolicy default-deny order", _DIFFERS),
    (set_spec("BGPPeer", "nodeSelector", "all()"), "BGPPeer", _DIFFERS),
]


@pytest.mark.parametrize(
    ("change", "check", "verdict"), _CHANGES, ids=[f"{number}-{row[1]}" for number, row in enumerate(_CHANGES)]
)
def test_each_line_is_seen_to_fail(change: Change, check: str, verdict: Verdict) -> None:
    """One thing is changed: its line says so, and no line that has nothing to do with it is added."""
    network = decided("several-subnets-60-nodes")
    objects = by_manifests(network)
    change(objects)
    lines = verify(network, installed(objects))
    told = [each for each in lines if each.check.startswith(check) and each.verdict is not Verdict.HOLDS]

    assert told
    assert {each.verdict for each in told} == {verdict}
    assert all(each.fix for each in told)


@pytest.mark.parametrize(
    "change",
    [
        with_variable("CALICO_IPV4POOL_IPIP", "crosssubnet"),
        with_variable("IP_AUTODETECTION_METHOD", "kubernetes-internal-ip"),
        with_variable("IP_AUTODETECTION_METHOD", "cidr=10.1.0.0/16,10.0.0.0/16"),
        with_variable("CALICO_IPV4POOL_BLOCK_SIZE", None),
        with_variable("SOMETHING_ELSE", "1"),
        set_spec("FelixConfiguration", "logSeverityScreen", "Info"),
        set_spec("IPPool", "allowedUses", ["Tunnel", "Workload"]),
        newer_probes,
    ],
    ids=range(8),
)
def test_what_means_the_same_holds(change: Change) -> None:
    """Other words for what was decided, defaults that are said, and what nobody decided."""
    network = decided("several-subnets-60-nodes")
    objects = by_manifests(network)
    change(objects)

    assert _not_held(verify(network, installed(objects))) == set()


def test_vxlan_wants_no_word_on_ipip() -> None:
    """Without BIRD the variable is unset or Never, and nobody asks BIRD."""
    network = decided("vxlan-on-azure")
    objects = by_manifests(network)
    set_variable(objects, "CALICO_IPV4POOL_IPIP", "Never")
    held = _not_held(verify(network, installed(objects)))
    set_variable(objects, "CALICO_IPV4POOL_IPIP", "Always")
    container(objects)["readinessProbe"]["exec"]["command"].append("-bird-ready")

    assert held == set()
    assert _not_held(verify(network, installed(objects))) == {
        ("CALICO_IPV4POOL_IPIP", Verdict.DIFFERS),
        ("readinessProbe asks BIRD", Verdict.DIFFERS),
    }


def test_a_patch_without_the_word_delete_means_the_same() -> None:
    """For who applies on the server's side, where nothing of others can be taken out."""
    network = decided("vxlan-on-azure")
    objects = by_manifests(network)
    (said,) = manifests.node_patch(network, strategic=False)["spec"]["template"]["spec"]["containers"]
    (strategic,) = manifests.node_patch(network)["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in said["env"]}
    set_variable(objects, "CALICO_IPV4POOL_IPIP", told["CALICO_IPV4POOL_IPIP"])

    assert not [each for each in said["env"] if "$patch" in each]
    assert [each["name"] for each in said["env"]] == [each["name"] for each in strategic["env"]]
    assert _not_held(verify(network, installed(objects))) == set()


def test_an_mtu_that_each_node_finds_is_wrong_where_hops_differ() -> None:
    """With one MTU everywhere it cannot be told from here; with several no node sees the narrowest."""
    narrow = decided("several-mtus")
    objects = by_manifests(narrow)
    of(objects, "ConfigMap")["data"]["veth_mtu"] = "0"

    assert ("veth_mtu", Verdict.DIFFERS) in _not_held(verify(narrow, installed(objects)))


@pytest.mark.parametrize(
    ("endpoints", "check", "verdict"),
    [
        ("https://192.0.2.10:2379,https://192.0.2.11:2379", None, None),
        ("https://192.0.2.99:2379", "etcd_endpoints", _DIFFERS),
        ("http://192.0.2.10:2379", "etcd has TLS", _DIFFERS),
        ("https://127.0.0.1:2379", "etcd is not the cluster's", _DIFFERS),
        ("", "etcd has TLS", _ABSENT),
    ],
)
def test_a_separate_etcd(endpoints: str, check: str | None, verdict: Verdict | None) -> None:
    """Its members are those of the facts, over TLS, and not those of Kubernetes."""
    network = decided("separate-etcd")
    objects = by_manifests(network)
    of(objects, "ConfigMap")["data"]["etcd_endpoints"] = endpoints
    told = {(each.check, each.verdict) for each in verify(network, installed(objects)) if each.verdict.is_wrong}

    assert told == set() if check is None else (check, verdict) in told


@pytest.mark.parametrize(
    ("path", "value", "check", "verdict"),
    [
        (("bgp",), "Disabled", "bgp", _DIFFERS),
        (("bgp",), None, "bgp", _ABSENT),
        (("mtu",), 1440, "mtu", _DIFFERS),
        (("mtu",), None, "mtu", _CANNOT),
        (("ipPools", 0, "encapsulation"), "VXLAN", "pool default-ipv4-ippool encapsulation", _DIFFERS),
        (("ipPools", 0, "encapsulation"), None, "pool default-ipv4-ippool encapsulation", _DIFFERS),
        (("ipPools", 0, "cidr"), "192.168.0.0/16", "pool default-ipv4-ippool", _DIFFERS),
        (("ipPools", 0, "cidr"), "192.168.0.0/16", "pools beyond the decided", _DIFFERS),
        (("ipPools",), None, "pool default-ipv4-ippool", _ABSENT),
        (("nodeAddressAutodetectionV4",), {"firstFound": True}, "nodeAddressAutodetectionV4", _CANNOT),
        (("nodeAddressAutodetectionV4", "cidrs"), ["192.0.2.0/24"], "nodeAddressAutodetectionV4", _DIFFERS),
    ],
)
def test_each_line_about_the_installation_is_seen_to_fail(
    path: tuple[str | int, ...], value: Any, check: str, verdict: Verdict
) -> None:
    """One field is changed, or taken out."""
    network = decided("several-subnets-60-nodes")
    objects = by_the_operator(network)
    holder = value_at(of(objects, "Installation"), ("spec", "calicoNetwork", *path[:-1]))
    if value is None:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    lines = verify(network, installed(objects))

    assert (check, verdict) in _not_held(lines)


def test_both_ways_at_once_are_one_too_many() -> None:
    """Two agents on a node would write the same rules."""
    network = decided("single-subnet")
    lines = verify(network, installed([*by_manifests(network), *by_the_operator(network)]))

    assert ("one way of installing", Verdict.DIFFERS) in _not_held(lines)


def test_nothing_that_was_read_is_no_installation() -> None:
    """And nothing else is asked of it."""
    lines = verify(decided("single-subnet"), Installed(()))

    assert ("one way of installing", Verdict.ABSENT) in _not_held(lines)
    assert "calico_backend" not in {each.check for each in lines}


def test_a_running_cluster_is_asked_for_what_runs() -> None:
    """How many are ready; what is not there is absent, and what we may not see cannot be told."""
    network = decided("single-subnet")
    objects = by_manifests(network)
    of(objects, "DaemonSet")["status"] = {"desiredNumberScheduled": 2, "numberReady": 1}
    of(objects, "Deployment")["status"] = {"readyReplicas": 1}
    objects.remove(of(objects, "BGPConfiguration"))
    objects.remove(of(objects, "PodDisruptionBudget"))
    seen = Installed(found(objects), running=True, unread={"PodDisruptionBudget": "you may not list them"})

    assert _not_held(verify(network, seen)) == {
        ("calico-node is ready", Verdict.DIFFERS),
        ("BGPConfiguration default", Verdict.ABSENT),
        ("Typha PodDisruptionBudget", Verdict.CANNOT_TELL),
    }


def test_a_running_operator_says_how_it_is() -> None:
    """Its conditions, and the number of Typhas that is its own."""
    network = decided("several-subnets-60-nodes")
    objects = by_the_operator(network)
    of(objects, "Installation")["status"] = {
        "conditions": [{"type": "Ready", "status": "False", "message": "waiting for enabled IP pools"}]
    }
    lines = verify(network, installed(objects, running=True))
    told = {each.check: each.found for each in lines if each.verdict.is_wrong}

    assert told["the operator is ready"] == "False: waiting for enabled IP pools"
    assert told["Typha replicas"] == ""
    assert "calico-node is ready" in told


def test_the_operators_components_need_a_policy_where_the_default_denies() -> None:
    """The default policy without the one before it cuts Calico's API server off."""
    network = decided("single-subnet")
    objects = [each for each in by_the_operator(network) if each["metadata"]["name"] != "calico-components"]
    denied = _not_held(verify(network, installed(objects)))
    objects = [each for each in objects if each["kind"] != "GlobalNetworkPolicy"]
    neither = _not_held(verify(network, installed(objects)))

    assert ("policy for components", Verdict.ABSENT) in denied
    assert ("policy for components", Verdict.CANNOT_TELL) in neither


def test_a_stage_before_the_last_is_not_taken_for_a_mistake() -> None:
    """Where a mesh becomes reflectors it is off last: until then it cannot be told from a mistake."""
    network = decided("from-a-mesh-to-reflectors")
    objects = by_manifests(network)
    of(objects, "BGPConfiguration")["spec"]["nodeToNodeMeshEnabled"] = True
    lines = {each.check: each for each in verify(network, installed(objects))}
    mesh = lines["BGPConfiguration default nodeToNodeMeshEnabled"]

    assert (mesh.verdict, mesh.found) == (Verdict.CANNOT_TELL, "true: as in a stage before the last")
    assert "go on with the stages" in mesh.fix


@pytest.mark.parametrize(
    ("name", "change", "verdict"),
    [
        ("single-subnet", set_spec("FelixConfiguration", "wireguardEnabled", True), Verdict.DIFFERS),
        ("single-subnet", with_variable("FELIX_WIREGUARDENABLED", "true"), Verdict.DIFFERS),
        ("room-for-more", with_variable("FELIX_WIREGUARDENABLED", "true"), Verdict.HOLDS),
        ("single-subnet", with_variable("FELIX_WIREGUARDENABLED", "false"), None),
    ],
    ids=range(4),
)
def test_wireguard_needs_room(name: str, change: Change, verdict: Verdict | None) -> None:
    """Where somebody turns it on, 60 bytes of each packet are its own; nobody is told of it where it is off."""
    network = decided(name)
    felix = {"apiVersion": "projectcalico.org/v3", "kind": "FelixConfiguration", "metadata": {"name": "default"}}
    objects = [*by_manifests(network), {**felix, "spec": {}}]
    change(objects)
    told = [each for each in verify(network, installed(objects)) if each.check == "room for WireGuard over IPv4"]

    assert [each.verdict for each in told] == ([] if verdict is None else [verdict])
