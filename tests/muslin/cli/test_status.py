"""`muslin status`: what is applied, what is held up and why, how far the agents are."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from muslin.resources.keys import Key
from tests.muslin.cli.running import FILES, Cluster, Run, session
from tests.reconciler.cases import policy_key


def test_all_well_is_zero(run: Run, cluster: Cluster) -> None:
    """What is applied, and each agent with the revision it has applied."""
    cluster.report("node1", session("192.0.2.2"), session("2001:db8::2", "Active"), revision="12")
    ran = run("status", "--datastore", cluster.file)

    assert (ran.status, ran.err) == (0, "")
    *lines, last = ran.out.splitlines()[1:]
    assert lines == ["  last plan: 3 create", "", "NODE    APPLIED REVISION   SESSIONS UP   REPORTED"]
    assert re.fullmatch(r"node1   12                 1/2           2026-01-02T03:04:05Z \(\d+ d ago\)", last)


def test_a_held_commit_is_told_with_every_problem(run: Run, cluster: Cluster) -> None:
    """A bad commit: what stays applied, what is held, why, with place and fix; exit status 1."""
    applied = cluster.push()
    held = cluster.push(
        {**FILES, "wrong.yaml": FILES["a.yaml"].replace("name: a", "name: x").replace("order", "odrer")}
    )
    ran = run("status", "--datastore", cluster.file)

    assert ran.status == 1
    assert ran.out.startswith(f"Set default: applied {applied[:12]}, as of ")
    assert ran.out.splitlines()[2:6] == [
        f"  HELD {held[:12]} is not in force: Problems",
        "    unknown field 'odrer'",
        "      where: wrong.yaml:7:3  spec.odrer",
        "      fix:   did you mean order?",
    ]


def test_drift_is_told_with_old_and_new(run: Run, cluster: Cluster) -> None:
    """What somebody changed and what it was put back to, the latest ones, with the time; that is no failure."""
    for order in (7, 8):
        cluster.edit(policy_key("a"), order=order)
        cluster.push()
    ran = run("status", "--datastore", cluster.file, "--drift", "1")

    assert ran.status == 0
    assert ran.out.splitlines()[2:5] == [
        "  drift repaired: 2, the latest 1",
        "    2026-01-02T03:04:05.000Z  NetworkPolicy shop/a",
        "      ~ spec.order: 8 -> 100",
    ]


@pytest.mark.parametrize("more", [[], ["--why"]])
def test_what_is_not_listed_is_counted(run: Run, cluster: Cluster, more: list[str]) -> None:
    """Of very many objects in trouble some stand in the status; how many more there are is said."""
    status = {"applied": "abc", "accepted": "def", "failed": [{"object": "Tier t"}], "notListed": {"failed": 9500}}
    cluster.put(
        {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerStatus", "metadata": {"name": "other"},
         "status": status}
    )  # fmt: skip
    assert "... and 9500 more failed" in run("status", "--datastore", cluster.file, "--set", "other", *more).out


def test_paused_failed_waiting_blocked_and_fetch_are_told(run: Run, cluster: Cluster) -> None:
    """Everything that a status can hold is shown in words; strange values and control characters do no harm."""
    what = {"what": "no\x1b[31m", "where": "here", "fix": "do it", "rule": "RFC"}
    status = {
        "applied": "abc", "accepted": "def", "at": None, "paused": True, "problemCount": "many",
        "fetch": {"standing": "Unreachable", "repository": "r", "branch": "main", "message": "", "rewrittenFrom": "xy"},
        "failed": [{"object": "Tier t", **what}], "blocked": [{"object": "IPPool p", "why": "PoolInUse", **what}, 7],
        "waiting": [{"object": "NetworkPolicy a/b", "for": "Tier t"}], "lastPlan": {"create": 1}, "drift": "no list",
    }  # fmt: skip
    cluster.put(
        {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerStatus", "metadata": {"name": "other"},
         "status": status}
    )  # fmt: skip
    ran = run("status", "--datastore", cluster.file, "--set", "other")

    assert ran.status == 1
    assert ran.out.splitlines() == [
        "Set other: applied abc, as of never",
        "  in force: def, not applied completely",
        "  fetch: Unreachable r main",
        "  the branch was rewritten, it was xy",
        "  last plan: 1 create",
        "  PAUSED: datastoreReady is false in ClusterInformation default; nothing is written",
        "  FAILED Tier t",
        "    no\\x1b[31m",
        "      where: here",
        "      fix:   do it",
        "      rule:  RFC",
        "  blocked IPPool p (PoolInUse)",
        "    no\\x1b[31m",
        "      where: here",
        "      fix:   do it",
        "      rule:  RFC",
        "  WAITING NetworkPolicy a/b for Tier t",
        "",
        "No node has registered.",
    ]


def test_what_became_of_a_revert_is_told(run: Run, cluster: Cluster) -> None:
    """Where it was pushed to, or why not, beside the commit that is held; nothing in it speaks to a terminal."""
    said = "the revert of cccccccccccc: Refused: hook declined \x1b[2J"
    status = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerStatus", "metadata": {"name": "b"}}
    fetch = {"standing": "Current", "reverts": [{"commit": "c" * 40, "said": said}]}
    cluster.put({**status, "status": {"fetch": fetch, "held": {"commit": "c" * 40, "reason": "RolledBack"}}})
    told = run("status", "--set", "b", "--datastore", cluster.file)
    why = run("status", "--set", "b", "--why", "--datastore", cluster.file)

    assert "  the revert of cccccccccccc: Refused: hook declined \\x1b[2J" in told.out.splitlines()
    assert "hook declined" in why.out


@pytest.mark.parametrize(
    "trouble",
    [
        {"blocked": [{"object": "IPPool p", "why": "NotConfirmed", "what": "w", "where": "h", "fix": "f"}]},
        {"fetch": {"standing": "BranchMissing"}},
        {"waiting": [{"object": "NetworkPolicy a/b", "for": "Tier t"}]},
    ],
)
def test_each_thing_that_is_not_as_the_branch_says_is_an_exit_status(
    run: Run, cluster: Cluster, trouble: dict[str, Any]
) -> None:
    """What `--why` explains is never hidden behind exit status 0."""
    cluster.put(
        {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerStatus", "metadata": {"name": "other"},
         "status": {"applied": "abc", "accepted": "abc", **trouble}}
    )  # fmt: skip

    for more in ((), ("--why",), ("-o", "json")):
        assert run("status", "--datastore", cluster.file, "--set", "other", *more).status == 1


def test_nobody_has_reported(run: Run, cluster: Cluster) -> None:
    """No reconciler, and a node whose agent is silent: said, and exit status 1."""
    cluster.remove(Key("ReconcilerStatus", "default"))
    cluster.put({"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": {"name": "n1"}, "spec": {}})
    ran = run("status", "--datastore", cluster.file)

    assert ran.status == 1
    assert ran.out.splitlines() == [
        "No reconciler has reported to this datastore.",
        "NODE   APPLIED REVISION   SESSIONS UP   REPORTED",
        "n1     -                  0/0           never",
    ]


def test_json_for_programs(run: Run, cluster: Cluster) -> None:
    """`-o json` gives each set's status as stored, the agents, and whether all is fine."""
    cluster.report("node1", session("192.0.2.2"), revision="12")
    ran = run("status", "--datastore", cluster.file, "-o", "json")
    told = json.loads(ran.out)

    assert (ran.status, told["fine"], told["version"]) == (0, True, 1)
    assert [each["set"] for each in told["reconcilers"]] == ["default"]
    assert told["agents"] == [
        {
            "node": "node1", "appliedRevision": "12", "reported": "2026-01-02T03:04:05Z",
            "sessions": {"established": 1, "all": 1},
        }
    ]  # fmt: skip
