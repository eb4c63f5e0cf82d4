"""Messages between the agent and the speaker: one JSON object a line, both ways, decoded strictly.

The agent says the whole desired state each time. The speaker says all routes and sessions first, in parts of which the
last is `complete`, then changes. Either side may vanish and come back at any time: the whole is said again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, TypeVar

from muslin.errors import BadInput, Problem
from muslin.net import parse_address, parse_prefix
from runtime.bgp.reports import LearntRoute, RouteReport, SessionReport, SessionState
from runtime.bgp.settings import PeerKey, PeerSettings, SpeakerSettings

__all__ = ["LINE_LIMIT", "Desired", "Message", "Routes", "Sessions", "decode", "encode", "route_parts"]

LINE_LIMIT = 16 << 20
"""Longest line, octets."""
_YEAR_9999 = 253402300800.0
_PART = 2000
"""Routes in one line."""


@dataclass(frozen=True, slots=True)
class Desired:
    """Agent to speaker: be this."""

    settings: SpeakerSettings


@dataclass(frozen=True, slots=True)
class Routes:
    """Speaker to agent: learnt routes.

    `reset`: forget what was said before on this connection; `complete`: with this line the agent knows all.
    """

    report: RouteReport
    reset: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Sessions:
    """Speaker to agent: sessions that changed, and peers no longer configured. `reset`: these are all."""

    sessions: tuple[SessionReport, ...]
    removed: tuple[PeerKey, ...] = ()
    reset: bool = False


Message = Desired | Routes | Sessions
_T = TypeVar("_T")


def route_parts(report: RouteReport) -> list[Routes]:
    """A full set of routes as messages of bounded size; only the last says whether we are in sync."""
    learnt = report.learnt
    starts = range(0, max(len(learnt), 1), _PART)
    return [
        Routes(
            RouteReport(learnt[start : start + _PART], (), report.in_sync and start == starts[-1]),
            reset=start == 0,
            complete=start == starts[-1],
        )
        for start in starts
    ]


def encode(message: Message) -> bytes:
    """A message as one line."""
    if isinstance(message, Desired):
        value = {"message": "desired", **_settings(message.settings)}
    elif isinstance(message, Routes):
        report = message.report
        learnt = [[str(r.prefix), str(r.next_hop), str(r.peer), r.stale] for r in report.learnt]
        withdrawn = [str(prefix) for prefix in report.withdrawn]
        value = {
            "message": "routes", "learnt": learnt, "withdrawn": withdrawn, "in_sync": report.in_sync,
            "reset": message.reset, "complete": message.complete,
        }  # fmt: skip
    else:
        sessions = [_plain(session, peer=_key(session.peer)) for session in message.sessions]
        removed = [_key(key) for key in message.removed]
        value = {"message": "sessions", "sessions": sessions, "removed": removed, "reset": message.reset}
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> Message:
    """A message from one line. Raises BadInput for anything but exactly what `encode` writes."""
    try:
        return _message(json.loads(line))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            Problem(
                what=f"a message between agent and speaker is wrong: {error}",
                where="the socket of the speaker",
                fix="run agent and speaker of the same version",
            )
        ) from None


def _message(value: object) -> Message:
    if not isinstance(value, dict):
        raise ValueError("a message is a JSON object")  # noqa: TRY004 - one way out
    fields = _Fields(value)
    kind = fields.take("message", str)
    if kind not in _DECODERS:
        raise ValueError(f"no message is called {kind!r}")
    message = _DECODERS[kind](fields)
    fields.finish()
    return message


class _Fields:
    """The fields of one object, each to be taken once."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self._left = dict(value)

    def take(self, name: str, kind: type[_T]) -> _T:
        """A field of exactly this type; an integer is good for a float."""
        if name not in self._left:
            raise ValueError(f"{name} is missing")
        value = self._left.pop(name)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise ValueError(f"{name} must be {kind.__name__}")
        return value

    def optional(self, name: str, kind: type[_T]) -> _T | None:
        """A field that can be null."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return self.take(name, kind)

    def many(self, name: str, read: Callable[[Any], _T]) -> tuple[_T, ...]:
        """A list, each entry read."""
        return tuple(read(entry) for entry in self.take(name, list))

    def finish(self) -> None:
        """Nothing may be left."""
        if self._left:
            raise ValueError(f"unknown fields {sorted(self._left)}")


def _text(value: object) -> str:
    if type(value) is not str:
        raise ValueError(f"{value!r} must be text")
    return value


def _plain(value: Any, **replaced: object) -> dict[str, object]:
    """A flat dataclass as JSON: addresses as text, enums by value."""
    fields = {name: getattr(value, name) for name in value.__dataclass_fields__}
    plain = str | int | float | None
    simple = {name: given if isinstance(given, plain) else str(given) for name, given in fields.items()}
    if isinstance(fields.get("state"), SessionState):
        simple["state"] = fields["state"].value
    return {**simple, **replaced}


def _key(key: PeerKey) -> list[object]:
    return [str(key.address), key.port]


def _settings(settings: SpeakerSettings) -> dict[str, object]:
    return _plain(
        settings,
        listen=[str(address) for address in settings.listen],
        peers=[_plain(peer) for peer in settings.peers],
        originated=[str(prefix) for prefix in settings.originated],
        importable=[str(prefix) for prefix in settings.importable],
    )


def _decode_desired(fields: _Fields) -> Message:
    settings = SpeakerSettings(
        router_id=IPv4Address(fields.take("router_id", str)),
        listen=fields.many("listen", lambda entry: parse_address(_text(entry))),
        listen_port=fields.take("listen_port", int),
        peers=fields.many("peers", _decode_peer),
        originated=fields.many("originated", lambda entry: parse_prefix(_text(entry))),
        importable=fields.many("importable", lambda entry: parse_prefix(_text(entry))),
        initial_wait_s=fields.take("initial_wait_s", float),
        restart_wait_s=fields.take("restart_wait_s", float),
    )
    if len({peer.key for peer in settings.peers}) != len(settings.peers):
        raise ValueError("two peers have the same address and port")
    if int(settings.router_id) == 0:
        raise ValueError("router_id must not be 0.0.0.0")
    return Desired(settings)


def _decode_peer(value: object) -> PeerSettings:
    if not isinstance(value, dict):
        raise ValueError("a peer must be an object")  # noqa: TRY004 - one way out
    fields = _Fields(value)
    local_address = fields.optional("local_address", str)
    cluster_id = fields.optional("cluster_id", str)
    peer = PeerSettings(
        address=parse_address(fields.take("address", str)),
        peer_as=fields.take("peer_as", int),
        local_as=fields.take("local_as", int),
        port=fields.take("port", int),
        kind=fields.take("kind", str),
        name=fields.optional("name", str),
        local_address=None if local_address is None else parse_address(local_address),
        passive=fields.take("passive", bool),
        cluster_id=None if cluster_id is None else IPv4Address(cluster_id),
        hold_time_s=fields.take("hold_time_s", int),
        graceful_restart_s=fields.take("graceful_restart_s", int),
        ttl_security_hops=fields.optional("ttl_security_hops", int),
        password=fields.optional("password", str),
        max_prefixes=fields.take("max_prefixes", int),
    )
    fields.finish()
    if not (peer.hold_time_s == 0 or 3 <= peer.hold_time_s <= 0xFFFF):
        raise ValueError("hold_time_s must be 0 or 3..65535")
    if not (0 < peer.peer_as < 1 << 32 and 0 < peer.local_as < 1 << 32 and 0 < peer.port < 1 << 16):
        raise ValueError("an AS number or a port is out of range")
    if peer.graceful_restart_s < 0 or not 1 <= (peer.ttl_security_hops or 1) <= 255 or peer.max_prefixes < 1:
        raise ValueError("graceful_restart_s, ttl_security_hops or max_prefixes is out of range")
    return peer


def _decode_routes(fields: _Fields) -> Message:
    report = RouteReport(
        learnt=fields.many("learnt", _decode_route),
        withdrawn=fields.many("withdrawn", lambda entry: parse_prefix(_text(entry))),
        in_sync=fields.take("in_sync", bool),
    )
    return Routes(report, reset=fields.take("reset", bool), complete=fields.take("complete", bool))


def _decode_route(value: object) -> LearntRoute:
    if not isinstance(value, list) or len(value) != 4 or type(value[3]) is not bool:
        raise ValueError("a route is [prefix, next hop, peer, stale]")
    prefix, next_hop, peer = (_text(entry) for entry in value[:3])
    return LearntRoute(parse_prefix(prefix), parse_address(next_hop), parse_address(peer), value[3])


def _decode_sessions(fields: _Fields) -> Message:
    return Sessions(
        sessions=fields.many("sessions", _decode_session),
        removed=fields.many("removed", _decode_key),
        reset=fields.take("reset", bool),
    )


def _decode_key(value: object) -> PeerKey:
    if not isinstance(value, list) or len(value) != 2 or type(value[1]) is not int:
        raise ValueError("a peer's key is [address, port]")
    return PeerKey(parse_address(_text(value[0])), value[1])


def _decode_session(value: object) -> SessionReport:
    if not isinstance(value, dict):
        raise ValueError("a session must be an object")  # noqa: TRY004 - one way out
    fields = _Fields(value)
    session = SessionReport(
        peer=_decode_key(fields.take("peer", list)),
        state=SessionState(fields.take("state", str)),
        since=fields.take("since", float),
        kind=fields.take("kind", str),
        name=fields.optional("name", str),
        reason=fields.take("reason", str),
        prefixes=fields.take("prefixes", int),
        accepted=fields.take("accepted", int),
        stale=fields.take("stale", int),
        advertised=fields.take("advertised", int),
        updates=fields.take("updates", int),
        malformed=fields.take("malformed", int),
        end_of_rib=fields.take("end_of_rib", bool),
    )
    fields.finish()
    if not 0 <= session.since < _YEAR_9999:
        raise ValueError("since is no time")
    return session


_DECODERS: Mapping[str, Callable[[_Fields], Message]] = {
    "desired": _decode_desired,
    "routes": _decode_routes,
    "sessions": _decode_sessions,
}
