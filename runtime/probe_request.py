"""What a reconciler asks this node (ReconcilerProbe), read with suspicion, and the answer as it is written. Pure.

Whoever may write the datastore may write a request. So it is bounded here as well, whatever a reconciler has checked:
how many, how long, whom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NamedTuple

from muslin.errors import BadInput, Problem
from muslin.net import Address, parse_address
from muslin.resources.keys import Key
from muslin.semantics.reserved import is_host

__all__ = ["KIND", "MOST_ASKS", "Answer", "Ask", "Traffic", "Wanted", "Word", "answered", "wanted"]

KIND: Final = "ReconcilerProbe"
MOST_ASKS: Final = 192
"""Of one request."""
_SHORTEST_MS, _LONGEST_MS = 50, 3000
_LONGEST_NAME: Final = 1024


class Traffic(StrEnum):
    """What is sent."""

    TCP = "TCP"
    UDP = "UDP"
    ICMP = "ICMP"


class Word(StrEnum):
    """What came of it. REFUSED: whoever has the address said that nobody serves there."""

    ANSWERED = "Answered"
    REFUSED = "Refused"
    SILENT = "Silent"
    NO_POD = "NoPod"
    NOT_ABLE = "NotAble"


class Answer(NamedTuple):
    """A word, and for NOT_ABLE why."""

    word: Word
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """One attempt: the pod with this endpoint asks an address. `port` is 0 for ICMP."""

    id: str
    endpoint: Key
    target: Address
    traffic: Traffic
    port: int
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """A request to this node. `wrong` are asks that it will not do, as they are answered."""

    mark: str
    after: int
    asks: tuple[Ask, ...]
    wrong: tuple[tuple[str, Answer], ...] = ()


def wanted(spec: Any, node: str, where: str) -> Wanted | None:
    """What a request wants of a node; None where it is another node's. Raises BadInput where it is no request."""
    if not isinstance(spec, Mapping):
        raise BadInput(Problem("the request has no spec", where, "let the reconciler write it"))
    if spec.get("node") != node:
        return None
    mark, after, pairs = spec.get("mark"), spec.get("after"), spec.get("pairs")
    if not (isinstance(mark, str) and mark and isinstance(after, str) and after.isdecimal() and len(after) <= 20):
        raise BadInput(Problem("the request has no mark or no revision", where, "let the reconciler write it"))
    if not isinstance(pairs, list | tuple) or len(pairs) > MOST_ASKS:
        fix = f"ask {MOST_ASKS} pairs at most"
        raise BadInput(Problem("the request asks nothing, or too much", f"{where}  spec.pairs", fix))
    asks: list[Ask] = []
    wrong: list[tuple[str, Answer]] = []
    for each in pairs:
        name = str(each.get("id"))[:_LONGEST_NAME] if isinstance(each, Mapping) else ""
        try:
            asks.append(_ask(each, name))
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            wrong.append((name, Answer(Word.NOT_ABLE, f"it can't be asked: {error}"[:200])))
    return Wanted(mark, int(after), tuple(asks), tuple(wrong))


def _ask(given: Any, name: str) -> Ask:
    traffic, port, timeout = Traffic(given["protocol"]), given.get("port", 0), given["timeoutMilliseconds"]
    if type(port) is not int or not (port == 0 if traffic is Traffic.ICMP else 0 < port < 1 << 16):
        raise ValueError(f"port {str(port)[:20]}")
    if type(timeout) is not int or not _SHORTEST_MS <= timeout <= _LONGEST_MS:
        raise ValueError(f"time {str(timeout)[:20]}")
    target = parse_address(str(given["target"])[:64])
    if not is_host(target):
        raise ValueError(f"{target} is no host's address")
    endpoint = Key("WorkloadEndpoint", str(given["endpoint"])[:_LONGEST_NAME], str(given["namespace"])[:_LONGEST_NAME])
    return Ask(name, endpoint, target, traffic, port, timeout / 1000)


def answered(mark: str, answers: Iterable[tuple[str, Answer]]) -> dict[str, Any]:
    """The status of a request: what came of each pair, for the question with this mark."""
    return {
        "mark": mark,
        "answers": [
            {"id": name, "word": answer.word.value} | ({"detail": answer.detail} if answer.detail else {})
            for name, answer in sorted(answers)
        ],
    }
