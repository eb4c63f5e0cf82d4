"""Where resources are kept, and whether agents watch that place themselves."""

from __future__ import annotations

from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.facts import DatastoreWish, Facts
from muslin.errors import Problem

__all__ = ["FAN_OUT_LIMIT", "datastore", "fan_out"]

FAN_OUT_LIMIT = 50
"""Nodes above which a watch for each of them loads the datastore's server too much."""

_EMBEDDED_LIMIT = 10
"""Nodes of a lab on one machine; the embedded datastore is a file that all agents must be able to open."""


def datastore(facts: Facts, where: str) -> Outcome:
    """Kubernetes unless something else is wished for; never the etcd that is Kubernetes' own."""
    wish = facts.datastore or DatastoreWish.KUBERNETES
    inputs = {"datastore": "unset" if facts.datastore is None else wish.value}
    kubernetes = Alternative(DatastoreWish.KUBERNETES.value, "not wished; needs a Kubernetes API server")
    etcd = Alternative(DatastoreWish.ETCD.value, "a second etcd to run, with users and rights of its own")
    embedded = Alternative(DatastoreWish.EMBEDDED.value, "a file: for labs and tests on one machine")
    source = section("Kubernetes Datastore Mode (Recommended)")
    if wish is DatastoreWish.KUBERNETES:
        return Decision(
            "datastore",
            wish.value,
            "resources live in the Kubernetes API: nothing more to run, and its access rules hold",
            inputs,
            (etcd, embedded),
            "whoever may write these kinds in Kubernetes may change the network",
            source,
        )
    if wish is DatastoreWish.ETCD:
        inputs["etcdIsTheClusters"] = {None: "unset", True: "true", False: "false"}[facts.etcd_is_the_clusters]
        if facts.etcd_is_the_clusters is not False:
            return (
                Problem(
                    "the etcd of Kubernetes itself must not keep anything else"
                    if facts.etcd_is_the_clusters
                    else "it is not said whether this etcd is the one of Kubernetes itself",
                    where,
                    "run a separate etcd and say etcdIsTheClusters: false, or use the datastore kubernetes",
                    section("etcd Datastore Mode"),
                ),
            )
        return Decision(
            "datastore",
            wish.value,
            "wished so, and separate from the one of Kubernetes",
            inputs,
            (kubernetes, embedded),
            "it needs backups, users and rights of its own",
            section("etcd Datastore Mode"),
        )
    if facts.size > _EMBEDDED_LIMIT:
        return (
            Problem(
                f"the embedded datastore is for one machine, and {facts.size} nodes are planned",
                where,
                f"use the datastore kubernetes, or plan for at most {_EMBEDDED_LIMIT} nodes in a lab",
                source,
            ),
        )
    return Decision(
        "datastore",
        wish.value,
        "wished so: a lab on one machine needs no server",
        inputs,
        (kubernetes, etcd),
        "every node must be able to open the same file",
        source,
    )


def fan_out(facts: Facts, chosen: DatastoreWish) -> Decision:
    """One watch for many agents with Kubernetes, or beyond 50 nodes; none for a file."""
    inputs = {"datastore": chosen.value, "plannedNodes": str(facts.size)}
    wanted = chosen is DatastoreWish.KUBERNETES or (chosen is DatastoreWish.ETCD and facts.size > FAN_OUT_LIMIT)
    if wanted:
        return Decision(
            "fan-out",
            "on",
            "one process watches the datastore for many agents, so that its load does not grow with the nodes",
            inputs,
            (Alternative("off", "every agent would hold watches of its own on the API server"),),
            "run at least two of it once the cluster matters",
            section("Typha"),
        )
    return Decision(
        "fan-out",
        "off",
        "few agents may watch the datastore themselves",
        inputs,
        (Alternative("on", f"one more process to run; needed with Kubernetes, or above {FAN_OUT_LIMIT} nodes"),),
        "",
        section("Typha"),
    )
