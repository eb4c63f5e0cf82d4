"""Where resources are kept, and whether agents watch that place themselves."""

from __future__ import annotations

from blueprints.asking import Asked, Option, overridden
from blueprints.decision import Alternative, Decision, Outcome, section
from blueprints.fact_parts import DatastoreWish
from blueprints.musts import Must, refuse
from muslin.errors import Problem

__all__ = ["FAN_OUT_LIMIT", "datastore", "fan_out", "fan_out_replicas", "replicas_for", "storage"]

FAN_OUT_LIMIT = 50
"""Nodes from which on a watch for each of them loads the datastore's server too much."""

_EMBEDDED_LIMIT = 10
"""Nodes of a lab on one machine; the embedded datastore is a file that all agents must be able to open."""

_MOST_REPLICAS = 20
_NODES_A_REPLICA = 200


def storage(asked: Asked) -> None:
    """Datastore, fan-out and how often that runs."""
    chosen = asked.add(datastore(asked))
    if chosen is None:
        return
    fan = asked.add(fan_out(asked, DatastoreWish(chosen.chosen)))
    if fan is not None and fan.chosen == "on":
        asked.add(fan_out_replicas(asked))


def datastore(asked: Asked) -> Outcome:
    """Kubernetes unless something else is wished for; never the etcd that is Kubernetes' own."""
    wanted = asked.override("datastore")
    if wanted is None:
        return _datastore(asked, asked.facts.datastore, asked.place("datastore"))
    index, override = wanted
    where = asked.place("overrides", index, "chosen")
    known = {each.value: each for each in DatastoreWish}
    wish = known.get(override.chosen.casefold())
    if wish is None:
        return refuse(Must.OVERRIDE_KNOWN, f"{override.chosen!r} is no datastore", where, f"one of {', '.join(known)}")
    decided = _datastore(asked, wish, where)
    by_rule = asked.facts.datastore or DatastoreWish.KUBERNETES
    return overridden(decided, by_rule.value, override) if isinstance(decided, Decision) else decided


def _datastore(asked: Asked, stated: DatastoreWish | None, where: str) -> Outcome:
    facts = asked.facts
    wish = stated or DatastoreWish.KUBERNETES
    inputs = {"datastore": "unset" if stated is None else wish.value}
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
            return refuse(
                Must.SEPARATE_ETCD,
                "the etcd of Kubernetes itself must not keep anything else"
                if facts.etcd_is_the_clusters
                else "it is not said whether this etcd is the one of Kubernetes itself",
                where,
                "run a separate etcd and say etcdIsTheClusters: false, or use the datastore kubernetes",
            )
        if against := _endpoints(asked):
            return against
        return Decision(
            "datastore",
            wish.value,
            "wished so, and separate from the one of Kubernetes",
            inputs,
            (kubernetes, embedded),
            "it needs backups, TLS, users and rights of its own",
            section("etcd Datastore Mode"),
        )
    if facts.size > _EMBEDDED_LIMIT:
        return refuse(
            Must.EMBEDDED_ON_ONE_MACHINE,
            f"the embedded datastore is for one machine, and {facts.size} nodes are planned",
            where,
            f"use the datastore kubernetes, or plan for at most {_EMBEDDED_LIMIT} nodes in a lab",
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


def _endpoints(asked: Asked) -> tuple[Problem, ...]:
    """What speaks against the endpoints that are given; who has given none yet is asked at the installation."""
    from blueprints.upstream.etcd_endpoints import unfit  # noqa: PLC0415 - few wish for an etcd

    given = enumerate(asked.facts.etcd_endpoints)
    return tuple(
        problem
        for index, endpoint in given
        for each in unfit(asked.facts, endpoint, asked.place("etcdEndpoints", index))
        for problem in refuse(Must.SEPARATE_ETCD, each.what, each.where, each.fix)
    )


def fan_out(asked: Asked, chosen: DatastoreWish) -> Outcome:
    """One watch for many agents with Kubernetes, or beyond 50 nodes; none for a file."""
    facts = asked.facts
    inputs = {"datastore": chosen.value, "plannedNodes": str(facts.size)}
    many = facts.size >= FAN_OUT_LIMIT and chosen is not DatastoreWish.EMBEDDED
    too_many = (f"{facts.size} agents would each hold watches of their own on the datastore",) if many else ()
    nobody = ("the embedded datastore is a file: nobody can watch it for others",)
    on = Option(
        "on",
        "one process watches the datastore for many agents, so that its load does not grow with the nodes",
        f"one more process to run; needed with Kubernetes, or from {FAN_OUT_LIMIT} nodes on",
        "it runs on the hosts' network, with a PodDisruptionBudget of one that may be missing",
        section("Typha"),
        nobody if chosen is DatastoreWish.EMBEDDED else (),
    )
    off = Option(
        "off",
        "few agents may watch the datastore themselves",
        "every agent would hold watches of its own on the API server",
        "",
        section("Typha"),
        too_many,
    )
    options = [on, off] if chosen is DatastoreWish.KUBERNETES or many else [off, on]
    return asked.choose("fan-out", options, inputs, must=Must.FAN_OUT_AT_SCALE)


def replicas_for(nodes: int) -> int:
    """How many processes fan out to this many nodes.

    Source: Calico's manifests (one for 100 to 200 nodes, three in production) and its operator's scaling.
    """
    if nodes <= 5:
        return 1
    if nodes < FAN_OUT_LIMIT:
        return 2
    return min(_MOST_REPLICAS, 3 + (nodes - FAN_OUT_LIMIT) // _NODES_A_REPLICA)


def fan_out_replicas(asked: Asked) -> Outcome:
    """By the number of planned nodes."""
    nodes = asked.facts.size
    by_rule = replicas_for(nodes)
    decided = Decision(
        "fan-out replicas",
        str(by_rule),
        "1 up to 5 nodes, 2 below 50, 3 from 50, one more per 200, at most 20",
        {"plannedNodes": str(nodes)},
        (
            Alternative("fewer", "one that fails would leave too much to the others"),
            Alternative("more", "each holds watches of its own on the API server"),
        ),
        "change the number as the cluster grows",
        section("Typha"),
    )
    wanted = asked.override(decided.name)
    if wanted is None:
        return decided
    index, override = wanted
    if not override.chosen.isdecimal() or not 1 <= int(override.chosen) <= _MOST_REPLICAS:
        return refuse(
            Must.OVERRIDE_KNOWN,
            f"{override.chosen!r} is no number of replicas",
            asked.place("overrides", index, "chosen"),
            f"a whole number from 1 to {_MOST_REPLICAS}",
        )
    chosen = Decision(
        decided.name,
        str(int(override.chosen)),
        decided.rule,
        decided.inputs,
        decided.alternatives,
        decided.consequence,
        decided.source,
    )
    return overridden(chosen, str(by_rule), override)
