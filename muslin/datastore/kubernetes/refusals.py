"""What the Kubernetes API refuses, in the datastore's words: what, where and fix, as the types that callers know."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from muslin.datastore import protocol
from muslin.datastore.protocol import Compacted, Forbidden, MaybeDone, Revision
from muslin.errors import BadInput, Failed, MuslinError, Problem, Unavailable
from muslin.kubernetes import errors as api
from muslin.resources.keys import Key

__all__ = ["NotSupported", "Operation", "not_served", "said", "translated"]


class Operation(Enum):
    """What was asked, in the reference's words."""

    CREATE = "Create"
    UPDATE = "Update"
    DELETE = "Delete"


class NotSupported(protocol.NotSupported):
    """Objects of this kind are views of Kubernetes' own, which have another way of being written."""

    def __init__(self, operation: Operation, key: Key, fix: str) -> None:
        self.operation = operation
        super().__init__(operation.value, key, fix)


def not_served(key: Key, path: str) -> Failed:
    """The error for a kind whose CRD is missing, where an object of it was to be written."""
    return Failed(
        Problem(
            f"the cluster does not serve {key.kind}",
            f"{key}  {path}",
            "install the CRDs: muslin crds | kubectl apply --server-side -f -; or set calicoAPIGroup to what is there",
        )
    )


@contextmanager
def said(where: Key | str) -> Iterator[None]:
    """Raises what the client raises inside as the datastore's error. Not found, conflicts and exists go through."""
    try:
        yield
    except (api.NotFound, api.Conflict, api.AlreadyExists):
        raise
    except (api.ApiError, api.NoAnswer) as error:
        raise translated(error, where) from error


def translated(error: api.ApiError | api.NoAnswer, where: Key | str) -> MuslinError:
    """The datastore's error for what the API answered, or did not, about an object or a kind."""
    if isinstance(error, api.NoAnswer):
        if error.may_have_happened and isinstance(where, Key):
            return MaybeDone(where, error.problems[0].what)
        return error
    match error:
        case api.Expired():
            return Compacted(Revision(str(where)))
        case api.Invalid():
            return BadInput(_fields(error, where))
        case api.Forbidden() | api.Unauthorized():
            return Forbidden(error.message, str(where), error.fix)
        case api.NotTheApi():
            return error
        case api.TooMany():
            return Unavailable(Problem(error.message, str(where), error.fix))
    if error.status in (400, 413, 415) or "request is too large" in error.message.lower():
        return BadInput(Problem(error.message, str(where), "correct the object; the server's message says what"))
    if error.status >= 500:
        return Unavailable(Problem(f"{error.status}: {error.message}", str(where), "trying again later is right"))
    return error


def _fields(error: api.Invalid, where: Key | str) -> tuple[Problem, ...]:
    """One problem for each field that the server names."""
    return tuple(
        Problem(cause.message, f"{where}  {cause.field}".rstrip(), "correct the field") for cause in error.causes
    ) or (Problem(error.message, str(where), "correct the object; the server's message says what"),)
