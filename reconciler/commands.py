"""What the fetcher asks git to do: fixed argument lists and a scrubbed environment, as values. Nothing runs here.

The only texts from outside in an argument list are the repository's address and the branch, both checked by
`Remote.parse`, and ids that git gave us. They stand behind `--end-of-options`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from muslin.errors import BadInput, Problem

__all__ = ["TRACKED", "Git", "Remote", "Transport", "redacted"]

TRACKED: Final = "refs/muslin/tracked"
"""The only reference of the mirror: ours by its namespace, whatever names the repository uses."""

_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_HOST = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*|\[[0-9A-Fa-f:.]+\]")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


class Transport(StrEnum):
    """How a repository is reached: a closed list."""

    HTTPS = "https"
    SSH = "ssh"
    FILE = "file"


@dataclass(frozen=True, slots=True)
class Remote:
    """One branch of one repository, checked. Make it with `parse`."""

    url: str
    branch: str
    transport: Transport

    @property
    def reference(self) -> str:
        """The branch's full name: a tag or anything else of the same short name is not meant."""
        return f"refs/heads/{self.branch}"

    @classmethod
    def parse(cls, url: str, branch: str, *, allow_local: bool = False) -> Remote:
        """The checked remote. Raises BadInput with everything that is wrong.

        Args:
            url: `https://host/path`, `ssh://user@host/path`, or with `allow_local` an absolute path.
            branch: the short name of a branch.
            allow_local: whether a repository on this machine may be read.
        """
        problems: list[Problem] = []
        transport = _transport(url, problems, allow_local=allow_local)
        ends = tuple(part for part in branch.split("/") if part.endswith((".lock", ".")))
        if not _BRANCH.fullmatch(branch) or ".." in branch or ends or len(branch) > 200:
            problems.append(Problem(f"{branch!r} is not a branch name", "branch", "give a name such as main"))
        if problems or transport is None:
            raise BadInput(problems)
        return cls(url, branch, transport)


def redacted(url: str) -> str:
    """The address without a password or token, for status and logs."""
    if "://" not in url:
        return url
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    kept = name if colon or parts.scheme == Transport.SSH else "***"
    return urlunsplit((parts.scheme, f"{kept}{at}{host}" if at else host, parts.path, "", ""))


def _transport(url: str, problems: list[Problem], *, allow_local: bool) -> Transport | None:
    def refuse(what: str, fix: str) -> None:
        problems.append(Problem(what, "repository", fix, source="closed list of git transports"))

    if _CONTROL.search(url) or len(url) > 2000:
        refuse(f"the address {url[:80]!r} has characters that no address has", "give a plain https or ssh address")
        return None
    if "://" not in url:
        if url.startswith("/"):
            if allow_local:
                return Transport.FILE
            refuse(f"{url!r} is a repository on this machine", "allow it with --allow-local")
        else:
            refuse(f"{url[:80]!r} is not an address that we fetch from", "give https://... or ssh://user@host/path")
        return None
    try:
        parts = urlsplit(url)
        host, user, _ = parts.hostname or "", parts.username, parts.port
    except ValueError as error:
        refuse(f"{redacted_text(url)} is not an address: {error}", "give https://... or ssh://user@host/path")
        return None
    if parts.scheme not in (Transport.HTTPS, Transport.SSH):
        refuse(f"the transport {parts.scheme[:20]!r} is not allowed", "use https or ssh")
        return None
    if not _HOST.fullmatch(f"[{host}]" if ":" in host else host):
        refuse(f"{host[:80]!r} is not a host name", "give https://... or ssh://user@host/path")
    if user is not None and not _USER.fullmatch(user):
        refuse("the user name has characters that are not allowed", "give ssh://git@host/path")
    if not parts.path.strip("/") or parts.query or parts.fragment:
        refuse("the address names no repository, or more than one", "give the path of one repository")
    return Transport(parts.scheme)


def redacted_text(url: str) -> str:
    """At most 80 characters of an address that could not be read, without what stands before an @."""
    return repr(url.rpartition("@")[2][:80])


_CONFIG: Final = (
    "protocol.allow=never",
    "protocol.ext.allow=never",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.alternateRefsCommand=",
    "core.logAllRefUpdates=always",
    "core.bigFileThreshold=4m",
    "core.packedGitLimit=256m",
    "credential.helper=",
    "fetch.fsckObjects=true",
    "transfer.fsckObjects=true",
    "transfer.bundleURI=false",
    "fetch.recurseSubmodules=false",
    "fetch.writeCommitGraph=false",
    "submodule.recurse=false",
    "http.followRedirects=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=20",
    "gc.auto=2000",
    "gc.autoPackLimit=20",
    "gc.autoDetach=false",
    "gc.pruneExpire=1.day.ago",
    "maintenance.auto=false",
)
"""Given with every command, so that no file on the machine or in the mirror decides. Reference updates are logged
so that a commit we hold to survives a forced push for as long as git keeps its log (30 days)."""


@dataclass(frozen=True, slots=True)
class Git:
    """Argument lists for one mirror and one remote."""

    mirror: Path
    remote: Remote
    ssh_key: Path | None = None
    known_hosts: Path | None = None

    def environment(self, outer: Mapping[str, str]) -> dict[str, str]:
        """The whole environment of a git child; from `outer` only what is named here."""
        kept = {name: outer[name] for name in ("PATH", "https_proxy", "no_proxy", "SSH_AUTH_SOCK") if name in outer}
        ssh = ["ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"]
        if self.ssh_key is not None:
            ssh += ["-o", "IdentitiesOnly=yes", "-i", str(self.ssh_key)]
        if self.known_hosts is not None:
            ssh += ["-o", f"UserKnownHostsFile={self.known_hosts}"]
        return kept | {
            "HOME": str(self.mirror),
            "LC_ALL": "C",
            "GIT_DIR": str(self.mirror),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ALLOW_PROTOCOL": self.remote.transport.value,
            "GIT_PROTOCOL_FROM_USER": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_SSH_COMMAND": shlex.join(ssh),
            "GIT_SSH_VARIANT": "ssh",
        }

    def _git(self, *arguments: str) -> tuple[str, ...]:
        settings = (*_CONFIG, f"protocol.{self.remote.transport.value}.allow=always")
        return ("git", *(part for setting in settings for part in ("-c", setting)), *arguments)

    def init(self) -> tuple[str, ...]:
        """Make the empty mirror; without a template there are no hooks and no other files."""
        return self._git("init", "--quiet", "--bare", "--template=", "--initial-branch=muslin")

    def ls_remote(self) -> tuple[str, ...]:
        """Where the branch is now; exit status 2 when the repository answers and has no such branch."""
        return self._git(
            "ls-remote", "--quiet", "--exit-code", "--end-of-options", self.remote.url, self.remote.reference
        )

    def fetch(self) -> tuple[str, ...]:
        """Bring the branch, and only it, into the private namespace; a rewritten branch is followed."""
        return self._git(
            "fetch", "--quiet", "--atomic", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
            "--no-auto-maintenance", "--end-of-options", self.remote.url, f"+{self.remote.reference}:{TRACKED}",
        )  # fmt: skip

    def tracked(self) -> tuple[str, ...]:
        """The id that the mirror holds; exit status 1 where there is none yet."""
        return self._git("rev-parse", "--quiet", "--verify", "--end-of-options", TRACKED)

    def sound(self) -> tuple[str, ...]:
        """Exit status 0 when commits and folders of what the mirror holds can all be read."""
        return self._git("rev-list", "--quiet", "--objects", "--end-of-options", TRACKED)

    def is_ancestor(self, older: str, newer: str) -> tuple[str, ...]:
        """Exit status 0 when the branch moved forward, 1 when it was rewritten. Ids only."""
        return self._git("merge-base", "--is-ancestor", "--end-of-options", older, newer)

    def tidy(self) -> tuple[str, ...]:
        """Repack when there are many small files; objects younger than a day stay."""
        return self._git("gc", "--auto", "--quiet")
