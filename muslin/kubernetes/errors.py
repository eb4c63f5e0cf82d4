"""What the Kubernetes API refuses, as types; and what came of a request that nobody answered.

An `ApiError` is an answer: asking again the same way brings the same. `NoAnswer` is none: later is right, and whoever
wrote must first look whether it happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from muslin.errors import Failed, Problem, Unavailable

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Cause",
    "Conflict",
    "Distrusted",
    "Expired",
    "Forbidden",
    "Invalid",
    "NoAnswer",
    "NotFound",
    "NotTheApi",
    "TooMany",
    "Unauthorized",
    "refusal",
]


@dataclass(frozen=True, slots=True)
class Cause:
    """One of the reasons that the server gives: a field that is wrong, a field that somebody else manages."""

    reason: str
    message: str
    field: str


class ApiError(Failed):
    """The server answered that it will not.

    Attributes:
        status: HTTP status.
        reason: the API's word, such as `Conflict`; empty where the answer was no Status object.
        message: the server's sentence.
        causes: one for each field, where it says so.
    """

    fix = "see the server's message; `kubectl get --raw` with the path above shows what is there"

    def __init__(self, status: int, reason: str, message: str, where: str, causes: tuple[Cause, ...] = ()) -> None:
        self.status, self.reason, self.message, self.causes = status, reason, message, causes
        super().__init__(self._problems(where))

    def _problems(self, where: str) -> tuple[Problem, ...]:
        return (Problem(f"the Kubernetes API answered {self.status}: {self.message}", where, self.fix),)


class NotTheApi(ApiError):
    """An answer that no API server gives: somebody else is at this address. It says nothing about any object."""

    fix = "see what answers at this address: a proxy or another program, or the API server, which wants https://"


class NotFound(ApiError):
    """404: no such object, or no such kind."""

    fix = "check the name and the namespace, and that the kind's CRD is installed"


class Conflict(ApiError):
    """409: somebody else wrote in between, a precondition does not hold, or (apply) another manages the fields."""

    fix = "read it again and repeat the change on what is there now"

    def _problems(self, where: str) -> tuple[Problem, ...]:
        managed = [cause for cause in self.causes if cause.reason == "FieldManagerConflict"]
        fix = "leave these fields to their manager, or apply with force to take them over"
        return tuple(Problem(cause.message, f"{where}  {cause.field}", fix) for cause in managed) or super()._problems(
            where
        )


class AlreadyExists(ApiError):
    """409: the object to create is there already."""

    fix = "replace it, or choose another name"


class Invalid(ApiError):
    """422: the object breaks the rules of its kind; one problem for each field."""

    fix = "correct the field"

    def _problems(self, where: str) -> tuple[Problem, ...]:
        return tuple(
            Problem(cause.message, f"{where}  {cause.field}".rstrip(), self.fix) for cause in self.causes
        ) or super()._problems(where)


class Forbidden(ApiError):
    """403: the server knows who asks and does not let them."""

    fix = "bind a Role or ClusterRole with this verb and resource to the account, or use another account"


class Unauthorized(ApiError):
    """401: the server does not know who asks, also after the credentials were read anew."""

    fix = "renew the token or the client certificate; `kubectl auth whoami` with the same kubeconfig shows who you are"


class TooMany(ApiError):
    """429, after as many tries as we make."""

    fix = "ask less often (qps), or raise the flow's share in the server's priority levels"


class Expired(ApiError):
    """410: the revision of a watch or of a paged list is older than what the server still knows.

    A watch: list again and watch from there. A paged list: start it again for objects of one instant. `restart` is the
    server's token to go on with the rest as it is *now* instead, where it gave one; the whole is then of two instants.
    """

    fix = "list again, and watch from the new list's resourceVersion"

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        where: str,
        causes: tuple[Cause, ...] = (),
        *,
        restart: str | None = None,
    ) -> None:
        self.restart = restart
        super().__init__(status, reason, message, where, causes)


class NoAnswer(Unavailable):
    """The server could not be reached, fell silent, or has trouble behind it.

    `may_have_happened` is True where a write was sent: look before repeating it.
    """

    def __init__(self, what: str, where: str, *, may_have_happened: bool = False) -> None:
        self.may_have_happened = may_have_happened
        fix = (
            "it may have happened all the same: read the object before repeating it"
            if may_have_happened
            else "check that the API server runs and is reachable from here; trying again later is right"
        )
        super().__init__(Problem(what, where, fix))


class Distrusted(Failed):
    """TLS: the server's certificate is not to be trusted, or ours could not be used. Nothing was sent."""


_BY_STATUS: dict[int, type[ApiError]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Expired,
    422: Invalid,
    429: TooMany,
}
_NO_PAGE = "404 page not found"
"""What an API server says in plain text where it has no such group or path."""
_LONGEST = 500
"""Characters shown of an answer that is no Status object: a proxy's page says who answered in its first lines."""


def refusal(status: int, body: Any, where: str) -> ApiError:
    """The error for an answer's status and body (a Status object, or the text of whoever answered instead)."""
    if not isinstance(body, Mapping) or body.get("kind") != "Status":
        message = " ".join(str(body or "").split())[:_LONGEST] or "no explanation"
        foreign = 300 <= status <= 400 or (status == 404 and _NO_PAGE not in message)
        return (NotTheApi if foreign else _BY_STATUS.get(status, ApiError))(status, "", message, where)
    reason, message = str(body.get("reason") or ""), str(body.get("message") or "no explanation")
    details = body.get("details")
    given = details.get("causes") if isinstance(details, Mapping) else None
    causes = tuple(
        Cause(str(each.get("reason", "")), str(each.get("message", "")), str(each.get("field", "")))
        for each in (given if isinstance(given, list) else ())
        if isinstance(each, Mapping)
    )
    if status == 410 or reason == "Expired":
        metadata = body.get("metadata")
        restart = metadata.get("continue") if isinstance(metadata, Mapping) else None
        return Expired(status, reason, message, where, causes, restart=restart or None)
    kind = AlreadyExists if reason == "AlreadyExists" else _BY_STATUS.get(status, ApiError)
    return kind(status, reason, message, where, causes)
