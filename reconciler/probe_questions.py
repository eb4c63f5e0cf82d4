"""From declared probes to what nodes are asked, and from their answers to what is the case. Pure.

Each node is asked by one object, ReconcilerProbe: `spec` is the reconciler's, `status` the node's agent's. A question
has a mark of what it is about; an answer with another mark is about an earlier one, and counts for nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from muslin.datastore.protocol import Entry
from muslin.net import Address
from muslin.resources.keys import Key
from muslin.resources.workload_endpoint import WorkloadEndpoint
from muslin.selectors import parse
from muslin.semantics.policy import inherited_labels, own_labels, profile_labels
from muslin.semantics.snapshot import Snapshot
from reconciler.hidden import without_secrets
from reconciler.probe import API_VERSION, Expect, Pods, Probe

__all__ = [
    "KIND", "MOST_SOURCES", "MOST_TARGETS", "Answer", "Answers", "Holds", "Pair", "Result", "Word", "answers_of",
    "excuse", "excused_probes", "mark_of", "pairs_of", "request", "request_key", "result",
]  # fmt: skip

KIND: Final = "ReconcilerProbe"
MOST_SOURCES, MOST_TARGETS = 3, 2
"""So many pods, the first by name, are taken where a selector means more: a probe is a sample, not a scan."""


class Word(StrEnum):
    """What a node says of one pair. SILENT: nothing came back in time, or a way was said not to be there."""

    ANSWERED = "Answered"
    REFUSED = "Refused"
    SILENT = "Silent"
    NO_POD = "NoPod"
    NOT_ABLE = "NotAble"


_WORDS: Final = frozenset(map(str, Word))


class Answer(NamedTuple):
    """A node's word, and what else it has to say."""

    word: Word
    detail: str = ""


Answers = Mapping[str, Answer]
"""Mapping[id of a pair, its answer]."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One pod that asks one address. `endpoint` names its WorkloadEndpoint; `asked` is the target's, if it is a pod."""

    probe: Probe
    number: int
    node: str
    namespace: str
    pod: str
    endpoint: str
    target: Address
    asked: Key | None = None

    @property
    def id(self) -> str:
        """Unique in a set."""
        return f"{self.probe.name}/{self.number}"

    def __str__(self) -> str:
        port = "" if self.probe.port is None else f" {self.probe.port}"
        return f"{self.namespace}/{self.pod} to {self.target} over {self.probe.traffic}{port}"


class Holds(StrEnum):
    """Whether what a probe wants is the case."""

    YES = "Yes"
    NO = "No"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Result:
    """What is known of one probe.

    `silent`: an agent that could answer has not; `gone`: a pod that was to ask is not where it was.
    """

    probe: Probe
    holds: Holds
    why: tuple[str, ...] = ()
    silent: bool = False
    gone: bool = False


def pairs_of(probes: Iterable[Probe], snapshot: Snapshot) -> tuple[Pair, ...]:
    """Who asks whom. `snapshot` has the workloads, and profiles for the labels that they inherit."""
    people = _People(snapshot)
    found = []
    for probe in probes:
        number = 0
        targets = people.addresses(probe.target) if isinstance(probe.target, Pods) else ((probe.target, None),)
        for source in people.meant(probe.source, MOST_SOURCES):
            for target, of in targets:
                versions = {each.version for each in source.spec.ip_networks}
                if of == source.key or target.version not in versions or source.spec.node is None:
                    continue
                names = (source.metadata.namespace or "", source.spec.pod or source.metadata.name)
                found.append(Pair(probe, number, source.spec.node, *names, source.metadata.name, target, of))
                number += 1
    return tuple(found)


class _People:
    """Workloads by name and by label."""

    def __init__(self, snapshot: Snapshot) -> None:
        inherited = profile_labels(snapshot)
        self._all = [
            (each, inherited_labels(own_labels(each), each.spec.profiles, inherited))
            for each in snapshot.all(WorkloadEndpoint)
        ]

    def meant(self, pods: Pods, most: int) -> list[WorkloadEndpoint]:
        """The first so many by namespace and name."""
        selector = None if pods.selector is None else parse(pods.selector)
        found = []
        for each, labels in self._all:
            if pods.namespace not in (None, each.metadata.namespace):
                continue
            if each.spec.pod == pods.pod if selector is None else selector.matches(labels):
                found.append(each)
                if len(found) == most:
                    break
        return found

    def addresses(self, pods: Pods) -> tuple[tuple[Address, Key | None], ...]:
        """Each pod's first address."""
        return tuple(
            (each.spec.ip_networks[0].network_address, each.key)
            for each in self.meant(pods, MOST_TARGETS)
            if each.spec.ip_networks
        )


def mark_of(commit: str, phase: str, after: int, pairs: Iterable[Pair]) -> str:
    """The mark of a question: another commit, phase, revision or pair is another question."""
    about = [commit, phase, after, [[each.id, each.node, each.endpoint, str(each.target)] for each in pairs]]
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]


def request_key(set_name: str, node: str) -> Key:
    """Where a node is asked for a set."""
    return Key(KIND, f"{set_name}.{node}")


def request(set_name: str, node: str, mark: str, after: int, pairs: Iterable[Pair]) -> dict[str, Any]:
    """The object that asks a node, without its answers.

    Args:
        set_name: whose reconciler asks.
        node: who is asked.
        mark: of the question.
        after: the node answers when it has applied this revision of the datastore.
        pairs: those of this node.
    """
    asked = [
        {
            "id": each.id,
            "namespace": each.namespace,
            "endpoint": each.endpoint,
            "target": str(each.target),
            "protocol": each.probe.traffic.value,
            "timeoutMilliseconds": round(each.probe.timeout_s * 1000),
        }
        | ({} if each.probe.port is None else {"port": each.probe.port})
        for each in pairs
    ]
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": request_key(set_name, node).name},
        "spec": {"set": set_name, "node": node, "mark": mark, "after": str(after), "pairs": asked},
    }


def answers_of(entry: Entry, mark: str) -> Answers:
    """What an object answers to the question with this mark, read leniently."""
    spec, status = entry.value.get("spec"), entry.value.get("status")
    if not isinstance(spec, Mapping) or not isinstance(status, Mapping):
        return {}
    if spec.get("mark") != mark or status.get("mark") != mark:
        return {}
    listed = status.get("answers")
    found = {}
    for each in listed if isinstance(listed, list | tuple) else ():
        if isinstance(each, Mapping) and str(each.get("word")) in _WORDS:
            detail = "".join(letter if letter.isprintable() else " " for letter in str(each.get("detail") or "")[:200])
            found[str(each.get("id"))] = Answer(Word(str(each["word"])), str(without_secrets(detail)))
    return found


def result(probe: Probe, pairs: Iterable[Pair], answers: Answers, deaf: Collection[str]) -> Result:
    """What is known of one probe.

    Args:
        probe: which.
        pairs: those of this probe.
        answers: of all nodes.
        deaf: nodes without an agent that could be asked.
    """
    mine = tuple(pairs)
    if not mine:
        what = f"probe {probe.name}: no pod is there to ask, or to be asked"
        return Result(probe, Holds.UNKNOWN, (what,), gone=True)
    good, bad, unknown = 0, [], []
    silent = gone = False
    for each in mine:
        answer = answers.get(each.id)
        if answer is None:
            silent = silent or each.node not in deaf
            what = (
                f"{each.node} has no agent that can be asked" if each.node in deaf else f"{each.node} has not answered"
            )
            unknown.append(f"probe {probe.name}: {what}")
        elif answer.word in (Word.NO_POD, Word.NOT_ABLE):
            gone = gone or answer.word is Word.NO_POD
            what = f"{each.namespace}/{each.pod} is not on {each.node}" if answer.word is Word.NO_POD else answer.detail
            unknown.append(f"probe {probe.name}: {what}")
        elif _as_expected(probe, answer):
            good += 1
        else:
            bad.append(f"probe {probe.name}: {each}: {_TOLD[answer.word]}; it must {_WANTED[probe.expect]}")
    wanted = len(mine) if probe.count is None else min(probe.count, len(mine))
    if good >= wanted:
        return Result(probe, Holds.YES)
    if good + len(unknown) < wanted:
        return Result(probe, Holds.NO, tuple(dict.fromkeys(bad)))
    return Result(probe, Holds.UNKNOWN, tuple(dict.fromkeys([*unknown, *bad])), silent, gone)


_TOLD: Final = {Word.ANSWERED: "it answers", Word.REFUSED: "it is reached and refuses", Word.SILENT: "no answer"}
_WANTED: Final = {Expect.REACHABLE: "answer", Expect.UNREACHABLE: "not be reached"}


def _as_expected(probe: Probe, answer: Answer) -> bool:
    """A refusal came from there: the network let the packet through, and still nobody serves."""
    return answer.word is (Word.ANSWERED if probe.expect is Expect.REACHABLE else Word.SILENT)


_NOT_KNOWN: Final = "not available"


def excuse(found: Result) -> str:
    """What is remembered of a probe that did not hold before a commit changed anything."""
    why = "; ".join(found.why[:2]).removeprefix(f"probe {found.probe.name}: ")
    return f"probe {found.probe.name} {_NOT_KNOWN if found.holds is Holds.UNKNOWN else 'failed already'}: {why}"


def excused_probes(excused: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Mapping[probe, what is remembered] of those that had failed, and of those that could not be asked."""
    failed: dict[str, str] = {}
    unknown: dict[str, str] = {}
    for each in excused:
        word, _, rest = each.partition(" ")
        name, _, what = rest.partition(" ")
        if word == "probe" and what:
            (unknown if what.startswith(_NOT_KNOWN) else failed)[name] = each
    return failed, unknown
