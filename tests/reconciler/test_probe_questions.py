"""From probes to what nodes are asked, and from what they answer to whether it holds."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from muslin.datastore.protocol import Entry, Revision
from muslin.semantics.snapshot import Snapshot
from reconciler.probe import Expect, Pods, Probe, Traffic
from reconciler.probe_questions import (
    MOST_SOURCES,
    MOST_TARGETS,
    Answer,
    Holds,
    Pair,
    Word,
    answers_of,
    excuse,
    excused_probes,
    mark_of,
    pairs_of,
    request,
    request_key,
    result,
)
from tests.reconciler.probes import CLUSTER, DB, PROBE, pod


def _said(pairs: tuple[Pair, ...]) -> list[str]:
    return [f"{each.node}: {each}" for each in pairs]


def test_who_asks_whom() -> None:
    """Pods by label in a namespace, by name, by what they inherit; a pod does not ask itself."""
    assert _said(pairs_of([PROBE], CLUSTER)) == [
        "n1: shop/web-1 to 192.0.2.10 over TCP 5432",
        "n2: shop/web-2 to 192.0.2.10 over TCP 5432",
    ]
    inherited = Probe("a", Pods(None, None, "pcns.team == 'red'"), Pods("shop", "db"), Traffic.ICMP)
    assert _said(pairs_of([inherited], CLUSTER)) == [
        "n1: shop/web-1 to 10.48.0.3 over ICMP",
        "n2: shop/web-2 to 10.48.0.3 over ICMP",
    ]
    assert not pairs_of([Probe("a", Pods("shop", "gone"), DB, port=1)], CLUSTER)
    assert not pairs_of([Probe("a", Pods("shop", "db"), ip_address("2001:db8::1"), port=1)], CLUSTER)


def test_a_selector_is_a_sample_and_no_scan() -> None:
    """However many pods a selector means, three ask, and two are asked."""
    many = Snapshot.of([pod(f"web-{n:02}", n, on="n1") for n in range(1, 30)])
    found = pairs_of([Probe("a", Pods(None, None, "all()"), Pods(None, None, "all()"), port=1)], many)

    assert {each.pod for each in found} == {"web-01", "web-02", "web-03"}
    assert {str(each.target) for each in found} == {"10.48.0.1", "10.48.0.2"}
    assert len(found) == MOST_SOURCES * MOST_TARGETS - 2
    assert [each.id for each in found] == ["a/0", "a/1", "a/2", "a/3"]


def test_a_question_and_answers_to_it() -> None:
    """What a node is asked has all that it needs; an answer counts for the question that stands, and for no other."""
    pairs = pairs_of([PROBE], CLUSTER)[:1]
    mark = mark_of("c" * 40, "1", 17, pairs)
    value = request("prod", "n1", mark, 17, pairs)

    assert value["spec"] == {
        "set": "prod", "node": "n1", "mark": mark, "after": "17",
        "pairs": [{
            "id": "web-to-db/0", "namespace": "shop", "endpoint": "n1-k8s-web-1-eth0", "target": "192.0.2.10",
            "protocol": "TCP", "port": 5432, "timeoutMilliseconds": 1000,
        }],
    }  # fmt: skip
    key = request_key("prod", "n1")
    answers = [{"id": "web-to-db/0", "word": "Silent", "detail": "x" * 999}, {"id": "b", "word": "Perhaps"}, 7]

    def answered(mark_there: str, status: Any) -> Any:
        return answers_of(Entry(key, {**value, "status": status}, Revision("3")), mark_there)

    assert answered(mark, {"mark": mark, "answers": answers}) == {"web-to-db/0": Answer(Word.SILENT, "x" * 200)}
    assert answered(mark, {"mark": "older", "answers": answers}) == {}
    assert answered("newer", {"mark": mark, "answers": answers}) == {}
    assert answered(mark, "nonsense") == {}
    marks = {mark, mark_of("d" * 40, "1", 17, pairs), mark_of("c" * 40, "2", 17, pairs), mark_of("c" * 40, "1", 18, ())}
    assert len(marks) == 4


_W = Word


@pytest.mark.parametrize(
    ("expect", "count", "words", "holds"),
    [
        (Expect.REACHABLE, None, (_W.ANSWERED, _W.ANSWERED), Holds.YES),
        (Expect.REACHABLE, None, (_W.ANSWERED, _W.SILENT), Holds.NO),
        (Expect.REACHABLE, None, (_W.ANSWERED, _W.REFUSED), Holds.NO),
        (Expect.REACHABLE, 1, (_W.ANSWERED, _W.SILENT), Holds.YES),
        (Expect.REACHABLE, 1, (_W.SILENT, _W.SILENT), Holds.NO),
        (Expect.REACHABLE, 9, (_W.ANSWERED, _W.ANSWERED), Holds.YES),
        (Expect.REACHABLE, None, (_W.ANSWERED, None), Holds.UNKNOWN),
        (Expect.REACHABLE, None, (_W.SILENT, None), Holds.NO),
        (Expect.REACHABLE, 1, (_W.SILENT, None), Holds.UNKNOWN),
        (Expect.REACHABLE, None, (_W.ANSWERED, _W.NOT_ABLE), Holds.UNKNOWN),
        (Expect.REACHABLE, None, (_W.ANSWERED, _W.NO_POD), Holds.UNKNOWN),
        (Expect.UNREACHABLE, None, (_W.SILENT, _W.SILENT), Holds.YES),
        (Expect.UNREACHABLE, None, (_W.SILENT, _W.REFUSED), Holds.NO),
        (Expect.UNREACHABLE, None, (_W.SILENT, _W.ANSWERED), Holds.NO),
    ],
)
def test_the_table_of_results(expect: Expect, count: int | None, words: tuple[Word | None, ...], holds: Holds) -> None:
    """A refusal shows that the way is open and nobody serves; what is not answered is neither yes nor no."""
    probe = Probe("p", PROBE.source, DB, port=5432, expect=expect, count=count)
    pairs = pairs_of([probe], CLUSTER)
    answers = {each.id: Answer(word) for each, word in zip(pairs, words, strict=True) if word is not None}
    found = result(probe, pairs, answers, ())

    assert found.holds is holds
    assert bool(found.why) is (holds is not Holds.YES)
    assert found.silent is (None in words and holds is Holds.UNKNOWN)
    assert found.gone is (Word.NO_POD in words)


def test_why_is_told_in_words() -> None:
    """Which pod did not reach what, who has not answered, and who never will."""
    pairs = pairs_of([PROBE], CLUSTER)
    failed = result(PROBE, pairs, {"web-to-db/0": Answer(_W.SILENT)}, ())
    assert failed.why == ("probe web-to-db: shop/web-1 to 192.0.2.10 over TCP 5432: no answer; it must answer",)
    waits = result(PROBE, pairs, {"web-to-db/0": Answer(_W.ANSWERED)}, ())
    assert waits.why == ("probe web-to-db: n2 has not answered",)
    deaf = result(PROBE, pairs, {"web-to-db/0": Answer(_W.ANSWERED)}, {"n2"})
    assert (deaf.why, deaf.silent) == (("probe web-to-db: n2 has no agent that can be asked",), False)
    nobody = result(PROBE, (), {}, ())
    assert nobody.gone
    assert (nobody.holds, nobody.why) == (Holds.UNKNOWN, ("probe web-to-db: no pod is there to ask, or to be asked",))


def test_what_did_not_hold_before_is_remembered() -> None:
    """Failed, or not known: two kinds of excuse, told apart again from what is stored."""
    pairs = pairs_of([PROBE], CLUSTER)
    failed = excuse(result(PROBE, pairs, {"web-to-db/0": Answer(_W.SILENT)}, ()))
    unknown = excuse(result(PROBE, pairs, {}, {"n1", "n2"}))

    assert failed == (
        "probe web-to-db failed already: shop/web-1 to 192.0.2.10 over TCP 5432: no answer; it must answer"
    )
    assert unknown.startswith("probe web-to-db not available: n1 has no agent that can be asked")
    other = unknown.replace("web-to-db", "other")
    assert excused_probes(("n1 192.0.2.3", failed, other)) == ({"web-to-db": failed}, {"other": other})


@pytest.mark.parametrize("word", [[], {}, None, 7, "Nonsense"])
def test_an_answer_that_is_none_is_left_out(word: Any) -> None:
    """Whatever stands where a node's word should, others' words count."""
    key, answers = request_key("prod", "n1"), [{"id": "a/0", "word": word}, {"id": "a/1", "word": "Silent"}]
    value = {"spec": {"mark": "m"}, "status": {"mark": "m", "answers": answers}}
    assert answers_of(Entry(key, value, Revision("3")), "m") == {"a/1": Answer(Word.SILENT)}


def test_what_a_node_says_has_no_control_characters_and_no_secret() -> None:
    """A node's own words reach status, log and notices: on one line, without what looks like a password."""

    def told(detail: str) -> str:
        answers = [{"id": "a/0", "word": "NotAble", "detail": detail}]
        value = {"spec": {"mark": "m"}, "status": {"mark": "m", "answers": answers}}
        return answers_of(Entry(request_key("prod", "n1"), value, Revision("3")), "m")["a/0"].detail

    assert told("no\x1b[2Jway\nError") == "no [2Jway Error"
    assert "hunter2" not in told("https://me:hunter2@git.example refused")
