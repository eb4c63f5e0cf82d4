"""`muslin node status`: the table of the reference architecture."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.muslin.cli.running import Cluster, Run, session


def test_the_table_of_the_reference_architecture(run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look is calicoctl's to the character; what was today shows the time of day."""
    monkeypatch.setenv("NODENAME", "node1")
    now = datetime.now(UTC).isoformat()
    clock = datetime.fromisoformat(now).astimezone().strftime("%H:%M:%S")
    cluster.report(
        "node1",
        session("192.0.2.17", since=now),
        session("192.0.2.3", since=now, kind="GlobalPeer"),
        session("192.0.2.14", kind="NodePeer", since="2016-11-21"),
    )
    ran = run("node", "status", "--datastore", cluster.file)

    assert (ran.status, ran.err) == (0, "")
    assert (
        ran.out
        == f"""\
Calico process is running.

IPv4 BGP status
+--------------+-------------------+-------+------------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |   SINCE    |    INFO     |
+--------------+-------------------+-------+------------+-------------+
| 192.0.2.3    | global            | up    | {clock}   | Established |
| 192.0.2.14   | node specific     | up    | 2016-11-21 | Established |
| 192.0.2.17   | node-to-node mesh | up    | {clock}   | Established |
+--------------+-------------------+-------+------------+-------------+

IPv6 BGP status
No IPv6 peers found.

Node node1, reported 2026-01-02T03:04:05Z
"""
    )


def test_a_session_that_is_down_is_one(run: Run, cluster: Cluster) -> None:
    """Both families are shown, the state as BGP names it; exit status 1 with what to look at."""
    cluster.report("node1", session("192.0.2.2"), session("2001:db8::2", "Active"))
    ran = run("node", "status", "--node", "node1", "--datastore", cluster.file)

    assert ran.status == 1
    assert "| 2001:db8::2  | node-to-node mesh | start | 2026-01-02 | Active |" in ran.out
    assert ran.err.startswith("error: 1 BGP session(s) of node1 not established\n")


def test_no_report(run: Run, cluster: Cluster) -> None:
    """An unknown node is told with what to check."""
    ran = run("node", "status", "--node", "nope", "--datastore", cluster.file)

    assert (ran.status, ran.out) == (1, "")
    assert "no agent has reported for node 'nope'" in ran.err


def test_no_report_as_calicoctl_says_it(run: Run, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing is known of the node, and where no datastore answers, the first line is the reference's."""
    monkeypatch.setenv("NODENAME", "nope")
    monkeypatch.setenv("MUSLIN_DATASTORE", str(cluster.file))
    unknown = run("ctl", "node", "status")
    monkeypatch.setenv("MUSLIN_DATASTORE", f"{cluster.file}.none")
    nowhere = run("ctl", "node", "status")

    for ran in (unknown, nowhere):
        assert (ran.status, ran.out, ran.err.splitlines()[0]) == (1, "", "Calico process is not running.")
    assert "where: CalicoNodeStatus nope" in unknown.err
