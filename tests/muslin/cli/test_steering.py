"""What operators tell a reconciler, typed as they would; and its history."""

from __future__ import annotations

import json

import pytest

from tests.muslin.cli.running import FILES, Cluster, Run

_MORE = {**FILES, "c.yaml": FILES["a.yaml"].replace("name: a", "name: c")}


def test_suspended_until_resumed(run: Run, cluster: Cluster) -> None:
    """Nothing is written in between, the status says by whom and why, and resuming applies what waits."""
    cluster.push()
    suspended = run("suspend", "--reason", "rack 7 moves", "--datastore", cluster.file)
    again = run("suspend", "--reason", "other", "--datastore", cluster.file)
    cluster.push(_MORE)
    status = run("status", "--datastore", cluster.file)
    gone = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)
    resumed = run("resume", "--datastore", cluster.file)
    twice = run("resume", "--datastore", cluster.file)
    cluster.push(_MORE)
    there = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)

    assert suspended.out == "Set default is suspended; undo it with `muslin resume`.\n"
    assert again.out == "Set default was suspended before; that reason stands.\n"
    assert (status.status, gone.status, there.status) == (1, 1, 0)
    assert "SUSPENDED by " in status.out
    assert ": rack 7 moves" in status.out
    assert (resumed.out, twice.out) == ("Set default goes on.\n", "Set default was not suspended.\n")


def test_a_command_to_a_set_of_which_nobody_has_heard_is_told(run: Run, cluster: Cluster) -> None:
    """Who mistypes the name in an emergency learns at once that no reconciler listens, and which ones there are."""
    cluster.push()
    right = run("suspend", "--reason", "fire", "--datastore", cluster.file)
    wrong = run("suspend", "--set", "defualt", "--reason", "fire", "--datastore", cluster.file)
    others = [run(*verb, "--set", "defualt", "--datastore", cluster.file) for verb in (
        ("resume",), ("release",), ("rollback", "--reason", "x"), ("confirm", "tier", "ops"),
        ("approve", f"sha256:{'a' * 64}"),
    )]  # fmt: skip
    early = run("suspend", "--set", "next", "--reason", "not yet", "--unseen", "--datastore", cluster.file)
    undone = run("resume", "--set", "next", "--datastore", cluster.file)

    assert (right.status, right.err) == (0, "")
    assert wrong.status == 1
    assert "no reconciler of set defualt has reported to this datastore" in wrong.err
    assert "fix:   name one of default;" in wrong.err
    assert {(ran.status, ran.err.splitlines()[0]) for ran in others} == {(1, wrong.err.splitlines()[0])}
    assert (early.status, undone.out) == (0, "Set next goes on.\n")


def test_a_tier_goes_when_confirmed(run: Run, cluster: Cluster) -> None:
    """It stays and is named with the command to type; after that command the next look removes it."""
    tier = "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ops}\nspec: {order: 50}\n"
    cluster.push({**FILES, "t.yaml": tier})
    cluster.push(FILES)
    status = run("status", "--datastore", cluster.file)
    stays = run("get", "tier", "ops", "--datastore", cluster.file)
    said = run("confirm", "tier", "ops", "--datastore", cluster.file)
    again = run("confirm", "Tier", "ops", "--datastore", cluster.file)
    cluster.look()
    gone = run("get", "tier", "ops", "--datastore", cluster.file)

    assert "muslin confirm Tier ops" in status.out
    assert (stays.status, gone.status) == (0, 1)
    assert (said.out, again.out) == (
        "Set default: Tier ops may go.\n", "Set default: Tier ops was confirmed before.\n"
    )  # fmt: skip


def test_rollback_and_release(run: Run, cluster: Cluster) -> None:
    """The commit before is applied and the branch's is held, until it is released."""
    cluster.push()
    bad = cluster.push(_MORE)
    back = run("rollback", "--reason", "the shop is down", "--datastore", cluster.file)
    cluster.look()
    gone = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)
    status = run("status", "--datastore", cluster.file)
    released = run("release", "--datastore", cluster.file)
    cluster.look()
    there = run("get", "np", "c", "-n", "shop", "--datastore", cluster.file)

    assert back.out == "Set default goes back to the commit before; see `muslin status`.\n"
    assert (gone.status, there.status) == (1, 0)
    assert f"HELD {bad[:12]} is not in force" in status.out
    assert "the shop is down" in status.out
    assert released.out == "Set default: the held commit is tried again.\n"


def test_there_is_nothing_to_take_back(run: Run, cluster: Cluster) -> None:
    """Without a commit in force, or before the first one, or to another set's: it is said, and nothing is held."""
    status = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerStatus", "metadata": {"name": "new"}}
    cluster.put({**status, "status": {"problemCount": 1}})
    nothing = run("rollback", "--reason", "x", "--set", "new", "--datastore", cluster.file)
    first = run("rollback", "--reason", "x", "--datastore", cluster.file)
    other = run("rollback", "--reason", "x", "--to", f"net@{'a' * 40}", "--datastore", cluster.file)

    assert "no commit is in force" in nothing.err
    assert "no earlier commit is known" in first.err
    assert "that commit is of other sources" in other.err
    assert {(ran.status, "fix:" in ran.err) for ran in (nothing, first, other)} == {(1, True)}
    assert run("get", "reconcilercontrol", "--datastore", cluster.file).out.splitlines()[1:] == []


def test_a_second_way_back_waits_for_the_first(run: Run, cluster: Cluster) -> None:
    """Two people who send a set back to different commits: the first counts, and the second learns it."""
    cluster.push()
    cluster.push(_MORE)
    first = run("rollback", "--reason", "x", "--datastore", cluster.file)
    same = run("rollback", "--reason", "y", "--datastore", cluster.file)
    other = run("rollback", "--reason", "z", "--to", "a" * 40, "--datastore", cluster.file)

    assert (first.status, same.status, other.status) == (0, 0, 1)
    assert "is going back already" in same.out
    assert "to another commit already" in other.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("approve", "sha256:12"), "copy it whole from `muslin plan`"),
        (("approve", "yes"), "copy it whole from `muslin plan`"),
        (("rollback", "--reason", "x", "--to", "HEAD~1"), "give all 40 hexadecimal digits"),
        (("rollback", "--reason", " "), "write a sentence"),
        (("suspend", "--reason", "x" * 501), "write a sentence"),
        (("suspend",), "--reason"),
    ],
)
def test_wrong_input(run: Run, cluster: Cluster, arguments: tuple[str, ...], words: str) -> None:
    """Exit status 2, what to write instead, and nothing is told to the reconciler."""
    ran = run(*arguments, "--datastore", cluster.file)

    assert ran.status == 2
    assert words in ran.err
    assert run("get", "reconcilercontrol", "--datastore", cluster.file).out.splitlines()[1:] == []


_MANY = {f"{number}.yaml": FILES["a.yaml"].replace("name: a", f"name: n{number}") for number in range(20)}


def test_only_the_plan_that_waits_is_approved(run: Run, cluster: Cluster) -> None:
    """Its digest stands in the status; one that is yet to be planned, or of nothing, is refused with what waits."""
    cluster.push({**FILES, **_MANY})
    early = run("approve", f"sha256:{'a' * 64}", "--datastore", cluster.file)
    cluster.push(FILES)
    status = run("status", "-o", "json", "--datastore", cluster.file)
    text = run("status", "--datastore", cluster.file)
    digest = json.loads(status.out)["reconcilers"][0]["held"]["digest"]
    wrong = run("approve", f"sha256:{'a' * 64}", "--datastore", cluster.file)
    once = run("approve", digest, "--datastore", cluster.file)
    twice = run("approve", digest, "--datastore", cluster.file)
    shown = run("get", "reconcilercontrol", "default", "-o", "json", "--datastore", cluster.file)
    cluster.look()
    gone = run("get", "np", "n7", "-n", "shop", "--datastore", cluster.file)

    assert (early.status, wrong.status) == (1, 1)
    assert "push the commit; `muslin status` names the digest" in early.err
    assert f"{digest} waits, for commit " in wrong.err
    assert f"plan:  {digest}" in text.out
    assert (once.out, twice.out) == ("Set default: approved.\n", "Set default: it was approved before.\n")
    approved = json.loads(shown.out)["spec"]["approved"]
    assert approved["digest"] == digest
    assert "@" in approved["by"]
    assert gone.status == 1


def test_only_what_waits_is_confirmed(run: Run, cluster: Cluster) -> None:
    """A name that is mistyped, or declared, or yet to be pushed away, is refused with what waits."""
    tier = "apiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: ops}\nspec: {order: 50}\n"
    cluster.push({**FILES, "t.yaml": tier})
    early = run("confirm", "tier", "ops", "--datastore", cluster.file)
    cluster.push(FILES)
    wrong = run("confirm", "tier", "opps", "--datastore", cluster.file)
    right = run("confirm", "tier", "ops", "--datastore", cluster.file)

    assert (early.status, wrong.status, right.status) == (1, 1, 0)
    assert "Tier ops does not wait to be confirmed" in early.err
    assert "nothing waits" in early.err
    assert "fix:   what waits: Tier ops" in wrong.err


def test_history_of_a_set_that_has_none(run: Run, cluster: Cluster) -> None:
    """It is no failure to have done nothing yet."""
    ran = run("history", "--set", "other", "--datastore", cluster.file)

    assert (ran.status, ran.out) == (0, "Nothing is remembered of set other.\n")


def test_history_as_table_and_for_programs(run: Run, cluster: Cluster) -> None:
    """The latest last, with author and commit; control characters of a commit's author do no harm."""
    records = [
        {"at": "2026-01-02T03:04:05.000Z", "reconcile": "r-1", "event": "Applied", "message": "3 create",
         "commit": "c" * 40, "who": "Ada\x1b[31m <ada@example.com>"},
        {"at": "2026-01-02T03:05:05.000Z", "reconcile": "r-2", "event": "DriftRepaired", "message": "put back",
         "object": "IPPool pods"},
    ]  # fmt: skip
    value = {"apiVersion": "reconciler.muslin/v1alpha1", "kind": "ReconcilerHistory", "metadata": {"name": "default"}}
    cluster.put({**value, "spec": {"records": records}})
    table = run("history", "--datastore", cluster.file)
    one = run("history", "--object", "IPPool pods", "-o", "json", "--datastore", cluster.file)
    latest = run("history", "--limit", "1", "--datastore", cluster.file)

    lines = table.out.splitlines()
    assert lines[0].split() == ["AT", "EVENT", "COMMIT", "WHO", "WHAT"]
    assert "cccccccccccc   Ada\\x1b[31m <ada@example.com>   3 create" in lines[1]
    assert json.loads(one.out) == {"version": 1, "set": "default", "records": [records[1]]}
    assert [line.split()[1] for line in latest.out.splitlines()[1:]] == ["DriftRepaired"]
