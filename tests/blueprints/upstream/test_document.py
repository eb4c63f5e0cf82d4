"""The reference architecture's blocks on how Calico is installed, corrected, are the output for what they describe.

Its own blocks, where they are wrong, are found by `muslin verify-install` (see docs/reference-architecture.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

import pytest

from blueprints.catalogue import decide
from blueprints.upstream import manifests, operator, typha
from blueprints.upstream.network import network
from blueprints.upstream.verify.installed import Found, Installed
from blueprints.upstream.verify.lines import Verdict
from blueprints.upstream.verify.mistakes import cni_plugins, mistakes
from muslin import yaml
from muslin.resources import dump
from muslin.semantics.felix import felix_settings
from muslin.semantics.felix_sources import Local
from muslin.semantics.snapshot import Snapshot
from muslin.semantics.verdict import Flow, verdict
from tests.blueprints.clusters import facts, nodes_in
from tests.blueprints.upstream.networks import decided
from tests.support.clusters import namespace_profile, workload


def _env(name: str) -> Mapping[str, dict[str, Any]]:
    (container,) = manifests.node_patch(decided(name))["spec"]["template"]["spec"]["containers"]
    return {each["name"]: each for each in container["env"]}


def test_the_kubernetes_datastore_with_typha() -> None:
    """Section "Kubernetes Datastore Mode": calico-config, the two variables, and the three resources of Typha."""
    data = manifests.config_map(decided("single-subnet"))["data"]
    plugin = cni_plugins(data["cni_network_config"])[0]
    env = _env("single-subnet")

    assert data["typha_service_name"] == "calico-typha"
    assert {name: plugin[name] for name in ("type", "log_level", "datastore_type", "nodename", "ipam", "policy")} == {
        "type": "calico",
        "log_level": "info",
        "datastore_type": "kubernetes",
        "nodename": "__KUBERNETES_NODE_NAME__",
        "ipam": {"type": "calico-ipam"},
        "policy": {"type": "k8s"},
    }
    assert plugin["kubernetes"] == {"kubeconfig": "__KUBECONFIG_FILEPATH__"}
    assert '"mtu": __CNI_MTU__,' in data["cni_network_config"]
    assert env["DATASTORE_TYPE"] == {"name": "DATASTORE_TYPE", "value": "kubernetes"}
    assert env["FELIX_TYPHAK8SSERVICENAME"] == {
        "name": "FELIX_TYPHAK8SSERVICENAME",
        "valueFrom": {"configMapKeyRef": {"name": "calico-config", "key": "typha_service_name"}},
    }
    assert {each["kind"] for each in typha.typha(decided("single-subnet"))} > {
        "Service",
        "Deployment",
        "PodDisruptionBudget",
    }


@pytest.mark.parametrize(
    ("name", "mode"),
    [("single-subnet", "Never"), ("several-subnets-60-nodes", "CrossSubnet"), ("full-ipip", "Always")],
)
def test_the_variable_for_ipip(name: str, mode: str) -> None:
    """Sections on a single subnet, several, and full IP-in-IP: `CALICO_IPV4POOL_IPIP`, and the pool of that mode."""
    (pool,) = decided(name).pools

    assert _env(name)["CALICO_IPV4POOL_IPIP"] == {"name": "CALICO_IPV4POOL_IPIP", "value": mode}
    assert dump(pool)["spec"] == {
        "cidr": "10.48.0.0/16",
        "blockSize": 26,
        "ipipMode": mode,
        "vxlanMode": "Never",
        "natOutgoing": True,
        "nodeSelector": "all()",
    }


def test_vxlan_in_four_steps() -> None:
    """Section "VXLAN Configuration": backend, the variable, no variable for IP-in-IP, and probes without BIRD."""
    asked = decided("vxlan-on-azure")
    (container,) = manifests.node_patch(asked)["spec"]["template"]["spec"]["containers"]

    assert manifests.config_map(asked)["data"]["calico_backend"] == "vxlan"
    assert _env("vxlan-on-azure")["CALICO_IPV4POOL_VXLAN"]["value"] == "Always"
    assert _env("vxlan-on-azure")["CALICO_IPV4POOL_IPIP"] == {"name": "CALICO_IPV4POOL_IPIP", "$patch": "delete"}
    assert container["livenessProbe"] == {
        "exec": {"command": ["/bin/calico-node", "-felix-live"]},
        "periodSeconds": 10,
        "initialDelaySeconds": 10,
        "failureThreshold": 6,
    }
    assert container["readinessProbe"] == {
        "exec": {"command": ["/bin/calico-node", "-felix-ready"]},
        "periodSeconds": 10,
    }


@pytest.mark.parametrize(
    ("network_mtu", "native", "ipip", "vxlan"), [(1500, 1500, 1480, 1450), (9001, 9001, 8981, 8951)]
)
def test_the_table_of_mtus(network_mtu: int, native: int, ipip: int, vxlan: int) -> None:
    """Section "MTU Configuration": `veth_mtu` and the Installation's `mtu`, for both rows and all columns."""
    told = []
    for given in (
        {},
        nodes_in(2, 2),
        {**nodes_in(2, 2), "network": {"bgp": False, "vxlan": True, "podAddresses": False}},
    ):
        named = facts(networkMTU=network_mtu, **given)
        named = named.model_copy(update={"blueprint": "single_subnet" if not given else "multi_subnet"})
        asked = network(named, decide(named))
        told.append(manifests.config_map(asked)["data"]["veth_mtu"])

        assert str(operator.installation(asked)[0]["spec"]["calicoNetwork"]["mtu"]) == told[-1]
    assert told == [str(native), str(ipip), str(vxlan)]


_BLOCKS = {
    "the CNI configuration is JSON": """
kind: ConfigMap
apiVersion: v1
metadata: {name: calico-config, namespace: kube-system}
data:
  cni_network_config: |-
    {
      "plugins": [
        {"type": "calico", "mtu": __CNI_MTU__},

        # further plugins were left out
      ]
    }
""",
    "quotes are plain": """
kind: ConfigMap
apiVersion: v1
metadata: {name: calico-config, namespace: kube-system}
data:
  calico_backend: \u201cvxlan\u201d
""",
    "probes are indented": """
kind: DaemonSet
apiVersion: apps/v1
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - name: calico-node
        livenessProbe:
        exec:
          command:
          - /bin/calico-node
          - -felix-live
        periodSeconds: 10
        initialDelaySeconds: 10
        failureThreshold: 6
""",
    "variables are spelt right": """
kind: DaemonSet
apiVersion: apps/v1
metadata: {name: calico-node, namespace: kube-system}
spec:
  template:
    spec:
      containers:
      - name: calico-node
        env:
        - name: CALICO_IPVPOOL_VXLAN
          value: "Always"
        - name: CALICO_IPVPOOL_IPIP
          value: "Always"
""",
    "texts are texts": """
kind: Node
apiVersion: projectcalico.org/v3
metadata:
  name: node-z
  labels:
    route-reflector: true
""",
    "keys of calico-config are spelt right": """
kind: ConfigMap
apiVersion: v1
metadata: {name: calico-config, namespace: kube-system}
data:
  backend: vxlan
""",
}  # fmt: skip


@pytest.mark.parametrize("check", _BLOCKS)
def test_what_the_document_gets_wrong_is_found(check: str) -> None:
    """Each of its mistakes about installing, in a text that makes it; no other line is about it."""
    (document,) = yaml.load(_BLOCKS[check], "document.yaml")
    lines = list(mistakes(Installed((Found(document.value, "document.yaml", document.places),))))
    wrong = [each for each in lines if each.verdict is not Verdict.HOLDS]

    assert {each.check for each in wrong} == {check}
    assert all(each.verdict is Verdict.DIFFERS and each.fix and "document.yaml:" in each.place for each in wrong)


def test_both_misspelt_variables_are_taken_for_those_of_ipv4() -> None:
    """A variable without its family is most like that of IPv4."""
    (document,) = yaml.load(_BLOCKS["variables are spelt right"])
    lines = mistakes(Installed((Found(document.value, "document.yaml"),)))

    assert [each.expected for each in lines if each.verdict is Verdict.DIFFERS] == [
        "CALICO_IPV4POOL_VXLAN",
        "CALICO_IPV4POOL_IPIP",
    ]


def test_ipv6_is_told_as_well() -> None:
    """The document has no word on a second family: its pool, its addresses, and the MTU of its tunnels."""
    env = _env("both-families-vxlan")

    assert env["CALICO_IPV6POOL_VXLAN"]["value"] == "Always"
    assert env["IP6"]["value"] == "autodetect"
    assert env["FELIX_IPV6SUPPORT"]["value"] == "true"
    assert env["FELIX_VXLANMTUV6"]["valueFrom"]["configMapKeyRef"]["key"] == "veth_mtu"
    assert manifests.config_map(decided("both-families-vxlan"))["data"]["veth_mtu"] == "1430"


def test_the_environment_hides_what_the_datastore_says() -> None:
    """So 0 in `veth_mtu`, which upstream releases, is no way to leave an MTU to FelixConfiguration."""
    felix = next(each for each in decided("vxlan-on-azure").blueprint.resources if each.kind == "FelixConfiguration")
    snapshot = Snapshot.of([felix])
    hidden = felix_settings(snapshot, "node-a", Local(environment={"vxlanmtu": "0"}))
    seen = felix_settings(snapshot, "node-a")

    assert (hidden["VXLANMTU"], seen["VXLANMTU"]) == (0, 1450)


def test_the_default_policy_spares_what_the_operator_runs() -> None:
    """Calico's own API server is in a namespace of its own: without a policy before the default it is cut off."""
    asked = decided("single-subnet")
    server = workload("server", "10.48.0.1", namespace="calico-apiserver")
    client = workload("client", "10.48.0.2", namespace="kube-system")
    others = [server, client, *map(namespace_profile, ("calico-apiserver", "kube-system"))]
    deny = [each for each in asked.blueprint.resources if each.kind == "GlobalNetworkPolicy"]
    flow = Flow(ip_address("10.48.0.2"), ip_address("10.48.0.1"), 6, 40000, 5443)
    without = verdict(Snapshot.of([*others, *deny]), flow)
    spared = verdict(Snapshot.of([*others, *deny, operator.components_policy()]), flow)

    assert (without.allowed, spared.allowed) == (False, True)
