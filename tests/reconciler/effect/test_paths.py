"""Paths are read by people: who, grouped by what they have in common; and totals that count every pair once."""

from __future__ import annotations

from itertools import product

import pytest

from muslin.resources.base import Resource
from muslin.semantics.label_index import positions
from muslin.semantics.snapshot import Snapshot
from reconciler.effect.actors import Actors
from reconciler.effect.paths import TrafficChange, traffic_change
from reconciler.effect.said import Said, in_words, said
from reconciler.effect.walk import Traffics
from tests.reconciler.effect.oracle import reaches
from tests.reconciler.effect.test_reach import CHANGES, CLUSTER
from tests.support.clusters import global_set, namespace_profile, node, policy, workload

_TCP, _NO_PORTS = ((6, 6),), ((0, 0),)


def _change(before: list[Resource], after: list[Resource]) -> TrafficChange:
    return traffic_change(Snapshot.of(before), Snapshot.of(after))


def _shop(pods: int) -> list[Resource]:
    return [
        node("node-a", "192.0.2.1/24"),
        namespace_profile("shop"),
        namespace_profile("lab"),
        *(
            workload(f"web-{at}", f"10.48.0.{at + 1}", namespace="shop", labels={"app": "web", "pod": str(at)})
            for at in range(pods)
        ),
        workload("db", "10.48.1.1", namespace="shop", labels={"app": "db"}),
        workload("other", "10.48.2.1", namespace="lab", on="node-b"),
    ]


def test_groups_are_named_by_what_they_have_in_common() -> None:
    """Three pods that differ in one label are told by the others, a single one by its name, a namespace as a whole."""
    allow = [{"action": "Allow", "protocol": "TCP", "destination": {"ports": [5432]}}]
    allow[0]["source"] = {"selector": "app == 'web'"}
    after = [*_shop(3), policy("db", "shop", selector="app == 'db'", types=["Ingress"], ingress=allow)]
    change = _change(_shop(3), after)

    assert change.opened == ()
    assert [(str(path), path.pairs) for path in change.closed] == [
        ("shop: app=web (3) -> shop/db: TCP 1-5431, 5433-65535; UDP; SCTP; ICMP; other protocols", 3),
        ("lab/other, IPv4 elsewhere -> shop/db: everything", 2),
    ]
    assert (change.closed_pairs, change.touched, change.nodes, change.cut) == (5, 1, frozenset({"node-a"}), 5)


@pytest.mark.parametrize("name", CHANGES)
def test_totals_count_every_pair_once(name: str) -> None:
    """As many pairs as an expansion of all rectangles gives; what lies between a workload and its node included."""
    before, after = (Snapshot.of([*CLUSTER, *each]) for each in CHANGES[name])
    found = [each for each in reaches(before, after).values() if each is not None]
    actors = Actors((before, after), found)
    pairs: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    for each in found:
        for rectangle in each.rectangles:
            for source, destination in product(positions(rectangle.sources), positions(rectangle.destinations)):
                own = any(
                    each.nodes.get(one, 0) >> other & 1 for one, other in ((source, destination), (destination, source))
                )
                here, there = (actors.bits(each.space.version, 1 << point) for point in (source, destination))
                if here != there and own == rectangle.with_own_node:
                    pairs[rectangle.opened].add((here, there))
    change = traffic_change(before, after)

    assert (change.opened_pairs, change.closed_pairs) == (len(pairs[True]), len(pairs[False]))


@pytest.mark.parametrize(
    ("traffics", "words"),
    [
        ([Traffics(_TCP, ((1, 65535),), ((80, 80), (443, 443)))], "TCP 80, 443"),
        ([Traffics(_TCP, ((1, 65535),), ((1, 79),)), Traffics(_TCP, ((1, 65535),), ((80, 65535),))], "TCP"),
        ([Traffics(_TCP, ((1, 1023),), ((53, 53),)), Traffics(_TCP, ((1024, 65535),), ((53, 53),))], "TCP 53"),
        ([Traffics(((17, 17),), ((53, 53),), ((1, 65535),))], "UDP from ports 53"),
        ([Traffics(((1, 1),), _NO_PORTS, ((8 << 8, 8 << 8),))], "ICMP type 8 code 0"),
        ([Traffics(((1, 1),), _NO_PORTS, ((8 << 8, (8 << 8) + 255),))], "ICMP type 8"),
        ([Traffics(((47, 47),), _NO_PORTS, _NO_PORTS)], "protocol 47"),
        ([Traffics(((58, 58),), _NO_PORTS, _NO_PORTS)], "ICMPv6"),
        (
            [Traffics(((0, 0), (2, 5), (7, 16), (18, 46), (48, 131), (133, 255)), _NO_PORTS, _NO_PORTS)],
            "other protocols but 47",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_traffic_is_said_in_the_fewest_words(traffics: list[Traffics], words: str) -> None:
    """Ports as in rules, protocols by name, and what is limited is never left out."""
    assert in_words(said(traffics, 4)) == words


def test_everything_is_said_in_one_word() -> None:
    """All protocols with all ports and types."""
    ports = ((1, 65535),)
    every = [Traffics(((number, number),), ports, ports) for number in (6, 17, 132)]
    every += [Traffics(((1, 1),), _NO_PORTS, ((0, 65535),))]
    every += [Traffics(((0, 0), (2, 5), (7, 16), (18, 131), (133, 255)), _NO_PORTS, _NO_PORTS)]

    assert said(every, 4) == (Said("any"),)


def test_many_namespaces_are_summed_up_and_every_one_is_in_json() -> None:
    """A line tells what all of them have in common; programs get each namespace and its count, with names if asked."""
    spaces = [f"team-{at}" for at in range(9)]
    cluster = [
        *(namespace_profile(space, {"stage": "prod"}) for space in spaces),
        *(
            workload(f"web-{at}", f"10.48.{number}.{at + 1}", namespace=space, labels={"app": "web"})
            for number, space in enumerate(spaces)
            for at in range(7)
        ),
        workload("target", "10.49.0.1", namespace="team-0", labels={"app": "target"}),
    ]
    path = _change(cluster, [*cluster, policy("no", "team-0", selector="app == 'target'", types=["Ingress"])]).closed[0]

    assert str(path) == (
        "app=web, namespace stage=prod (63 in 9 namespaces), IPv4 elsewhere -> team-0/target: everything"
    )
    told = path.to_json(full=False)["sources"]
    assert [(each.get("namespace"), each["count"], "members" in each) for each in told[:2]] == [
        ("team-0", 7, False), ("team-1", 7, False),
    ]  # fmt: skip
    assert len(path.to_json(full=True)["sources"][0]["members"]) == 7


def test_a_network_is_named_by_its_prefix_and_its_sets() -> None:
    """What lies inside and is told apart is left out, and the name says so."""
    out = [{"action": "Deny", "destination": {"nets": ["203.0.113.0/24"]}}, {"action": "Allow"}]
    some = [{"action": "Deny", "destination": {"nets": ["203.0.113.0/28"]}}, {"action": "Allow"}]
    cluster = [*_shop(1), global_set("partners", ["203.0.113.0/24"], {"kind": "partner"})]
    before, after = (
        [*cluster, policy("out", "shop", selector="app == 'db'", types=["Egress"], egress=each)] for each in (out, some)
    )

    assert [str(path) for path in _change(before, after).opened] == [
        "shop/db -> rest of 203.0.113.0/24 (GlobalNetworkSet partners): everything"
    ]
