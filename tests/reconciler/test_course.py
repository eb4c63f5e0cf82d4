"""The stages from what is in force to what a commit of facts wishes, and what ends each: from values alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from blueprints.catalogue import BLUEPRINTS
from blueprints.stages import Condition, Until
from muslin.datastore.protocol import Entry, Revision
from muslin.net import parse_prefix
from muslin.resources.keys import Key
from muslin.semantics.snapshot import Snapshot
from reconciler.conditions import DAEMONS, World, addresses_of, finding
from reconciler.control import Control
from reconciler.course import Course, course, desired, start_of
from reconciler.course_record import course_for, ended, moved_on, set_out, too_large, underway
from reconciler.digest import deeds
from reconciler.ledger import Owned, applied
from reconciler.manifests import Manifests, Reading
from reconciler.node_reports import APPLIED_REVISION, NodeReport, by_node
from reconciler.plan import Budget, Hold, Plan, hold
from reconciler.report import Report
from reconciler.report_cluster import as_planned, between, with_declared
from reconciler.report_markdown import markdown
from reconciler.report_schema import PlanReport
from reconciler.tree import File
from tests.reconciler.staged import NAMES, facts, pod

_ADDRESSES = {name: f"192.0.2.{number}" for number, name in enumerate(NAMES, 1)}


def _reading(commit: str, files: dict[str, str]) -> Reading:
    listed = [File(path, text, len(text)) for path, text in files.items()]
    return Manifests(frozenset(BLUEPRINTS)).read(commit, listed, lambda file: files[file.path].encode())


def _node(name: str, **bgp: Any) -> Entry:
    spec = {"bgp": {"ipv4Address": f"{_ADDRESSES[name]}/24", **bgp}}
    metadata = {"name": name, "labels": {"kubernetes.io/os": "linux"}}
    value = {"apiVersion": "projectcalico.org/v3", "kind": "Node", "metadata": metadata, "spec": spec}
    return Entry(Key("Node", name), value, Revision("5"))


def _world_of(reading: Reading, **nodes: dict[str, Any]) -> tuple[dict[Key, Entry], dict[Key, Owned]]:
    """What is there after a commit was applied, and the ledger; nodes as agents registered them."""
    live = {Key("Node", name): _node(name, **nodes.get(name, {})) for name in NAMES}
    live |= {key: Entry(key, each.value, Revision("7")) for key, each in reading.resources.items()}
    return live, {key: applied(each.value, reading.commit) for key, each in reading.resources.items()}


def _course(old: dict[str, str], new: dict[str, str]) -> tuple[Course, Reading]:
    wished = _reading("b", new)
    start = start_of(wished, *_world_of(_reading("a", old)))
    assert start is not None
    found = course(start, wished)
    assert isinstance(found, Course)
    return found, wished


def test_each_stage_declares_what_it_writes_and_the_last_what_is_wished() -> None:
    """Before its stage an object is as it was; what no stage touches is as wished at once."""
    found, wished = _course(facts(), facts("n1", "n2"))
    walked = [desired(replace(found, number=number), wished) for number in range(1, len(found.stages) + 1)]
    mesh = [each[Key("BGPConfiguration", "default")].value["spec"]["nodeToNodeMeshEnabled"] for each in walked]
    peers = [sum(key.kind == "BGPPeer" for key in each) for each in walked]
    reflecting = [sum(key.kind == "Node" for key in each) for each in walked]

    assert [found.title, found.procedure.name] == ["stage 1 of 4: set the reflectors aside", "mesh to reflectors"]
    assert (mesh, peers, reflecting) == ([True, True, True, False], [0, 2, 2, 2], [0, 0, 2, 2])
    assert {key: each.value for key, each in walked[-1].items()} == {
        key: each.value for key, each in wished.resources.items()
    }
    assert str(walked[0][Key("BGPConfiguration", "default")].place) == (
        "cluster.yaml:1:1  (stage 1 of 4: set the reflectors aside)"
    )
    assert "kubernetes.io/os" not in str(walked)


def test_where_nothing_differs_there_is_no_course() -> None:
    """Nor where no node runs, and for plain resources."""
    live, owned = _world_of(_reading("a", facts()))
    wished = _reading("b", facts("n1", "n2"))
    nobody = {key: each for key, each in live.items() if key.kind != "Node"}

    assert start_of(_reading("b", facts()), live, owned) is None
    assert start_of(replace(wished, facts=None), live, owned) is None
    assert start_of(wished, nobody, owned) is None
    assert start_of(wished, live, owned) is not None


def test_what_is_a_strangers_is_on_both_sides() -> None:
    """A pool that no file of ours speaks of does not go, and a peer that somebody made stays."""
    before, wished = _reading("a", facts()), _reading("b", facts("n1", "n2"))
    live, owned = _world_of(before)
    for kind, spec in (("IPPool", {"cidr": "10.99.0.0/16"}), ("BGPPeer", {"peerIP": "203.0.113.1", "asNumber": 64499})):
        value = {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": "theirs"}, "spec": spec}
        live[Key(kind, "theirs")] = Entry(Key(kind, "theirs"), value, Revision("9"))
    start = start_of(wished, live, owned)
    assert start is not None
    found = course(start, wished)

    assert isinstance(found, Course)
    assert set(start.others) == {Key("IPPool", "theirs"), Key("BGPPeer", "theirs")}
    assert not {key for key in found.touched if key.name == "theirs"}


def test_what_is_remembered_gives_the_same_course() -> None:
    """Written and read as the datastore keeps it; only from the stage that it names it moves on, and it ends."""
    found, wished = _course(facts(), facts("n1", "n2"))
    control = set_out(Control(), wished, found, "2026-01-01T00:00:00.000Z", keep="a")
    read = Control.of(Entry(Key("ReconcilerControl", "default"), {"spec": control.to_spec()}, Revision("1")))
    known = underway(read, "b")

    assert known is not None
    assert course(known.start, wished) == found
    assert course_for(wished, {}, {}, read, "b") == found
    later = moved_on(read, "b", 1, "2026-01-01T00:01:00.000Z")
    assert moved_on(later, "b", 1, "later") == later
    assert course_for(wished, {}, {}, later, "b") == replace(found, number=2)
    other = _reading("c", facts("n1", "n2"))
    assert course_for(other, {}, {}, later, "b") == replace(found, number=2)
    assert underway(set_out(later, other, replace(found, number=2), "then", keep="b"), "b") is not None
    assert "courses" not in ended(later, "b").others
    assert underway(replace(read, others={"courses": {"b": {"stage": "x"}}}), "b") is None


def test_a_change_that_cannot_be_remembered_is_told() -> None:
    """Of thousands of nodes more must outlive a crash than a datastore takes: the commit is refused, and says why."""
    live, owned = _world_of(_reading("a", facts()))
    wished = _reading("b", facts("n1", "n2"))
    small = course_for(wished, live, owned, Control(), "a")
    assert isinstance(small, Course)
    assert not too_large(wished, small)
    labels = {f"example.org/label-{number}": "x" * 60 for number in range(10)}
    for number in range(2000):
        name = f"theirs-{number}"
        value = {**_node("n1", asNumber=64500).value, "metadata": {"name": name, "labels": labels}}
        live[Key("Node", name)] = Entry(Key("Node", name), value, Revision("5"))
    found = course_for(wished, live, owned, Control(), "a")

    assert isinstance(found, Course)
    assert "bytes must be remembered" in too_large(wished, found)[0].what


def test_whoever_approves_approves_every_stage() -> None:
    """The digest of a plan changes with any stage of its course, not with the one that is under way."""
    found, _ = _course(facts(), facts("n1", "n2"))
    other, _ = _course(facts(), facts("n1", "n3"))
    plans = [Plan("c", course=each) for each in (found, other, replace(found, number=2))]

    assert deeds(plans[0]) != deeds(plans[1])
    assert deeds(plans[0]) != deeds(Plan("c"))
    assert deeds(plans[0]) == deeds(plans[2])


def test_what_later_stages_remove_counts_for_the_budget() -> None:
    """The first stage of a way back to the mesh removes nothing; the last both peers, which is more than one may."""
    found, _ = _course(facts("n1", "n2"), facts())
    made = Plan("c", course=found)

    assert found.removes == {Key("BGPPeer", "node-peer-to-rr"), Key("BGPPeer", "rr-to-rr-peer")}
    assert hold(made, 5, 7, Budget(part=0.1, least=2)) is None
    assert (hold(made, 5, 7, Budget(part=0.1, least=1)) or ("",))[0] is Hold.TOO_MANY_DELETES


def test_a_plan_shows_its_stages() -> None:
    """Between two commits as well: each with what it writes, what ends it and what people do, in all forms."""
    made = between(_reading("a" * 40, facts()), _reading("b" * 40, facts("n1", "n2")))
    report = Report(made, origin="a" * 40)
    text = markdown(report)
    assert made.course is not None
    told = PlanReport.model_validate(report.to_json()).course
    after, _ = as_planned(with_declared(Snapshot.of(()), _reading("a", facts())), made)

    assert report.changes
    assert told is not None
    assert (told.stage, told.of, [each.name for each in told.procedures]) == (1, 4, ["mesh to reflectors"])
    assert "#### In 4 stages" in text
    assert "for people: kubectl drain n1" in text
    assert "until every node but n1, n2 has an Established session with each of n1, n2" in text
    assert after.resources.keys() >= {Key("BGPPeer", "rr-to-rr-peer"), Key("Node", "n1")}
    assert not made.steps  # nothing but people acts in the first stage
    refused = between(_reading("a", facts()), _reading("b", facts(podRange="10.60.0.0/16")))
    assert "can't be changed to 10.60.0.0/16" in refused.refused[0].what


def _reports(**established: list[str]) -> dict[str, NodeReport]:
    return {
        name: NodeReport(name, "9", {_ADDRESSES[each]: True for each in peers}, {}, heard=True)
        for name, peers in established.items()
    }


_FULL = {name: [each for each in NAMES if each != name] for name in NAMES}
_LIVE = {Key("Node", name): _node(name) for name in NAMES}
_NEW = Entry(Key("Node", "n9"), {}, Revision("1"))  # declared, and not there yet


def _world(*told: Any, **more: Any) -> World:
    return World({}, addresses_of({**_LIVE, _NEW.key: _NEW}), *told, **more)


_ROUTE = NodeReport("n1", "9", {}, {"10.48.0.64/26": "192.0.2.2"}, heard=True)
_PEERED = NodeReport("n1", "9", {"203.0.113.1": False}, {}, heard=True)
_SWITCH = Until(Condition.SESSIONS, peers=("203.0.113.1",), count=1)
_MESH = Until(Condition.SESSIONS, nodes=NAMES, peers=NAMES, count=3)
_CLIENTS = Until(Condition.SESSIONS, but=("n1", "n2"), peers=("n1", "n2"), count=2)


@pytest.mark.parametrize(
    ("until", "world", "lacks", "unheard"),
    [
        (_MESH, _world(_reports(**_FULL)), (), ()),
        (_MESH, _world(_reports(**_FULL | {"n4": ["n1", "n2"]})), ("n3 has no session with n4", "n4 has no"), ()),
        (_MESH, _world(_reports(**_FULL), revision=10), ("n1 has applied revision 9, not yet 10",), ()),
        (_MESH, _world(_reports(n1=_FULL["n1"])), (), ("n2 does not report its sessions",)),
        (
            _MESH,
            _world(_reports(**_FULL | {"n4": []}), excused=[
                *(f"n4 {each}" for each in _ADDRESSES.values()), *(f"{each} 192.0.2.4" for each in NAMES),
            ]),
            (), (),
        ),
        (_CLIENTS, _world(_reports(**_FULL)), (), ()),
        (_SWITCH, _world(_reports(**_FULL)), ("n1 has no session with 203.0.113.1",), ()),
        (_SWITCH, _world(dict.fromkeys(NAMES, _PEERED)), (), ()),
        (replace(_SWITCH, nodes=("n1",)), _world({"n1": _PEERED}), (), ()),
        (
            _CLIENTS, _world(_reports(**_FULL | {"n3": ["n1"]}), excused=["n3 192.0.2.2"]),
            ("n3 has no session with n2",), (),
        ),
        (
            Until(Condition.ROUTES),
            _world({**_reports(**_FULL), "n1": _ROUTE},
                  {"n2": ["10.48.0.64/26"]}),
            ("n3 has no route to 10.48.0.64/26", "n4 has no route to 10.48.0.64/26"), (),
        ),
        (Until(Condition.ROUTES), _world(_reports(n1=[])), (), ("n2 does not report its routes",)),
        (Until(Condition.STORED), _world(_reports(**_FULL), revision=9), (), ()),
        (Until(Condition.CONFIRMED, text="the switch knows it"), _world(), ("the switch knows it",), ()),
    ],
)  # fmt: skip
def test_what_nodes_report_is_held_against_a_condition(
    until: Until, world: World, lacks: tuple[str, ...], unheard: tuple[str, ...]
) -> None:
    """Both ends must say so, agents must know what was written, and what was wrong before is not looked at."""
    found = finding(until, world)

    assert len(found.lacks) >= len(lacks)
    assert all(any(each.startswith(word) for each in found.lacks) for word in lacks), found.lacks
    assert (bool(found.lacks), found.met) == (bool(lacks), not lacks and not unheard)
    assert found.unheard[: len(unheard)] == unheard


def _pods(*made: tuple[Key, dict[str, Any]], at: str = "2026-01-01T00:00:05Z") -> dict[Key, Entry]:
    return {
        key: Entry(key, {**value, "metadata": {**value["metadata"], "creationTimestamp": at}}, Revision("1"))
        for key, value in made
    }


def test_pods_are_seen_where_they_run_and_when_they_were_made() -> None:
    """Those of DaemonSets stay; one of the same second as the stage's begin may be older, and is named."""
    aside = Until(Condition.ONLY_DAEMONS, nodes=("n1",))
    anew = Until(Condition.PODS_REMADE)
    live = {**_pods(pod("web", "n1"), pod("agent", "n1", **{DAEMONS: "1"}), pod("db", "n2"))}

    assert finding(aside, World(live)).lacks == ("shop/web runs on n1",)
    assert finding(aside, _world()).met
    assert finding(anew, World(live, since="2026-01-01T00:00:04.900Z")).met
    same = finding(anew, World(live, since="2026-01-01T00:00:05.100Z")).lacks
    assert same == (
        "shop/agent on n1 was made before", "shop/web on n1 was made before", "shop/db on n2 was made before",
    )  # fmt: skip


def test_a_pool_is_empty_when_no_block_of_it_is_left() -> None:
    """Addresses are counted with their nodes; a block that can't be read counts as in use."""
    until = Until(Condition.POOL_EMPTY, prefix=parse_prefix("10.48.0.0/16"))
    spec = {
        "cidr": "10.48.0.0/30", "affinity": "host:n1", "allocations": [0, None, None, None],
        "unallocated": [1, 2, 3], "attributes": [{"handle_id": "h"}], "strictAffinity": False,
    }  # fmt: skip
    key = Key("IPAMBlock", "10-48-0-0-30")

    def world(**told: Any) -> World:
        value = {"metadata": {"name": key.name}, "spec": spec | told}
        return World({key: Entry(key, value, Revision("1"))})

    empty = {"allocations": [None] * 4, "unallocated": [0, 1, 2, 3], "attributes": []}
    assert finding(until, World({})).met
    assert finding(until, world()).lacks == ("1 addresses of 10.48.0.0/16 are assigned, on n1",)
    assert finding(until, world(**empty)).lacks == ("1 empty blocks of 10.48.0.0/16 are not given back yet",)
    assert finding(until, world(allocations="x")).lacks == ("1 blocks of 10.48.0.0/16 can't be read",)
    assert finding(until, world(cidr="10.49.0.0/30")).met


def test_odd_objects_of_others_end_nothing() -> None:
    """Labels that are a list, a time before all times, a revision of thousands of digits: all else goes on."""
    before, wished = _reading("a", facts()), _reading("b", facts("n1", "n2"))
    live, owned = _world_of(before)
    odd = {**_node("n1", asNumber=64500).value, "metadata": {"name": "odd", "labels": [3]}}
    start = start_of(wished, live | {Key("Node", "odd"): Entry(Key("Node", "odd"), odd, Revision("5"))}, owned)
    assert start is not None
    assert start.others[Key("Node", "odd")]["metadata"]["labels"] == {}

    key, value = pod("web", "n1")
    value["metadata"]["creationTimestamp"] = "0001-01-01T00:00:00+14:00"
    world = World({key: Entry(key, value, Revision("1"))}, since="2026-01-01T00:00:00Z")
    assert finding(Until(Condition.PODS_REMADE), world).lacks

    metadata = {"name": "n1", "annotations": {APPLIED_REVISION: "9" * 5000}}
    report = by_node([Entry(Key("CalicoNodeStatus", "n1"), {"metadata": metadata}, Revision("1"))])["n1"]
    assert report.applied is None
