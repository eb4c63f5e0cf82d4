"""What an error of etcd's API means for whoever asked: may the deed have happened, does another try help. Pure.

etcd tells its errors as a gRPC status and a text (`etcdserver: ...`); the texts are part of its API, its own clients
read them too. What did not come from etcd (no connection, a broken one) has gRPC's texts.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from muslin.datastore.protocol import Forbidden
from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable

__all__ = ["AnswerLost", "End", "Meaning", "Refusal", "meaning_of"]


class Meaning(enum.Enum):
    """What to do about an error."""

    NOT_DONE = "nothing happened; another member, or a later try, may do it"
    UNKNOWN = "it may have happened, or may still happen"
    TOKEN = "nothing happened; the token is no longer good: log in again"  # noqa: S105 - no password
    COMPACTED = "nothing happened; the revision is compacted away, or is not one of this store"
    REFUSED = "nothing happened, and trying again does not help"


class End(enum.Enum):
    """Why a watch gives nothing more."""

    BROKEN = "its stream broke; begin again"
    SLOW = "its reader is too far behind; begin again"
    COMPACTED = "what comes next is compacted away"
    REFUSED = "etcd does not allow it"
    CLOSED = "the datastore is closed"


class AnswerLost(Exception):
    """A write was sent and its answer did not come; the text says why."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error as it came.

    Attributes:
        code: name of the gRPC status, such as `UNAVAILABLE`.
        text: what etcd or gRPC said.
        where: the endpoint.
        sent: False where the deed asked for surely never left us, such as when logging in failed before it.
        fix: what helps where a right is missing, if it is not the usual.
    """

    code: str
    text: str
    where: str
    sent: bool = True
    fix: str = ""

    @property
    def said(self) -> str:
        """The text without its beginning that all have."""
        return self.text.removeprefix("etcdserver: ") or self.code

    def error(self) -> MuslinError:
        """This, for a person."""
        text, where = self.said, self.where
        if "database space exceeded" in text:
            return Unavailable(
                Problem(
                    "etcd refuses every write: its database space is exceeded (alarm NOSPACE)",
                    where,
                    "compact and defragment it, then etcdctl alarm disarm; or raise --quota-backend-bytes",
                )
            )
        if "request is too large" in text or "larger than max" in text:
            fix = "split the object; etcd's limit is --max-request-bytes"
            return BadInput(Problem(f"etcd refuses a request of this size: {text}", where, fix))
        if "user name is empty" in text:
            fix = "set etcdUsername and etcdPassword, or a client certificate whose common name is a user of etcd"
            return Forbidden("etcd asks for a user and none is given", where, fix)
        if "authentication failed" in text:
            return Forbidden(f"etcd does not let us in: {text}", where, "check etcdUsername and etcdPassword")
        if self.code in ("PERMISSION_DENIED", "UNAUTHENTICATED"):
            usual = (
                "grant the user's role the keys that it needs: all from /calico/ to /muslin0 for the reconciler "
                "(etcdctl role grant-permission ROLE readwrite /calico/ /muslin0), /calico/ for the others"
            )
            fix = self.fix or usual
            return Forbidden(f"etcd does not allow this: {text}", where, fix)
        if self.code == "DATA_LOSS":
            fix = "stop using this member and restore it from its peers, or from a backup"
            return Failed(Problem(f"etcd says that its data are damaged: {text}", where, fix))
        return Failed(Problem(f"etcd refused: {text} ({self.code})", where, "see etcd's log"))


_NOT_DONE = (
    "no leader",  # asked for with the metadata `hasleader`: refused before it is proposed
    "too many requests",
    "not supported for learner",
    "failed to connect to all addresses",
    "DNS resolution failed",
)
_LOST = ("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED", "INTERNAL", "ABORTED")
_TOKEN = ("invalid auth token", "revision of auth store is old")
_COMPACTED = ("required revision has been compacted", "required revision is a future revision")


def meaning_of(refusal: Refusal) -> Meaning:
    """What to do about it. Whatever is not known for sure to have been refused may have happened."""
    text = refusal.text
    if any(part in text for part in _TOKEN):
        return Meaning.TOKEN
    if any(part in text for part in _COMPACTED):
        return Meaning.COMPACTED
    if any(part in text for part in _NOT_DONE):
        return Meaning.NOT_DONE
    if refusal.code in _LOST or (refusal.code == "UNKNOWN" and not text.startswith(("etcdserver:", "auth:"))):
        return Meaning.UNKNOWN if refusal.sent else Meaning.NOT_DONE
    return Meaning.REFUSED
