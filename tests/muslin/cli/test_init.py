"""`muslin init`: from questions, a kubeadm configuration or a cluster that runs to a file that `explain` takes."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from muslin.resources.crds import definitions
from muslin.yaml import load as read_yaml
from tests.engines.verdicts import path_of
from tests.muslin.cli.running import Run
from tests.support.kube_apiserver import KubeApiserver

_KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 192.0.2.10}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: prod
controlPlaneEndpoint: 192.0.2.5:6443
networking: {podSubnet: "10.244.0.0/16", serviceSubnet: 10.96.0.0/12}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
clusterDNS: [10.96.0.10]
maxPods: 110
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: ipvs
"""


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """What a person types, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def _written() -> dict[str, Any]:
    (document,) = read_yaml(Path("cluster.yaml").read_bytes(), "cluster.yaml")
    return dict(document.value)


def test_a_person_answers(run: Run, typed: Callable[[str], None]) -> None:
    """Enter takes defaults, a wrong answer is asked again, and what is written can be explained."""
    nodes = "node-a 192.0.2.1 r1\nnode-b nowhere\nnode-b 192.0.2.2\n\n"
    typed(f"lab\n{nodes}\n100\n9000\naws\n\n\n\n\nwifi\nvxlan\nmaybe\nno\n\n\n\n\n")
    ran = run("init")

    assert (ran.status, "is not an IP address" in ran.err, "from 576 to 65535" in ran.err) == (0, True, True)
    assert _written() == {
        "apiVersion": "blueprints.muslin/v1alpha1",
        "kind": "Cluster",
        "name": "lab",
        "blueprint": "single_subnet",
        "nodes": [{"name": "node-a", "address": "192.0.2.1", "rack": "r1"}, {"name": "node-b", "address": "192.0.2.2"}],
        "plannedNodes": 2,
        "subnets": ["192.0.2.0/24"],
        "networkMTU": 9000,
        "provider": "aws",
        "network": {"vxlan": False, "sourceDestinationChecks": False},
        "podRange": "10.48.0.0/16",
        "podsPerNode": 110,
        "serviceRanges": ["10.96.0.0/12"],
    }
    assert ("'wifi' is none of bgp" in ran.err, "'maybe' is none of yes" in ran.err) == (True, True)
    assert "no encapsulation" in run("explain", "cluster.yaml").out


def test_ranges_come_from_kubeadm(run: Run, typed: Callable[[str], None]) -> None:
    """What kubeadm knows is not asked; two subnets and 60 nodes lead to the blueprint for them."""
    Path("kubeadm.yaml").write_text(_KUBEADM)
    nodes = "".join(f"n{number} {subnet}.{number}\n" for number, subnet in enumerate(["192.0.2", "198.51.100"] * 3, 1))
    typed(f"{nodes}\n\n\n\n60\n" + "\n" * 6)
    ran = run("init", "--from-kubeadm", "kubeadm.yaml")
    told = _written()

    assert ran.status == 0
    assert (told["name"], told["blueprint"], told["podRange"]) == ("prod", "route_reflectors", "10.244.0.0/16")
    assert (told["serviceRanges"], told["podsPerNode"]) == (["10.96.0.0/12"], 110)
    assert told["kubernetes"] == {
        "podSubnets": ["10.244.0.0/16"],
        "serviceSubnets": ["10.96.0.0/12"],
        "apiServer": "192.0.2.5",
        "dns": ["10.96.0.10"],
        "kubeProxyMode": "ipvs",
    }
    assert run("explain", "cluster.yaml").status == 0


def test_a_cluster_of_ipv6_alone(run: Run, typed: Callable[[str], None]) -> None:
    """Defaults are of the family that nodes have."""
    typed("six\nnode-a 2001:db8::1\nnode-b 2001:db8::2\n" + "\n" * 16)
    ran = run("init")
    told = _written()

    assert ran.status == 0
    assert (told["subnets"], told["podRangeV6"], "podRange" in told) == (["2001:db8::/64"], "2001:db8:48::/48", False)
    assert run("explain", "cluster.yaml").status == 0


def test_answers_that_contradict_each_other_are_kept(run: Run, typed: Callable[[str], None]) -> None:
    """In the file, with the line of each: nobody answers everything again."""
    typed("lab\nn1 192.0.2.1\nn1 192.0.2.1\n\n" + "\n" * 16)
    ran = run("init")

    assert (ran.status, "kept in cluster.yaml" in ran.err) == (2, True)
    assert [each["name"] for each in _written()["nodes"]] == ["n1", "n1"]
    assert "cluster.yaml:15:12  nodes[1].address" in ran.err
    assert "two nodes are named 'n1'" in run("explain", "cluster.yaml").err


def test_who_is_outside_is_asked(run: Run, typed: Callable[[str], None]) -> None:
    """Switches with what they make routable, and an etcd with what must be known of it; nonsense is asked again."""
    nodes = "node-a 192.0.2.1 r1\nnode-b 192.0.2.2 r1\n\n"
    etcd = "etcd\nno\nhttps://192.0.2.10:2379\n"
    asked = "first\n64500\ntor-1 192.0.2.254\ntor-1 192.0.2.254 64400 r1\n\n203.0.113.0/26\nyes\n"
    typed("\n" + nodes + "\n" * 9 + etcd + asked)
    ran = run("init")
    told = _written()

    assert (ran.status, "is not an AS number" in ran.err, "has 2 words, not 4" in ran.err) == (0, True, True)
    assert (told["etcdIsTheClusters"], told["etcdEndpoints"]) == (False, ["https://192.0.2.10:2379"])
    assert (told["asNumber"], told["blueprint"]) == (64500, "top_of_rack")
    assert told["topOfRack"] == [{"name": "tor-1", "address": "192.0.2.254", "asNumber": 64400, "racks": ["r1"]}]
    assert told["routable"] == {"pods": "203.0.113.0/26", "clusterIPs": True}


def test_reflectors_outside_are_asked_for(run: Run, typed: Callable[[str], None]) -> None:
    """Two of them, and the facts need nothing else."""
    typed("\nnode-a 192.0.2.1\nnode-b 192.0.2.2\n\n" + "\n" * 12 + "b-1 192.0.2.251, b-2 192.0.2.252\n")
    ran = run("init")

    assert ran.status == 0
    assert _written()["blueprint"] == "route_reflectors"
    assert "b-1, b-2" in run("explain", "cluster.yaml").out


def test_a_file_that_is_there_is_kept(run: Run, typed: Callable[[str], None]) -> None:
    """Unless --force says otherwise."""
    typed("")
    Path("cluster.yaml").write_text("# mine\n")
    ran = run("init")

    assert (ran.status, Path("cluster.yaml").read_text()) == (2, "# mine\n")
    assert "--force" in ran.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("kind: Pod\n", "no configuration of kubeadm"),
        ("kind: ClusterConfiguration\nnetworking: {podSubnet: 10.300.0.0/16}\n", "10.300.0.0/16"),
    ],
)
def test_another_file_is_no_kubeadm_configuration(run: Run, typed: Callable[[str], None], text: str, told: str) -> None:
    """It is told so, before anything is asked or written."""
    typed("")
    Path("other.yaml").write_text(text)
    ran = run("init", "--from-kubeadm", "other.yaml")

    assert (ran.status, told in ran.err, Path("cluster.yaml").exists()) == (2, True, False)


def test_without_nodes_nothing_is_assumed(run: Run, typed: Callable[[str], None]) -> None:
    """Defaults end where a cluster's own nodes begin."""
    typed("")
    ran = run("init", "--defaults")

    assert (ran.status, "no nodes are known" in ran.err) == (2, True)


@pytest.mark.engines
def test_a_cluster_that_runs_is_read(run: Run, typed: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Nodes, zones, roles and ranges come from a real API server; nothing is asked."""
    typed("")
    names = {"control": ("192.0.2.1", "zone-a"), "worker": ("192.0.2.2", "zone-b")}
    with KubeApiserver() as server:  # one of its own: every node of the cluster is read
        monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig))
        for name, (address, zone) in names.items():
            labels = {"topology.kubernetes.io/zone": zone}
            if name == "control":
                labels["node-role.kubernetes.io/control-plane"] = ""
            metadata = {
                "name": f"init-{name}",
                "labels": labels,
                "annotations": {"projectcalico.org/IPv4Address": f"{address}/25"},
            }
            node = {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"providerID": f"aws:///{name}"}}
            server.request("POST", "/api/v1/nodes", node)
            status = {"addresses": [{"type": "Hostname", "address": name}, {"type": "InternalIP", "address": address}]}
            server.request("PUT", f"/api/v1/nodes/init-{name}/status", {**node, "status": status})
        ran = run("init", "--from-cluster", "--defaults")
        told = _written()
        _calico_runs(server)
        again = run("init", "--from-cluster", "--defaults", "--force")
        running = _written()

    assert (ran.status, ran.err, again.status) == (0, "", 0)
    assert "the BGPPeer odd is left out" in again.err
    assert told["nodes"] == [
        {"name": "init-control", "address": "192.0.2.1", "rack": "zone-a", "roles": ["control-plane"]},
        {"name": "init-worker", "address": "192.0.2.2", "rack": "zone-b"},
    ]
    assert (told["subnets"], told["provider"]) == (["192.0.2.0/25"], "aws")
    assert (running["podRange"], running["asNumber"]) == ("10.48.0.0/16", 64600)
    assert [each["name"] for each in running["topOfRack"]] == ["one"]
    assert running["running"]["pools"] == [
        {"name": "mine", "cidr": "10.48.0.0/16", "blockSize": 24, "encapsulation": "VXLAN CrossSubnet"}
    ]
    assert [each["chosen"] for each in running["overrides"]] == ["VXLAN CrossSubnet", "/24"]
    assert "Not at once" not in run("explain", "cluster.yaml").out


def _calico_runs(server: KubeApiserver) -> None:
    """Definitions, and objects as somebody has made them without blueprints."""
    for definition in definitions():
        if definition["spec"]["names"]["kind"] in ("IPPool", "BGPConfiguration", "BGPPeer"):
            server.install(definition)
    pool = {"cidr": "10.48.0.0/16", "vxlanMode": "CrossSubnet", "natOutgoing": True, "blockSize": 24}
    peers = {"peerIP": "192.0.2.254", "asNumber": 64700, "nodeSelector": "rack in {'zone-a', 'zone-b'}"}
    for kind, name, spec in (
        ("IPPool", "mine", pool),
        ("BGPConfiguration", "default", {"asNumber": 64600, "nodeToNodeMeshEnabled": False}),
        ("BGPPeer", "one", peers),
        ("BGPPeer", "odd", {"peerIP": "192.0.2.253", "asNumber": 64700, "nodeSelector": "has(other)"}),
    ):
        whole = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name}, "spec": spec}
        assert server.request("POST", path_of(kind, ""), whole).status == 201
    for name, rack in (("control", "zone-a"), ("worker", "zone-b")):
        patch = {"metadata": {"labels": {"rack": rack}}}
        path = f"/api/v1/nodes/init-{name}"
        assert server.request("PATCH", path, patch, content_type="application/merge-patch+json").status == 200
