"""Requests of reconcilers to a node: whatever stands there is read, bounded, or refused."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest

from muslin.datastore.protocol import Entry, Revision
from muslin.errors import BadInput
from muslin.resources.keys import Key
from reconciler.probe import LONGEST_S, MOST_PROBES
from reconciler.probe import Traffic as DeclaredTraffic
from reconciler.probe_questions import KIND as ASKED_KIND
from reconciler.probe_questions import MOST_SOURCES, MOST_TARGETS, answers_of, pairs_of, request
from reconciler.probe_questions import Word as HeardWord
from runtime.probe_request import KIND, MOST_ASKS, Answer, Ask, Traffic, Word, answered, wanted
from tests.reconciler.probes import CLUSTER, PROBE

_PAIR = {
    "id": "web-to-db/0", "namespace": "shop", "endpoint": "n1-k8s-web--1-eth0", "target": "192.0.2.10",
    "protocol": "TCP", "port": 5432, "timeoutMilliseconds": 1000,
}  # fmt: skip
_SPEC: dict[str, Any] = {"set": "prod", "node": "n1", "mark": "m", "after": "17", "pairs": [_PAIR]}


def test_both_sides_mean_the_same() -> None:
    """What the reconciler writes the agent reads, and the other way round; nothing that may be declared is too much."""
    pairs = pairs_of([PROBE], CLUSTER)[:1]
    found = wanted(request("prod", "n1", "m", 17, pairs)["spec"], "n1", "here")
    assert found is not None
    assert [(each.id, each.endpoint.name, str(each.target), each.port) for each in found.asks] == [
        (pairs[0].id, pairs[0].endpoint, "192.0.2.10", 5432)
    ]
    value = request("prod", "n1", "m", 17, pairs) | {"status": answered("m", [(pairs[0].id, Answer(Word.SILENT))])}
    assert answers_of(Entry(Key(KIND, "x"), value, Revision("1")), "m")[pairs[0].id].word is HeardWord.SILENT

    assert KIND == ASKED_KIND
    assert [each.value for each in Word] == [each.value for each in HeardWord]
    assert [each.value for each in Traffic] == [each.value for each in DeclaredTraffic]
    assert MOST_ASKS >= MOST_PROBES * MOST_SOURCES * MOST_TARGETS
    slow = wanted(_SPEC | {"pairs": [_PAIR | {"timeoutMilliseconds": round(LONGEST_S * 1000)}]}, "n1", "here")
    assert slow is not None
    assert not slow.wrong


def test_a_request_is_read() -> None:
    """For this node, in full; for another one not at all."""
    found = wanted(_SPEC, "n1", "here")
    assert found is not None
    endpoint = Key("WorkloadEndpoint", "n1-k8s-web--1-eth0", "shop")
    assert (found.mark, found.after) == ("m", 17)
    assert found.asks == (Ask("web-to-db/0", endpoint, ip_address("192.0.2.10"), Traffic.TCP, 5432, 1.0),)
    assert wanted(_SPEC, "n2", "here") is None


@pytest.mark.parametrize(
    "change",
    [
        {"mark": ""}, {"mark": 7}, {"after": 17}, {"after": "-1"}, {"after": "9" * 30}, {"pairs": None},
        {"pairs": [_PAIR] * (MOST_ASKS + 1)},
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(change: dict[str, Any]) -> None:
    """Without a mark, without a revision, with more pairs than any reconciler asks."""
    with pytest.raises(BadInput):
        wanted(_SPEC | change, "n1", "here")


@pytest.mark.parametrize(
    "change",
    [
        {"target": "db.example"}, {"target": "127.0.0.1"}, {"target": "169.254.169.254"}, {"target": "224.0.0.1"},
        {"target": "255.255.255.255"}, {"target": "::1"}, {"target": "192.0.2.0/24"}, {"target": None},
        {"port": 0}, {"port": 65536}, {"port": "5432"}, {"port": True}, {"protocol": "SCTP"}, {"protocol": "ICMP"},
        {"timeoutMilliseconds": 10}, {"timeoutMilliseconds": 3600_000}, {"timeoutMilliseconds": None},
    ],
)  # fmt: skip
def test_what_may_not_be_asked_is_answered_so(change: dict[str, Any]) -> None:
    """A name, a network, this machine, a link, another protocol, a long wait: told, and the others are asked."""
    found = wanted(_SPEC | {"pairs": [_PAIR | change, _PAIR | {"id": "good"}, "nonsense"]}, "n1", "here")

    assert found is not None
    assert [each.id for each in found.asks] == ["good"]
    assert [(name, answer.word) for name, answer in found.wrong] == [
        ("web-to-db/0", Word.NOT_ABLE),
        ("", Word.NOT_ABLE),
    ]
