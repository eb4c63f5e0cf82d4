"""Calls on an etcd of several members: the next member where one does not answer, logging in, errors as types.

A call that may have happened although its answer is lost is repeated only where that changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

from muslin.datastore.etcd import members
from muslin.datastore.etcd import rpc_pb2 as rpc
from muslin.datastore.etcd.endpoints import Endpoint
from muslin.datastore.etcd.members import Member, Metadata, Method, Refused
from muslin.datastore.etcd.patience import Patience
from muslin.datastore.etcd.refusals import AnswerLost, Meaning, Refusal, meaning_of
from muslin.datastore.protocol import Compacted, Revision
from muslin.datastore.settings import EtcdSettings
from muslin.errors import Failed, Problem, Unavailable

__all__ = ["Client"]

_T = TypeVar("_T")
_LEADER: Final[Metadata] = (("hasleader", "true"),)
"""A member that knows no leader is to say so at once."""


class Client:
    """Connections to the members of one etcd. Use it on one event loop.

    Args:
        endpoints: the members; asked in this order, then the one that answered last.
        settings: user, password, certificates.
        patience: how long to wait; a fitting one unless handed in.
    """

    def __init__(self, endpoints: Sequence[Endpoint], settings: EtcdSettings, patience: Patience | None = None) -> None:
        given = members.credentials(settings) if endpoints[0].tls else None
        self._members = [Member(endpoint, given) for endpoint in endpoints]
        self._current = 0
        self._user, self._password = settings.username, settings.password
        self._token: str | None = None
        self._logging_in = asyncio.Lock()
        self._must_log_in = bool(settings.username)
        self._closed = False
        self.patience = patience or Patience.for_members(len(endpoints))

    @property
    def where(self) -> str:
        """All endpoints, for messages."""
        return ", ".join(map(str, self._members))

    def read(self, method: Method, request: Any) -> Coroutine[Any, Any, Any]:
        """A call that may be repeated at will. Raises `Compacted`, `Forbidden`, `Unavailable`."""
        return self._call(method, request, again=True)

    def write(self, request: Any) -> Coroutine[Any, Any, Any]:
        """A transaction, sent again only where it surely was not done.

        Raises:
            AnswerLost: it may have been done.
            Forbidden, Unavailable, BadInput: it was not done.
        """
        return self._call(members.TXN, request, again=False)

    async def lease(self, ttl_s: int) -> int:
        """A new lease of so many seconds; keys that are put with it vanish when it is not kept alive."""
        return int((await self._call(members.GRANT, rpc.LeaseGrantRequest(TTL=ttl_s), again=True)).ID)

    async def keep(self, lease: int) -> int:
        """Let a lease begin its time anew; gives its seconds, 0 for one that is over: its keys are gone."""

        async def deed(member: Member, metadata: Metadata) -> int:
            return int((await member.keep_alive(lease, metadata, self.patience.answer_s)).TTL)

        return await self.attempt(deed, again=True)

    async def revoke(self, lease: int) -> None:
        """End a lease and remove its keys."""
        await self._call(members.REVOKE, rpc.LeaseRevokeRequest(ID=lease), again=True)

    async def close(self) -> None:
        """End all connections; calls under way fail."""
        self._closed = True
        for member in self._members:
            await member.close()

    def _forget_token(self, metadata: Metadata) -> None:
        """The token in this metadata is no longer good."""
        if self._token is not None and ("token", self._token) in metadata:
            self._token = None

    async def attempt(
        self, deed: Callable[[Member, Metadata], Awaitable[_T]], *, again: bool, failed: Refusal | None = None
    ) -> _T:
        """Do something with a member, with the next one where the first does not answer.

        Args:
            deed: raises `Refused` where it fails. The metadata say who asks.
            again: whether it may be repeated although it may have been done.
            failed: what the first member has said to it already.

        Raises:
            AnswerLost: it may have been done, unless `again`.
            Compacted, Forbidden, Unavailable, BadInput, Failed: it was not done.
        """
        loop = asyncio.get_running_loop()
        deadline, pause_s, renewed = loop.time() + self.patience.total_s, 0.05, False
        while True:
            reasons: dict[str, str] = {}
            turn = self._members[self._current :] + self._members[: self._current]
            while turn:
                self._check_open()
                member, metadata = turn.pop(0), _LEADER
                try:
                    if failed is not None:
                        known, failed = failed, None
                        raise Refused(known)  # noqa: TRY301 - treated as if it had been asked here
                    await member.ready(self.patience.connect_s)
                    metadata = await self._metadata(member)
                    result = await deed(member, metadata)
                except Refused as error:
                    refusal = error.refusal
                else:
                    self._current = self._members.index(member)
                    return result
                match meaning_of(refusal):
                    case Meaning.TOKEN if not renewed:
                        renewed = True
                        self._forget_token(metadata)
                        turn.insert(0, member)
                        continue
                    case Meaning.COMPACTED:
                        raise Compacted(Revision(refusal.said))
                    case Meaning.UNKNOWN if not again:
                        self._away_from(member)
                        raise AnswerLost(f"{member}: {refusal.said}")
                    case Meaning.REFUSED | Meaning.TOKEN:
                        raise refusal.error()
                reasons[str(member)] = refusal.said
                self._away_from(member)
            self._check_open()
            if loop.time() + pause_s >= deadline:
                raise _unavailable(reasons)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, 0.8)

    async def _call(self, method: Method, request: Any, *, again: bool) -> Any:
        member, failed = self._members[self._current], None
        if not self._must_log_in and not self._closed and member.connected:  # as nearly always
            try:
                return await member.call(method, request, _LEADER, self.patience.answer_s)
            except Refused as error:
                failed = error.refusal
                if self._members[self._current] is not member:  # others were faster to leave it
                    self._current = self._members.index(member)
        return await self.attempt(
            lambda member, metadata: member.call(method, request, metadata, self.patience.answer_s),
            again=again,
            failed=failed,
        )

    def _check_open(self) -> None:
        if self._closed:
            raise Failed(Problem("the datastore is closed", self.where, "open it again"))

    def _away_from(self, member: Member) -> None:
        if self._members[self._current] is member:
            self._current = (self._current + 1) % len(self._members)

    async def _metadata(self, member: Member) -> Metadata:
        """What a call says about who asks; logs in where that is needed. Raises `Refused`."""
        if not self._must_log_in:
            return _LEADER
        async with self._logging_in:
            if self._token is None and self._must_log_in:
                request = rpc.AuthenticateRequest(name=self._user or "", password=self._password or "")
                try:
                    answer = await member.call(members.AUTHENTICATE, request, _LEADER, self.patience.answer_s)
                except Refused as error:
                    if "authentication is not enabled" not in error.refusal.text:
                        raise Refused(replace(error.refusal, sent=False)) from None
                    self._must_log_in = False  # as etcd's own clients: who is asked for no name gives none
                    return _LEADER
                self._token = answer.token
            return _LEADER if self._token is None else (*_LEADER, ("token", self._token))


def _unavailable(reasons: dict[str, str]) -> Unavailable:
    """Nobody answered, and what each said."""
    return Unavailable([Problem(f"etcd does not answer: {why}", where, _fix(why)) for where, why in reasons.items()])


def _fix(why: str) -> str:
    if any(word in why for word in ("TSI_", "handshake", "CERTIFICATE", "Ssl", "SSL")):
        return (
            "TLS failed: check that its certificate names this host, has not expired and is signed by etcdCACertFile, "
            "and that it takes our etcdCertFile"
        )
    if "Socket closed" in why:
        return "check that it runs and has a leader, and whether it serves https:// or http:// there"
    return "check that it runs, is reached, and has a leader"
