"""`muslin plan`: what files would change, told in full, and never done."""

from __future__ import annotations

import json

from muslin.resources.keys import Key
from tests.muslin.cli.running import FILES, Cluster, Run
from tests.reconciler.cases import policy, policy_key, pool

_STRANGER = {
    "apiVersion": "projectcalico.org/v3", "kind": "IPPool", "metadata": {"name": "old"},
    "spec": {"cidr": "198.51.100.0/24", "blockSize": 26, "natOutgoing": False},
}  # fmt: skip
_BLOCK = {
    "apiVersion": "projectcalico.org/v3", "kind": "IPAMBlock", "metadata": {"name": "10-48-0-0-26"},
    "spec": {"cidr": "10.48.0.0/26", "allocations": [], "unallocated": []},
}  # fmt: skip


def test_nothing_to_change_is_zero(run: Run, cluster: Cluster) -> None:
    """Files that are in force already give exit status 0, and say so."""
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert (ran.status, ran.err) == (0, "")
    assert ran.out.splitlines()[-1] == "Nothing to change; 3 as declared."


def test_every_object_and_field_is_told_in_the_order_of_apply(run: Run, cluster: Cluster) -> None:
    """Created, changed, taken over and removed objects with old and new values; drift apart, under its own number."""
    cluster.edit(policy_key("a"), order=7)
    cluster.put(_STRANGER)
    files = {"a.yaml": policy("a"), "c.yaml": policy("c", labels={"example/tier": "front"})}
    pools = pool("pods", "10.48.0.0/16").replace("true", "false") + "---\n" + pool("old", "198.51.100.0/24")
    cluster.write({**files, "pools.yaml": pools})
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert (ran.status, ran.err) == (2, "")
    assert ran.out.splitlines()[1:] == [
        "",
        "Changes, in this order:",
        "",
        "  1. take over IPPool old  pools.yaml:6:1",
        "       it is there already and nobody's in this ledger: from now on it is ours",
        "     + spec.natOutgoing: true",
        "",
        "  2. change IPPool pods  pools.yaml:1:1",
        "     - spec.natOutgoing: true",
        "",
        "  4. create NetworkPolicy shop/c  c.yaml:1:1",
        "     + metadata.labels['example/tier']: front",
        "     + metadata.labels['projectcalico.org/tier']: default",
        "     + spec.tier: default",
        "     + spec.order: 100",
        "     + spec.selector: app == 'c'",
        "     + spec.types[0]: Ingress",
        "     + spec.ingress[0].action: Allow",
        "     + spec.ingress[0].source.selector: app == 'client'",
        "",
        "  5. remove NetworkPolicy shop/b",
        "     - it is ours, and no file declares it any more",
        "",
        "Drift, which somebody else caused and the reconciler puts back:",
        "",
        "  3. change NetworkPolicy shop/a  a.yaml:1:1",
        "     ~ spec.order: 7 -> 100",
        "",
        "No endpoints are known, so nothing is told of traffic.",
        "",
        "Pools that treat packets or assignments otherwise:",
        "pool   what                 before   after   addresses in use",
        "─────────────────────────────────────────────────────────────",
        "old    NAT of what leaves   off      on                     0",
        "pods   NAT of what leaves   on       off                    0",
        "",
        "Levels, one after the other:",
        "  1. write pools (2), write policies that allow (2)",
        "  2. remove policies that allow (1)",
        "",
        "1 to create, 2 to change, 1 to take over, 1 to remove, of these 1 drift; 0 as declared.",
    ]


def test_what_is_blocked_is_told_with_its_fix(run: Run, cluster: Cluster) -> None:
    """A pool with addresses in use is not removed: the plan says why, what to do, and answers 2."""
    cluster.put(_BLOCK)
    cluster.write({name: text for name, text in FILES.items() if name != "pools.yaml"})
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert ran.status == 2
    assert "IPPool pods is in use: block 10.48.0.0/26 lies in it (PoolInUse)\n    fix: set disabled" in ran.out
    assert ran.out.endswith("Nothing to change; 2 as declared; 1 not possible now.\n")


def test_a_commit_that_would_be_held_is_told(run: Run, cluster: Cluster) -> None:
    """Files that declare nothing would be held by the reconciler: the plan says so beside its steps."""
    ran = run("plan", cluster.write({}), "--datastore", cluster.file)

    assert ran.status == 2
    assert (
        "The reconciler would hold this commit: the commit declares nothing, and 3 objects are ours (Empty)" in ran.out
    )

    allowed = run("plan", cluster.manifests, "--datastore", cluster.file, "--allow-empty")
    assert "hold this commit" not in allowed.out


def test_a_paused_reconciler_is_told(run: Run, cluster: Cluster) -> None:
    """A datastore that is not ready is not written to, and the plan says why."""
    cluster.edit(Key("ClusterInformation", "default"), datastoreReady=False)
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert (ran.status, "The reconciler is paused" in ran.out) == (0, True)


def test_json_for_programs(run: Run, cluster: Cluster) -> None:
    """`-o json` gives steps, counts, what is in force, and the same exit status."""
    cluster.write({**FILES, "a.yaml": policy("a", order=5)})
    ran = run("plan", cluster.manifests, "--datastore", cluster.file, "-o", "json")
    told = json.loads(ran.out)

    assert ran.status == 2
    assert told["counts"] == {
        "create": 0, "update": 1, "adopt": 0, "delete": 0, "unchanged": 2, "blocked": 0, "drift": 0,
    }  # fmt: skip
    assert [(step["key"], step["fields"]) for step in told["steps"]] == [
        (
            "NetworkPolicy shop/a",
            [{"path": "spec.order", "old": 100, "new": 5, "owner": "us", "why": "Declared"}],
        )
    ]
    assert (told["held"], told["paused"]) == (None, False)


def test_nothing_is_written(run: Run, cluster: Cluster) -> None:
    """Whatever there is to do, the datastore's revision and the folder stay as they were."""
    cluster.write({"c.yaml": policy("c")})
    before = cluster.revision(), sorted(cluster.manifests.rglob("*"))
    run("plan", cluster.manifests, "--datastore", cluster.file)

    assert before == (cluster.revision(), sorted(cluster.manifests.rglob("*")))


def test_all_problems_of_the_files_are_told_and_the_status_is_one(run: Run, cluster: Cluster) -> None:
    """A wrong field, a double and a kind that no repository may set: each with its place; 2 would mean changes."""
    wrong = policy("x").replace("selector: app", "selektor: app", 1)
    status = "apiVersion: projectcalico.org/v3\nkind: CalicoNodeStatus\nmetadata: {name: n}\n"
    cluster.write({**FILES, "double.yaml": policy("a"), "status.yaml": status, "wrong.yaml": wrong})
    ran = run("plan", cluster.manifests, "--datastore", cluster.file)

    assert (ran.status, ran.out) == (1, "")
    assert [line for line in ran.err.splitlines() if line.startswith("  where")] == [
        "  where: double.yaml:1:1",
        "  where: status.yaml:2:7  kind",
        "  where: wrong.yaml:8:3  spec.selektor",
    ]


def test_facts_are_planned_as_the_reconciler_renders_them(run: Run, cluster: Cluster) -> None:
    """With a blueprint allowed, what follows from facts is shown with the facts' place; without, they are no change."""
    facts = (
        "apiVersion: blueprints.muslin/v1alpha1\nkind: Cluster\nname: example\nblueprint: single_subnet\n"
        "nodes: [{name: node1, address: 192.0.2.1}]\nsubnets: [192.0.2.0/24]\nnetworkMTU: 1500\n"
        "network: {bgp: true, podAddresses: true}\npodRange: 198.51.100.0/24\n"
    )
    cluster.write({**FILES, "cluster.yaml": facts})
    plain = run("plan", cluster.manifests, "--datastore", cluster.file)
    rendered = run("plan", cluster.manifests, "--datastore", cluster.file, "--blueprint", "single_subnet")
    unknown = run("plan", cluster.manifests, "--datastore", cluster.file, "--blueprint", "my_own")

    assert (plain.status, rendered.status, unknown.status) == (0, 2, 1)
    assert "create IPPool" in rendered.out
    assert "cluster.yaml:1:1" in rendered.out
    assert "there is no blueprint 'my_own'" in unknown.err


def test_steps_are_listed_as_they_are_taken(run: Run, cluster: Cluster) -> None:
    """A peer waits for filters, a tier for nothing: the tier is listed and taken before the peer."""
    head = "apiVersion: projectcalico.org/v3\nkind:"
    new = {
        "filter.yaml": f"{head} BGPFilter\nmetadata: {{name: f}}\nspec: {{}}\n",
        "peer.yaml": f"{head} BGPPeer\nmetadata: {{name: x}}\nspec: {{peerIP: 192.0.2.1, asNumber: 64512}}\n",
        "tier.yaml": f"{head} Tier\nmetadata: {{name: ops}}\nspec: {{order: 50}}\n",
    }
    ran = run("plan", cluster.write({**FILES, **new}), "--datastore", cluster.file)

    assert "1. write BGP filters (1), write tiers (1)" in ran.out
    assert ran.out.index("Tier ops") < ran.out.index("BGPPeer x")


_PROBE = """apiVersion: reconciler.muslin/v1alpha1
kind: Probe
metadata: {name: served}
spec:
  from: {namespace: shop, selector: app == 'client'}
  to: {address: 192.0.2.10}
  port: 443
"""
_SAID = "served: pods \"app == 'client'\" in shop must reach 192.0.2.10 over TCP 443"


def test_probes_are_gates_and_no_objects(run: Run, cluster: Cluster) -> None:
    """What is asked while the commit is on trial is told in every form, counts as no change, and passes the checks."""
    files = cluster.write({**FILES, "a.yaml": policy("a", order=7), "probe.yaml": _PROBE})
    text = run("plan", files, "--datastore", cluster.file).out
    told = json.loads(run("plan", files, "--datastore", cluster.file, "-o", "json").out)
    review = run("plan", files, "--datastore", cluster.file, "-o", "markdown").out

    head = "Probes, before the first change, between levels and after the last, if `reconcile --probes` lets:"
    assert f"{head}\n  {_SAID}\n" in text
    assert (told["probes"], told["counts"]["create"]) == ([_SAID], 0)
    assert "if the reconciler may ask: served: pods" in review
    assert run("check", files).status == 0
    wrong = run("check", cluster.write({**FILES, "probe.yaml": _PROBE.replace("192.0.2.10", "db.example")}))
    assert (wrong.status, "'db.example' is not an IP address" in wrong.out) == (2, True)
