"""`create`, `apply`, `replace`, `delete`, `validate`: calicoctl's results and messages, and better ones as `muslin`."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from tests.muslin.cli.calico import BOTH, POLICY, POOL, TIER, Calico, manifest


def test_objects_come_in_any_order(calico: Calico) -> None:
    """A policy that stands before its tier is written after it; applying again changes nothing."""
    file = calico.write(BOTH)
    first = calico("apply", "-f", file)
    before = calico.get("np", "web", "-n", "shop")["metadata"]["uid"]
    second = calico("apply", "-f", file)

    assert (first.status, first.out, first.err) == (0, "Successfully applied 3 resource(s)\n", "")
    assert second.out == first.out
    assert calico.get("np", "web", "-n", "shop")["metadata"]["uid"] == before


def test_result_lines_name_a_single_kind(calico: Calico) -> None:
    """With one kind it stands in quotes, with several it is left out."""
    assert calico("create", "-f", calico.write(POOL)).out == "Successfully created 1 'IPPool' resource(s)\n"
    assert calico("replace", "-f", calico.write(POOL)).out == "Successfully replaced 1 'IPPool' resource(s)\n"
    assert calico("validate", "-f", calico.write(BOTH)).out == "Successfully validated 3 resource(s)\n"
    assert calico("delete", "ippool", "pods").out == "Successfully deleted 1 'IPPool' resource(s)\n"


def test_what_is_stored_has_the_defaults_of_calicos_client(calico: Calico) -> None:
    """A pool and a policy are stored with what Calico's own client would have written."""
    calico.apply(BOTH)

    assert calico.get("ippool", "pods")["spec"] == {
        "cidr": "10.48.0.0/16", "blockSize": 26, "ipipMode": "Never", "vxlanMode": "Never", "nodeSelector": "all()",
        "allowedUses": ["Workload", "Tunnel"], "assignmentMode": "Automatic",
    }  # fmt: skip
    assert calico.get("np", "web", "-n", "shop")["metadata"]["labels"] == {"projectcalico.org/tier": "sec"}


def test_the_built_in_tiers_are_there_after_the_first_write(calico: Calico) -> None:
    """As calicoctl does, the first write initialises the datastore."""
    calico.apply(POOL)

    names = [each["metadata"]["name"] for each in calico.get("tiers")["items"]]
    assert names == ["default", "kube-admin", "kube-baseline"]
    assert len(calico.get("clusterinfo", "default")["spec"]["clusterGUID"]) == 32


def test_create_of_what_exists(calico: Calico) -> None:
    """Calicoctl's line with its quirks, place and fix after it; --skip-exists passes over it."""
    calico.apply(TIER)
    file = calico.write(TIER)
    refused = calico.ctl("create", "-f", file)
    as_muslin = calico("create", "-f", file)

    assert refused.status == 1
    assert refused.err == (
        "failed to create 'Tier' resource: [resource already exists: Tier(sec) with error: <nil>]\n"
        "  where: Tier sec\n  fix:   update it, or choose another name\n"
    )
    assert (as_muslin.status, as_muslin.err.splitlines()[0]) == (1, "error: Tier sec exists already")
    assert calico("create", "-f", file, "--skip-exists").out == "Successfully created 1 'Tier' resource(s)\n"


def test_partial_success(calico: Calico) -> None:
    """What can be done is done; the counts are calicoctl's, and so is the list of errors."""
    calico.apply(TIER)
    ran = calico.ctl("create", "-f", calico.write(f"{TIER}---\n{POOL}"))

    assert (ran.status, ran.out) == (1, "Partial success: created the first 1 out of 2 resources:\n")
    assert ran.err.splitlines()[0] == "hit error: [resource already exists: Tier(sec) with error: <nil>]"
    assert calico.get("ippool", "pods")["spec"]["blockSize"] == 26


def test_replace_stops_at_the_first_error(calico: Calico) -> None:
    """What is not there can't be replaced, and nothing after it is touched."""
    calico.apply(POOL)
    changed = manifest("IPPool", "pods", "{cidr: 10.48.0.0/16, natOutgoing: true}")
    ran = calico.ctl("replace", "-f", calico.write(f"{TIER}---\n{changed}"))

    assert ran.err.splitlines()[0] == (
        "failed to replace any resources: resource does not exist: Tier(sec) with error: <nil>"
    )
    assert "natOutgoing" not in calico.get("ippool", "pods")["spec"]


def test_an_explicit_version_must_be_the_current_one(calico: Calico) -> None:
    """A resourceVersion in the file disables retries; `create` takes none."""
    calico.apply(POOL)
    version = calico.get("ippool", "pods")["metadata"]["resourceVersion"]
    right = manifest(
        "IPPool", "pods", "{cidr: 10.48.0.0/16, natOutgoing: true}", extra=f", resourceVersion: '{version}'"
    )

    assert calico("apply", "-f", calico.write(right)).status == 0
    stale = calico.ctl("apply", "-f", calico.write(right))
    assert stale.err.splitlines()[0] == "failed to apply 'IPPool' resource: [update conflict: IPPool(pods)]"
    created = calico.ctl("create", "-f", calico.write(right.replace("name: pods", "name: other")))
    assert "field must not be set for a Create request" in created.err


def test_labels_are_the_files(calico: Calico) -> None:
    """An update takes labels and annotations of the file, and keeps identity and status."""
    calico.apply(manifest("Tier", "sec", "{order: 10}", extra=", labels: {a: b}"))
    calico.apply(manifest("Tier", "sec", "{order: 20}", extra=", labels: {c: d}, uid: made-up"))
    found = calico.get("tier", "sec")

    assert found["metadata"]["labels"] == {"c": "d"}
    assert found["metadata"]["uid"] != "made-up"


def test_an_invalid_object_is_refused_and_the_others_are_written(calico: Calico) -> None:
    """Calicoctl's text with field and reason, ours with file and line; the exit status is 1 there and 2 here."""
    wrong = manifest("IPPool", "wrong", "{cidr: 10.50.0.0/16, ipipMode: Always, vxlanMode: Always}")
    file = calico.write(f"{wrong}---\n{TIER}")
    as_ctl, as_muslin = calico.ctl("apply", "-f", file), calico("validate", "-f", file)

    assert (as_ctl.status, as_ctl.out) == (1, "Partial success: applied the first 1 out of 2 resources:\n")
    assert as_ctl.err.splitlines()[0] == (
        "hit error: [error with field spec (ipipMode and vxlanMode cannot both be enabled)]"
    )
    assert (as_muslin.status, f"{file}:4:" in as_muslin.err) == (2, True)


def test_two_things_wrong_are_both_told(calico: Calico) -> None:
    """The reference's list of fields stands in its brackets, line by line."""
    wrong = manifest("HostEndpoint", "h", "{profiles: [a]}")
    ran = calico.ctl("validate", "-f", calico.write(wrong))

    assert ran.err.startswith(
        "failed to validate 'HostEndpoint' resource: [error with the following fields:\n"
        "-  spec (at least one of interfaceName or expectedIPs must be specified)\n"
        "-  spec (node must be specified)\n]\n"
    )


@pytest.mark.parametrize("verb", ["create", "apply", "replace", "delete", "validate"])
def test_an_unknown_field_stops_everything(calico: Calico, verb: str) -> None:
    """Decoding is strict: nothing of such a file is done, and the field is named as calicoctl names it."""
    calico.apply(POOL)
    wrong = manifest("Tier", "sec", "{ordre: 10}")
    ran = calico.ctl(verb, "-f", calico.write(f"{POOL}---\n{wrong}"))

    assert ran.status == 1
    assert ran.err.splitlines()[0] == "field in document is not recognized or is in the wrong location: ordre"
    assert "did you mean order?" in ran.err
    assert [each["metadata"]["name"] for each in calico.get("ippools")["items"]] == ["pods"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind: IPPool\nmetadata: {name: a}\n", "Unknown resource type (IPPool) and/or version ()"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n", "Unknown resource type (Pod) and/or version (v1)"),
        ("- a\n", "this is not an object with kind and metadata"),
        ("a: [", "."),
        ("apiVersion: projectcalico.org/v3\nkind: TierList\nitems: 3\n", "items is not a list"),
    ],
)
def test_files_that_are_not_objects(calico: Calico, text: str, line: str) -> None:
    """Nothing is done, the first line is `failed to execute command`, and the place is the file's."""
    file = calico.write(text)
    ran = calico.ctl("apply", "-f", file)

    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("failed to execute command: ")
    assert line in ran.err
    assert str(file) in ran.err


def test_empty_files(calico: Calico) -> None:
    """An empty file is an error, unless --skip-empty bears it."""
    file = calico.write("# nothing\n---\n", "empty.yaml")

    assert calico.ctl("apply", "-f", file).err.splitlines()[0] == f"No resources specified in file {file}"
    assert calico("apply", "-f", file, "--skip-empty").out == "No resources specified\n"
    assert calico.ctl("apply").err.splitlines()[0] == "No resources specified"


def test_folders(calico: Calico) -> None:
    """YAML and JSON files in the order of their names; folders inside only with -R; other files never."""
    calico.write(TIER, "net/a.yaml")
    calico.write('{"apiVersion":"projectcalico.org/v3","kind":"Tier","metadata":{"name":"j"},"spec":{}}', "net/b.JSON")
    calico.write("not: [yaml", "net/readme.txt")
    calico.write(POOL, "net/deep/c.yml")
    flat = calico("validate", "-f", calico.folder / "net")
    deep = calico("validate", "-R", "-f", calico.folder / "net")
    empty = calico.ctl("validate", "-f", calico.write("x", "other/readme.txt").parent)

    assert flat.out == "Successfully validated 2 'Tier' resource(s)\n"
    assert deep.out == "Successfully validated 3 resource(s)\n"
    assert empty.err.splitlines()[0] == f"No resources specified in directory {calico.folder / 'other'}"


def test_a_file_that_is_not_there(calico: Calico) -> None:
    """Told in both words."""
    missing = calico.folder / "nope.yaml"

    assert calico.ctl("apply", "-f", missing).err.splitlines()[0] == (
        f"failed to execute command: open {missing}: no such file or directory"
    )
    assert (
        calico("apply", "-f", missing).err.splitlines()[0] == "error: the file can't be read: No such file or directory"
    )


def test_standard_input_and_lists(calico: Calico, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `get -o yaml` prints goes back in through standard input: a List object, and a list of objects."""
    calico.apply(BOTH)
    for shown in (("tiers",), ("tiers", "sec", "default")):
        text = calico("get", *shown, "-o", "yaml").out
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        ran = calico("apply", "-f", "-")

        assert (ran.status, ran.err) == (0, "")


def test_namespaces(calico: Calico) -> None:
    """The object's own, else the flag's, else `default`; a conflict and a namespace where there is none are refused."""
    bare = POLICY.replace(", namespace: shop", "")
    calico.apply(TIER)

    assert calico("create", "-f", calico.write(bare), "-n", "here").status == 0
    assert calico("create", "-f", calico.write(bare)).status == 0
    assert {each["metadata"]["namespace"] for each in calico.get("np", "-A")["items"]} == {"here", "default"}
    clash = calico.ctl("create", "-f", calico.write(POLICY), "-n", "other")
    assert "resource namespace does not match client namespace. shop != other" in clash.err.splitlines()[0]
    placed = calico.ctl("create", "-f", calico.write(manifest("Tier", "t", "{}", "shop")))
    assert "Tier is not a namespaced resource" in placed.err
    assert "Tier is not namespaced" in calico.ctl("create", "-f", calico.write(TIER), "-n", "x").err


def test_cluster_information_is_read_only(calico: Calico) -> None:
    """`apply` refuses it in calicoctl's words."""
    ran = calico.ctl("apply", "-f", calico.write(manifest("ClusterInformation", "default", "{}")))

    assert ran.err.splitlines()[0] == (
        "failed to apply 'ClusterInformation' resource: "
        "[operation apply is not supported on ClusterInformation: resource is readonly]"
    )


def test_cluster_information_is_neither_made_nor_removed(calico: Calico) -> None:
    """No verb takes the cluster its identity and its lock, and the object is there afterwards as it was."""
    calico.apply(TIER)
    before = calico.get("clusterinfo", "default")
    file = calico.write(manifest("ClusterInformation", "default", "{}"))
    refused = [
        calico.ctl("create", "-f", file),
        calico.ctl("replace", "-f", file),
        calico.ctl("delete", "clusterinfo", "default"),
        calico.ctl("delete", "-f", file),
        calico.ctl("patch", "clusterinfo", "default", "-p", '{"spec": {"clusterGUID": ""}}'),
        calico.ctl("label", "clusterinfo", "default", "a=b"),
    ]

    assert [each.status for each in refused] == [1] * len(refused)
    assert "operation create or apply is not supported on ClusterInformation" in refused[0].err.splitlines()[0]
    assert "operation delete is not supported on ClusterInformation" in refused[2].err.splitlines()[0]
    assert calico.get("clusterinfo", "default") == before


def test_a_policy_needs_its_tier_and_a_tier_its_emptiness(calico: Calico) -> None:
    """A policy of a missing tier is refused; so is removing a tier with policies, and a built-in one."""
    orphan = calico.ctl("create", "-f", calico.write(POLICY))
    calico.apply(BOTH)
    full, built_in = calico.ctl("delete", "tier", "sec"), calico.ctl("delete", "tier", "default")

    assert orphan.err.splitlines()[0] == (
        "failed to create 'NetworkPolicy' resource: [resource does not exist: Tier(sec) with error: <nil>]"
    )
    assert re.search(r"where: \S+\.yaml:4:\d+  spec\.tier\n", orphan.err), orphan.err
    assert full.err.splitlines()[0] == (
        "Failed to delete 'Tier' resource: operation delete is not supported on Tier(sec): Tier is not empty"
    )
    assert "The built-in tier default cannot be deleted" in built_in.err
    assert calico("delete", "-f", calico.write(BOTH)).out == "Successfully deleted 3 resource(s)\n"


def test_pools_may_not_overlap_and_keep_their_addresses(calico: Calico) -> None:
    """A second pool over the same addresses is refused, and so is changing a pool's."""
    calico.apply(POOL)
    over = calico.ctl("create", "-f", calico.write(manifest("IPPool", "more", "{cidr: 10.48.128.0/17}")))
    moved = calico.ctl("apply", "-f", calico.write(manifest("IPPool", "pods", "{cidr: 10.49.0.0/16}")))

    assert "IPPool(more) CIDR overlaps with IPPool(pods) CIDR 10.48.0.0/16" in over.err.splitlines()[0]
    assert (moved.status, "CIDR cannot be changed" in moved.err) == (1, True)
    assert re.search(r"where: \S+\.yaml:\d+:\d+  spec", moved.err)


def test_a_peer_needs_its_filters(calico: Calico) -> None:
    """The filters come first, in whatever order they stand; without them the peer is refused."""
    peer = manifest("BGPPeer", "tor", "{peerIP: 192.0.2.1, asNumber: 64496, filters: [out]}")
    rules = manifest("BGPFilter", "out", "{exportV4: [{action: Accept}]}")

    alone = calico.ctl("create", "-f", calico.write(peer))
    assert "resource does not exist: BGPFilter(out)" in alone.err.splitlines()[0]
    assert re.search(r"where: \S+\.yaml:4:\d+  spec\.filters\[0\]\n", alone.err), alone.err
    assert calico("create", "-f", calico.write(f"{peer}---\n{rules}")).status == 0


def test_deleting_a_node_takes_along_what_is_only_its_own(calico: Calico) -> None:
    """Endpoints, peers, configurations and reports of the node go with it, and nobody else's."""
    calico.apply("---\n".join([
        manifest("Node", "n1", "{}"), manifest("Node", "n2", "{}"),
        manifest("BGPPeer", "one", "{node: n1, peerIP: 192.0.2.1, asNumber: 64496}"),
        manifest("BGPPeer", "two", "{node: n2, peerIP: 192.0.2.1, asNumber: 64496}"),
        manifest("FelixConfiguration", "node.n1", "{logSeverityScreen: Info}"),
        manifest("HostEndpoint", "eth", "{node: n1, interfaceName: eth0}"),
    ]))  # fmt: skip
    assert calico("delete", "node", "n1").status == 0

    assert [each["metadata"]["name"] for each in calico.get("bgppeers")["items"]] == ["two"]
    assert (calico.get("felixconfig")["items"], calico.get("hep")["items"]) == ([], [])


def test_delete_of_what_is_not_there(calico: Calico) -> None:
    """One line an object that failed, those that could be are deleted, and --skip-not-exists bears it."""
    calico.apply(POOL)
    ran = calico.ctl("delete", "pool", "pods", "nope", "never")

    assert (ran.status, ran.out) == (1, "Successfully deleted 1 'IPPool' resource(s)\n")
    assert ran.err.splitlines()[:2] == [
        "Failed to delete 'IPPool' resource: resource does not exist: IPPool(nope) with error: <nil>",
        "Failed to delete 'IPPool' resource: resource does not exist: IPPool(never) with error: <nil>",
    ]
    assert calico("delete", "pool", "nope", "-s").out == "Successfully deleted 1 'IPPool' resource(s)\n"
    assert calico.ctl("delete", "pool").err.splitlines()[0] == "No resources specified"
    assert calico.ctl("delete", "pool", "").err.splitlines()[0] == "resource name may not be empty"


def test_validate_needs_no_datastore(calico: Calico, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is opened or asked: a datastore that is not there does not matter."""
    monkeypatch.setenv("MUSLIN_DATASTORE", str(tmp_path / "nowhere" / "at all.db"))

    assert calico("validate", "-f", calico.write(BOTH)).status == 0
    assert calico("apply", "-f", calico.write(BOTH)).status == 2


def test_a_whole_cluster_in_one_file(calico: Calico) -> None:
    """What somebody runs a verb on may be larger than what a repository may bring."""
    file = calico.write("---\n" * 25_000 + TIER)

    assert calico.ctl("validate", "-f", file).out == "Successfully validated 1 'Tier' resource(s)\n"


def test_all_problems_of_all_objects_come_at_once(calico: Calico) -> None:
    """Also where one object is of no known kind, so that nothing is done; calicoctl's line is about that one."""
    wrong = [
        manifest("Tier", "a", "{order: high}"),
        "apiVersion: v1\nkind: Nope\nmetadata: {name: b}\n",
        manifest("IPPool", "c", "{cidr: 10.48.0.0/16, nat: true}"),
        manifest("Tier", "fine", "{}"),
    ]
    ran = calico.ctl("apply", "-f", calico.write("---\n".join(wrong)))

    assert ran.err.splitlines()[0] == "failed to execute command: Unknown resource type (Nope) and/or version (v1)"
    assert re.findall(r"objects\.yaml:(\d+)", ran.err) == ["4", "7", "13"]


def test_names_of_fields_may_be_written_in_any_case(calico: Calico) -> None:
    """Also those that say what an object is, as calicoctl takes them; a name in both spellings is refused."""
    text = (
        "APIVERSION: projectcalico.org/v3\nKind: TierList\nItems:\n- Metadata: {Name: a, LABELS: {x: z}}\n"
        "  Spec: {Order: 5}\n---\napiVersion: projectcalico.org/v3\nkind: IPPool\n"
        "metadata: {name: b}\nSpec: {CIDR: 10.48.0.0/16, natoutgoing: true}\n"
    )
    calico.apply(text)
    tier, pool = calico.get("tier", "a"), calico.get("pool", "b")
    twice = calico.ctl("validate", "-f", calico.write(f"Kind: Tier\n{POOL}"))

    assert (tier["spec"], tier["metadata"]["labels"]) == ({"order": 5, "defaultAction": "Deny"}, {"x": "z"})
    assert (pool["spec"]["cidr"], pool["spec"]["natOutgoing"]) == ("10.48.0.0/16", True)
    assert twice.status == 1
    assert twice.err.startswith("field in document is not recognized or is in the wrong location: Kind")
