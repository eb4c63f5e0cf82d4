"""Both ways of installing say the same network, and what upstream creates by itself is what we push."""

from __future__ import annotations

import json
from typing import Any

import pytest

from blueprints.upstream import manifests, operator, typha
from blueprints.upstream.network import Backend
from muslin import yaml
from muslin.errors import BadInput
from muslin.resources import dump
from tests.blueprints.upstream.networks import NETWORKS, decided

_KUBERNETES = [name for name in NETWORKS if "datastore" not in NETWORKS[name]]


def _env(name: str) -> dict[str, Any]:
    """Mapping[variable, its entry] of calico-node."""
    (container,) = manifests.node_patch(decided(name))["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each for each in container["env"]}


@pytest.mark.parametrize("name", _KUBERNETES)
def test_the_operators_pools_are_ours(name: str) -> None:
    """Each pool of the Installation says field by field what the resource of its name says."""
    network = decided(name)
    (installation, _) = operator.installation(network)
    words = {
        "None": ("Never", "Never"),
        "IPIP": ("Always", "Never"),
        "IPIPCrossSubnet": ("CrossSubnet", "Never"),
        "VXLAN": ("Never", "Always"),
        "VXLANCrossSubnet": ("Never", "CrossSubnet"),
    }
    pushed = {each.metadata.name: dump(each)["spec"] for each in network.pools}
    created = {
        each["name"]: {
            "cidr": each["cidr"],
            "blockSize": each["blockSize"],
            "ipipMode": words[each["encapsulation"]][0],
            "vxlanMode": words[each["encapsulation"]][1],
            "natOutgoing": each["natOutgoing"] == "Enabled",
            "nodeSelector": each["nodeSelector"],
        }
        for each in installation["spec"]["calicoNetwork"]["ipPools"]
    }

    assert {each: {"natOutgoing": False, **spec} for each, spec in pushed.items()} == created


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pools_that_calico_node_creates_are_ours(name: str) -> None:
    """The variables for the default pools say what the resources of these names say."""
    network, env = decided(name), _env(name)
    for pool in network.pools:
        if not pool.metadata.name.startswith("default-"):
            continue
        prefix = f"CALICO_IPV{pool.spec.cidr.version}POOL_"
        told = {each.removeprefix(prefix): entry.get("value") for each, entry in env.items() if each.startswith(prefix)}

        assert told.pop("IPIP", None) in (None, pool.spec.effective_ipip_mode.value)
        assert told == {
            "CIDR": str(pool.spec.cidr),
            "BLOCK_SIZE": str(pool.spec.effective_block_size),
            "VXLAN": pool.spec.effective_vxlan_mode.value,
            "NAT_OUTGOING": str(pool.spec.nat_outgoing).lower(),
            "NODE_SELECTOR": pool.spec.effective_node_selector,
        }


@pytest.mark.parametrize("name", NETWORKS)
def test_bird_is_asked_where_it_runs(name: str) -> None:
    """The backend, the operator's switch and the probes say the same."""
    network = decided(name)
    bird = network.backend is Backend.BIRD
    (container,) = manifests.node_patch(network)["spec"]["template"]["spec"]["containers"]
    asked = [each for probe in ("livenessProbe", "readinessProbe") for each in container[probe]["exec"]["command"]]

    assert bird == ("-bird-live" in asked) == ("-bird-ready" in asked)
    assert {"-felix-live", "-felix-ready"} < set(asked)
    assert manifests.config_map(network)["data"]["calico_backend"] == ("bird" if bird else "vxlan")
    if name in _KUBERNETES:
        installation = operator.installation(network)[0]
        assert installation["spec"]["calicoNetwork"]["bgp"] == ("Enabled" if bird else "Disabled")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_cni_configuration_is_json_once_it_is_filled_in(name: str) -> None:
    """install-cni replaces what is in underscores, and the plugin gets numbers where it wants numbers."""
    data = manifests.config_map(decided(name))["data"]
    filled = json.loads(data["cni_network_config"].replace("__CNI_MTU__", data["veth_mtu"]))

    calico, portmap = filled["plugins"]
    assert calico["mtu"] == decided(name).mtu
    assert (calico["type"], calico["ipam"]["type"], portmap["type"]) == ("calico", "calico-ipam", "portmap")
    assert ("etcd_endpoints" in calico) is ("datastore" in NETWORKS[name])


@pytest.mark.parametrize("name", NETWORKS)
def test_files_read_back_as_the_objects(name: str) -> None:
    """Comments change nothing: every file holds the objects that the functions give; the same facts, the same bytes."""
    network = decided(name)
    texts = dict(manifests.files(network))
    read = {path: [each.value for each in yaml.load(text.encode(), path)] for path, text in texts.items()}

    assert read["manifests/calico-config.yaml"] == [manifests.config_patch(network)]
    assert read["manifests/calico-node.yaml"] == [manifests.node_patch(network)]
    assert read.get("manifests/typha.yaml", []) == list(typha.typha(network))
    assert dict(manifests.files(decided(name))) == texts
    if name in _KUBERNETES:
        told = [
            each.value for text in operator.files(network).values() for each in yaml.load(text.encode(), "operator")
        ]
        assert told == [*operator.installation(network), dump(operator.components_policy())]


@pytest.mark.parametrize("name", NETWORKS)
def test_upstreams_cni_configuration_is_left_alone_where_it_may_be(name: str) -> None:
    """A patch says what is decided; the plugins are upstream's, unless IPv6 has to be said."""
    network = decided(name)
    whole, patch = manifests.config_map(network)["data"], manifests.config_patch(network)["data"]
    left = {} if 6 in network.facts.families else {"cni_network_config": whole["cni_network_config"]}

    assert whole == {**patch, **left}
    assert ("cni_network_config" in patch) is (6 in network.facts.families)


def test_the_operator_cannot_use_an_etcd() -> None:
    """It installs Calico with Kubernetes as datastore, and says so."""
    with pytest.raises(BadInput, match="--for manifests"):
        operator.installation(decided("separate-etcd"))


@pytest.mark.parametrize(
    ("nodes", "expected"), [(1, 1), (2, 2), (3, 3), (4, 3), (199, 3), (200, 3), (399, 3), (400, 4), (1000, 7)]
)
def test_how_often_the_operator_lets_typha_run(nodes: int, expected: int) -> None:
    """As its own rule has it, which nobody can set."""
    assert operator.operators_typhas(nodes) == expected
