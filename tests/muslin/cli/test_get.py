"""`muslin get`: kinds by every name, columns, namespaces and formats as calicoctl has them."""

from __future__ import annotations

import json

import pytest

from muslin.cli.columns import COLUMNS
from muslin.cli.kinds import kind_named
from muslin.resources import KINDS
from muslin.yaml import load
from tests.muslin.cli.running import Cluster, Run

_ALIASES = {
    "BGPConfiguration": "bgpconfiguration bgpconfigurations bgpconfig bgpconfigs",
    "BGPPeer": "bgppeer bgppeers bgpp bgpps bp bps",
    "ClusterInformation": "clusterinformation clusterinformations clusterinfo clusterinfos",
    "FelixConfiguration": "felixconfiguration felixconfigurations felixconfig felixconfigs",
    "GlobalNetworkPolicy": "globalnetworkpolicy globalnetworkpolicies gnp gnps",
    "GlobalNetworkSet": "globalnetworkset globalnetworksets gnetsets",
    "HostEndpoint": "hostendpoint hostendpoints hep heps",
    "IPAMConfiguration": "ipamconfig ipamconfigs ipamconfiguration",
    "IPPool": "ippool ippools ipp ipps pool pools IPPools",
    "NetworkPolicy": "networkpolicy networkpolicies np nps policy policies pol pols",
    "NetworkSet": "networkset networksets netsets",
    "Node": "node nodes no nos",
    "CalicoNodeStatus": "caliconodestatus caliconodestatuses nodestatus",
    "Profile": "profile profiles pro pros",
    "Tier": "tier tiers",
    "WorkloadEndpoint": "workloadendpoint workloadendpoints wep weps",
    "ReconcilerStatus": "reconcilerstatus reconcilerstatuses",
    "ReconcilerLedger": "reconcilerledger ReconcilerLedgers",
    "ReconcilerBatch": "reconcilerbatch reconcilerbatches",
    "ReconcilerControl": "reconcilercontrol reconcilercontrols",
    "ReconcilerHistory": "reconcilerhistory reconcilerhistories",
    "ReconcilerLease": "reconcilerlease reconcilerleases",
    "ReconcilerProbe": "reconcilerprobe reconcilerprobes",
}
_V3 = "projectcalico.org/v3"


@pytest.mark.parametrize("kind", _ALIASES)
def test_kinds_have_calicoctls_names(kind: str) -> None:
    """Singular, plural and short names mean the kind, in any case."""
    assert {kind_named(alias).name for alias in _ALIASES[kind].split()} == {kind}


def test_every_kind_begins_with_its_identity() -> None:
    """No kind shows its objects without a name in the wide table, and no heading comes twice."""
    for kind in KINDS:
        headings = [column.heading for column in COLUMNS.get(kind, ())]
        assert len(headings) == len(set(headings))
        assert not headings or headings[0] == "NAME"


def test_tables_of_one_kind_narrow_and_wide(run: Run, cluster: Cluster) -> None:
    """The wide table puts its columns where calicoctl puts them."""
    narrow = run("get", "pools", "--datastore", cluster.file)
    wide = run("get", "ippool", "pods", "-o", "wide", "--datastore", cluster.file)

    assert narrow.out == "NAME   CIDR           SELECTOR\npods   10.48.0.0/16   all()\n"
    assert wide.out == (
        "NAME   CIDR           NAT    IPIPMODE   VXLANMODE   DISABLED   DISABLEBGPEXPORT   SELECTOR   ASSIGNMENTMODE\n"
        "pods   10.48.0.0/16   true   Never      Never       false      false              all()      Automatic\n"
    )


def test_namespaces_as_calicoctl(run: Run, cluster: Cluster) -> None:
    """Without a flag `default` is looked at; `-n` and `-A` add the column; a set of names may be given."""
    file = ("--datastore", cluster.file)

    assert run("get", "np", *file).out == "NAME   TIER\n"
    assert run("get", "np", "-n", "shop", *file).out.splitlines()[0] == "NAMESPACE   NAME   TIER"
    assert run("get", "policy", "-A", *file).out.splitlines()[1:] == [
        "shop        a      default",
        "shop        b      default",
    ]
    assert run("get", "np", "b", "-n", "shop", "-o", "wide", *file).out.splitlines()[1:] == [
        "shop        b      default   100     app == 'b'"
    ]


def test_a_node_shows_the_as_number_that_it_inherits_in_brackets(run: Run, cluster: Cluster) -> None:
    """The node's own number is plain, the cluster's in brackets, and without BGP there is none."""
    for name, bgp in (("a", {"ipv4Address": "192.0.2.1/24"}), ("b", {"asNumber": 64497}), ("c", None)):
        spec = {} if bgp is None else {"bgp": bgp}
        cluster.put({"apiVersion": _V3, "kind": "Node", "metadata": {"name": name}, "spec": spec})
    wide = ("get", "nodes", "-o", "wide", "--datastore", cluster.file)
    before = run(*wide)
    cluster.put(
        {"apiVersion": _V3, "kind": "BGPConfiguration", "metadata": {"name": "default"}, "spec": {"asNumber": 64496}}
    )
    after = run(*wide)

    assert before.out == "NAME   ASN       IPV4           IPV6\na      (64512)   192.0.2.1/24\nb      64497\nc\n"
    assert after.out.splitlines()[1] == "a      (64496)   192.0.2.1/24"


def test_forms_of_json_and_yaml(run: Run, cluster: Cluster) -> None:
    """One name gives the object, several a list, none a List object; YAML says what JSON says."""
    file = ("--datastore", cluster.file)
    for names, form in ((["default"], "Tier"), (["default", "kube-admin"], None), ([], "TierList")):
        as_json = json.loads(run("get", "tier", *names, "-o", "json", *file).out)
        as_yaml = load(run("get", "tier", *names, "-o", "yaml", *file).out, None)[0].value

        assert as_json == as_yaml
        assert (as_json["kind"] if form else [each["kind"] for each in as_json]) == (form or ["Tier", "Tier"])


def test_yaml_is_sorted_by_name(run: Run, cluster: Cluster) -> None:
    """As calicoctl prints it, whichever store keeps the object and in whichever order: a comparison shows changes."""
    spec = {"types": ["Ingress"], "ingress": [{"protocol": "TCP", "action": "Allow"}], "order": 5}
    cluster.put({"kind": "GlobalNetworkPolicy", "apiVersion": _V3, "spec": spec, "metadata": {"name": "g"}})
    ran = run("get", "gnp", "g", "-o", "yaml", "--datastore", cluster.file)

    assert [line for line in ran.out.splitlines() if not line.startswith("  ")][:2] == [
        f"apiVersion: {_V3}",
        "kind: GlobalNetworkPolicy",
    ]
    assert ran.out.partition("spec:\n")[2].splitlines() == [
        "  ingress:", "  - action: Allow", "    protocol: TCP", "  order: 5", "  types:", "  - Ingress",
    ]  # fmt: skip


def test_export_leaves_out_what_the_store_added(run: Run, cluster: Cluster) -> None:
    """What is exported is what a person would write, and only for named objects."""
    ran = run("get", "ippool", "pods", "-o", "json", "--export", "--datastore", cluster.file)
    refused = run("get", "ippool", "--export", "--datastore", cluster.file)

    assert json.loads(ran.out)["metadata"] == {"name": "pods"}
    assert (refused.status, "only named objects" in refused.err) == (2, True)


def test_custom_columns(run: Run, cluster: Cluster) -> None:
    """Headings are chosen in any case and order; one that the kind has not is refused with those it has."""
    ran = run("get", "np", "a", "-n", "shop", "-o", "custom-columns=order,NAME", "--datastore", cluster.file)
    refused = run("get", "np", "-o", "custom-columns=CIDR", "--datastore", cluster.file)

    assert ran.out == "ORDER   NAME\n100     a\n"
    assert refused.status == 2
    assert "use some of NAMESPACE,NAME,TIER,ORDER,SELECTOR" in refused.err


def test_the_reconcilers_own_kinds(run: Run, cluster: Cluster) -> None:
    """Ledger and status are looked at like everything else."""
    status = run("get", "reconcilerstatus", "--datastore", cluster.file)
    ledger = run("get", "reconcilerledgers", "-o", "custom-columns=SET,OBJECTS", "--datastore", cluster.file)

    assert status.out.splitlines()[0] == "NAME      APPLIED                                    HELD   TROUBLES   DRIFT"
    assert sum(int(line.split()[1]) for line in ledger.out.splitlines()[1:]) == 3


def test_an_object_that_breaks_every_rule_is_shown(run: Run, cluster: Cluster) -> None:
    """A cell whose value has another shape is shown as it is or empty, and a control character escaped."""
    cluster.put(
        {"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "odd\x1b"}, "spec": {"cidr": ["x", {"a": 1}]}}
    )
    cluster.put({"apiVersion": _V3, "kind": "IPPool", "metadata": {"name": "worse"}, "spec": "none"})
    ran = run("get", "ippool", "--datastore", cluster.file)

    assert ran.status == 0
    assert "odd\\x1b   x,a=1          all()" in ran.out


def test_a_missing_name_is_told_and_the_others_are_shown(run: Run, cluster: Cluster) -> None:
    """Exit status 1, one problem a missing name, and the table of those that are there."""
    ran = run("get", "tier", "default", "nope", "--datastore", cluster.file)

    assert (ran.status, ran.out.splitlines()[1].split()[0]) == (1, "default")
    assert ran.err.splitlines()[0] == "error: Tier nope does not exist"
