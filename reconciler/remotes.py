"""What is followed: one branch, tag or commit of one repository, checked before any of it becomes an argument."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

from muslin.errors import BadInput, Problem

__all__ = ["Following", "Remote", "Transport", "is_name", "is_object_id", "redacted", "short"]

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")
_OBJECT_ID = re.compile(r"[0-9a-f]{40}")
_WHOLE_ID = re.compile(r"(?<![0-9a-f])([0-9a-f]{12})[0-9a-f]{28}(?![0-9a-f])(?:~[0-9a-f]{8})?")


class Transport(StrEnum):
    """How a repository is reached: a closed list."""

    HTTPS = "https"
    SSH = "ssh"
    FILE = "file"


class Following(StrEnum):
    """What of the repository is followed. A commit never moves, so it is fetched once."""

    BRANCH = "branch"
    TAG = "tag"
    COMMIT = "commit"


def is_object_id(text: str) -> bool:
    """Whether this is the full id of an object: 40 lower-case hexadecimal digits."""
    return _OBJECT_ID.fullmatch(text) is not None


def is_name(name: str) -> bool:
    """Whether this can be the short name of a branch or tag that we name in an argument list."""
    ends = any(part.endswith((".lock", ".")) for part in name.split("/"))
    return _NAME.fullmatch(name) is not None and ".." not in name and not ends and len(name) <= 200


def short(commit: str) -> str:
    """A commit as git shows it to people; of several sources each one with its name. Other texts stay as they are."""
    return _WHOLE_ID.sub(r"\1", commit)


@dataclass(frozen=True, slots=True)
class Remote:
    """One branch, tag or commit of one repository, checked. Make it with `parse`."""

    url: str
    branch: str
    transport: Transport
    following: Following = Following.BRANCH

    @property
    def reference(self) -> str:
        """What is asked for: the full name, so that a tag is never meant where a branch is; of a commit its id."""
        match self.following:
            case Following.BRANCH:
                return f"refs/heads/{self.branch}"
            case Following.TAG:
                return f"refs/tags/{self.branch}"
            case Following.COMMIT:
                return self.branch

    @property
    def shown(self) -> str:
        """The reference for people: the name of a branch, or `tag v1`, or `commit 0123...`."""
        return self.branch if self.following is Following.BRANCH else f"{self.following} {self.branch}"

    @classmethod
    def parse(
        cls,
        url: str,
        branch: str | None = None,
        *,
        tag: str | None = None,
        commit: str | None = None,
        allow_local: bool = False,
    ) -> Remote:
        """The checked remote. Raises BadInput with everything that is wrong.

        Args:
            url: `https://host/path`, `ssh://user@host/path`, or with `allow_local` an absolute path.
            branch: the short name of a branch; one of `branch`, `tag` and `commit` is given.
            tag: the short name of a tag.
            commit: the full id of a commit.
            allow_local: whether a repository on this machine may be read.
        """
        problems: list[Problem] = []
        transport = _transport(url, problems, allow_local=allow_local)
        given = [
            (following, name)
            for following, name in ((Following.BRANCH, branch), (Following.TAG, tag), (Following.COMMIT, commit))
            if name is not None
        ]
        if len(given) != 1:
            problems.append(
                Problem(f"{len(given)} of branch, tag and commit are given", "branch, tag, commit", "give one")
            )
        for following, name in given:
            problems.extend(_name_problems(following, name))
        if problems or transport is None:
            raise BadInput(problems)
        return cls(url, given[0][1], transport, given[0][0])


def redacted(url: str) -> str:
    """The address without a password or token, for status and logs."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    kept = name if colon or parts.scheme == Transport.SSH else "***"
    return urlunsplit((parts.scheme, f"{kept}{at}{host}" if at else host, parts.path, "", ""))


def _name_problems(following: Following, name: str) -> list[Problem]:
    if following is Following.COMMIT:
        if is_object_id(name):
            return []
        return [Problem(f"{name[:80]!r} is not the id of a commit", "commit", "give all 40 hexadecimal digits")]
    if not is_name(name):
        return [Problem(f"{name[:200]!r} is not a {following} name", following.value, "give a name such as main")]
    return []


def _transport(url: str, problems: list[Problem], *, allow_local: bool) -> Transport | None:
    def refuse(what: str, fix: str) -> None:
        problems.append(Problem(what, "repository", fix, source="closed list of git transports"))

    if _CONTROL.search(url) or len(url) > 2000:
        refuse(
            f"the address {_without_user(url)} has characters that no address has", "give a plain https or ssh address"
        )
        return None
    if "://" not in url:
        if url.startswith("/"):
            if allow_local:
                return Transport.FILE
            fix = "allow it with --allow-local, or allowLocal: true of the source"
            refuse(f"{url!r} is a repository on this machine", fix)
        else:
            refuse(
                f"{_without_user(url)} is not an address that we fetch from",
                "give https://... or ssh://user@host/path",
            )
        return None
    try:
        parts = urlsplit(url)
        host, user, password, _ = parts.hostname or "", parts.username, parts.password, parts.port
    except ValueError as error:
        refuse(f"{_without_user(url)} is not an address: {error}", "give https://... or ssh://user@host/path")
        return None
    if parts.scheme not in (Transport.HTTPS, Transport.SSH):
        refuse(f"the transport {parts.scheme[:20]!r} is not allowed", "use https or ssh")
        return None
    if password is not None or (user is not None and parts.scheme == Transport.HTTPS):
        refuse(
            "the address carries a user name or password, which programs and logs would show",
            "leave it out, and give a file with the token: --token-file, or credentials.tokenFile of the source",
        )
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        refuse(f"{host[:80]!r} is not a host name", "give https://... or ssh://user@host/path")
    if user is not None and not _USER.fullmatch(user):
        refuse("the user name has characters that are not allowed", "give ssh://git@host/path")
    if not parts.path.strip("/") or parts.query or parts.fragment:
        refuse("the address names no repository, or more than one", "give the path of one repository")
    return Transport(parts.scheme)


def _without_user(url: str) -> str:
    """At most 80 characters of an address that could not be read, without what stands before an @."""
    return repr(url.rpartition("@")[2][:80])
